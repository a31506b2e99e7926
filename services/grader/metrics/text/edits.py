"""Metrics from the edit distance: ANLS and word error rate."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    best_of_references,
    check_columns,
    count_missing,
    mean_result,
)
from services.grader.metrics.text.lines import encode_lines
from services.grader.metrics.text.ngrams import Documents
from services.grader.metrics.text.normalise import Memo, collapse, lower, word_lines

Unit = Literal["word", "character"]


def anls(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    threshold: float = 0.5,
) -> MetricResult:
    """The average normalised Levenshtein similarity, in percent, 0..100; best of the references.

    1 - d / max(length) where d / max(length) is below ``threshold``, else 0 (A. F. Biten et al.,
    "Scene text visual question answering", ICCV 2019). Both sides: NFKC, lower case, spaces
    collapsed. 0/0: empty against empty is 100. A missing item scores 0.
    """
    check_columns(predictions, references)
    form = Memo(lambda text: collapse(lower(text)))
    given = [
        form[prediction or ""]
        for prediction, accepted in zip(predictions, references, strict=True)
        for _ in accepted
    ]
    wanted = [form[reference] for accepted in references for reference in accepted]
    distance = _distances(given, wanted)
    longest = np.maximum(_lengths(given), _lengths(wanted))
    share = distance / np.maximum(longest, 1)
    similarity = np.where(share < threshold, 1 - share, 0.0)
    samples = PERCENT * best_of_references(similarity, _counts(references))
    samples[[prediction is None for prediction in predictions]] = 0.0
    return mean_result(samples, count_missing(predictions))


def wer(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    unit: Unit = "word",
) -> MetricResult:
    """The mean over items of edits per reference word, in percent; lower is better, 0 is perfect.

    Edits are substitutions, deletions and insertions of words, so a long wrong transcript exceeds
    100. Both sides: NFKC, case-folded, punctuation removed (``normalise.words``); with
    ``unit="character"`` the characters without spaces (Chinese, Mongolian). Of several references
    the closest counts. 0/0: empty against an empty reference is 0, anything else against it 100. A
    missing item is an empty transcript: 100.
    """
    check_columns(predictions, references)
    n = len(predictions)
    counts = _counts(references)
    texts = [prediction or "" for prediction in predictions]
    texts += [reference for accepted in references for reference in accepted]
    lines = word_lines(texts)
    tokens: Sequence[Sequence[Hashable]] = (
        lines.replace(" ", "").split("\n")
        if unit == "character"
        else _as_sequences(encode_lines(lines).documents)
    )
    wanted = tokens[n:]
    given = [line for line, count in zip(tokens, counts, strict=False) for _ in range(count)]
    length = _lengths(wanted)
    distance = _distances(given, wanted)
    rate = np.where(length > 0, distance / np.maximum(length, 1), np.minimum(distance, 1))
    samples = PERCENT * best_of_references(rate, counts, lowest=True)
    samples[[prediction is None for prediction in predictions]] = PERCENT
    return mean_result(samples, count_missing(predictions))


def _as_sequences(documents: Documents) -> Sequence[Sequence[Hashable]]:
    """Each document's ids: as characters, which compare fastest, as long as there are enough."""
    ends = np.cumsum(documents.lengths).tolist()
    bounds = zip([0, *ends], ends, strict=False)
    if documents.vocabulary > sys.maxunicode:
        ids = documents.ids.tolist()
        return [ids[start:end] for start, end in bounds]
    characters = documents.ids.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return [characters[start:end] for start, end in bounds]


def _distances(
    given: Sequence[Sequence[Hashable]], wanted: Sequence[Sequence[Hashable]]
) -> NDArray[np.float64]:
    """The Levenshtein distance of each pair."""
    distances = process.cpdist(given, wanted, scorer=Levenshtein.distance, dtype=np.int64)
    return np.asarray(distances, dtype=np.float64)


def _lengths(column: Sequence[Sequence[Hashable]]) -> NDArray[np.float64]:
    return np.fromiter((len(value) for value in column), dtype=np.float64, count=len(column))


def _counts(references: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    return np.array([len(accepted) for accepted in references], dtype=np.int64)
