"""The client of a lab: every call of the gateway as one method."""

from __future__ import annotations

import os
import random as random_module
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

import grpc

from general_level.client import convert, models
from general_level.client.archive_name import split_archive_name
from general_level.client.channel import open_channel, stubs, token_metadata
from general_level.client.download import Downloader
from general_level.client.retry import Retrying, RetryPolicy
from general_level.client.upload import ProgressCallback, Uploader, sha256_of
from general_level.errors import IllegalTransition, InvalidRequest, Unavailable
from general_level.identifiers import new_request_id
from general_level.v1 import catalogue_pb2, leaderboard_pb2, quota_pb2
from general_level.v1 import submission_pb2 as pb
from general_level.wire import from_rpc_error

if TYPE_CHECKING:
    from general_level.receipts import Receipt

#: One call without a stream, seconds.
TIMEOUT_SECONDS: Final = 30.0
#: One attempt at an upload or a download, seconds; then the transfer goes on in a new attempt.
TRANSFER_ATTEMPT_SECONDS: Final = 600.0
#: One stream of a watch, seconds; renewed by itself, so that a dead connection is noticed.
WATCH_STREAM_SECONDS: Final = 300.0
#: A transfer outlives a restart of the gateway: 28 to 56 s in which no byte gets through.
TRANSFER_RETRY: Final = RetryPolicy(attempts=12)
#: A watch outlives a restart of the gateway: about ten minutes without an answer.
WATCH_RETRY: Final = RetryPolicy(attempts=45, first_wait_seconds=0.25, longest_wait_seconds=15.0)

_PAGE_SIZE: Final = 100

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_MessageT_co = TypeVar("_MessageT_co", covariant=True)
_Value = TypeVar("_Value")


class Stream(Protocol[_MessageT_co]):
    """A stream of answers, as gRPC returns it."""

    def __iter__(self) -> Iterator[_MessageT_co]: ...

    def cancel(self) -> bool: ...


