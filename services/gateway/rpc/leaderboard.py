"""LeaderboardService: the published standings, open to everyone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from general_level.catalogue.model import Catalogue
from general_level.errors import NotFound, UnknownBoard
from general_level.v1 import leaderboard_pb2 as pb
from general_level.v1 import leaderboard_pb2_grpc
from services.gateway import publishing
from services.gateway.places import Places
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.kit.server import CONCURRENT_RPCS_MAX

#: A watcher looks again this often, so that a publication through another replica is seen.
POLL_SECONDS: Final = 1.0
#: Watchers of all boards together: anyone may watch, and half of the server's calls are for labs.
WATCHERS_MAX: Final = CONCURRENT_RPCS_MAX // 2
_ANYONE: Final = "anyone"


class LeaderboardServicer(leaderboard_pb2_grpc.LeaderboardServiceServicer):
    """Reads stored snapshots only; it computes nothing."""

    def __init__(
        self,
        *,
        database: Database,
        signals: Signals,
        catalogue: Catalogue,
        poll_seconds: float = POLL_SECONDS,
        watchers_max: int = WATCHERS_MAX,
    ) -> None:
        self._database = database
        self._signals = signals
        self._catalogue = catalogue
        self._poll_seconds = poll_seconds
        self._watchers = Places(watchers_max)

    async def GetStandings(
        self, request: pb.GetStandingsRequest, _context: Any
    ) -> pb.GetStandingsResponse:
        self._check_board(request.board_id)
        stored = await self._database.run_read(publishing.current, request.board_id)
        if stored is None:
            raise NotFound("This board has no publication yet.", board_id=request.board_id)
        return pb.GetStandingsResponse(standings=publishing.to_standings(stored))

    async def WatchStandings(
        self, request: pb.WatchStandingsRequest, _context: Any
    ) -> AsyncIterator[pb.WatchStandingsResponse]:
        self._check_board(request.board_id)
        sent = 0
        with self._watchers.take(_ANYONE):
            while True:
                waiter = self._signals.subscribe(f"standings/{request.board_id}")
                try:
                    newest = await self._database.run_read(
                        publishing.current_publication, request.board_id
                    )
                    if newest > sent:
                        stored = await self._database.run_read(publishing.current, request.board_id)
                        assert stored is not None
                        sent = stored.publication_id
                        yield pb.WatchStandingsResponse(standings=publishing.to_standings(stored))
                except BaseException:
                    waiter.cancel()
                    raise
                await self._signals.wait(waiter, self._poll_seconds)

    def _check_board(self, board_id: str) -> None:
        if board_id not in self._catalogue.boards:
            raise UnknownBoard(board_id=board_id)
