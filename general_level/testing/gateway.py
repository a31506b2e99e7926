"""The fake gateway as a test uses it."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Collection, Mapping
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import grpc

from general_level.catalogue import Catalogue, load
from general_level.errors import UnknownBoard
from general_level.testing import records
from general_level.testing.faults import Faults
from general_level.testing.grading import Worker
from general_level.testing.inputs import write_example_archive
from general_level.testing.public_rpc import CatalogueService, LeaderboardService, QuotaService
from general_level.testing.publication import Placement, ScoreFunction
from general_level.testing.signing import Signer
from general_level.testing.submission_rpc import SubmissionService
from general_level.testing.world import World
from general_level.v1.catalogue_pb2_grpc import add_CatalogueServiceServicer_to_server
from general_level.v1.leaderboard_pb2_grpc import add_LeaderboardServiceServicer_to_server
from general_level.v1.quota_pb2_grpc import add_QuotaServiceServicer_to_server
from general_level.v1.submission_pb2_grpc import add_SubmissionServiceServicer_to_server

#: When the clock of a fake gateway starts, if the test does not say.
START: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: Calls that are served at once; a watch occupies one for as long as it lasts.
_THREADS: Final = 32
_STOP_SECONDS: Final = 2.0


class FakeGateway:
    """The labs' services in memory, on a real gRPC server at a free port of this machine.

    ::

        from general_level.client import Client
        from general_level.testing import FakeGateway

        with FakeGateway() as fake:
            archive = fake.example_archive(folder, "A-quick")
            with Client(fake.target, fake.new_lab(), insecure=True) as client:
                submission = client.submit(archive)
                final = fake.finish(submission.submission_id)

    Identity, agreement, quota, upload, checking, states, receipts and boards behave as the real
    gateway's do; the tests of the platform hold both to the same behaviour. What it does not do:
    it has no answers, so values are those that the test supplies (:meth:`score`,
    :meth:`score_with`, else the task's reference score), and it computes no levels: a board is
    ordered by what :meth:`place` says, then by the mean of the mapped scores.

    Its clock stands still until :meth:`advance`. With ``automatic_grading`` a submission goes on
    by itself once it is uploaded; without, it stays QUEUED until :meth:`finish`.
    ``item_ids`` are the items of each task, as the platform knows them; without it, the checker
    accepts any. Use it as a context manager. Thread-safe.
    """

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        *,
        item_ids: Mapping[str, Collection[str]] | None = None,
        start: datetime = START,
        automatic_grading: bool = True,
        agreement_version: str = "1",
        agreement_text: str = "The inputs are for evaluation only. (An example agreement.)",
    ) -> None:
        self.catalogue = catalogue if catalogue is not None else load()
        self._folder = tempfile.TemporaryDirectory(prefix="fake-gateway-")
        self._world = World(
            self.catalogue, Path(self._folder.name), start, agreement_version, item_ids
        )
        self._faults = Faults()
        self._signer = Signer()
        self._worker = Worker(self._world, self._signer, automatic=automatic_grading)
        self._labs = 0
        self._server = grpc.server(futures.ThreadPoolExecutor(_THREADS))
        add_SubmissionServiceServicer_to_server(
            SubmissionService(self._world, self._faults, self._worker, self._signer), self._server
        )
        add_QuotaServiceServicer_to_server(
            QuotaService(self._world, self._faults, agreement_text), self._server
        )
        add_CatalogueServiceServicer_to_server(
            CatalogueService(self._world, self._faults), self._server
        )
        add_LeaderboardServiceServicer_to_server(
            LeaderboardService(self._world, self._faults), self._server
        )
        #: Where it listens, as ``host:port``; plain text.
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        """Ends all calls and forgets everything."""
        self._world.close()
        self._server.stop(_STOP_SECONDS).wait()
        self._worker.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Labs and time.

    def new_lab(self, name: str = "", *, accept: bool = True) -> str:
        """The token of a new lab; ``accept`` says whether it has accepted the agreement."""
        self._labs += 1
        token = secrets.token_urlsafe(24)
        self._world.add_lab(token, name or f"lab-{self._labs}", accept)
        return token

    def revoke(self, token: str) -> None:
        """The token is no longer valid."""
        self._world.remove_token(token)

    @property
    def now(self) -> datetime:
        """What the gateway's clock shows."""
        return self._world.now

    def advance(self, step: timedelta) -> None:
        """Moves the clock on. What is too old for its state expires."""
        self._world.advance(step)

    # Scores and boards.

    def score(self, task_id: str, value: float, standard_error: float | None = None) -> None:
        """The raw value that every later submission gets for a task it supports.

        UnknownTask; ScoreRefused for a value that the task's metric cannot have.
        """
        self._world.scores.set(task_id, value, standard_error)

    def score_with(self, function: ScoreFunction) -> None:
        """Asks ``function(submission_id, task_id)`` for each raw value; None leaves it to others.

        An illegal value makes the submission FAILED with reason ``illegal-score``.
        """
        self._world.scores.function = function

    def place(self, model_name: str, level: int, **scores: float) -> None:
        """The level of a model on the boards and its scores ``s2`` to ``s5``, from now on."""
        self._world.placements[model_name] = Placement(level, scores)

    def publish(self, board_id: str) -> None:
        """Publishes a board now, also without any submission on it."""
        self._world.publish(board_id)

    # Submissions.

    def example_archive(self, folder: Path, board_id: str, model_name: str = "Example") -> Path:
        """An acceptable archive for a board, written into ``folder``.

        It answers the tasks whose answers are short JSON values, with example answers; ValueError
        if the board has none, UnknownBoard.
        """
        if board_id not in self.catalogue.boards:
            raise UnknownBoard(board_id=board_id)
        board = self.catalogue.boards[board_id]
        path = Path(folder) / f"{model_name}-{board_id}.zip"
        return write_example_archive(path, self.catalogue, board, self._world.item_ids or {})

    def finish(self, submission_id: str, timeout_seconds: float = 30.0) -> str:
        """Grades and publishes an uploaded submission; returns its final state, e.g. PUBLISHED.

        NotFound for an unknown one; TimeoutError if it is still not final, for example because
        its upload is not complete.
        """
        record = self._world.any_record(submission_id)
        self._worker.grade(record)
        with self._world.changed:
            if not self._world.changed.wait_for(lambda: record.is_final, timeout_seconds):
                raise TimeoutError(f"{submission_id} is not final")
        return records.name_of(record.state)

    def fail(self, submission_id: str, reason: str = "dead-letter") -> None:
        """The platform fails on a submission: FAILED with this reason, and the quota refunded."""
        record = self._world.any_record(submission_id)
        with self._world.changed:
            record.enter(records.FAILED, self._world.now, reason)
            self._world.changed.notify_all()

    # Faults.

    def unavailable(self, calls: int) -> None:
        """The next ``calls`` calls of any kind fail with UNAVAILABLE."""
        self._faults.add_unavailable(calls)

    def break_upload_after(self, durable_bytes: int) -> None:
        """The next upload breaks after so many more bytes are durable (at least 1).

        Called several times, it breaks one upload after the other. If they are the last bytes, the
        upload is complete and only its answer is lost.
        """
        if durable_bytes < 1:
            raise ValueError("an upload can only break after a byte")
        self._faults.add_upload_break(durable_bytes)

    def calm(self) -> None:
        """Forgets the faults that have not happened yet."""
        self._faults.clear()
