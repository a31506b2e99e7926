"""The faults of a replicated platform, each as one function that returns when the fault is over.

It answers whether the fault was injected: a round can end before there was anything to break.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select

from general_level.errors import GeneralLevelError
from general_level.statements import decode_statement
from general_level.v1 import ranking_pb2
from services.gateway.storage.tables import jobs, score_ledger
from services.grader.decode.box import CHILD_MODULE
from services.grader.scorer_process import SCORER_MODULE
from tests.faults import grader as faulty_grader
from tests.faults import scorer as faulty_scorer
from tests.support.processes import children
from tests.support.replicated_platform import (
    GATEWAYS,
    LEASE_SECONDS,
    RANKERS,
    ReplicatedPlatform,
)

#: The graders of the suite: the product's own, and one that can be told to fail.
GRADER_MODULES: Final = ("services.grader", "services.grader", faulty_grader.__name__)
FAULTY: Final = f"grader-{len(GRADER_MODULES)}"
#: A word in the command of a gateway's checking child.
CHECKER_CHILD: Final = "--multiprocessing-fork"
SKEW: Final = timedelta(days=2)
_LATE_SECONDS: Final = 1.0
#: Of the store, that the fault must have met.
_REQUESTS: Final = 3
_BROKEN_METRIC: Final = "bleu-1"
_POLL_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault is injected; ``over`` says that the labs of the round have their answers."""

    rng: random.Random
    over: Callable[[], bool]
    _tick: threading.Event

    def until(self, condition: Callable[[], object]) -> bool:
        """Waits; whether it came before the round was over."""
        while not condition():
            if self.over():
                return False
            self._tick.wait(_POLL_SECONDS)
        return True

    def until_over(self) -> None:
        self.until(lambda: False)


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the table. ``times``: how often it is injected, if it is asked for twice."""

    name: str
    inject: Callable[[Scene], bool]
    times: int = 2


def faults(platform: ReplicatedPlatform) -> tuple[Fault, ...]:
    """Every fault, in the order of the table."""
    graders = platform.graders
    own = [name for name in graders if name != FAULTY]
    return (
        Fault("gateway killed", _kill(platform, GATEWAYS)),
        Fault("checker child killed", _kill_child(platform, GATEWAYS, CHECKER_CHILD)),
        Fault("grader's worker killed", _kill(platform, graders)),
        Fault("decode box killed", _kill_child(platform, graders, CHILD_MODULE)),
        Fault("scorer killed", _kill_child(platform, own, SCORER_MODULE)),
        Fault("ranker killed", _kill(platform, RANKERS)),
        Fault("PostgreSQL restarted", _restart_database(platform, "fast")),
        Fault("PostgreSQL crashed", _restart_database(platform, "immediate")),
        Fault("database connections cut", lambda _: _cut_connections(platform)),
        Fault("S3 answers 503", lambda scene: _busy_store(platform, scene)),
        Fault("S3 answers 1 s late", lambda scene: _slow_store(platform, scene)),
        Fault("grader parted for two leases", lambda scene: _part_grader(platform, scene)),
        Fault("grader's clock two days off", lambda scene: _skew_clock(platform, scene), times=1),
        Fault("scorer outgrows its memory", lambda scene: _outgrow_memory(platform, scene)),
        Fault("grader with a wrong golden score", lambda _: _wrong_golden(platform), times=1),
    )


def _kill(platform: ReplicatedPlatform, names: Sequence[str]) -> Callable[[Scene], bool]:
    def inject(scene: Scene) -> bool:
        name = scene.rng.choice(names)

        def kill() -> bool:
            try:
                platform.kill(name)
            except ProcessLookupError:
                return False
            return True

        return scene.until(kill)

    return inject


def _kill_child(
    platform: ReplicatedPlatform, names: Sequence[str], word: str
) -> Callable[[Scene], bool]:
    """Kills one of the children with this word in their command that the named processes have."""

    def inject(scene: Scene) -> bool:
        def kill() -> bool:
            pids = platform.supervisor.pids()
            found = [child for name in names for child in children(word, pids[name])]
            if not found:
                return False
            try:
                os.kill(scene.rng.choice(found), signal.SIGKILL)
            except ProcessLookupError:
                return False
            return True

        return scene.until(kill)

    return inject


def _restart_database(platform: ReplicatedPlatform, mode: str) -> Callable[[Scene], bool]:
    def inject(_scene: Scene) -> bool:
        platform.postgres.restart(mode)
        return True

    return inject


def _cut_connections(platform: ReplicatedPlatform) -> bool:
    return platform.postgres.cut_connections(platform.database_url) > 0


def _busy_store(platform: ReplicatedPlatform, scene: Scene) -> bool:
    store = platform.s3
    wanted = store.answers[503] + _REQUESTS
    store.refuse()
    try:
        return scene.until(lambda: store.refused(wanted))
    finally:
        store.recover()


def _slow_store(platform: ReplicatedPlatform, scene: Scene) -> bool:
    store = platform.s3
    wanted = store.requests + _REQUESTS
    store.slow_down(_LATE_SECONDS)
    try:
        return scene.until(lambda: store.requests >= wanted)
    finally:
        store.recover()


def _part_grader(platform: ReplicatedPlatform, scene: Scene) -> bool:
    """Parts a grader that holds a lease at this moment, for longer than the lease."""
    query = select(jobs.c.grader_id).where(jobs.c.state == "leased").limit(1)
    holders: list[str] = []

    def somebody_holds() -> bool:
        with suppress(GeneralLevelError), platform.database.read() as connection:
            holders.extend(connection.scalars(query))
        return bool(holders)

    if not scene.until(somebody_holds):
        return False
    wire = platform.wires[holders[0]]
    wire.part()
    try:
        # The time is the fault itself.
        threading.Event().wait(2 * LEASE_SECONDS)
    finally:
        wire.heal()
    return True


def _skew_clock(platform: ReplicatedPlatform, scene: Scene) -> bool:
    """Until the round is over; injected where a score bears a date that is wrong."""
    began = datetime.now(UTC)
    file = platform.scratch[FAULTY] / faulty_scorer.FILE
    skew = scene.rng.choice([-1, 1]) * SKEW
    file.write_text(json.dumps({"skew_seconds": skew.total_seconds()}))
    try:
        scene.until_over()
    finally:
        file.unlink()
    with platform.database.read() as connection:
        entries = connection.scalars(
            select(score_ledger.c.entry).where(
                score_ledger.c.append_time >= began, score_ledger.c.kind == "score"
            )
        )
        dates = [_date_of(entry) for entry in entries]
    return any(abs(date - began) > SKEW / 2 for date in dates)


def _date_of(entry: bytes) -> datetime:
    """What the grader's clock said when it signed a score."""
    envelope = json.loads(ranking_pb2.LedgerEntry.FromString(entry).score.envelope)
    return decode_statement(b64decode(envelope["payload"])).scored_time


