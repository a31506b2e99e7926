"""``python -m services.grader.fleet``: as many grader containers as the queue asks for.

One round every few seconds: what is there (the engine), what waits (the gateway), what is wanted
(`fleet_policy`), and the difference is started or asked to end. A round keeps nothing that the
engine does not know better, so a fleet that begins anew goes on with the graders that it finds. An
engine or a gateway that does not answer ends nothing: what is there stays.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import click

from general_level.catalogue.model import Modality
from services.grader.fleet_containers import (
    RUNNING,
    Engine,
    EngineUnavailable,
    Grader,
    GraderNotStarted,
)
from services.grader.fleet_lock import FleetLock
from services.grader.fleet_members import Members
from services.grader.fleet_plans import METRICS_PORT
from services.grader.fleet_policy import Reading, State, adopted, decide
from services.grader.fleet_readings import TelemetryUnavailable, read_jobs_held, read_queue
from services.grader.fleet_settings import FleetSettings
from services.grader.fleet_telemetry import Telemetry
from services.kit.commands import told_in_one_line
from services.kit.logging import configure_logging, get_logger
from services.kit.telemetry import MetricsServer

#: Graders are asked at once, so many side by side, what they hold.
_ASKED_TOGETHER: Final = 16
_DRAIN_POLL_SECONDS: Final = 0.2
#: What an engine gets beyond the graders' grace to end and remove them.
_DRAIN_SPARE_SECONDS: Final = 60.0


class Fleet:
    """One fleet. ``round`` does what is to be done now, ``drain`` ends it; both in one thread."""

    def __init__(
        self,
        settings: FleetSettings,
        engine: Engine,
        telemetry: Telemetry,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._telemetry = telemetry
        self._monotonic = monotonic
        self._members = {
            modality: Members(modality, settings, engine, telemetry, monotonic)
            for modality in settings.plans
        }
        self._state: State | None = None
        self._wanted: Mapping[Modality, int] = {}
        self._untold: dict[str, str] = {}

    def round(self) -> None:
        """Looks, decides and acts once; EngineUnavailable where the engine does not answer."""
        self._look()
        readings = self._readings()
        assert self._state is not None
        decision = decide(self._settings.policy, self._state, readings, self._monotonic())
        self._state = decision.state
        self._tell_decision(decision.wanted, readings)
        # First those that are too many, then those that have fewest.
        for modality, members in self._members.items():
            self._end_surplus(members, decision.wanted[modality])
        for members in sorted(self._members.values(), key=lambda found: len(found.live)):
            self._start_missing(members, decision.wanted[members.modality])

    def drain(self) -> None:
        """Asks every grader to end, waits for them, kills those that overstay, removes all.

        Raises EngineUnavailable where the engine stays away for longer than all that takes.
        """
        asked: set[str] = set()
        deadline = self._monotonic() + self._settings.drain_seconds + _DRAIN_SPARE_SECONDS
        while True:
            try:
                if not self._drained(asked):
                    return
            except EngineUnavailable:
                if self._monotonic() >= deadline:
                    raise
            time.sleep(_DRAIN_POLL_SECONDS)

    def _drained(self, asked: set[str]) -> bool:
        """One step of the drain; whether a container is left."""
        graders = self._graders()
        for modality, members in self._members.items():
            found = [grader for grader in graders if grader.modality is modality]
            members.look(found, adopting=True)
            for grader in found:
                if grader.state == RUNNING and grader.id not in asked:
                    asked.add(grader.id)
                    if grader in members.live:
                        members.ask_to_end(grader, "drain")
            members.forget_kept()
            members.show()
        return any(grader.modality in self._members for grader in graders)

    # What is there.

    def _look(self) -> None:
        graders = self._graders()
        adopting = self._state is None
        for modality, members in self._members.items():
            members.look(
                [grader for grader in graders if grader.modality is modality], adopting=adopting
            )
        if self._state is None:
            found = {modality: len(members.live) for modality, members in self._members.items()}
            self._state = adopted(self._settings.policy, found, self._monotonic())
            get_logger().info(
                "fleet begins", found={modality.value: count for modality, count in found.items()}
            )

    def _graders(self) -> list[Grader]:
        try:
            graders = self._engine.graders()
        except EngineUnavailable:
            self._telemetry.engine_up.set(0)
            raise
        self._telemetry.engine_up.set(1)
        return graders

    # What waits, and what that means.

    def _readings(self) -> Mapping[Modality, Reading]:
        """Of the first gateway that answers; none where none does."""
        for url in self._settings.telemetry_urls:
            try:
                readings = read_queue(url)
            except TelemetryUnavailable as error:
                why = error.metadata["why"]
                if self._untold.get(url) != why:
                    self._untold[url] = why
                    get_logger().warning(
                        "gateway's telemetry not read", code=error.reason, url=url, why=why
                    )
                continue
            if self._untold.pop(url, None) is not None:
                get_logger().info("gateway's telemetry is read again", url=url)
            self._telemetry.gateway_up.set(1)
            return readings
        self._telemetry.gateway_up.set(0)
        return {}

    def _tell_decision(
        self, wanted: Mapping[Modality, int], readings: Mapping[Modality, Reading]
    ) -> None:
        for modality, count in wanted.items():
            before = self._wanted.get(modality, count)
            word = "up" if count > before else "down" if count < before else "same"
            self._telemetry.decisions.labels(modality, word).inc()
            self._telemetry.wanted.labels(modality).set(count)
            if self._wanted.get(modality) != count:
                reading = readings.get(modality)
                get_logger().info(
                    "graders wanted",
                    modality=modality,
                    wanted=count,
                    jobs=reading.jobs if reading else None,
                    oldest_seconds=round(reading.oldest_seconds, 1) if reading else None,
                )
        self._wanted = wanted

    # What is done.

    def _end_surplus(self, members: Members, wanted: int) -> None:
        """Asks those that are too many to end, or else one whose settings are old."""
        outdated = self._outdated(members)
        surplus = len(members.live) - wanted
        if surplus > 0:
            with ThreadPoolExecutor(_ASKED_TOGETHER) as pool:
                idle = dict(zip(members.live, pool.map(_is_idle, members.live), strict=True))
            # Old settings go first, then the idle; of each the newest, which did least.
            order = sorted(
                members.live, key=lambda grader: (grader not in outdated, not idle[grader])
            )
            for grader in order[:surplus]:
                members.ask_to_end(grader, "scale-down")
        elif outdated and surplus == 0 and members.is_settled(outdated):
            members.ask_to_end(outdated[-1], "outdated")

    def _outdated(self, members: Members) -> list[Grader]:
        if not members.live:
            return []
        try:
            current = self._engine.configuration(self._settings.plans[members.modality])[0]
        except GraderNotStarted:
            # To be told when one is to be started; those that run work on.
            return []
        return [grader for grader in members.live if grader.configuration != current]

    def _start_missing(self, members: Members, wanted: int) -> None:
        modality, policy = members.modality, self._settings.policy
        room = min(
            policy.limits[modality].ceiling - members.count,
            policy.total - sum(other.count for other in self._members.values()),
        )
        missing = min(wanted - len(members.live), room)
        for _ in range(members.cooldown.startable(missing, self._monotonic())):
            in_use = [grader.device for grader in members.live if grader.device is not None]
            try:
                members.started(self._engine.start(self._settings.plans[modality], in_use))
            except GraderNotStarted as error:
                self._telemetry.refusals.labels(modality, error.metadata["why"]).inc()
                _tell_not_started(error, modality)
                members.failed(0.0)
                break


def _is_idle(grader: Grader) -> bool:
    """Whether a grader says that it holds no job; one that does not answer may hold some."""
    if grader.address is None:
        return False
    try:
        return read_jobs_held(f"http://{grader.address}:{METRICS_PORT}/metrics") == 0
    except TelemetryUnavailable:
        return False


def _tell_not_started(error: GraderNotStarted, modality: Modality | None = None) -> None:
    get_logger().error(
        "grader not started",
        code=error.reason,
        problem=str(error),
        **({"modality": modality.value} if modality else {}),
        **error.metadata,
    )


def run(settings: FleetSettings, stop: threading.Event) -> None:
    """Keeps the fleet until ``stop``, then drains it; FleetAlreadyRuns where there is another."""
    telemetry = Telemetry(settings.plans)
    engine = Engine(settings)
    fleet, lock = Fleet(settings, engine, telemetry), FleetLock(engine, settings)
    metrics = MetricsServer(telemetry.registry, settings.metrics_port, settings.metrics_host)
    for modality, plan in settings.plans.items():
        if plan.memory_bytes < plan.needed_bytes:
            get_logger().warning(
                "graders may outgrow their containers",
                modality=modality,
                memory_bytes=plan.memory_bytes,
                needed_bytes=plan.needed_bytes,
            )
    away = False
    try:
        while not stop.is_set():
            try:
                lock.acquire()
                fleet.round()
                away = False
            except EngineUnavailable as error:
                telemetry.engine_up.set(0)
                if not away:
                    get_logger().warning(
                        "engine unavailable", code=error.reason, problem=str(error)
                    )
                away = True
            except GraderNotStarted as error:
                _tell_not_started(error)
            stop.wait(settings.interval_seconds)
        if not settings.leave:
            get_logger().info("fleet drains")
            fleet.drain()
    finally:
        lock.release()
        engine.close()
        metrics.close()
        get_logger().info("fleet ended")


@click.command()
def main() -> None:
    """Keep as many grader containers as the queue asks for (SIGTERM drains).

    Settings are FLEET_* of the environment.
    """
    configure_logging("fleet")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with told_in_one_line(), contextlib.suppress(KeyboardInterrupt):
        run(FleetSettings.from_env(os.environ), stop)


if __name__ == "__main__":
    main(prog_name="python -m services.grader.fleet")
