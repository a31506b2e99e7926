"""How a job ends: with a score, with findings about the lab's file, or with a fault of ours."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

#: Findings that travel with one outcome; the wire contract's limit.
MAX_FINDINGS: Final = 100

#: How a child of the grader leaves when its memory limit is reached.
EXIT_OUT_OF_MEMORY: Final = 71


class Fault(enum.IntEnum):
    """What went wrong on our side. Names and numbers are those of ``JobFault`` on the wire."""

    SCORER_CRASHED = 1
    DECODER_CRASHED = 2
    OUT_OF_MEMORY = 3
    DEADLINE = 4
    KEY_UNAVAILABLE = 5
    ILLEGAL_SCORE = 6
    INTERNAL = 7
    WEIGHTS_UNAVAILABLE = 8


class GraderFault(Exception):
    """An attempt failed by a fault of ours."""

    def __init__(self, fault: Fault, stage: str) -> None:
        self.fault = fault
        #: A fixed word for the log: where in the attempt it happened.
        self.stage = stage
        super().__init__(f"{fault.name} while {stage}")

    @property
    def trace_code(self) -> str:
        """What a span says of it."""
        return self.fault.name


@dataclass(frozen=True, slots=True)
class JobFinding:
    """One finding about the lab's file: a stable code and a position, never a value of it.

    ``path`` is the member's path relative to the task's folder as the gateway named it, ``row``
    the 0-based place in its list, None where the finding is not about one row.
    """

    code: str
    path: str
    row: int | None
    warning: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The lab's file cannot be graded."""

    findings: tuple[JobFinding, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """A signed score; ``value`` and ``standard_error`` are raw, in the metric's unit."""

    value: float
    standard_error: float | None
    item_count: int
    missing_count: int
    envelope: bytes
    findings: tuple[JobFinding, ...]
