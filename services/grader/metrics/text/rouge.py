"""ROUGE-1 and ROUGE-L, with the definition and tokens of Google's ``rouge_score``.

C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004. F measure, Porter
stemmer. The tokens are runs of a-z and 0-9 after lower-casing, so text in another script has none
and scores 0: that is the definition that published ROUGE values follow, and it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rouge_score_rs.rouge_scorer import RougeScorer

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    best_of_references,
    check_columns,
    count_missing,
    mean_result,
)

# The package says py.typed and leaves its class without annotations.
_scorer: Callable[..., Any] = RougeScorer

#: Pairs handed to the scorer at a time; bounds the memory of its result objects.
BATCH_PAIRS = 20_000


def rouge_1(predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> MetricResult:
    """The mean ROUGE-1 F measure in percent, 0..100; per item the best of its references.

    Both sides: lower case, runs of a-z and 0-9, Porter stems. 0/0: no token in common (also none on
    either side) scores 0. A missing item scores 0.
    """
    return _rouge(predictions, references, "rouge1")


def rouge_l(predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> MetricResult:
    """The mean ROUGE-L F measure (longest common subsequence) in percent; as :func:`rouge_1`."""
    return _rouge(predictions, references, "rougeL")


def _rouge(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]], kind: str
) -> MetricResult:
    check_columns(predictions, references)
    counts = np.array([len(accepted) for accepted in references], dtype=np.int64)
    targets = [_encodable(text) for accepted in references for text in accepted]
    answers: list[str] = []
    for prediction, accepted in zip(predictions, references, strict=True):
        answers += [_encodable(prediction or "")] * len(accepted)
    scorer = _scorer([kind], use_stemmer=True)
    values = np.empty(len(targets))
    for start in range(0, len(targets), BATCH_PAIRS):
        stop = start + BATCH_PAIRS
        scores = scorer.score_batch(targets[start:stop], answers[start:stop])
        values[start:stop] = [score[kind].fmeasure for score in scores]
    samples = PERCENT * best_of_references(values, counts)
    return mean_result(samples, count_missing(predictions))


def _encodable(text: str) -> str:
    """The text without lone surrogates, which JSON can carry and UTF-8 cannot; no token has one."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")
