"""One machine whose disk is so small that it can be filled: rows, archives and logs lie on it."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from general_level.client.models import SubmissionState
from general_level.client.retry import RetryPolicy
from general_level.errors import Unavailable
from general_level.identifiers import new_request_id
from services.gateway.storage.database import Database
from services.platform.app import wait_serving
from tests.faults.injections import Fault, Scene
from tests.faults.workload import ITEMS, Archive, open_client, submit, tasks_of_boards
from tests.faults.world import CANARY, new_labs
from tests.support.platform import Platform, running_platform, secrets_of

DISK_BYTES: Final = 48 * 1024 * 1024
_REFUSALS: Final = 3
_ONCE: Final = RetryPolicy(attempts=1)
_BALLAST: Final = "ballast"
_BLOCK: Final = bytes(4096)


class NoSmallDisk(RuntimeError):
    """A small disk cannot be had here; the text says why."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A folder that holds `DISK_BYTES`. NoSmallDisk."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoSmallDisk(f"no file system can be mounted: {error}") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass(slots=True)
class OneMachine:
    """A `World` of one machine on a small disk."""

    platform: Platform
    database: Database
    disk: Path

    @property
    def target(self) -> str:
        return self.platform.target

    @property
    def logs(self) -> Sequence[Path]:
        return [path for path in self.platform.home.logs.iterdir() if path.is_file()]

    @property
    def secrets(self) -> Mapping[str, str]:
        return secrets_of(self.platform.home)

    def until_ready(self) -> None:
        wait_serving(self.target)

    def fill(self) -> None:
        """Until nothing more fits."""
        with (self.disk / _BALLAST).open("ab", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(_BLOCK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        (self.disk / _BALLAST).unlink(missing_ok=True)


@contextmanager
def one_machine(folder: Path) -> Iterator[OneMachine]:
    """Gateway, ranker and grader over SQLite and a folder, all on the small disk. NoSmallDisk."""
    with (
        small_disk(folder / "disk") as disk,
        running_platform(
            folder, tasks_of_boards(), ITEMS, canary=CANARY, place=disk / "home"
        ) as platform,
        closing(Database(platform.home.database_url)) as database,
    ):
        world = OneMachine(platform, database, disk)
        try:
            yield world
        finally:
            world.free()


def full_disk(world: OneMachine, archive: Archive) -> Fault:
    """Full until uploads were refused for it a few times; then somebody clears up.

    Whoever was refused submits again, and is published.
    """

    def inject(scene: Scene) -> bool:
        (lab,) = new_labs(world.database, 1)
        request_id = new_request_id()
        refusals = 0

        def refused() -> bool:
            nonlocal refusals
            world.fill()
            try:
                with open_client(world.target, lab, _ONCE) as client:
                    submit(client, lab, archive, request_id)
            except Unavailable:
                refusals += 1
            return refusals >= _REFUSALS

        try:
            injected = scene.until(refused)
        finally:
            world.free()
        with open_client(world.target, lab) as client:
            told = submit(client, lab, archive, request_id)
        assert told.state is SubmissionState.PUBLISHED
        return injected

    return Fault("the machine's disk is full", inject)
