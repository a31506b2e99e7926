"""Questions as matrices and answers as targets, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from general_level.catalogue import AnswerKind
from samples.example import Answer, Example, Features, Floats, Question, rounded

#: Decimals of predicted numbers.
NUMBER_DIGITS = 3

#: Kinds whose answers are classes as a whole.
CLASS_KINDS = (AnswerKind.LABEL, AnswerKind.LABELS)
NUMBER_KINDS = (AnswerKind.NUMBER, AnswerKind.SERIES)
#: All other kinds but those of words and numbers have a structure, and most have files.
WORD_KINDS = (AnswerKind.TEXT, AnswerKind.CODE, AnswerKind.RANKING)
STRUCTURED_KINDS = frozenset(AnswerKind) - {*CLASS_KINDS, *NUMBER_KINDS, *WORD_KINDS}

#: Joins the labels of a set into the name of one class.
_SET_SIGN = "\n"

#: The field of a question's file of the same kind as the answer.
_GIVEN = {AnswerKind.IMAGE: "image", AnswerKind.VIDEO: "video", AnswerKind.AUDIO: "audio"}


def given_field(kind: AnswerKind, questions: Sequence[Question]) -> str | None:
    """The field of the picture, clip or sound that questions give where one is asked for."""
    field = _GIVEN.get(kind)
    return field if field in questions[0].media else None


def matrix(features: Features, questions: Sequence[Question]) -> Floats:
    """The features of questions, [n, width]."""
    return np.stack([features(question) for question in questions])


def questions_of(examples: Sequence[Example]) -> list[Question]:
    """The questions alone."""
    return [example.question for example in examples]


def classes(kind: AnswerKind, answers: Sequence[Answer]) -> list[str]:
    """Answers of `CLASS_KINDS` as names of classes; a set of labels is one class."""
    if kind is AnswerKind.LABELS:
        return [_SET_SIGN.join(answer) for answer in answers]
    return list(answers)


def from_classes(kind: AnswerKind, names: Sequence[str]) -> list[Answer]:
    """The answers that names of classes stand for."""
    if kind is AnswerKind.LABELS:
        return [str(name).split(_SET_SIGN) for name in names]
    return [str(name) for name in names]


def targets(answers: Sequence[Answer]) -> Floats:
    """Answers of `NUMBER_KINDS` as [n, width]."""
    return np.array([np.atleast_1d(answer) for answer in answers], dtype=np.float64)


def from_targets(kind: AnswerKind, values: Floats) -> list[Answer]:
    """Rows [n, width] as answers."""
    rows = [rounded(row, NUMBER_DIGITS) for row in values.reshape(len(values), -1)]
    return [row[0] for row in rows] if kind is AnswerKind.NUMBER else rows


def slots(answers: Sequence[str]) -> list[list[str]] | None:
    """Texts as equally many words each, or letters where they are single words; None otherwise."""
    if all(" " not in answer for answer in answers):
        split = [list(answer) for answer in answers]
        # Single words of any length are classes, not letters; numerals are letters.
        if not all(answer.isdigit() for answer in answers):
            split = [[answer] for answer in answers]
    else:
        split = [answer.split() for answer in answers]
    return split if len({len(parts) for parts in split}) == 1 else None


def from_slots(answers: Sequence[str], predicted: Sequence[Sequence[str]]) -> list[str]:
    """Predicted slots [slot][question] as texts, joined as the training answers are."""
    joint = " " if any(" " in answer for answer in answers) else ""
    return [joint.join(map(str, parts)) for parts in zip(*predicted, strict=True)]
