"""Rounds of submissions with a fault in the middle, and the table of what came of them."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import func, select

from general_level.errors import GeneralLevelError
from services.gateway.states import State
from services.gateway.storage.tables import jobs, submissions, timeline
from tests.faults.accounts import Account, settle, told_secrets
from tests.faults.injections import Fault, Scene
from tests.faults.workload import Archive, Labs
from tests.faults.world import CANARY, World, new_labs

#: In each round.
LABS: Final = 8
TIMES_OF_A_ROUND: Final = 2
#: Rounds beyond those that are needed if each injects what it can.
SPARE_ROUNDS: Final = 3
#: States of a good and of a bad submission, from created to its end.
_GOOD_STATES, _BAD_STATES = 7, 4
#: A fault comes at a share of the round's progress, drawn evenly from these.
_MOMENTS: Final = (0.05, 0.7)
_WATCH_SECONDS: Final = 0.02


def chosen_seed() -> int:
    """``FAULTS_SEED``, or any."""
    return int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))


def chosen_times(fault: Fault) -> int:
    """How often a fault is injected: ``FAULTS_TIMES``, or as often as fits a run of all tests."""
    return int(os.environ.get("FAULTS_TIMES") or fault.times)


@dataclass(slots=True)
class Line:
    """What came of one fault, over its rounds."""

    fault: str
    wanted: int
    injected: int = 0
    account: Account = field(default_factory=Account)
    #: Seconds from the injection to the next job or submission that ended, the longest.
    next_seconds: float = 0.0
    #: Seconds from the injection until every submission of the round had ended, the longest.
    all_seconds: float = 0.0


@dataclass(slots=True)
class _Progress:
    """Samples of how far a round is, taken beside it."""

    world: World
    labs: Labs
    stop: threading.Event = field(default_factory=threading.Event)
    #: (time, jobs and submissions that have ended)
    results: list[tuple[float, int]] = field(default_factory=list)
    steps: int = 0

    @property
    def total(self) -> int:
        return sum(
            _GOOD_STATES + len(archive.tasks) if archive.good else _BAD_STATES
            for archive in self.labs.chosen
        )

    def watch(self) -> None:
        """Until it is stopped; while the database is away there is nothing to see."""
        mine = submissions.c.lab_id.in_(self.labs.ids)
        entered = (
            select(timeline.c.state, func.count())
            .join(submissions, submissions.c.submission_id == timeline.c.submission_id)
            .where(mine)
            .group_by(timeline.c.state)
        )
        done = select(func.count()).where(jobs.c.lab_id.in_(self.labs.ids), jobs.c.state == "done")
        ends = (State.PUBLISHED, State.REJECTED, State.FAILED)
        while not self.stop.wait(_WATCH_SECONDS):
            try:
                with self.world.database.read() as connection:
                    states = dict(connection.execute(entered).all())
                    finished = int(connection.scalar(done) or 0)
            except GeneralLevelError:
                continue
            self.steps = sum(states.values()) + finished
            ended = sum(states.get(end, 0) for end in ends)
            self.results.append((time.monotonic(), finished + ended))

    def next_after(self, moment: float) -> float | None:
        """Seconds from the moment to the next result; None if there was none."""
        before = max((n for at, n in self.results if at <= moment), default=0)
        return next((at - moment for at, n in self.results if at > moment and n > before), None)


@contextmanager
def _watched(world: World, labs: Labs) -> Iterator[_Progress]:
    progress = _Progress(world, labs)
    thread = threading.Thread(target=progress.watch, name="progress")
    thread.start()
    try:
        yield progress
    finally:
        progress.stop.set()
        thread.join()


class Suite:
    """Rounds over one world, line by line. What goes wrong is in the lines."""

    def __init__(self, world: World, archives: Sequence[Archive], seed: int) -> None:
        self._world = world
        self._archives = archives
        self._seed = seed
        self._tokens: dict[str, str] = {}
        self.lines: list[Line] = []

    def run(self, fault: Fault, times: int) -> Line:
        """Injects a fault so often; a round that ends before there is anything to break is
        followed by another one, a few times."""
        line = Line(fault.name, times)
        self.lines.append(line)
        for number in range(times + SPARE_ROUNDS):
            if line.injected >= times:
                break
            seed = f"{self._seed}/{fault.name}/{number}"
            self._round(fault, seed, min(times - line.injected, TIMES_OF_A_ROUND), line)
        return line

    def require_nothing_wrong(self) -> None:
        """AssertionError with the table, the seed and what is wrong, if anything is."""
        wrong = [
            f"{line.fault}: {what}"
            for line in self.lines
            for what in (*line.account.lost, *line.account.double)
        ]
        wrong += [
            f"{line.fault}: injected {line.injected} of {line.wanted} times"
            for line in self.lines
            if line.injected < line.wanted
        ]
        wrong += told_secrets(self._world, {**self._tokens, "a sealed answer": CANARY})
        if wrong:
            told = "\n".join(wrong)
            raise AssertionError(f"{table(self.lines)}\nseed {self._seed}\n{told}")

    def _round(self, fault: Fault, seed: str, times: int, line: Line) -> None:
        """One submission of each of some labs, and the fault up to ``times`` times meanwhile."""
        rng = random.Random(seed)
        moments = sorted(rng.uniform(*_MOMENTS) for _ in range(times))
        accesses = new_labs(self._world.database, LABS)
        self._tokens.update((f"token of {lab.lab_id}", lab.token) for lab in accesses)
        injected: list[float] = []
        with (
            Labs(self._world.target, accesses, self._archives, seed) as labs,
            _watched(self._world, labs) as seen,
        ):
            scene = Scene(rng, lambda: labs.over, threading.Event())
            for moment in moments:
                wanted = moment * seen.total
                if not scene.until(lambda: seen.steps >= wanted):  # noqa: B023
                    break
                began = time.monotonic()
                if fault.inject(scene):
                    injected.append(began)
            scene.until_over()
            ended = time.monotonic()
        line.injected += len(injected)
        line.account.add(settle(self._world, labs))
        for began in injected:
            line.next_seconds = max(line.next_seconds, seen.next_after(began) or 0.0)
            line.all_seconds = max(line.all_seconds, ended - began)
        self._world.until_ready()


HEAD: Final = (
    "fault", "injected", "submissions", "published", "rejected", "refunded", "lost", "double",
    "next result (s)", "all ended (s)",
)  # fmt: skip


def table(lines: Sequence[Line]) -> str:
    """As Markdown."""
    rows = [HEAD]
    for line in lines:
        ends = line.account.ends
        rows.append(
            (
                line.fault,
                f"{line.injected}",
                f"{line.account.submitted}",
                f"{ends[State.PUBLISHED]}",
                f"{ends[State.REJECTED]}",
                f"{ends[State.FAILED]}",
                f"{len(line.account.lost)}",
                f"{len(line.account.double)}",
                f"{line.next_seconds:.1f}",
                f"{line.all_seconds:.1f}",
            )
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    told = [
        "| " + " | ".join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ) + " |"
        for row in rows
    ]  # fmt: skip
    rule = "|" + "|".join(
        "-" * (width + 2) if not place else "-" * (width + 1) + ":"
        for place, width in enumerate(widths)
    ) + "|"  # fmt: skip
    return "\n".join([told[0], rule, *told[1:]])
