"""The live ranker: follows the ledger for ever and publishes what changed within a second.

Two tasks share the ledger's view. One reads the stream and applies it, connecting again whenever
it breaks; the other waits for a change, gathers what comes within a quarter of a second, computes
and publishes. Nothing is published before the whole ledger was read once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, NoReturn

import grpc

from general_level.errors import GeneralLevelError, IllegalTransition
from general_level.v1 import ranking_pb2 as pb
from general_level.wire import from_rpc_error
from services.kit import tracing
from services.kit.clock import Clock
from services.kit.connection import Connection
from services.kit.logging import get_logger
from services.kit.settings import Secret
from services.ranker.checkpoint import CheckpointFile
from services.ranker.ledger_view import CheckpointDisagrees, LedgerBroken, LedgerView
from services.ranker.previews import Previewer
from services.ranker.publisher import BoardComputer, LedgerState, Publication, requests
from services.ranker.telemetry import Telemetry

#: Between the starts of two publications: at most four a second.
PUBLISH_SECONDS_MIN: Final = 0.25
#: A stream that shows no sign of life for this long is dead; the gateway sends one every 10 s.
SILENCE_SECONDS_MAX: Final = 30.0
#: Between two looks for a rejudgement that waits for its preview.
PREVIEW_SECONDS: Final = 2.0
#: One PublishStandings call.
CALL_SECONDS: Final = 30.0
#: A checkpoint is saved after so many entries, or so many seconds where there are fewer.
CHECKPOINT_ENTRIES: Final = 10_000
CHECKPOINT_SECONDS: Final = 60.0
#: Wait before connecting or publishing again, doubling from the first to the second.
BACKOFF_SECONDS: Final = (0.2, 5.0)


class Backoff:
    """Doubling waits, started again by a success."""

    def __init__(self) -> None:
        self._seconds = BACKOFF_SECONDS[0]

    async def wait(self) -> None:
        await asyncio.sleep(self._seconds)
        self._seconds = min(2 * self._seconds, BACKOFF_SECONDS[1])

    def reset(self) -> None:
        self._seconds = BACKOFF_SECONDS[0]


class Watcher:
    """Runs until cancelled; a publication that is being sent is finished first.

    Raises LedgerBroken where the gateway shows another ledger than before: a new start reads it
    from its beginning.
    """

    def __init__(
        self,
        *,
        connection: Connection,
        token: Secret,
        view: LedgerView,
        checkpoints: CheckpointFile | None = None,
        computer: BoardComputer,
        clock: Clock,
        telemetry: Telemetry,
        previewer: Previewer | None = None,
    ) -> None:
        self._connection = connection
        self._metadata = (("authorization", f"Bearer {token.reveal()}"),)
        self._view = view
        self._checkpoints = checkpoints
        self._saved_position = 0
        self._saved_at = 0.0
        self._computer = computer
        self._clock = clock
        self._telemetry = telemetry
        self._previewer = previewer
        # That of the newest stream: looking for previews renews no connection.
        self._stream_stub: Any = None
        self._changed = asyncio.Event()
        #: Set once the whole ledger was read.
        self.caught_up = asyncio.Event()
        # The view is read and written in threads, by one of the two tasks at a time.
        self._view_lock = asyncio.Lock()
        self._head = 0
        #: Set once the whole ledger was read and its standings are published.
        self.ready = asyncio.Event()
        #: The newest position that the gateway said is published.
        self.published_position = 0

    async def run(self) -> None:
        """Follows and publishes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_for_ever())
            tasks.create_task(self._publish_for_ever())
            if self._previewer is not None:
                tasks.create_task(self._preview_for_ever(self._previewer))

    async def _follow_for_ever(self) -> NoReturn:
        backoff = Backoff()
        while True:
            try:
                await self._follow(backoff)
            except CheckpointDisagrees as error:
                get_logger().warning(
                    "the ledger is not the checkpoint's: every statement is verified",
                    reason=error.reason,
                    **error.metadata,
                )
                async with self._view_lock:
                    self._view.start_over()
            except (grpc.RpcError, TimeoutError) as error:
                known = from_rpc_error(error) if isinstance(error, grpc.RpcError) else None
                reason = known.reason if known else "SILENT"
                get_logger().warning("the ledger's stream broke", reason=reason)
            self._telemetry.reconnects.inc()
            await backoff.wait()

    async def _follow(self, backoff: Backoff) -> None:
        """One stream, until it breaks or this ranker's certificate is renewed."""
        stub = self._stream_stub = self._connection.stub()
        call = stub.WatchScores(
            pb.WatchScoresRequest(after_position=self._view.position), metadata=self._metadata
        )
        try:
            while True:
                # Not wait_for: in Python 3.11 it may lose a cancellation (python/cpython#86296).
                async with asyncio.timeout(SILENCE_SECONDS_MAX):
                    message = await call.read()
                if message is grpc.aio.EOF:
                    return
                backoff.reset()
                await self._take(message)
                if self._connection.stub() is not stub:
                    # On the old connection the certificate that ends would end the stream.
                    return
        finally:
            call.cancel()

    async def _take(self, message: pb.WatchScoresResponse) -> None:
        if message.head_position < self._view.unproved_position:
            # A ledger that ends before the checkpoint is another one.
            raise CheckpointDisagrees(position=self._view.unproved_position)
        if message.entries:
            async with self._view_lock:
                refusals = await asyncio.to_thread(self._view.apply, message.entries)
            for refusal in refusals:
                self._telemetry.refuse(refusal.what)
                get_logger().error(
                    "statement refused",
                    submission_id=refusal.submission_id,
                    task_id=refusal.task_id,
                    what=refusal.what,
                )
        if message.head_position < self._view.position:
            raise LedgerBroken(expected=self._view.position, position=message.head_position)
        self._head = message.head_position
        self._show_lag()
        await self._save_if_due()
        if self._view.position == self._head:
            self.caught_up.set()
        if self._unpublished():
            self._changed.set()
        elif self.caught_up.is_set():
            self.ready.set()

    async def _save_if_due(self) -> None:
        """Saves after many entries, and after few once they are old."""
        new = self._view.position - self._saved_position
        waited = asyncio.get_running_loop().time() - self._saved_at
        if new >= CHECKPOINT_ENTRIES or (new and waited >= CHECKPOINT_SECONDS):
            await self.save_checkpoint()

    async def save_checkpoint(self) -> None:
        """Says in the checkpoint's file, where there is one, what is verified up to now."""
        if self._checkpoints is None or self._view.unproved_position:
            return
        async with self._view_lock:
            if self._view.position == self._saved_position:
                return
            checkpoint = self._view.checkpoint()
        self._saved_at = asyncio.get_running_loop().time()
        # Also where it could not be saved: the next try comes with the next entries.
        self._saved_position = checkpoint.position
        if await asyncio.to_thread(self._checkpoints.save, checkpoint):
            self._telemetry.checkpoint.set(checkpoint.position)

    def _unpublished(self) -> bool:
        """Whether the gateway has not yet published what was read."""
        return self._view.relevant_position > self.published_position

    def _show_lag(self) -> None:
        # Scores of a submission that is still being graded change no board: they are no lag.
        done = self.published_position if self._unpublished() else self._view.position
        self._telemetry.lag.set(max(0, self._head - done))

    async def _publish_for_ever(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        backoff = Backoff()
        await self.caught_up.wait()
        # On the first round every board is sent, so that each has a page, even an empty one.
        first = True
        while True:
            await self._changed.wait()
            self._changed.clear()
            started = loop.time()
            if await self._publish_once(everything=first):
                first = False
                backoff.reset()
                await asyncio.sleep(max(0.0, started + PUBLISH_SECONDS_MIN - loop.time()))
            else:
                self._changed.set()
                await backoff.wait()

    async def _preview_for_ever(self, previewer: Previewer) -> NoReturn:
        await self.caught_up.wait()
        while True:
            try:
                if self._stream_stub is not None:
                    await previewer.round(self._stream_stub, self._view, self._view_lock)
            except GeneralLevelError as error:
                get_logger().error("rejudgement not previewed", reason=error.reason)
            except grpc.RpcError as error:
                # A gateway of an earlier version has no such call; the next one does.
                get_logger().debug("no preview asked for", reason=from_rpc_error(error).reason)
            await asyncio.sleep(PREVIEW_SECONDS)

    async def _publish_once(self, *, everything: bool) -> bool:
        """Computes and sends what changed; whether the gateway has it now."""
        async with self._view_lock:
            touched = self._view.take_touched()
            state = await asyncio.to_thread(self._state)
        if everything:
            touched |= self._computer.unpublished()
        if not touched and not self._unpublished():
            return True
        began = tracing.now_ns()
        try:
            with self._telemetry.compute.time():
                publication = await asyncio.to_thread(
                    self._computer.compute, state, touched, self._clock.now()
                )
            computed = tracing.now_ns()
            published = await self._send_to_the_end(publication)
        except GeneralLevelError as error:
            get_logger().error("standings not published", reason=error.reason, **error.metadata)
            self._telemetry.publication_failures.inc()
            self._view.put_back(touched)
            return False
        except grpc.RpcError as error:
            get_logger().warning("standings not published", reason=from_rpc_error(error).reason)
            self._telemetry.publication_failures.inc()
            self._view.put_back(touched)
            return False
        self._note(publication, touched)
        await self._trace(publication, published, began, computed)
        return True

    async def _trace(
        self, publication: Publication, published: int, began: int, computed: int
    ) -> None:
        """What it took, in the trace of each submission that was published by it."""
        if not (published and tracing.is_on()):
            return
        sent = tracing.now_ns()
        count = min(published, tracing.PUBLISHED_MAX)
        async with self._view_lock:
            found = self._view.newest_ids(publication.state.position, count)
        for submission_id in found:
            tracing.record("compute", submission_id, began, computed)
            tracing.record("publish", submission_id, computed, sent)

    def _state(self) -> LedgerState:
        return LedgerState(
            models=self._view.models(),
            refused_ids=self._view.refused_ids(),
            position=self._view.position,
            as_of=self._view.as_of,
        )

    async def _send_to_the_end(self, publication: Publication) -> int:
        """Sends; a cancellation waits until what has begun is sent. How many were published."""
        sending = asyncio.ensure_future(self._send(publication))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending})
            raise

    async def _send(self, publication: Publication) -> int:
        try:
            published = await self._send_all(publication)
        except grpc.RpcError as error:
            known = from_rpc_error(error)
            behind = known.metadata.get("published_position", "")
            # A ranker that has just started learns what is published already.
            if not isinstance(known, IllegalTransition) or not behind.isdecimal():
                raise
            if int(behind) > publication.state.position:
                raise
            self.published_position = int(behind)
            published = await self._send_all(publication)
        self._computer.remember(publication)
        self.published_position = publication.state.position
        return published

    async def _send_all(self, publication: Publication) -> int:
        published = 0
        for request in requests(publication, self.published_position):
            answer = await self._connection.stub().PublishStandings(
                request, metadata=self._metadata, timeout=CALL_SECONDS
            )
            published += answer.published_submissions
        return published

    def _note(self, publication: Publication, touched: Iterable[str]) -> None:
        self._telemetry.publications.inc()
        self._telemetry.models.set(len(publication.state.models))
        self._telemetry.count_boards(publication.standings)
        self._show_lag()
        self.ready.set()
        get_logger().info(
            "standings published",
            ledger_position=publication.state.position,
            models=len(publication.state.models),
            boards_computed=len(set(touched)),
            boards_changed=len(publication.boards),
        )
