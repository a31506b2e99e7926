"""Labs that submit while things break, as patient as a lab's script: they ask again, and wait."""

from __future__ import annotations

import random
import time
import zipfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from general_level.catalogue import Task, load
from general_level.client import Client, ModelMetadata
from general_level.client.models import SubmissionState
from general_level.client.retry import RetryPolicy
from general_level.errors import Unavailable
from general_level.identifiers import new_request_id
from tests.faults.world import LabAccess
from tests.support.synthetic import scored_tasks, write_archive

#: Small boards of one modality.
BOARDS: Final = ("D-L-11", "D-L-13", "D-L-14", "D-L-20", "D-L-21", "D-L-5")
ITEMS: Final = 40
#: A lab that has no answer after this long has lost its submission.
PATIENCE_SECONDS: Final = 240.0
#: One in so many archives is none.
ONE_IN_BAD: Final = 6
#: Short waits: what is measured is the platform's recovery and not the client's patience.
_RETRY: Final = RetryPolicy(attempts=20, first_wait_seconds=0.1, longest_wait_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Archive:
    """What a lab submits; ``good`` says that it can be graded."""

    board: str
    path: Path
    tasks: tuple[Task, ...]
    good: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What a lab was told in the end."""

    lab: LabAccess
    archive: Archive
    submission_id: str
    state: SubmissionState


def tasks_of_boards() -> list[Task]:
    catalogue = load()
    found = {task.id: task for board in BOARDS for task in scored_tasks(catalogue, board)}
    return list(found.values())


def make_archives(folder: Path) -> list[Archive]:
    """A good archive for each board, and one whose prediction.json is cut off."""
    catalogue = load()
    made = []
    for board in BOARDS:
        tasks = scored_tasks(catalogue, board)
        path = write_archive(folder, "Model", board, tasks, ITEMS, correct=0.6)
        made.append(Archive(board, path, tuple(tasks), good=True))
    bad = folder / f"Broken-{BOARDS[0]}.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr(f"{made[0].tasks[0].archive_path}/prediction.json", b'[{"id": "0", "pre')
    return [*made, Archive(BOARDS[0], bad, (), good=False)]


class Labs:
    """One submission of each lab, all at once. Use it as a context."""

    def __init__(
        self, target: str, labs: Sequence[LabAccess], archives: Sequence[Archive], seed: str
    ) -> None:
        rng = random.Random(seed)
        good = [archive for archive in archives if archive.good]
        (bad,) = [archive for archive in archives if not archive.good]
        self.ids = [lab.lab_id for lab in labs]
        self._target = target
        self._ends = time.monotonic() + PATIENCE_SECONDS
        self._clients: set[Client] = set()
        self._threads = ThreadPoolExecutor(len(labs), thread_name_prefix="lab")
        self.chosen: list[Archive] = []
        self.results: list[Future[Told]] = []
        for place, lab in enumerate(labs):
            archive = bad if place % ONE_IN_BAD == ONE_IN_BAD - 1 else rng.choice(good)
            self.chosen.append(archive)
            self.results.append(self._threads.submit(self._submit, lab, archive))

    def __enter__(self) -> Labs:
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown(wait=True)

    @property
    def over(self) -> bool:
        """Whether all have an answer, or have lost their patience."""
        if time.monotonic() > self._ends:
            for client in list(self._clients):
                client.close()
        return all(result.done() for result in self.results)

    def _submit(self, lab: LabAccess, archive: Archive) -> Told:
        # However often it is asked: one request makes one submission.
        request_id = new_request_id()
        while True:
            client = open_client(self._target, lab)
            self._clients.add(client)
            try:
                return submit(client, lab, archive, request_id)
            except Unavailable:
                if time.monotonic() > self._ends:
                    raise
            finally:
                self._clients.discard(client)
                client.close()


def open_client(target: str, lab: LabAccess, retry: RetryPolicy = _RETRY) -> Client:
    """A lab's connection."""
    return Client(
        target, lab.token, insecure=True, timeout_seconds=10.0, retry=retry, watch_retry=retry
    )


def submit(client: Client, lab: LabAccess, archive: Archive, request_id: str) -> Told:
    """Submits, or goes on with what was submitted, and watches to the end."""
    submission = client.submit(
        archive.path,
        board=archive.board,
        metadata=ModelMetadata(f"Model of {lab.lab_id}", organisation="Org"),
        request_id=request_id,
    )
    if not submission.state.is_final:
        *_, submission = client.watch(submission.submission_id)
    return Told(lab, archive, submission.submission_id, submission.state)
