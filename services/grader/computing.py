"""One metric over one task's answers and key, for the scorer, the self-test and offline scoring.

It knows neither seals nor signatures, and what it is given has been decoded and checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from general_level.catalogue.model import AnswerKind, Direction, Grading, Metric
from services.grader.decode.columns import Answers
from services.grader.decode.contents import CONTENT_KINDS
from services.grader.metric_options import metric_options
from services.grader.metrics.result import MetricResult
from services.grader.networks import NO_NETWORKS, Networks
from services.grader.outcomes import MAX_FINDINGS
from services.grader.ratings import mean_rating
from services.kit.ratings import parse_ratings


class KeyItem(Protocol):
    """One item of an answer key."""

    @property
    def id(self) -> str: ...

    @property
    def references(self) -> Sequence[Any]: ...


class Answered(Protocol):
    """The accepted answers of a task, and the files that they name."""

    @property
    def items(self) -> Sequence[KeyItem]: ...

    @property
    def media(self) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class Computed:
    """What a metric gave, before anything is checked; rows as in SignedScore."""

    result: MetricResult
    unknown_rows: tuple[int, ...]
    unfit_rows: tuple[int, ...] = ()
    #: The device class that networks ran on; empty where the metric needs none.
    device: str = ""


def wants_content(metric: Metric, kind: AnswerKind) -> bool:
    """Whether the box is to look inside the media files of a task's answers."""
    return metric.grading is Grading.AUTOMATIC and kind in CONTENT_KINDS


def compute(
    metric: Metric,
    kind: AnswerKind,
    options: Mapping[str, str],
    key: Answered,
    answers: Answers,
    ratings: bytes = b"",
    networks: Networks = NO_NETWORKS,
) -> Computed:
    """The value of a metric over a key.

    Raises KeyError for a metric without a scorer, RatingsInvalid for unusable ratings,
    WeightsInvalid where ``networks`` lacks one.
    """
    item_ids = [item.id for item in key.items]
    values, unknown = align(answers, item_ids)
    if metric.grading is Grading.RATINGS:
        return Computed(_rating(metric, item_ids, answers, ratings), unknown)
    references = [item.references for item in key.items]
    # Imported late: a scorer of one kind of metric need not wait for the other's libraries.
    from services.grader.metrics.table import TEXT_METRICS  # noqa: PLC0415

    text = TEXT_METRICS.get(metric.id)
    if text is not None:
        keywords = metric_options(options, text.options)
        return Computed(text.function(values, references, **keywords), unknown)
    from services.grader.media.binding import MediaJob  # noqa: PLC0415
    from services.grader.media.key_reader import KeyReader  # noqa: PLC0415
    from services.grader.media.table import BINDINGS  # noqa: PLC0415

    binding = BINDINGS[metric.id]
    job = MediaJob(kind, options, values, references, KeyReader(kind, options, key.media), networks)
    result = binding.compute(job)
    rows = dict(zip(answers.ids, answers.rows, strict=True))
    unfit = sorted(rows[item_ids[item]] for item in job.unfit)
    return Computed(
        result, unknown, tuple(unfit[:MAX_FINDINGS]), networks.label if binding.extractors else ""
    )


def _rating(
    metric: Metric, item_ids: Sequence[str], answers: Answers, ratings: bytes
) -> MetricResult:
    low, high = metric.minimum, metric.maximum
    if low is None or high is None:
        raise KeyError(metric.id)
    worst = low if metric.direction is Direction.HIGHER else high
    verdicts = parse_ratings(ratings, low, high)
    return mean_rating(verdicts, item_ids, frozenset(answers.ids), worst)


def align(answers: Answers, item_ids: Sequence[str]) -> tuple[list[Any], tuple[int, ...]]:
    """The answers in key order, None where there is none, and the rows of unknown ids."""
    by_id = dict(zip(answers.ids, answers.values, strict=True))
    known = set(item_ids)
    unknown = [
        row
        for identifier, row in zip(answers.ids, answers.rows, strict=True)
        if identifier not in known
    ]
    return [by_id.get(identifier) for identifier in item_ids], tuple(unknown[:MAX_FINDINGS])
