"""RankingService: the ledger out, the standings in; for the ranker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import Connection

from general_level.catalogue.model import Catalogue
from general_level.errors import InvalidRequest
from general_level.v1 import ranking_pb2 as pb
from general_level.v1 import ranking_pb2_grpc
from services.gateway import ledger, publishing, rejudgements, rejudging
from services.gateway.identity import Authenticator
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.kit import tracing
from services.kit.clock import Clock
from services.kit.logging import get_logger

#: The ledger is read again this often, so that scores taken by another replica are seen.
POLL_SECONDS: Final = 1.0
#: A stream that has nothing to say shows this often that it lives.
SIGN_OF_LIFE_SECONDS: Final = 10.0
_METHOD: Final = "general_level.v1.RankingService"
#: Entries in one message together, by serialised size; far below the message limit.
MESSAGE_ENTRIES_BYTES: Final = 8 * 1024 * 1024


class RankingServicer(ranking_pb2_grpc.RankingServiceServicer):
    """Needs a ranker token for every call."""

    def __init__(
        self,
        *,
        database: Database,
        signals: Signals,
        clock: Clock,
        catalogue: Catalogue,
        authenticator: Authenticator,
        poll_seconds: float = POLL_SECONDS,
        sign_of_life_seconds: float = SIGN_OF_LIFE_SECONDS,
    ) -> None:
        self._database = database
        self._signals = signals
        self._clock = clock
        self._catalogue = catalogue
        self._authenticator = authenticator
        self._poll_seconds = poll_seconds
        self._sign_of_life_seconds = sign_of_life_seconds

    async def WatchScores(
        self, request: pb.WatchScoresRequest, context: Any
    ) -> AsyncIterator[pb.WatchScoresResponse]:
        caller = await self._authenticator.follow(context, "ranker")
        if request.after_position < 0:
            raise InvalidRequest("A position is not negative.", field="after_position")
        loop = asyncio.get_running_loop()
        position = request.after_position
        # At once, also if empty: the reader learns where the ledger ends.
        next_sign = loop.time()
        while True:
            waiter = self._signals.subscribe("ledger")
            try:
                await caller.recheck()
                message = await self._database.run_read(_read, position)
                if message.entries or loop.time() >= next_sign:
                    yield message
                    next_sign = loop.time() + self._sign_of_life_seconds
            except BaseException:
                waiter.cancel()
                raise
            if message.entries:
                position = message.entries[-1].position
            if position < message.head_position:
                waiter.cancel()
                continue
            await self._signals.wait(waiter, self._poll_seconds)

    async def PublishStandings(
        self, request: pb.PublishStandingsRequest, context: Any
    ) -> pb.PublishStandingsResponse:
        began = tracing.now_ns()
        await self._authenticator.require(context, "ranker")
        if not request.HasField("compute_time"):
            raise InvalidRequest("Say when it was computed.", field="compute_time")
        done = await self._database.run_write(
            publishing.publish, self._clock.now(), request, self._catalogue.boards
        )
        for submission_id in (*done.published_ids, *done.failed_ids):
            self._signals.notify(f"submission/{submission_id}")
        for submission_id in done.published_ids[: tracing.PUBLISHED_MAX]:
            method = f"{_METHOD}/PublishStandings"
            tracing.record("publication", submission_id, began, rpc_method=method)
        for board_id in done.board_ids:
            self._signals.notify(f"standings/{board_id}")
        if done.board_ids:
            self._signals.notify(publishing.TOPIC)
        get_logger().info(
            "standings published",
            ledger_position=request.ledger_position,
            boards=len(done.board_ids),
            submissions=len(done.published_ids),
            refused=len(done.failed_ids),
        )
        return pb.PublishStandingsResponse(published_submissions=len(done.published_ids))

    async def GetRejudgedScores(
        self, request: pb.GetRejudgedScoresRequest, context: Any
    ) -> pb.GetRejudgedScoresResponse:
        await self._authenticator.require(context, "ranker")
        return await self._database.run_read(
            rejudgements.scores_to_preview, request.rejudgement_id, request.after_submission_id
        )

    async def PublishPreview(
        self, request: pb.PublishPreviewRequest, context: Any
    ) -> pb.PublishPreviewResponse:
        await self._authenticator.require(context, "ranker")
        if not request.HasField("preview"):
            raise InvalidRequest("Say what would change.", field="preview")
        stored = await self._database.run_write(
            rejudging.store_preview, request.rejudgement_id, request.preview
        )
        get_logger().info(
            "rejudgement previewed",
            rejudgement_id=request.rejudgement_id,
            boards=len(request.preview.boards),
            stored=stored,
        )
        return pb.PublishPreviewResponse()


def _read(connection: Connection, position: int) -> pb.WatchScoresResponse:
    """The entries after a position that fit in one message, and the head."""
    message = pb.WatchScoresResponse()
    size = 0
    for entry in ledger.read_after(connection, position):
        size += entry.ByteSize()
        if size > MESSAGE_ENTRIES_BYTES and message.entries:
            break
        message.entries.append(entry)
    message.head_position = ledger.read_head(connection)
    return message
