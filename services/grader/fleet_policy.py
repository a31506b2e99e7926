"""How many graders of each modality there should be: pure functions of readings and time.

A modality needs one grader for so many jobs and one for so many seconds that the oldest has waited,
whichever is more, and never more than there are jobs. A need counts at once and is remembered
for ``quiet_seconds``: what is wanted goes up with the next reading and down only after a quiet
time. Seconds are those of a clock that never goes back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from general_level.catalogue.model import Modality

#: A doubling beyond this changes nothing: the longest wait is reached long before.
_DOUBLINGS_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one modality: 0 <= ``floor`` <= ``ceiling`` graders, and what one of them is wanted for.

    ``jobs_per_grader`` counts jobs that wait or run, ``seconds_per_grader`` the age of the oldest
    job that waits; both are at least 1.
    """

    floor: int
    ceiling: int
    jobs_per_grader: int
    seconds_per_grader: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gateway tells of one modality: jobs that wait or run, age of the oldest that waits."""

    jobs: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Policy:
    """All limits. ``total`` bounds the graders of all modalities together, floors included."""

    limits: Mapping[Modality, Limits]
    total: int
    quiet_seconds: float


#: The needs of one modality that still count, as (second, graders): later and smaller ones last.
Needs = tuple[tuple[float, int], ...]
#: What a decision leaves for the next one; empty before the first.
State = Mapping[Modality, Needs]


@dataclass(frozen=True, slots=True)
class Decision:
    """How many graders are wanted, and the state for the next decision."""

    wanted: Mapping[Modality, int]
    state: State


def decide(
    policy: Policy, state: State, readings: Mapping[Modality, Reading], now: float
) -> Decision:
    """What is wanted now.

    A modality that no reading tells of keeps what it needed: that nobody answers does not mean
    that nothing waits, and the quiet time begins again with the next reading.
    """
    after = {
        modality: _remembered(policy, limits, state.get(modality, ()), readings.get(modality), now)
        for modality, limits in policy.limits.items()
    }
    return Decision(_shared(policy, {key: needs[0][1] for key, needs in after.items()}), after)


def adopted(policy: Policy, running: Mapping[Modality, int], now: float) -> State:
    """The state of a fleet that begins with graders at work: they are kept for a quiet time."""
    return {
        modality: ((now, min(max(running.get(modality, 0), limits.floor), limits.ceiling)),)
        for modality, limits in policy.limits.items()
    }


def needed(limits: Limits, reading: Reading) -> int:
    """The graders that one reading alone asks for, within floor and ceiling."""
    for_jobs = reading.jobs / limits.jobs_per_grader
    for_age = reading.oldest_seconds / limits.seconds_per_grader
    # Bounded before it is rounded: an age may be any number.
    most = min(float(limits.ceiling), float(reading.jobs), max(for_jobs, for_age))
    return max(limits.floor, math.ceil(most))


def _remembered(
    policy: Policy, limits: Limits, needs: Needs, reading: Reading | None, now: float
) -> Needs:
    if reading is not None:
        need = needed(limits, reading)
    else:
        need = needs[0][1] if needs else limits.floor
    kept = [
        (second, graders)
        for second, graders in needs
        if graders > need and now - second < policy.quiet_seconds
    ]
    return (*kept, (now, need))


def _shared(policy: Policy, needs: Mapping[Modality, int]) -> dict[Modality, int]:
    """The needs, or where they are more than ``total``, floors and then one more for the fewest."""
    given = {modality: min(needs[modality], policy.limits[modality].floor) for modality in needs}
    for _ in range(policy.total - sum(given.values())):
        short = [modality for modality in needs if given[modality] < needs[modality]]
        if not short:
            break
        given[min(short, key=lambda modality: (given[modality], modality))] += 1
    return given


@dataclass(frozen=True, slots=True)
class Pace:
    """Waits before a grader is started again, in seconds.

    A grader that ended before ``steady_seconds`` failed. After the first failure in a row the
    next start waits ``first_seconds``, then twice as long each time, ``longest_seconds`` at most.
    """

    first_seconds: float
    longest_seconds: float
    steady_seconds: float

    def wait_seconds(self, failures: int) -> float:
        """Before the start that follows so many failures in a row; none after none."""
        if failures == 0:
            return 0.0
        doubled = self.first_seconds * 2.0 ** min(failures - 1, _DOUBLINGS_MAX)
        return min(self.longest_seconds, doubled)


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Of one modality: failures in a row, when the last was, and when the next start may be."""

    failures: int = 0
    failed_at: float = -math.inf
    not_before: float = -math.inf

    def after_end(self, ran_seconds: float, pace: Pace, now: float) -> Cooldown:
        """A grader ended that nobody asked to; one that could not be started ran 0 seconds."""
        if ran_seconds >= pace.steady_seconds:
            return self
        failures = self.failures + 1
        return Cooldown(failures, now, now + pace.wait_seconds(failures))

    def after_start(self, pace: Pace, now: float) -> Cooldown:
        """One was started: after failures the next waits as well, whatever becomes of this one."""
        if self.failures == 0:
            return self
        return Cooldown(self.failures, self.failed_at, now + pace.wait_seconds(self.failures))

    def after_running(self, since: Sequence[float], pace: Pace, now: float) -> Cooldown:
        """Forgets the failures once a grader that began after the last of them is steady.

        ``since`` holds when those that run now began.
        """
        steady = any(
            second >= self.failed_at and now - second >= pace.steady_seconds for second in since
        )
        return Cooldown() if steady else self

    def startable(self, missing: int, now: float) -> int:
        """How many of the missing graders may be started now: after failures one at a time."""
        if missing <= 0 or now < self.not_before:
            return 0
        return missing if self.failures == 0 else 1
