"""CIDEr-D: agreement of n-grams weighted by how rare they are in the references.

R. Vedantam, C. L. Zitnick, D. Parikh, "CIDEr: consensus-based image description evaluation", CVPR
2015, in the D variant that pycocoevalcap computes: clipped weights, a Gaussian penalty on the
length difference (counted in bigrams there, and so here), orders 1 to 4, times 10.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    check_columns,
    count_missing,
    mean_result,
)
from services.grader.metrics.text.lines import encode_lines
from services.grader.metrics.text.ngrams import GramCounts, IntArray, count_ngrams, lookup
from services.grader.metrics.text.normalise import word_lines

ORDERS = 4
#: Standard deviation of the length penalty, in bigrams.
SIGMA = 6.0
#: CIDEr's own scale; in addition, captions are reported times 100.
SCALE = 10.0


def cider(predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> MetricResult:
    """The mean CIDEr-D times 100 (a caption score of 0.4851 is 48.51); 0..1000, higher is better.

    Both sides: the words of ``normalise.words`` (case-folded, no punctuation). The rarity of an
    n-gram comes from this key's references. 0/0: an answer or a reference without n-grams of an
    order, or with n-grams that every item's references hold, scores 0 in that order. A missing item
    scores 0. The per-item values are what the mean is over; the rarities are taken as fixed in the
    standard error. Raises ValueError for a key of one item, where every n-gram has rarity 0 and all
    answers would score alike.
    """
    n = check_columns(predictions, references)
    if n < 2:
        raise ValueError("CIDEr needs a key of at least two items")
    texts = [prediction or "" for prediction in predictions]
    texts += [reference for accepted in references for reference in accepted]
    documents = encode_lines(word_lines(texts)).documents
    counts = np.array([len(texts) for texts in references], dtype=np.int64)
    item_of = np.repeat(np.arange(n, dtype=np.int64), counts)
    similarity = np.zeros(len(item_of))
    penalty = np.ones(len(item_of))
    for order, grams in enumerate(count_ngrams(documents, ORDERS), start=1):
        similarity += _similarity(grams, n, item_of)
        if order == 2:
            bigrams = np.bincount(grams.document, weights=grams.count, minlength=n + len(item_of))
            apart = bigrams[item_of] - bigrams[n:]
            penalty = np.exp(-(apart**2) / (2 * SIGMA**2))
    per_reference = similarity * penalty / ORDERS
    per_item = np.bincount(item_of, weights=per_reference, minlength=n) / counts
    # A cosine of equal vectors can round to just above 1.
    samples = np.minimum(PERCENT * SCALE * per_item, PERCENT * SCALE)
    return mean_result(samples, count_missing(predictions))


def _similarity(grams: GramCounts, n: int, item_of: IntArray) -> NDArray[np.float64]:
    """The clipped cosine of one order for each reference, before the length penalty."""
    ours = grams.document < n
    theirs = ~ours
    reference = grams.document[theirs] - n
    pairs = np.unique(item_of[reference] * grams.size + grams.gram[theirs])
    frequency = np.bincount(pairs % grams.size, minlength=grams.size)
    rarity = np.log(float(n)) - np.log(np.maximum(frequency, 1))
    weight = grams.count * rarity[grams.gram]
    norm = np.sqrt(np.bincount(grams.document, weights=weight**2, minlength=n + len(item_of)))
    # An entry of 0 means "not in the prediction"; positions are shifted by 1 to tell it apart.
    keys = grams.document[ours] * grams.size + grams.gram[ours]
    wanted = item_of[reference] * grams.size + grams.gram[theirs]
    at = lookup(keys, np.arange(1, len(keys) + 1), wanted)
    our_weight = np.concatenate(([0.0], weight[ours]))[at]
    product = np.minimum(our_weight, weight[theirs]) * weight[theirs]
    product[at == 0] = 0.0
    dot = np.bincount(reference, weights=product, minlength=len(item_of))
    length = norm[item_of] * norm[n:]
    return np.asarray(np.where(length > 0, dot / np.where(length > 0, length, 1.0), 0.0))
