"""One job inside the scorer: answers and key in, a signed score out, or a fault.

Nothing here parses a lab's file, speaks gRPC or writes text: what it returns are numbers, codes and
the envelope.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import (
    Catalogue,
    Metric,
    Task,
)
from general_level.statements import GraderInfo, ScoreStatement
from services.grader.computing import Answered, compute, wants_content
from services.grader.decode import columns
from services.grader.decode.frames import Arrays, FrameInvalid
from services.grader.metrics.result import MetricResult
from services.grader.networks import NO_NETWORKS, Networks, OutOfMemory
from services.grader.outcomes import Fault
from services.grader.weights.errors import WeightsInvalid
from services.kit.clock import Clock
from services.kit.ratings import RatingsInvalid

#: What leaves the scorer of a value and of its standard error, in significant digits. All digits of
#: a mean of errors could carry answers out: a lab may choose predictions so that each item fills
#: digits of its own.
VALUE_DIGITS: Final = 6
ERROR_DIGITS: Final = 3


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


class Key(Answered, Protocol):
    """The answers of one task and what was published about them."""

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
    """What leaves the scorer.

    ``unknown_rows`` are rows whose id the key does not have, ``unfit_rows`` those whose answer
    cannot be compared with their item, such as a picture of another size.
    """

    value: float
    standard_error: float | None
    item_count: int
    missing_count: int
    envelope: bytes
    unknown_rows: tuple[int, ...]
    unfit_rows: tuple[int, ...] = ()


class Scorer:
    """Scores jobs of one catalogue with one bundle of keys."""

    def __init__(
        self,
        catalogue: Catalogue,
        keys: Keys,
        sign: Callable[[ScoreStatement], bytes],
        grader: GraderInfo,
        clock: Clock,
        networks: Networks = NO_NETWORKS,
    ) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._sign = sign
        self._grader = grader
        self._clock = clock
        self._networks = networks

    @property
    def networks(self) -> Networks:
        """The networks that metrics are given."""
        return self._networks

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The catalogue's metrics by id."""
        return self._catalogue.metrics

    def score(self, facts: JobFacts, arrays: Arrays, parts: Sequence[Arrays] = ()) -> SignedScore:
        """The signed score of one job; ScoringFault for every way in which there is none.

        ``parts`` are those of the media's content (``spool.Parts``).
        """
        stage = Stage.READING
        try:
            task = self._catalogue.tasks.get(facts.task_id)
            if task is None or facts.catalogue_id != self._catalogue.id:
                raise ScoringFault(Fault.KEY_UNAVAILABLE, stage)
            metric = self._catalogue.metrics[task.metric_id]
            stage = Stage.OPENING_KEY
            key = self._open(facts.task_id)
            stage = Stage.UNPACKING
            kind, options = task.answer_kind, task.options or {}
            content = parts if wants_content(metric, kind) else None
            answers = columns.unpack(kind, arrays, options, content)
            stage = Stage.COMPUTING
            computed = compute(metric, kind, options, key, answers, facts.ratings, self._networks)
            stage = Stage.CHECKING_VALUE
            _check(metric, computed.result)
            result = _rounded(computed.result)
            stage = Stage.SIGNING
            grader = replace(self._grader, device=computed.device or self._grader.device)
            envelope = self._sign(self._statement(task, metric, key, result, facts, grader))
        except ScoringFault:
            raise
        except MemoryError:
            raise ScoringFault(Fault.OUT_OF_MEMORY, stage) from None
        except FrameInvalid:
            raise ScoringFault(Fault.DECODER_CRASHED, stage) from None
        except RatingsInvalid:
            raise ScoringFault(Fault.ILLEGAL_SCORE, stage) from None
        except WeightsInvalid:
            raise ScoringFault(Fault.WEIGHTS_UNAVAILABLE, stage) from None
        except OutOfMemory:
            raise ScoringFault(Fault.OUT_OF_MEMORY, stage) from None
        except Exception:
            # Its message may quote an answer: it ends here.
            raise ScoringFault(_unforeseen(stage), stage) from None
        return SignedScore(
            result.value,
            result.stderr,
            result.n,
            result.missing,
            envelope,
            computed.unknown_rows,
            computed.unfit_rows,
        )

    def _open(self, task_id: str) -> Key:
        try:
            return self._keys.read(task_id)
        except MemoryError:
            raise
        except Exception:
            raise ScoringFault(Fault.KEY_UNAVAILABLE, Stage.OPENING_KEY) from None

    def _statement(
        self,
        task: Task,
        metric: Metric,
        key: Key,
        result: MetricResult,
        facts: JobFacts,
        grader: GraderInfo,
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
            grader=grader,
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


def _rounded(result: MetricResult) -> MetricResult:
    """The result with the digits that may leave."""
    error = result.stderr
    return replace(
        result,
        value=float(f"{result.value:.{VALUE_DIGITS}g}"),
        stderr=None if error is None else float(f"{error:.{ERROR_DIGITS}g}"),
    )


def _unforeseen(stage: Stage) -> Fault:
    return Fault.ILLEGAL_SCORE if stage is Stage.COMPUTING else Fault.INTERNAL
