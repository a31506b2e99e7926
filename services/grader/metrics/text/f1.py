"""F1 in three readings: over label sets, over the tokens of an answer, over classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    check_columns,
    count_missing,
    jackknife_stderr,
    mean_result,
)
from services.grader.metrics.text.normalise import Memo, fold, label, words

#: One label set: a list of labels, or one string with "<p>" or commas between them.
LabelSet = str | Sequence[str]

_SEPARATOR = re.compile(r"<p>|[,，、]", re.IGNORECASE)


def label_set(answer: LabelSet) -> frozenset[str]:
    """The distinct labels of an answer, in the form in which labels are compared.

    Strings and the members of lists alike are split at "<p>" and at commas, so that an answer means
    the same in both forms; empty labels are dropped.
    """
    parts = [answer] if isinstance(answer, str) else answer
    labels = (label(piece) for part in parts for piece in _SEPARATOR.split(part))
    return frozenset(name for name in labels if name)


def micro_f1(
    predictions: Sequence[LabelSet | None], references: Sequence[Sequence[LabelSet]]
) -> MetricResult:
    """2 TP / (2 TP + FP + FN) over the label sets of all items, in percent, 0..100.

    Labels as in accuracy (NFKC, case-folded, spaces collapsed, surrounding signs removed), each
    counted once per item; of several accepted sets the one with the item's highest F1 counts. A
    missing item counts as a wrong answer of the reference's size: FN and FP are the number of
    labels of its largest reference (FP at least 1). 0/0: where no item has or predicts a
    label, 100. The standard error is the delete-one jackknife; there is no value per item.
    """
    n = check_columns(predictions, references)
    counts = np.zeros((n, 3), dtype=np.int64)  # TP, FP, FN
    for item, prediction in enumerate(predictions):
        accepted = [label_set(reference) for reference in references[item]]
        if prediction is None:
            size = max(len(wanted) for wanted in accepted)
            counts[item] = 0, max(size, 1), size
            continue
        given = label_set(prediction)
        best = -1.0
        for wanted in accepted:
            hits = len(given & wanted)
            share = hits / max(len(given) + len(wanted), 1)
            if share > best:
                best = share
                counts[item] = hits, len(given) - hits, len(wanted) - hits

    def score(totals: NDArray[np.int64]) -> NDArray[np.float64]:
        hits = 2.0 * totals[..., 0]
        whole = hits + totals[..., 1] + totals[..., 2]
        return np.asarray(PERCENT * np.where(whole > 0, hits / np.maximum(whole, 1), 1.0))

    total = counts.sum(axis=0)
    return MetricResult(
        value=float(score(total)),
        n=n,
        stderr=jackknife_stderr(score(total - counts)),
        per_sample=None,
        missing=count_missing(predictions),
    )


Overlap = Literal["multiset", "set-over-lengths"]


def token_f1(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    overlap: Overlap = "multiset",
) -> MetricResult:
    """The mean F1 of an answer's tokens, in percent, 0..100; per item the best of its references.

    Tokens are the words of ``normalise.words``. ``overlap="multiset"`` counts common tokens with
    their multiplicity (P. Rajpurkar et al., SQuAD, EMNLP 2016, without its dropping of articles);
    ``"set-over-lengths"`` is the published scorer's count: distinct common tokens over the token
    lists' lengths and white-space tokens in lower case, where an answer equal to a reference that
    repeats a word stays below 100. 0/0: empty against empty is 100, empty against anything else 0.
    A missing item scores 0.
    """
    n = check_columns(predictions, references)

    def tokens(text: str) -> list[str]:
        return words(text) if overlap == "multiset" else fold(text).split()

    samples = np.zeros(n)
    for item, prediction in enumerate(predictions):
        if prediction is None:
            continue
        given = tokens(prediction)
        samples[item] = PERCENT * max(
            _token_f1(given, tokens(reference), overlap) for reference in references[item]
        )
    return mean_result(samples, count_missing(predictions))


def _token_f1(given: list[str], wanted: list[str], overlap: Overlap) -> float:
    if not given and not wanted:
        return 1.0
    if overlap == "multiset":
        common = sum((Counter(given) & Counter(wanted)).values())
    else:
        common = len(set(given) & set(wanted))
    return 2 * common / (len(given) + len(wanted))


def weighted_f1(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> MetricResult:
    """The F1 of each class of the key, weighted by its number of items, in percent, 0..100.

    Classes compare as in accuracy; an item's class is its first reference, and any accepted answer
    counts as that class. A prediction of no known class is a miss of its own class only, as in
    scikit-learn. A missing item is a miss of its class and a false alarm of every other one, so
    that no answer scores below a missing one. 0/0 cannot occur: every class of the key has an item.
    The standard error is the delete-one jackknife; there is no value per item.
    """
    n = check_columns(predictions, references)
    form = Memo(label)
    numbers: dict[str, int] = {}
    true = np.array([numbers.setdefault(form[a[0]], len(numbers)) for a in references])
    outside = len(numbers)
    given = np.full(n, outside, dtype=np.int64)
    absent = np.array([prediction is None for prediction in predictions])
    for item, prediction in enumerate(predictions):
        if prediction is not None:
            answer = form[prediction]
            accepted = any(answer == form[reference] for reference in references[item])
            given[item] = true[item] if accepted else numbers.get(answer, outside)
    value, without = _weighted_f1(true, given, absent, outside)
    return MetricResult(
        value=PERCENT * value,
        n=n,
        stderr=jackknife_stderr(PERCENT * without) if n > 1 else None,
        per_sample=None,
        missing=int(absent.sum()),
    )


def _weighted_f1(
    true: NDArray[np.int64], given: NDArray[np.int64], absent: NDArray[np.bool_], classes: int
) -> tuple[float, NDArray[np.float64]]:
    """Weighted F1 in [0, 1], and its n values with one item left out each.

    ``true`` [n] is the class of each item, ``given`` [n] the predicted class or ``classes`` for
    none of them. Leaving one item out changes the F1 of two classes, or by one false alarm each of
    all classes for a missing item, so that all n values cost O(n + classes).
    """
    n = len(true)
    right = given == true
    size = np.bincount(true, minlength=classes).astype(float)
    hits = np.bincount(true[right], minlength=classes).astype(float)
    # For one class, TP + FP + TP + FN = its predictions plus its items.
    claims = np.bincount(given, minlength=classes + 1)[:classes].astype(float)
    claims += absent.sum() - np.bincount(true[absent], minlength=classes)

    def part(
        hits: NDArray[np.float64], claims: NDArray[np.float64], size: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """A class's F1 times its size."""
        return np.asarray(size * 2 * hits / np.maximum(claims + size, 1))

    parts = part(hits, claims, size)
    total = parts.sum()
    own = part(hits[true] - right, claims[true] - right, size[true] - 1)
    left = total - parts[true] + own
    wrong = ~right & (given < classes)
    false_alarm = part(hits, np.maximum(claims - 1, 0), size)
    left[wrong] += (false_alarm - parts)[given[wrong]]
    left[absent] += (false_alarm - parts).sum() - (false_alarm - parts)[true[absent]]
    return float(total / n), left / max(n - 1, 1)
