"""One fleet of a name at a time in an engine, wherever its processes run.

The lock is a container with a name that only one can have. It waits for the end of its standard
input, which this process holds: when the process is gone, however it went, the input ends, the
container ends, and the engine removes it. Nothing has to be cleaned up, and no clock is asked.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import docker
from docker.errors import APIError, ImageNotFound, NotFound

from general_level.errors import GeneralLevelError
from services.grader.fleet_containers import (
    FLEET_LABEL,
    Engine,
    EngineUnavailable,
    GraderNotStarted,
)
from services.grader.fleet_settings import FleetSettings

#: The container of a process that was just killed takes a moment to go.
PATIENCE_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.2
_MIB: Final = 1024 * 1024
_PROGRAM: Final = "import sys; sys.stdin.buffer.read()"


class FleetAlreadyRuns(GeneralLevelError):
    """Another process runs the fleet of this name in this engine."""

    reason = "FLEET_ALREADY_RUNS"


class FleetLock:
    """Held from ``acquire`` to ``release`` or the end of the process."""

    def __init__(
        self,
        engine: Engine,
        settings: FleetSettings,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._monotonic = monotonic
        self._sleep = sleep
        self._id: str | None = None
        self._input: Any = None

    @property
    def name(self) -> str:
        """The container's name."""
        return f"{self._settings.name}-fleet-lock"

    def acquire(self) -> None:
        """Takes the lock, or makes sure that it is still held.

        Raises FleetAlreadyRuns where another process holds it for longer than a moment, and
        EngineUnavailable.
        """
        if self._held():
            return
        deadline = self._monotonic() + PATIENCE_SECONDS
        while not self._taken():
            if self._monotonic() >= deadline:
                raise FleetAlreadyRuns(f"Its lock is the container {self.name}.", lock=self.name)
            self._sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Lets go: the container ends, and is removed now where the engine answers."""
        if self._input is not None:
            self._input.close()
            self._input = None
        if self._id is not None:
            with contextlib.suppress(NotFound, EngineUnavailable), self._engine.api() as api:
                api.remove_container(self._id, force=True)
            self._id = None

    def _held(self) -> bool:
        if self._id is None:
            return False
        with self._engine.api() as api:
            try:
                return bool(api.inspect_container(self._id)["State"]["Running"])
            except NotFound:
                return False

    def _taken(self) -> bool:
        """One try; False where a container has the name and runs."""
        with self._engine.api() as api:
            try:
                made = self._made(api)
            except APIError as error:
                if error.status_code != 409:
                    raise
                self._remove_if_ended()
                return False
            # Before it starts: the input ends with whoever is attached first.
            self._input = api.attach_socket(made["Id"], params={"stdin": 1, "stream": 1})
            api.start(made["Id"])
            self._id = made["Id"]
        return True

    def _made(self, api: docker.APIClient) -> dict[str, Any]:
        """The lock's container, of the first grader's image that is there."""
        for plan in self._settings.plans.values():
            with contextlib.suppress(ImageNotFound):
                made: dict[str, Any] = api.create_container(
                    plan.image,
                    entrypoint=[plan.command[0], "-c", _PROGRAM],
                    command=[],
                    name=self.name,
                    labels={FLEET_LABEL: self._settings.name},
                    stdin_open=True,
                    user="65532:65532",
                    host_config=api.create_host_config(
                        auto_remove=True,
                        network_mode="none",
                        read_only=True,
                        cap_drop=["ALL"],
                        security_opt=["no-new-privileges"],
                        pids_limit=16,
                        mem_limit=64 * _MIB,
                        memswap_limit=64 * _MIB,
                    ),
                )
                return made
        names = ", ".join(plan.image for plan in self._settings.plans.values())
        raise GraderNotStarted(f"There is no image of {names}.", why="image-missing")

    def _remove_if_ended(self) -> None:
        """What an engine that was killed has left of the lock is in nobody's hand."""
        with contextlib.suppress(NotFound, EngineUnavailable), self._engine.api() as api:
            state = api.inspect_container(self.name)["State"]
            if state["Status"] in ("exited", "dead"):
                api.remove_container(self.name)
