"""The commonest answer of the training data, whatever the question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from general_level.catalogue import AnswerKind, Paradigm, Task
from samples.baselines.columns import CLASS_KINDS, STRUCTURED_KINDS, classes, from_classes
from samples.example import Answer, Example, Features, Question

#: Kinds of which two answers are hardly ever equal.
_NEVER_EQUAL = STRUCTURED_KINDS | {AnswerKind.CODE}


def majority(
    task: Task, _features: Features, train: Sequence[Example], questions: Sequence[Question]
) -> list[Answer] | None:
    """One answer for all; None for generation, for code and for answers with a structure."""
    answers = [example.answer for example in train]
    if task.paradigm is Paradigm.GENERATION or task.answer_kind in _NEVER_EQUAL:
        return None
    if task.answer_kind is AnswerKind.NUMBER:
        return [float(np.median(answers))] * len(questions)
    if task.answer_kind is AnswerKind.RANKING:
        return [candidates(question) for question in questions]
    if task.answer_kind in CLASS_KINDS:
        return from_classes(
            task.answer_kind, _commonest(classes(task.answer_kind, answers), questions)
        )
    return list(_commonest(answers, questions))


def _commonest(answers: Sequence[str], questions: Sequence[Question]) -> list[str]:
    # Of equally common ones the first in the alphabet, so that the order of the data is no matter.
    counts = Counter(answers)
    return [min(counts, key=lambda answer: (-counts[answer], answer))] * len(questions)


def candidates(question: Question) -> list[str]:
    """What a ranking may name: the fields with one letter as their name, in order."""
    return [field for field in question.fields if len(field) == 1]
