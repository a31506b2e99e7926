"""The graders of one modality between rounds: who is at work, who was asked to end, who died.

The engine says what is there; here is remembered what it cannot know: since when we see a grader,
whether its end is our doing, and how long the next start has to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from general_level.catalogue.model import Modality
from services.grader.fleet_containers import ENDED, RUNNING, UNFINISHED, Engine, Grader
from services.grader.fleet_policy import Cooldown
from services.grader.fleet_settings import FleetSettings
from services.grader.fleet_telemetry import Telemetry
from services.kit.logging import get_logger

#: A killed container that is still there after so long is killed again.
_KILL_AGAIN_SECONDS: Final = 10.0


class Members:
    """Of one modality. ``look`` begins each round; the other calls act on what it saw."""

    def __init__(
        self,
        modality: Modality,
        settings: FleetSettings,
        engine: Engine,
        telemetry: Telemetry,
        monotonic: Callable[[], float],
    ) -> None:
        self.modality = modality
        self.cooldown = Cooldown()
        #: At work and not asked to end, the newest first.
        self.live: list[Grader] = []
        self._settings = settings
        self._engine = engine
        self._telemetry = telemetry
        self._monotonic = monotonic
        #: When a grader was first seen, by id.
        self._since: dict[str, float] = {}
        #: When the grace of a grader ends that was asked to, by id.
        self._draining: dict[str, float] = {}
        #: The newest that ended by itself; its container stays so that its log can be read.
        self._kept: Grader | None = None

    @property
    def count(self) -> int:
        """Containers that run: those that drain still hold their memory."""
        return len(self.live) + len(self._draining)

    def is_settled(self, outdated: Sequence[Grader]) -> bool:
        """Whether the next of the outdated may go: none drains, and what replaced them is steady.

        New settings with which no grader can run cost one of the old graders and no more.
        """
        steady = self._monotonic() - self._settings.pace.steady_seconds
        return (
            not self._draining
            and self.cooldown.failures == 0
            and all(self._since[one.id] <= steady for one in self.live if one not in outdated)
        )

    def look(self, found: Sequence[Grader], *, adopting: bool = False) -> None:
        """Takes in what the engine shows of this modality, the newest first; buries the dead.

        The first look of a fleet adopts: how long ago something ended is not known, so it is no
        failure.
        """
        now = self._monotonic()
        ran = []
        kept = self._kept.id if self._kept is not None else None
        # The newest last: it is the one to be kept.
        for grader in reversed(found):
            if grader.state == UNFINISHED:
                self._engine.remove(grader)
            elif grader.state == ENDED and grader.id != kept:
                since = self._since.pop(grader.id, now)
                if self._draining.pop(grader.id, None) is not None:
                    self._engine.remove(grader)
                    continue
                if not adopting:
                    ran.append(now - since)
                    self._tell_death(grader, now - since)
                self._keep(grader)
        running = [grader for grader in found if grader.state == RUNNING]
        self._forget_removed({grader.id for grader in running})
        for grader in running:
            self._since.setdefault(grader.id, now)
        if ran:
            # Several at once have one cause: one failure.
            self.failed(max(ran))
        self.kill_overdue(running)
        self.live = [grader for grader in running if grader.id not in self._draining]
        self.cooldown = self.cooldown.after_running(
            [self._since[grader.id] for grader in self.live], self._settings.pace, now
        )
        self.show()

    def started(self, grader: Grader) -> None:
        """A new grader runs."""
        now = self._monotonic()
        self._since[grader.id] = now
        self.live.insert(0, grader)
        self.cooldown = self.cooldown.after_start(self._settings.pace, now)
        self._telemetry.starts.labels(self.modality).inc()
        get_logger().info("grader started", modality=self.modality, grader=grader.name)
        self.show()

    def failed(self, ran_seconds: float) -> None:
        """A grader ended by itself after so long, or could not be started: 0."""
        now = self._monotonic()
        before = self.cooldown
        self.cooldown = before.after_end(ran_seconds, self._settings.pace, now)
        if self.cooldown.failures > max(1, before.failures):
            get_logger().error(
                "graders end at once",
                code="FLEET_CRASH_LOOP",
                modality=self.modality,
                failures=self.cooldown.failures,
                again_in_seconds=round(self.cooldown.not_before - now, 1),
            )

    def ask_to_end(self, grader: Grader, reason: str) -> None:
        """Sends SIGTERM and begins the grace; ``reason`` is one of the telemetry's STOPS."""
        now = self._monotonic()
        self._engine.signal(grader, "SIGTERM")
        self._draining[grader.id] = now + self._settings.drain_seconds
        self._since.setdefault(grader.id, now)
        self.live = [other for other in self.live if other.id != grader.id]
        self._telemetry.stops.labels(self.modality, reason).inc()
        get_logger().info(
            "grader asked to end", modality=self.modality, grader=grader.name, reason=reason
        )
        self.show()

    def kill_overdue(self, running: Sequence[Grader]) -> None:
        """SIGKILL for those that run beyond their grace."""
        now = self._monotonic()
        for grader in running:
            if now >= self._draining.get(grader.id, now + 1):
                get_logger().error(
                    "grader did not end in time",
                    code="FLEET_GRADER_KILLED",
                    modality=self.modality,
                    grader=grader.name,
                    grace_seconds=self._settings.drain_seconds,
                )
                self._telemetry.kills.labels(self.modality).inc()
                self._engine.signal(grader, "SIGKILL")
                self._draining[grader.id] = now + _KILL_AGAIN_SECONDS

    def show(self) -> None:
        """Sets the gauges."""
        show = self._telemetry.containers.labels
        show(self.modality, "running").set(len(self.live))
        show(self.modality, "draining").set(len(self._draining))
        show(self.modality, "dead").set(int(self._kept is not None))
        self._telemetry.failures.labels(self.modality).set(self.cooldown.failures)

    def forget_kept(self) -> None:
        """Removes the container that was kept for its log."""
        if self._kept is not None:
            self._engine.remove(self._kept)
            self._kept = None

    def _keep(self, grader: Grader) -> None:
        self.forget_kept()
        self._kept = grader

    def _forget_removed(self, running: set[str]) -> None:
        for gone in set(self._since) - running:
            del self._since[gone]
            if self._draining.pop(gone, None) is None:
                self._telemetry.deaths.labels(self.modality, "removed").inc()
                get_logger().warning(
                    "grader was removed by another hand",
                    code="FLEET_GRADER_REMOVED",
                    modality=self.modality,
                    container=gone[:12],
                )

    def _tell_death(self, grader: Grader, ran_seconds: float) -> None:
        ending = self._engine.ending(grader)
        reason, code = (ending.reason, ending.exit_code) if ending else ("removed", None)
        self._telemetry.deaths.labels(self.modality, reason).inc()
        get_logger().warning(
            "grader ended",
            code="FLEET_GRADER_ENDED",
            modality=self.modality,
            grader=grader.name,
            reason=reason,
            exit_code=code,
            ran_seconds=round(ran_seconds, 1),
        )
