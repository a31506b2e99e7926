"""General ways to make a text from a question, learned from questions with answers.

Each is a function from training examples and questions to texts.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from samples.baselines.columns import matrix, questions_of
from samples.example import Example, Question
from samples.features import letters

Strategy = Callable[[Sequence[Example], Sequence[Question]], list[str]]

_WORD = re.compile(r"\w+(?:'\w+)*")
_NUMBER = re.compile(r"\d+")
#: A word in more than this share of the training texts tells nothing of one passage.
_COMMON_SHARE = 0.25


def nearest(train: Sequence[Example], questions: Sequence[Question]) -> list[str]:
    """The answer of the question with the likest letters."""
    return [train[at].answer for at in _nearest(train, questions)]


def substituted(train: Sequence[Example], questions: Sequence[Question]) -> list[str]:
    """The same, with the words in which the two questions differ exchanged in the answer."""
    answers = []
    for question, at in zip(questions, _nearest(train, questions), strict=True):
        old, new = (_WORD.findall(text) for text in (train[at].question.text, question.text))
        exchange: dict[str, str] = {}
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            if kind == "replace" and b - a == d - c:
                exchange |= dict(zip(old[a:b], new[c:d], strict=True))
        answer = _WORD.sub(lambda word: exchange.get(word[0], word[0]), train[at].answer)  # noqa: B023
        answers.append(answer)
    return answers


def spelled(train: Sequence[Example], questions: Sequence[Question]) -> list[str]:
    """The question's last text with each word made the likest word of the training answers."""
    vocabulary = sorted({word for example in train for word in example.answer.split()})
    known: dict[str, str] = {}

    def mend(word: str) -> str:
        if word not in known:
            known[word] = next(iter(difflib.get_close_matches(word, vocabulary, 1, 0.5)), word)
        return known[word]

    texts = [list(question.fields.values())[-1] for question in questions]
    return [" ".join(map(mend, text.split())) for text in texts]


def spanned(train: Sequence[Example], questions: Sequence[Question]) -> list[str]:
    """The rare words, not asked with, of the sentence that shares most with the last text."""
    texts = [example.question.text for example in train]
    seen = Counter(word for text in texts for word in set(_words(text)))

    def rarity(word: str) -> float:
        return float(np.log((1 + len(texts)) / (1 + seen[word])))

    answers = []
    for question in questions:
        *context, asked = question.fields.values()
        wanted = set(_words(asked))
        sentences = re.split(r"(?<=\.) ", " ".join(context))
        shared = [sum(map(rarity, sorted(wanted & set(_words(line))))) for line in sentences]
        chosen = sentences[int(np.argmax(shared))]
        rare = [
            word
            for word in _WORD.findall(chosen)
            if word.lower() not in wanted and seen[word.lower()] <= _COMMON_SHARE * len(texts)
        ]
        answers.append(" ".join(rare))
    return answers


def scaled(train: Sequence[Example], questions: Sequence[Question]) -> list[str]:
    """The question's number times the ratio that the same words had in training."""
    ratios: dict[str, float] = {}
    for example in train:
        number, answer = _NUMBER.search(example.question.text), example.answer
        if number and _NUMBER.fullmatch(answer) and int(number[0]):
            ratios[_NUMBER.sub("#", example.question.text)] = int(answer) / int(number[0])
    answers = []
    for question in questions:
        number = _NUMBER.search(question.text)
        ratio = ratios.get(_NUMBER.sub("#", question.text), 1.0)
        answers.append(str(round(int(number[0]) * ratio)) if number else "")
    return answers


#: Of equally good ones the first counts: the one that heeds more of the question.
STRATEGIES: tuple[Strategy, ...] = (substituted, nearest, spelled, spanned, scaled)


def likeness(given: str, wanted: str) -> float:
    """How much of two texts agrees, 0 to 1, word by word; spaces and signs count as words."""
    one, other = (re.findall(r"\w+|\W", text) for text in (given, wanted))
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _nearest(train: Sequence[Example], questions: Sequence[Question]) -> list[int]:
    known, asked = matrix(letters, questions_of(train)), matrix(letters, questions)
    return [int(at) for at in pairwise_distances_argmin(asked, known)]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
