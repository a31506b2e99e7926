"""BLEU: clipped n-gram precision with a brevity penalty.

K. Papineni, S. Roukos, T. Ward, W.-J. Zhu, "BLEU: a method for automatic evaluation of machine
translation", ACL 2002. Two readings are in use and both are here: the mean of sentence scores (as
``nltk.translate.bleu_score.sentence_bleu`` with smoothing method 4 gives them for order 1) and one
score for the corpus (as ``pycocoevalcap``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    best_of_references,
    check_columns,
    count_missing,
    jackknife_stderr,
    mean_result,
)
from services.grader.metrics.text.ngrams import Documents, IntArray, count_ngrams, encode, lookup
from services.grader.metrics.text.normalise import characters, lower
from services.grader.metrics.text.treebank import encode_words

Unit = Literal["word", "character"]

#: pycocoevalcap's guards against 0/0 and log 0.
_SMALL, _TINY = 1e-9, 1e-15


def bleu_1(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    unit: Unit = "word",
) -> MetricResult:
    """The mean of sentence BLEU-1 in percent, 0..100; per item the best of its references.

    Clipped share of the prediction's tokens that are in the reference, times exp(1 - r / c) where
    the prediction (c tokens) is shorter than the reference (r). Both sides: NFKC, lower case,
    Treebank word tokens, or single characters with ``unit="character"`` (Chinese and the like).
    0/0: an empty prediction scores 0, also against an empty reference. A missing item scores 0.
    """
    n = check_columns(predictions, references)
    texts = [prediction or "" for prediction in predictions]
    texts += [reference for accepted in references for reference in accepted]
    counts = np.array([len(accepted) for accepted in references], dtype=np.int64)
    item_of = np.repeat(np.arange(n, dtype=np.int64), counts)
    documents = (
        encode_words([lower(text) for text in texts])
        if unit == "word"
        else encode([characters(text) for text in texts])
    )
    length, reference_length = documents.lengths[item_of], documents.lengths[n:]
    precision = _matches(documents, item_of, n) / np.maximum(length, 1)
    shortfall = np.minimum(1 - reference_length / np.maximum(length, 1), 0.0)
    scores = np.where(length > 0, precision * np.exp(shortfall), 0.0)
    samples = PERCENT * best_of_references(scores, counts)
    return mean_result(samples, count_missing(predictions))


def _matches(documents: Documents, item_of: IntArray, n: int) -> IntArray:
    """Per reference, the number of tokens it has in common with its item's prediction.

    The first n documents are the predictions, the others the references of items ``item_of``.
    """
    (grams,) = count_ngrams(documents, 1)
    split = np.searchsorted(grams.document, n)
    reference = grams.document[split:] - n
    given = lookup(
        grams.document[:split] * grams.size + grams.gram[:split],
        grams.count[:split],
        item_of[reference] * grams.size + grams.gram[split:],
    )
    common = np.minimum(given, grams.count[split:])
    return np.bincount(reference, weights=common, minlength=len(item_of)).astype(np.int64)


def bleu_1_corpus(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    unit: Unit = "word",
) -> MetricResult:
    """Corpus BLEU-1 in percent; see :func:`bleu_4_corpus`."""
    return _corpus_bleu(predictions, references, 1, unit)


def bleu_4_corpus(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    unit: Unit = "word",
) -> MetricResult:
    """Corpus BLEU-4 in percent, 0..100, as pycocoevalcap computes it.

    Geometric mean of the clipped precisions of orders 1 to 4 over the whole corpus, times the
    brevity penalty with each item's closest reference length. Both sides: NFKC, lower case, tokens
    between white space (or single characters). The missing items of a submission are all empty
    sentences or all wrong sentences of their longest reference's length, whichever is worse: a
    corpus precision forgives silence, a brevity penalty forgives noise. 0/0: a corpus without a
    matching n-gram of some order scores 0 to within 1e-3. The standard error is the delete-one
    jackknife; there is no value per item.
    """
    return _corpus_bleu(predictions, references, 4, unit)


def _corpus_bleu(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    orders: int,
    unit: Unit,
) -> MetricResult:
    n = check_columns(predictions, references)

    def tokens(text: str) -> list[str]:
        return lower(text).split() if unit == "word" else characters(text)

    hypotheses = [[] if text is None else tokens(text) for text in predictions]
    accepted = [tokens(text) for texts in references for text in texts]
    item_of = np.repeat(np.arange(n), [len(texts) for texts in references])
    accepted_length = np.array([len(text) for text in accepted], dtype=np.int64)
    matched, guessed = _clipped_matches(hypotheses, accepted, item_of, orders)
    length = np.array([len(tokens) for tokens in hypotheses], dtype=np.int64)
    closest = _closest_lengths(length, accepted_length, item_of)
    silent = np.column_stack([matched, guessed, length, closest]).astype(np.float64)

    noisy = silent
    missing = np.array([prediction is None for prediction in predictions])
    if missing.any():
        longest = np.zeros(n, dtype=np.int64)
        np.maximum.at(longest, item_of, accepted_length)
        wrong = [np.maximum(longest - order, 0) for order in range(orders)]
        noisy = silent.copy()
        noisy[missing, orders:] = np.column_stack([*wrong, longest, longest])[missing]
    counts = min(silent, noisy, key=lambda table: float(_bleu(table.sum(axis=0), orders)))
    total = counts.sum(axis=0)
    return MetricResult(
        value=float(_bleu(total, orders)),
        n=n,
        stderr=jackknife_stderr(_bleu(total - counts, orders)),
        per_sample=None,
        missing=int(missing.sum()),
    )


def _bleu(counts: NDArray[np.float64], orders: int) -> NDArray[np.float64]:
    """Corpus BLEU in percent of sums [..., 2 * orders + 2].

    The sums are: per order the matches, per order the n-grams, the length, the reference length.
    """
    precisions = (counts[..., :orders] + _TINY) / (counts[..., orders:-2] + _SMALL)
    ratio = (counts[..., -2] + _TINY) / (counts[..., -1] + _SMALL)
    with np.errstate(over="ignore"):
        penalty = np.exp(np.minimum(1 - 1 / ratio, 0.0))
    return np.asarray(PERCENT * np.prod(precisions, axis=-1) ** (1 / orders) * penalty)


def _clipped_matches(
    hypotheses: list[list[str]], accepted: list[list[str]], item_of: IntArray, orders: int
) -> tuple[IntArray, IntArray]:
    """Per item and order [n, orders]: clipped matches, and n-grams in the prediction."""
    n = len(hypotheses)
    owner = np.concatenate([np.arange(n, dtype=np.int64), item_of])
    matched = np.zeros((n, orders), dtype=np.int64)
    guessed = np.zeros((n, orders), dtype=np.int64)
    for order, grams in enumerate(count_ngrams(encode([*hypotheses, *accepted]), orders)):
        ours = grams.document < n
        keys = owner[grams.document] * grams.size + grams.gram
        # The most often that any one reference of the item holds the n-gram.
        most_keys, inverse = np.unique(keys[~ours], return_inverse=True)
        most = np.zeros(len(most_keys), dtype=np.int64)
        np.maximum.at(most, inverse, grams.count[~ours])
        clipped = np.minimum(grams.count[ours], lookup(most_keys, most, keys[ours]))
        items = grams.document[ours]
        np.add.at(matched[:, order], items, clipped)
        np.add.at(guessed[:, order], items, grams.count[ours])
    return matched, guessed


def _closest_lengths(lengths: IntArray, reference_lengths: IntArray, item_of: IntArray) -> IntArray:
    """Per item, the reference length closest to the prediction's; the shorter one of two."""
    distance = np.abs(reference_lengths - lengths[item_of])
    order = np.lexsort((reference_lengths, distance, item_of))
    _, first = np.unique(item_of[order], return_index=True)
    return np.asarray(reference_lengths[order][first], dtype=np.int64)
