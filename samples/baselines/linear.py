"""Ridge regression for numbers, ridge classification for classes and for words at fixed places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from general_level.catalogue import AnswerKind, Task
from samples.baselines.codec import Codec
from samples.baselines.columns import (
    NUMBER_KINDS,
    STRUCTURED_KINDS,
    WORD_KINDS,
    classes,
    from_classes,
    from_slots,
    from_targets,
    matrix,
    questions_of,
    slots,
    targets,
)
from samples.example import Answer, Example, Features, Floats, Question

#: Strengths of regularisation that leave-one-out chooses from.
ALPHAS = (1.0, 10.0, 100.0, 1000.0, 10000.0)


def linear(
    task: Task, features: Features, train: Sequence[Example], questions: Sequence[Question]
) -> list[Answer] | None:
    """None for code, rankings and texts without fixed places."""
    kind = task.answer_kind
    answers = [example.answer for example in train]
    places = slots(answers) if kind is AnswerKind.TEXT else None
    if kind in WORD_KINDS and places is None:
        return None
    known, asked = matrix(features, questions_of(train)), matrix(features, questions)
    model = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
    if kind in NUMBER_KINDS:
        return from_targets(kind, model.fit(known, targets(answers)).predict(asked))
    if kind in STRUCTURED_KINDS:
        codec = Codec(kind, answers)
        return codec.answers(model.fit(known, codec.rows(answers)).predict(asked))
    if places is not None:
        columns = [_classify(known, list(words), asked) for words in zip(*places, strict=True)]
        return list(from_slots(answers, columns))
    return from_classes(kind, _classify(known, classes(kind, answers), asked))


def _classify(known: Floats, names: list[str], asked: Floats) -> list[str]:
    if len(set(names)) == 1:
        return names[:1] * len(asked)
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(ALPHAS))
    return list(np.asarray(model.fit(known, names).predict(asked)))
