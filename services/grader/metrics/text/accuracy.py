"""Right or wrong, item by item: accuracy in four readings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    check_columns,
    count_missing,
    mean_result,
)
from services.grader.metrics.text.normalise import (
    Memo,
    choice,
    collapse,
    exact,
    fold,
    is_letter,
    label,
    words,
)

#: The variance of a share of 1/2: the most that one right-or-wrong item can have.
_LARGEST_VARIANCE = 0.25


def accuracy(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> MetricResult:
    """The share of items whose prediction equals an accepted answer, in percent, 0..100.

    Both sides: NFKC, case-folded, spaces collapsed, surrounding quotes, brackets and clause ends
    removed. Where the reference is a single letter, the prediction may be "A", "(A)", "A.", or the
    letter with ``)``, ``]``, ``.`` or ``:`` and the choice's text after white space ("A) a cat").
    0/0: an empty prediction is right only where the reference is empty. A missing item is wrong.
    """
    check_columns(predictions, references)
    samples = PERCENT * _correct(predictions, references)
    return mean_result(samples, count_missing(predictions))


def macro_accuracy(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> MetricResult:
    """The mean over classes of the share of their items that are right, in percent, 0..100.

    Equality as in :func:`accuracy`; an item's class is its first reference. Every class of the key
    has an item, so 0/0 cannot occur. A missing item is wrong. The standard error is the stratified
    one, sqrt(sum_c p_c (1 - p_c) / (n_c - 1)) / C, with the largest possible variance 1/4 for a
    class of one item; there is no value per item whose mean is the score.
    """
    n = check_columns(predictions, references)
    correct = _correct(predictions, references)
    form = Memo(label)
    _, classes = np.unique([form[accepted[0]] for accepted in references], return_inverse=True)
    sizes = np.bincount(classes)
    recall = np.bincount(classes, weights=correct) / sizes
    variance = np.where(
        sizes > 1, recall * (1 - recall) / np.maximum(sizes - 1, 1), _LARGEST_VARIANCE
    )
    return MetricResult(
        value=float(PERCENT * recall.mean()),
        n=n,
        stderr=float(PERCENT * np.sqrt(variance.sum()) / len(sizes)) if n > 1 else None,
        per_sample=None,
        missing=count_missing(predictions),
    )


def _correct(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """1 where an item's prediction equals an accepted answer, else 0; shape [n]."""
    form, chosen = Memo(label), Memo(choice)
    correct = np.zeros(len(references))
    for item, prediction in enumerate(predictions):
        if prediction is None:
            continue
        answer = form[prediction]
        for reference in references[item]:
            wanted = form[reference]
            if answer == wanted or (is_letter(wanted) and chosen[prediction] == wanted):
                correct[item] = 1.0
                break
    return correct


def exact_match(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> MetricResult:
    """EM@1: the share of items whose one answer equals an accepted one after cleaning, in percent.

    Cleaning close to SQA3D's (X. Ma et al., ICLR 2023): NFKC, case-folded, punctuation removed,
    articles dropped, 0 to 10 spelled out; other scripts than Latin are kept. 0/0: an empty
    prediction is right only where the reference is empty. A missing item is wrong.
    """
    form = Memo(exact)
    return _share(predictions, references, lambda answer, wanted: form[answer] == form[wanted])


def contains_accuracy(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> MetricResult:
    """The share of items whose prediction contains an accepted answer as whole words, in percent.

    Words as in ``normalise.words``: "no" is not in "north" or "piano", "3" is not in "3.5". A
    reference that is one letter asks for the choice, as in :func:`accuracy` ("a" is not in "a
    cat"). Where the reference is yes or no, a prediction with both words is wrong. A reference
    without words ("?", "") is compared whole, as in :func:`accuracy`. A missing item is wrong.
    """
    spaced = Memo(lambda text: f" {' '.join(words(text))} ")
    form, chosen, whole = Memo(label), Memo(choice), Memo(lambda text: collapse(fold(text)))

    def contains(answer: str, reference: str) -> bool:
        if is_letter(form[reference]):
            return chosen[answer] == form[reference]
        wanted, said = spaced[reference], spaced[answer]
        if not wanted.strip():
            return whole[answer] == whole[reference]
        if wanted in _OPPOSITE and _OPPOSITE[wanted] in said:
            return False
        return wanted in said

    return _share(predictions, references, contains)


_OPPOSITE = {" yes ": " no ", " no ": " yes "}


def _share(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    agrees: Callable[[str, str], bool],
) -> MetricResult:
    check_columns(predictions, references)
    samples = np.array(
        [
            PERCENT
            if prediction is not None
            and any(agrees(prediction, reference) for reference in accepted)
            else 0.0
            for prediction, accepted in zip(predictions, references, strict=True)
        ]
    )
    return mean_result(samples, count_missing(predictions))
