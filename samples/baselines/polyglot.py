"""A generalist: several general methods, for each task the one that cross-validates best.

Nothing in it knows a task; what it knows of a task is its training examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA

from general_level.catalogue import AnswerKind, Task
from samples.baselines.codec import Codec
from samples.baselines.columns import (
    NUMBER_KINDS,
    STRUCTURED_KINDS,
    classes,
    from_classes,
    from_slots,
    from_targets,
    given_field,
    matrix,
    questions_of,
    slots,
    targets,
)
from samples.baselines.majority import candidates
from samples.baselines.selection import FOLDS, best_classes, best_numbers, best_places
from samples.baselines.strategies import STRATEGIES, likeness
from samples.example import Answer, Example, Features, Floats, Media, Question
from samples.media import distinct, gif, png, read_gif, read_png, read_wav, wav

#: How what may be given is read and written.
_FORMATS: dict[str, tuple[Callable[[bytes], Any], Callable[[Floats], bytes]]] = {
    ".png": (read_png, lambda picture: png(np.round(picture).astype(np.uint8))),
    ".gif": (read_gif, lambda clip: gif(distinct(np.round(clip).astype(np.uint8)))),
    ".wav": (read_wav, wav),
}
#: Answers with a structure are predicted as so many principal components.
ANSWER_COMPONENTS = 24


def polyglot(
    task: Task, features: Features, train: Sequence[Example], questions: Sequence[Question]
) -> list[Answer]:
    """An answer to everything."""
    kind = task.answer_kind
    answers = [example.answer for example in train]
    if kind is AnswerKind.RANKING:
        return _ranked(train, questions)
    places = slots(answers) if kind is AnswerKind.TEXT and train[0].question.media else None
    if kind in (AnswerKind.TEXT, AnswerKind.CODE) and places is None:
        return list(_texts(train, questions))
    known, asked = matrix(features, questions_of(train)), matrix(features, questions)
    if kind in NUMBER_KINDS:
        return from_targets(kind, best_numbers(known, targets(answers), asked)[0])
    if kind in STRUCTURED_KINDS:
        return _structured(kind, (known, asked), train, questions)
    if places is not None:
        columns = best_places(known, list(zip(*places, strict=True)), asked)
        return list(from_slots(answers, columns))
    return from_classes(kind, best_classes(known, classes(kind, answers), asked))


def _structured(
    kind: AnswerKind,
    features: tuple[Floats, Floats],
    train: Sequence[Example],
    questions: Sequence[Question],
) -> list[Answer]:
    """Predicted columns of the answers; or what was given, smoothed, where that is nearer."""
    known, asked = features
    answers = [example.answer for example in train]
    codec = Codec(kind, answers)
    wanted = codec.rows(answers)
    components = PCA(min(ANSWER_COMPONENTS, *wanted.shape), svd_solver="full").fit(wanted)
    reduced = components.transform(wanted)
    predicted, missed = best_numbers(known, reduced, asked)
    rows = components.inverse_transform(predicted)
    lost = np.mean((components.inverse_transform(reduced) - wanted) ** 2)
    error = lost + missed * reduced.shape[1] / wanted.shape[1]
    field = given_field(kind, questions)
    if field:
        ending = answers[0].ending
        smoothed = codec.rows([_smoothed(e.question.media[field], ending) for e in train])
        if np.mean((smoothed - wanted) ** 2) <= error:
            return [_smoothed(question.media[field], ending) for question in questions]
    return codec.answers(rows)


def _smoothed(given: bytes, ending: str) -> Media:
    """The mean of each value, counted four times, and its neighbours: 8 in a picture, 2 in time."""
    read, write = _FORMATS[ending]
    values = read(given).astype(np.float64)
    sides = values.shape[-2:]  # of a sound the one
    padded = np.pad(values, [(0, 0)] * (values.ndim - len(sides)) + [(1, 1)] * len(sides), "edge")
    axes = tuple(range(values.ndim - len(sides), values.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3,) * len(sides), axes)
    total = 3 * values + windows.sum(axis=tuple(range(values.ndim, windows.ndim)))
    return Media(write(total / (3 + 3 ** len(sides))), ending)


def _texts(train: Sequence[Example], questions: Sequence[Question]) -> list[str]:
    """The texts of the strategy whose texts are likest to the answers of left-out examples."""
    quality = np.zeros(len(STRATEGIES))
    for fold in range(FOLDS):
        learned = [example for at, example in enumerate(train) if at % FOLDS != fold]
        left_out = train[fold::FOLDS]
        for at, strategy in enumerate(STRATEGIES):
            given = strategy(learned, questions_of(left_out))
            pairs = zip(given, left_out, strict=True)
            quality[at] += sum(likeness(text, example.answer) for text, example in pairs)
    return STRATEGIES[int(np.argmax(quality))](train, questions)


def _ranked(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Candidates by the rarity of the words that they share with the question."""
    texts = [
        example.question.fields[name] for example in train for name in candidates(example.question)
    ]
    seen = Counter(word for text in texts for word in set(_words(text)))

    def rarity(word: str) -> float:
        return float(np.log((1 + len(texts)) / (1 + seen[word])))

    ranked: list[Answer] = []
    for question in questions:
        wanted = set(_words(question.fields["question"]))
        names = candidates(question)
        shared = [
            sum(map(rarity, sorted(wanted & set(_words(question.fields[name]))))) for name in names
        ]
        ranked.append([names[at] for at in np.argsort(-np.array(shared), kind="stable")])
    return ranked


def _words(text: str) -> list[str]:
    return text.lower().strip("?.").split()
