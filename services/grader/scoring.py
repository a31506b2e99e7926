"""One job inside the scorer: answers and key in, a signed score out, or a fault.

Nothing here parses a lab's file, speaks gRPC or writes text: what it returns are numbers, codes and
the envelope.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import Catalogue, Direction, Grading, Metric, Task
from general_level.statements import GraderInfo, ScoreStatement
from services.grader.decode import columns
from services.grader.decode.columns import Answers
from services.grader.decode.frames import Arrays, FrameInvalid
from services.grader.metrics.result import MetricResult
from services.grader.outcomes import MAX_FINDINGS, Fault
from services.grader.ratings import RatingsInvalid, mean_rating, parse_ratings
from services.kit.clock import Clock


class Stage(enum.IntEnum):
    """Where in a job the scorer was; a number leaves it, the word is for the worker's log."""

    READING = 0
    OPENING_KEY = 1
    UNPACKING = 2
    COMPUTING = 3
    CHECKING_VALUE = 4
    SIGNING = 5


class ScoringFault(Exception):
    """The scorer cannot score a job, by a fault of ours."""

    def __init__(self, fault: Fault, stage: Stage) -> None:
        self.fault = fault
        self.stage = stage
        super().__init__(f"{fault.name} in {stage.name}")


class KeyItem(Protocol):
    """One item of an answer key."""

    @property
    def id(self) -> str: ...

    @property
    def references(self) -> Sequence[Any]: ...


class Key(Protocol):
    """The answers of one task and what was published about them."""

    @property
    def items(self) -> Sequence[KeyItem]: ...

    @property
    def key_version(self) -> str: ...

    @property
    def commitment(self) -> str: ...


class Keys(Protocol):
    """Opens one task's key, in memory; raises where it has none or cannot open it."""

    def read(self, task_id: str) -> Key: ...


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What a score is about. ``members`` maps paths in the archive to SHA-256 in hex."""

    submission_id: str
    task_id: str
    catalogue_id: str
    archive_sha256: str
    members: Mapping[str, str]
    ratings: bytes = b""


@dataclass(frozen=True, slots=True)
class SignedScore:
    """What leaves the scorer; ``unknown_rows`` are rows whose id the key does not have."""

    value: float
    standard_error: float | None
    item_count: int
    missing_count: int
    envelope: bytes
    unknown_rows: tuple[int, ...]


#: How a task's options become a metric's keywords; every other option belongs to the schema.
_OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "k": ("k", int),
    "threshold": ("threshold", float),
    "tokens": ("unit", {"characters": "character", "words": "word"}.__getitem__),
}


def metric_options(given: Mapping[str, str], known: frozenset[str]) -> dict[str, Any]:
    """The keywords of a metric, from its task's options."""
    return {
        keyword: convert(given[option])
        for option, (keyword, convert) in _OPTIONS.items()
        if option in given and keyword in known
    }


def compute(
    metric: Metric,
    options: Mapping[str, str],
    key: Mapping[str, Sequence[Any]],
    answers: Answers,
    ratings: bytes,
) -> tuple[MetricResult, tuple[int, ...]]:
    """The value of a metric over a key (item id to references), and the rows of unknown ids.

    Raises KeyError for a metric without a scorer, RatingsInvalid for unusable ratings.
    """
    item_ids = list(key)
    values, unknown = align(answers, item_ids)
    if metric.grading is Grading.RATINGS:
        low, high = metric.minimum, metric.maximum
        if low is None or high is None:
            raise KeyError(metric.id)
        worst = low if metric.direction is Direction.HIGHER else high
        verdicts = parse_ratings(ratings, low, high)
        return mean_rating(verdicts, item_ids, frozenset(answers.ids), worst), unknown
    # Imported late: a scorer of ratings alone need not wait for it.
    from services.grader.metrics.table import TEXT_METRICS  # noqa: PLC0415

    scorer = TEXT_METRICS[metric.id]
    keywords = metric_options(options, scorer.options)
    return scorer.function(values, list(key.values()), **keywords), unknown


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


class Scorer:
    """Scores jobs of one catalogue with one bundle of keys."""

    def __init__(
        self,
        catalogue: Catalogue,
        keys: Keys,
        sign: Callable[[ScoreStatement], bytes],
        grader: GraderInfo,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._sign = sign
        self._grader = grader
        self._clock = clock

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The catalogue's metrics by id."""
        return self._catalogue.metrics

    def score(self, facts: JobFacts, arrays: Arrays) -> SignedScore:
        """The signed score of one job; ScoringFault for every way in which there is none."""
        stage = Stage.READING
        try:
            task = self._catalogue.tasks.get(facts.task_id)
            if task is None or facts.catalogue_id != self._catalogue.id:
                raise ScoringFault(Fault.KEY_UNAVAILABLE, stage)
            metric = self._catalogue.metrics[task.metric_id]
            stage = Stage.OPENING_KEY
            key = self._open(facts.task_id)
            stage = Stage.UNPACKING
            answers = columns.unpack(task.answer_kind, arrays)
            stage = Stage.COMPUTING
            references = {item.id: item.references for item in key.items}
            options = task.options or {}
            result, unknown = compute(metric, options, references, answers, facts.ratings)
            stage = Stage.CHECKING_VALUE
            _check(metric, result)
            stage = Stage.SIGNING
            envelope = self._sign(self._statement(task, metric, key, result, facts))
        except ScoringFault:
            raise
        except MemoryError:
            raise ScoringFault(Fault.OUT_OF_MEMORY, stage) from None
        except FrameInvalid:
            raise ScoringFault(Fault.DECODER_CRASHED, stage) from None
        except RatingsInvalid:
            raise ScoringFault(Fault.ILLEGAL_SCORE, stage) from None
        except Exception:
            # Its message may quote an answer: it ends here.
            raise ScoringFault(_unforeseen(stage), stage) from None
        return SignedScore(result.value, result.stderr, result.n, result.missing, envelope, unknown)

    def _open(self, task_id: str) -> Key:
        try:
            return self._keys.read(task_id)
        except MemoryError:
            raise
        except Exception:
            raise ScoringFault(Fault.KEY_UNAVAILABLE, Stage.OPENING_KEY) from None

    def _statement(
        self, task: Task, metric: Metric, key: Key, result: MetricResult, facts: JobFacts
    ) -> ScoreStatement:
        return ScoreStatement(
            submission_id=facts.submission_id,
            task_id=task.id,
            catalogue_id=self._catalogue.id,
            metric_id=metric.id,
            metric_version=metric.version,
            value=result.value,
            standard_error=result.stderr,
            item_count=result.n,
            missing_count=result.missing,
            key_version=key.key_version,
            key_commitment=key.commitment,
            grader=self._grader,
            scored_time=self._clock.now(),
            archive_sha256=facts.archive_sha256,
            members=facts.members,
        )


def _check(metric: Metric, result: MetricResult) -> None:
    """ScoringFault unless value and standard error are what the ledger takes."""
    error = result.stderr
    error_legal = error is None or (math.isfinite(error) and error >= 0)
    if not error_legal or not is_legal(metric, result.value):
        raise ScoringFault(Fault.ILLEGAL_SCORE, Stage.CHECKING_VALUE)


def _unforeseen(stage: Stage) -> Fault:
    return Fault.ILLEGAL_SCORE if stage is Stage.COMPUTING else Fault.INTERNAL
