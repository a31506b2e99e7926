"""The answer of the nearest training question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from general_level.catalogue import AnswerKind, Task
from samples.baselines.columns import given_field, matrix, questions_of
from samples.baselines.majority import candidates
from samples.example import Answer, Example, Features, Media, Question
from samples.features import letters


def neighbour(
    task: Task, features: Features, train: Sequence[Example], questions: Sequence[Question]
) -> list[Answer] | None:
    """The nearest question's answer by Euclidean distance; of equally near ones the first.

    A ranking is by likeness to the question; where a picture, a clip or a sound is asked for and
    given, it is returned as it came.
    """
    given = given_field(task.answer_kind, questions)
    if given:
        return [Media(question.media[given], train[0].answer.ending) for question in questions]
    if task.answer_kind is AnswerKind.RANKING:
        return [_by_likeness(question) for question in questions]
    nearest = pairwise_distances_argmin(
        matrix(features, questions), matrix(features, questions_of(train))
    )
    return [train[at].answer for at in nearest]


def _by_likeness(question: Question) -> list[str]:
    asked = letters(Question({"question": question.fields["question"]}))
    names = candidates(question)
    likeness = [float(asked @ letters(Question({"": question.fields[name]}))) for name in names]
    return [names[at] for at in np.argsort(-np.array(likeness), kind="stable")]
