"""ROUGE-1 and ROUGE-L, with the definition and tokens of Google's ``rouge_score``.

C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004. F measure, Porter
stemmer. The tokens are runs of a-z and 0-9 after lower-casing, so text in another script has none
and scores 0: that is the definition that published ROUGE values follow, and it is the default. A
task in such a script may ask for characters instead.
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
from services.grader.metrics.text.bleu import Unit
from services.grader.metrics.text.normalise import characters

# The package says py.typed and leaves its class without annotations.
_scorer: Callable[..., Any] = RougeScorer

#: Pairs handed to the scorer at a time; bounds the memory of its result objects.
BATCH_PAIRS = 20_000


def rouge_1(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    unit: Unit = "word",
) -> MetricResult:
    """The mean ROUGE-1 F measure in percent, 0..100; per item the best of its references.

    Both sides: lower case, runs of a-z and 0-9, Porter stems; with ``unit="character"`` the
    characters of ``normalise.words``, of any script, unstemmed. 0/0: no token in common (also none
    on either side) scores 0. A missing item scores 0.
    """
    return _rouge(predictions, references, "rouge1", unit)


def rouge_l(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    unit: Unit = "word",
) -> MetricResult:
    """The mean ROUGE-L F measure (longest common subsequence) in percent; as :func:`rouge_1`."""
    return _rouge(predictions, references, "rougeL", unit)


def _rouge(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    kind: str,
    unit: Unit,
) -> MetricResult:
    check_columns(predictions, references)
    prepare = _encodable if unit == "word" else _spelled
    counts = np.array([len(accepted) for accepted in references], dtype=np.int64)
    targets = [prepare(text) for accepted in references for text in accepted]
    answers: list[str] = []
    for prediction, accepted in zip(predictions, references, strict=True):
        answers += [prepare(prediction or "")] * len(accepted)
    scorer = _scorer([kind], use_stemmer=unit == "word")
    values = np.empty(len(targets))
    for start in range(0, len(targets), BATCH_PAIRS):
        stop = start + BATCH_PAIRS
        scores = scorer.score_batch(targets[start:stop], answers[start:stop])
        values[start:stop] = [score[kind].fmeasure for score in scores]
    samples = PERCENT * best_of_references(values, counts)
    return mean_result(samples, count_missing(predictions))


def _spelled(text: str) -> str:
    """Every character as a word of its own that the scorer's tokenizer keeps whole."""
    return " ".join(f"u{ord(character):x}" for character in characters(text))


def _encodable(text: str) -> str:
    """The text without lone surrogates, which JSON can carry and UTF-8 cannot; no token has one."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")