class Client:
    """A lab's connection to the gateway.

    A complete program::

        from general_level.client import Client, ModelMetadata

        with Client.from_env() as client:  # GENERAL_LEVEL_TARGET, GENERAL_LEVEL_TOKEN
            agreement = client.agreement()
            if not agreement.accepted:
                print(agreement.text)
                client.accept_agreement(agreement.version)

            submission = client.submit(
                "Example Model-A-quick.zip",
                metadata=ModelMetadata("Example Model", organisation="Example Lab"),
            )
            for update in client.watch(submission.submission_id):
                print(update.state, update.progress.tasks_done, "of", update.progress.tasks_total)

            for result in client.results(submission.submission_id):
                print(result.task_id, result.outcome, result.value)
            for row in client.standings("A-quick").standings:
                print(row.rank, row.model_name, row.level, row.score)

    ``target`` is ``host:port``. ``token`` may be None for what is open to everyone: boards, tasks,
    standings, key commitments. The connection is TLS; ``root_certificates`` (PEM) replaces the
    system's, ``insecure`` sends plain text, the token included.

    Every method raises an error of :mod:`general_level.errors` with the ``grpc.RpcError`` as its
    ``__cause__``. Unavailable is raised only after the repetitions of ``retry`` failed, too; that
    is safe because every call is idempotent, the create by its ``request_id``. ``sleep`` and
    ``random`` are what the waits between repetitions use. A client may be shared by threads.
    """

    def __init__(
        self,
        target: str,
        token: str | None = None,
        *,
        root_certificates: bytes | None = None,
        insecure: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retry: RetryPolicy | None = None,
        watch_retry: RetryPolicy = WATCH_RETRY,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._metadata = token_metadata(token)
        self._timeout = timeout_seconds
        self._retrying = Retrying(retry or RetryPolicy(), sleep, random)
        self._transfer_retrying = Retrying(retry or TRANSFER_RETRY, sleep, random)
        self._watch_retrying = Retrying(watch_retry, sleep, random)
        self._channel = open_channel(target, root_certificates=root_certificates, insecure=insecure)
        self._stubs = stubs(self._channel)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """A client by environment variables, the same that the command line reads.

        ``GENERAL_LEVEL_TARGET`` (required), ``GENERAL_LEVEL_TOKEN``, ``GENERAL_LEVEL_CA`` (a PEM
        file), ``GENERAL_LEVEL_INSECURE`` (``1``: plain text).
        """
        target = environ.get("GENERAL_LEVEL_TARGET", "")
        if not target:
            raise InvalidRequest("GENERAL_LEVEL_TARGET is not set; it is the gateway's host:port.")
        ca = environ.get("GENERAL_LEVEL_CA")
        return cls(
            target,
            environ.get("GENERAL_LEVEL_TOKEN") or None,
            root_certificates=Path(ca).read_bytes() if ca else None,
            insecure=environ.get("GENERAL_LEVEL_INSECURE", "").lower() in {"1", "true", "yes"},
        )

    def close(self) -> None:
        """Ends the connection; calls and watches under way end with an error."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # The benchmark.

    def boards(self, scope: str = "") -> tuple[models.Board, ...]:
        """The boards of one scope (``A`` to ``D``), or all."""
        request = catalogue_pb2.ListBoardsRequest(scope=scope)
        response = self._call(self._stubs.catalogue.ListBoards, request)
        return tuple(convert.board(b) for b in response.boards)

    def catalogue_id(self) -> str:
        """The id of the catalogue that the gateway runs, for example ``general-bench``."""
        # The boards of one scope, because the answer is much smaller than the catalogue.
        request = catalogue_pb2.ListBoardsRequest(scope="A")
        return self._call(self._stubs.catalogue.ListBoards, request).catalogue_id

    def tasks(self) -> tuple[models.Task, ...]:
        """All tasks of the catalogue that the gateway runs."""
        request = catalogue_pb2.GetCatalogueRequest()
        response = self._call(self._stubs.catalogue.GetCatalogue, request)
        return tuple(convert.task(t) for t in response.tasks)

    def key_commitments(self) -> tuple[models.KeyCommitment, ...]:
        """The published commitments to the sealed answers, by task."""
        request = catalogue_pb2.ListKeyCommitmentsRequest()
        response = self._call(self._stubs.catalogue.ListKeyCommitments, request)
        return tuple(convert.key_commitment(c) for c in response.commitments)

    def download_inputs(
        self, board: str, path: str | Path, progress: ProgressCallback | None = None
    ) -> Path:
        """The inputs of a board as a ZIP file at ``path``; in a folder, ``inputs-<board>.zip``.

        A download that was interrupted continues from ``<path>.part``. The file is there only once
        its SHA-256 is right; DigestMismatch if it is wrong.
        """
        path = Path(path)
        if path.is_dir():
            path /= f"inputs-{board}.zip"
        downloader = Downloader(
            self._stubs.catalogue,
            self._metadata,
            self._transfer_retrying,
            timeout_seconds=TRANSFER_ATTEMPT_SECONDS,
        )
        return downloader.download(board, path, progress)

    # The rules.

    def agreement(self) -> models.Agreement:
        """The current agreement, and whether the lab has accepted it."""
        request = quota_pb2.GetAgreementRequest()
        return convert.agreement(self._call(self._stubs.quota.GetAgreement, request))

    def accept_agreement(self, version: str) -> None:
        """Accepts this version for the whole lab; InvalidRequest if it is not the current one."""
        self._call(
            self._stubs.quota.AcceptAgreement, quota_pb2.AcceptAgreementRequest(version=version)
        )

    def quota(self) -> models.Quota:
        """How many submissions the lab has used, and when the next can be created."""
        return convert.quota(self._call(self._stubs.quota.GetQuota, quota_pb2.GetQuotaRequest()))

    # The lab's submissions.

    def submit(
        self,
        path: str | Path,
        *,
        board: str | None = None,
        metadata: models.ModelMetadata | None = None,
        request_id: str | None = None,
        progress: ProgressCallback | None = None,
    ) -> models.Submission:
        """Creates a submission and uploads its archive; returns once every byte is durable.

        The archive is named ``<Model Name>-<Board ID>.zip``; ``board`` and the model's name are
        read from there if they are not given. One ``request_id`` creates one submission, however
        often it is sent; by default each call of this method has its own. If the upload cannot be
        finished, :meth:`resume` continues it later.

        Raises QuotaExceeded, SubmissionPending, AgreementRequired, UnknownBoard, InvalidRequest,
        DigestMismatch (the file changed during the upload).
        """
        path = Path(path)
        created = self.create(
            path, board=board, metadata=metadata, request_id=request_id or new_request_id()
        )
        if not created.state.takes_bytes:
            return created  # a repeated request_id whose upload is already complete
        return self.resume(created.submission_id, path, progress=progress)

    def create(
        self,
        path: str | Path,
        *,
        request_id: str,
        board: str | None = None,
        metadata: models.ModelMetadata | None = None,
    ) -> models.Submission:
        """The first half of :meth:`submit`: reserves the quota and announces the archive."""
        path = Path(path)
        if board is None or metadata is None:
            named = split_archive_name(
                path.name, [b.board_id for b in self.boards()] if board is None else [board]
            )
            board = named.board_id
            metadata = metadata or models.ModelMetadata(model_name=named.model_name)
        sha256, size = sha256_of(path)
        request = pb.CreateSubmissionRequest(
            request_id=request_id,
            board_id=board,
            model=convert.model_metadata_message(metadata),
            archive_bytes=size,
            archive_sha256=sha256,
            archive_name=path.name,
        )
        response = self._call(self._stubs.submission.CreateSubmission, request)
        return convert.submission(response.submission)

    def resume(
        self,
        submission_id: str,
        path: str | Path,
        *,
        progress: ProgressCallback | None = None,
    ) -> models.Submission:
        """Uploads what is missing of an archive; returns at once if nothing is."""
        path = Path(path)
        request = pb.GetSubmissionRequest(submission_id=submission_id)
        known = self._call(self._stubs.submission.GetSubmission, request).submission
        uploader = Uploader(
            self._stubs.submission,
            self._metadata,
            self._transfer_retrying,
            timeout_seconds=self._timeout,
            upload_timeout_seconds=TRANSFER_ATTEMPT_SECONDS,
        )
        return convert.submission(uploader.upload(known, path, progress))

    def get(self, submission_id: str) -> models.Submission:
        """One submission of the lab; NotFound for another's."""
        request = pb.GetSubmissionRequest(submission_id=submission_id)
        response = self._call(self._stubs.submission.GetSubmission, request)
        return convert.submission(response.submission)

    def submissions(self, page_size: int = _PAGE_SIZE) -> Iterator[models.Submission]:
        """The lab's submissions, newest first; pages are fetched as they are needed."""
        request = pb.ListSubmissionsRequest(page_size=page_size)
        while True:
            response = self._call(self._stubs.submission.ListSubmissions, request)
            for message in response.submissions:
                yield convert.submission(message)
            if not response.next_page_token:
                return
            request = pb.ListSubmissionsRequest(
                page_size=page_size, page_token=response.next_page_token
            )

    def cancel(self, submission_id: str) -> models.Submission:
        """Withdraws a submission; IllegalTransition if it is finished otherwise."""
        request = pb.CancelSubmissionRequest(submission_id=submission_id)
        try:
            response = self._call(self._stubs.submission.CancelSubmission, request)
        except IllegalTransition:
            current = self.get(submission_id)
            if current.state is models.SubmissionState.CANCELLED:
                return current  # an earlier call did it, and only its answer was lost
            raise
        return convert.submission(response.submission)

    def reveal(self, submission_id: str) -> models.Submission:
        """Opens the name of an anonymous model, for all of the lab's submissions of it.

        The boards show it within seconds. It cannot be hidden again; once more is no error.
        """
        request = pb.RevealModelRequest(submission_id=submission_id)
        response = self._call(self._stubs.submission.RevealModel, request)
        return convert.submission(response.submission)

    def watch(self, submission_id: str) -> Iterator[models.Submission]:
        """The submission now and after every change; ends after a final state.

        A broken connection is made again without a word; Unavailable is raised after about ten
        minutes without an answer.
        """
        request = pb.WatchSubmissionRequest(submission_id=submission_id)

        def open_stream() -> Stream[pb.WatchSubmissionResponse]:
            return self._stubs.submission.WatchSubmission(
                request, timeout=WATCH_STREAM_SECONDS, metadata=self._metadata
            )

        def read(message: pb.WatchSubmissionResponse) -> models.Submission:
            return convert.submission(message.submission)

        for update in self._follow(open_stream, read):
            yield update
            if update.state.is_final:
                return

    def results(self, submission_id: str) -> tuple[models.TaskResult, ...]:
        """What became of every task; values are there once the submission is published."""
        request = pb.ListTaskResultsRequest(submission_id=submission_id)
        response = self._call(self._stubs.submission.ListTaskResults, request)
        return tuple(convert.task_result(r) for r in response.results)

    def receipt(self, submission_id: str) -> Receipt:
        """The signed scores of a published submission, unverified: see general_level.receipts."""
        request = pb.GetReceiptRequest(submission_id=submission_id)
        return convert.receipt(self._call(self._stubs.submission.GetReceipt, request))

    # The boards.

    def standings(self, board: str) -> models.Standings:
        """A board as last published; NotFound before its first publication."""
        request = leaderboard_pb2.GetStandingsRequest(board_id=board)
        response = self._call(self._stubs.leaderboard.GetStandings, request)
        return convert.standings(response.standings)

    def watch_standings(self, board: str) -> Iterator[models.Standings]:
        """The board as published now, if it is, and every later publication; never ends."""
        request = leaderboard_pb2.WatchStandingsRequest(board_id=board)

        def open_stream() -> Stream[leaderboard_pb2.WatchStandingsResponse]:
            return self._stubs.leaderboard.WatchStandings(
                request, timeout=WATCH_STREAM_SECONDS, metadata=self._metadata
            )

        def read(message: leaderboard_pb2.WatchStandingsResponse) -> models.Standings:
            return convert.standings(message.standings)

        yield from self._follow(open_stream, read)

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
    ) -> _Response:
        return self._retrying.call(
            lambda: method(request, timeout=self._timeout, metadata=self._metadata)
        )

    def _follow(
        self,
        open_stream: Callable[[], Stream[_Response]],
        read: Callable[[_Response], _Value],
    ) -> Iterator[_Value]:
        """What a stream sends, each change once, over as many connections as it takes."""
        patience = self._watch_retrying.patience()
        last: _Value | None = None
        while True:
            stream = open_stream()
            try:
                for message in stream:
                    current = read(message)
                    if current != last:
                        patience.progressed()
                        last = current
                        yield current
                error = Unavailable("(the stream ended)")
            except grpc.RpcError as broken:
                rebuilt = from_rpc_error(broken)
                if not isinstance(rebuilt, Unavailable):
                    raise rebuilt from broken
                if rebuilt.metadata.get("status") == grpc.StatusCode.DEADLINE_EXCEEDED.name:
                    continue  # our own limit on one stream, not a failure
                error = rebuilt
            finally:
                stream.cancel()
            patience.wait_or_raise(error)
