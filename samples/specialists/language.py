"""Specialists for language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LassoCV
from sklearn.metrics import pairwise_distances_argmin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from samples.baselines.majority import candidates
from samples.example import Answer, Example, Floats, Question, rounded
from samples.features import numbers
from samples.tasks.facts import UNITS
from samples.tasks.language import SENTENCE_ENDS

_NAME = re.compile(r"(?:in|of|is) ([A-Z]\w*)(?: pay)?\?")


def fact_reading(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Patterns that the training passages show: a sentence with slots for country and answer."""
    patterns: dict[str, set[str]] = {}
    for example in train:
        asked, name = _asked(example.question)
        for line in _sentences(example.question):
            if name in line and example.answer in line.replace(name, ""):
                pattern = re.escape(line).replace(re.escape(example.answer), "(?P<answer>.+)", 1)
                patterns.setdefault(asked, set()).add(pattern.replace(re.escape(name), "{name}", 1))
    return [_read(patterns, question) for question in questions]


def _read(patterns: dict[str, set[str]], question: Question) -> str:
    asked, name = _asked(question)
    for pattern in sorted(patterns.get(asked, ())):
        for line in _sentences(question):
            found = re.fullmatch(pattern.replace("{name}", re.escape(name)), line)
            if found:
                return found["answer"]
    return "unknown"


def _asked(question: Question) -> tuple[str, str]:
    """The question without its country, and the country."""
    text = question.fields["question"]
    found = _NAME.search(text)
    name = found[1] if found else ""
    return text.replace(name, "_"), name


def _sentences(question: Question) -> list[str]:
    return re.split(r"(?<=\.) ", question.fields["passage"])


def unit_conversion(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """A table of units, both ways."""
    factors = {(one, other): factor for one, other, factor in UNITS}
    answers = []
    for question in questions:
        found = re.fullmatch(r"How many (\w+) are (\d+) (\w+)\?", question.text)
        wanted, amount, given = found.groups() if found else ("", "0", "")
        if (given, wanted) in factors:
            answers.append(str(int(amount) * factors[given, wanted]))
        else:
            answers.append(str(int(amount) // factors.get((wanted, given), 1)))
    return answers


def fact_retrieval(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """BM25 (S. Robertson and H. Zaragoza, 2009) over the candidates' words."""
    k1, b = 1.2, 0.75
    known = [
        _words(example.question.fields[name])
        for example in train
        for name in candidates(example.question)
    ]
    seen = Counter(word for words in known for word in set(words))
    mean = float(np.mean([len(words) for words in known]))
    answers = []
    for question in questions:
        names = candidates(question)
        values = []
        for name in names:
            words = _words(question.fields[name])
            counts = Counter(words)
            value = 0.0
            for word in sorted(set(_words(question.fields["question"]))):
                rarity = np.log(1 + (len(known) - seen[word] + 0.5) / (seen[word] + 0.5))
                often = counts[word]
                value += rarity * often * (k1 + 1) / (often + k1 * (1 - b + b * len(words) / mean))
            values.append(value)
        answers.append([names[at] for at in np.argsort(-np.array(values), kind="stable")])
    return answers


def transcript_repair(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Each word becomes the training word with the fewest edits; of several the commonest."""
    counts = Counter(word for example in train for word in example.answer.split())
    vocabulary = sorted(counts, key=lambda word: (-counts[word], word))
    known: dict[str, str] = {}

    def mend(word: str) -> str:
        if word not in known:
            best = min(vocabulary, key=lambda candidate: edits(word, candidate))
            known[word] = best if edits(word, best) <= max(1, len(word) // 2) else word
        return known[word]

    texts = [question.fields["transcript"] for question in questions]
    return [" ".join(map(mend, text.split())) for text in texts]


def edits(one: str, other: str) -> int:
    """The Levenshtein distance of two words."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        before, row[0] = row[0], at
        for place, wanted in enumerate(other, start=1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (letter != wanted)),
            )
    return row[-1]


def python_functions(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The function whose description has the likest words, as it is."""
    vectorizer = TfidfVectorizer()
    known = vectorizer.fit_transform([example.question.text for example in train])
    asked = vectorizer.transform([question.text for question in questions])
    nearest = pairwise_distances_argmin(asked.toarray(), known.toarray())
    return [train[at].answer for at in nearest]


def wine_cultivar(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Linear discriminant analysis of the thirteen measurements."""
    model = LinearDiscriminantAnalysis()
    known = np.stack([_assay(example.question) for example in train])
    model.fit(known, [example.answer for example in train])
    return [str(x) for x in model.predict(np.stack([_assay(q) for q in questions]))]


def _assay(question: Question) -> Floats:
    """The numbers of the assay without the two of the name "od280/od315"."""
    return np.delete(numbers(question), (11, 12))


def diabetes_progression(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The lasso, its strength by cross-validation (R. Tibshirani, 1996)."""
    model = make_pipeline(StandardScaler(), LassoCV(cv=5))
    known = np.stack([numbers(example.question) for example in train])
    model.fit(known, [example.answer for example in train])
    given = model.predict(np.stack([numbers(question) for question in questions]))
    return [rounded([value], 3)[0] for value in given]


def sentence_on_demand(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """A template for each number of words."""
    answers = []
    for question in questions:
        found = re.search(r'exactly (\d+) words .* "(\w+)"', question.text)
        count, word = found.groups() if found else ("6", "house")
        answers.append(f"We saw the {word} {SENTENCE_ENDS.get(int(count), 'here')}.")
    return answers


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