def _outgrow_memory(platform: ReplicatedPlatform, scene: Scene) -> bool:
    hungry = platform.scratch[FAULTY] / faulty_scorer.HUNGRY
    hungry.touch()
    try:
        return scene.until(lambda: not hungry.exists())
    finally:
        hungry.unlink(missing_ok=True)


def _wrong_golden(platform: ReplicatedPlatform) -> bool:
    """A grader of a broken build comes up; it ends with status 1 and has leased nothing."""
    spec = platform.specs[FAULTY]
    folder = platform.scratch[FAULTY] / "broken"
    folder.mkdir(exist_ok=True)
    (folder / faulty_scorer.FILE).write_text(json.dumps({"wrong_metric": _BROKEN_METRIC}))
    name = "grader-broken"
    environ = {**os.environ, **spec.environ, "GRADER_ID": name, "TMPDIR": str(folder)}
    del environ["GRADER_HEALTH_ADDRESS"]
    log = platform.home.logs / f"{name}.log"
    with log.open("wb") as sink:
        ended = subprocess.run(
            [sys.executable, "-m", spec.module, *spec.arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            timeout=120,
            check=False,
        )
    said = log.read_text()
    assert ended.returncode == 1, said
    assert '"self-test failed"' in said, said
    with platform.database.read() as connection:
        leased = connection.scalar(select(jobs.c.job_id).where(jobs.c.grader_id == name).limit(1))
    assert leased is None
    return True
