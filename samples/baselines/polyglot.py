"""A generalist: several general methods, for each task the one that cross-validates best.

Nothing in it knows a task; what it knows of a task is its training examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from general_level.catalogue import AnswerKind, Task
from samples.baselines.columns import (
    NUMBER_KINDS,
    classes,
    from_classes,
    from_slots,
    from_targets,
    matrix,
    questions_of,
    slots,
    targets,
)
from samples.baselines.majority import candidates
from samples.baselines.selection import FOLDS, best_classes, best_numbers, best_places
from samples.baselines.strategies import STRATEGIES, likeness
from samples.example import Answer, Bytes, Example, Features, Question
from samples.media import png, read_png


def polyglot(
    task: Task, features: Features, train: Sequence[Example], questions: Sequence[Question]
) -> list[Answer]:
    """An answer to everything."""
    kind = task.answer_kind
    answers = [example.answer for example in train]
    if kind is AnswerKind.IMAGE:
        return [png(_smoothed(read_png(question.media["image"]))) for question in questions]
    if kind is AnswerKind.RANKING:
        return _ranked(train, questions)
    places = slots(answers) if kind is AnswerKind.TEXT and train[0].question.media else None
    if kind in (AnswerKind.TEXT, AnswerKind.CODE) and places is None:
        return list(_texts(train, questions))
    known, asked = matrix(features, questions_of(train)), matrix(features, questions)
    if kind in NUMBER_KINDS:
        return from_targets(kind, best_numbers(known, targets(answers), asked))
    if places is not None:
        columns = best_places(known, list(zip(*places, strict=True)), asked)
        return list(from_slots(answers, columns))
    return from_classes(kind, best_classes(known, classes(kind, answers), asked))


def _smoothed(picture: Bytes) -> Bytes:
    """The mean of each pixel, counted four times, and its eight neighbours."""
    padded = np.pad(picture.astype(np.float64), 1, mode="edge")
    height, width = picture.shape
    total = 3 * picture.astype(np.float64)
    for dy in range(3):
        for dx in range(3):
            total += padded[dy : dy + height, dx : dx + width]
    return np.round(total / 12).astype(np.uint8)


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
