"""QuotaService, CatalogueService and LeaderboardService over the world in memory."""
# ruff: noqa: ARG002 - the parameters are those of the contract

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from typing import Any, Final

from general_level.catalogue.messages import board_message, catalogue_message
from general_level.errors import InvalidRequest, NotFound, UnknownBoard
from general_level.fairness import WINDOWS, holds_within, next_slot_time
from general_level.testing.faults import Faults
from general_level.testing.inputs import EXAMPLE_ITEM_IDS, inputs_bundle
from general_level.testing.publication import KEY_VERSION, commitment_of
from general_level.testing.serving import Service, answers, streams
from general_level.testing.world import World
from general_level.v1 import (
    catalogue_pb2,
    catalogue_pb2_grpc,
    leaderboard_pb2,
    leaderboard_pb2_grpc,
    quota_pb2,
    quota_pb2_grpc,
)
from general_level.wire import to_timestamp

_CHUNK_BYTES: Final = 256 * 1024


class QuotaService(Service, quota_pb2_grpc.QuotaServiceServicer):
    """The fairness rules and the agreement."""

    def __init__(self, world: World, faults: Faults, agreement_text: str) -> None:
        super().__init__(world, faults)
        self._agreement_text = agreement_text

    @answers
    def GetQuota(
        self, request: quota_pb2.GetQuotaRequest, context: Any
    ) -> quota_pb2.GetQuotaResponse:
        lab = self.lab(context)
        with self.world.changed:
            now = self.world.now
            holds = self.world.holds(lab)
            pending = self.world.pending(lab)
        return quota_pb2.GetQuotaResponse(
            windows=[
                quota_pb2.QuotaWindow(
                    limit=w.limit,
                    used=len(holds_within(holds, w, now)),
                    window_seconds=int(w.length.total_seconds()),
                )
                for w in WINDOWS
            ],
            holders=[
                quota_pb2.QuotaHolder(
                    submission_id=hold.submission_id, hold_time=to_timestamp(hold.time)
                )
                for hold in holds_within(holds, max(WINDOWS, key=lambda w: w.length), now)
            ],
            next_slot_time=to_timestamp(next_slot_time(holds, now)),
            pending_submission_id=pending.submission_id if pending is not None else "",
        )

    @answers
    def GetAgreement(
        self, request: quota_pb2.GetAgreementRequest, context: Any
    ) -> quota_pb2.GetAgreementResponse:
        lab = self.lab(context)
        version = self.world.agreement_version
        response = quota_pb2.GetAgreementResponse(version=version, text=self._agreement_text)
        if lab.accepted == version and lab.accept_time is not None:
            response.accepted = True
            response.accept_time.CopyFrom(to_timestamp(lab.accept_time))
        return response

    @answers
    def AcceptAgreement(
        self, request: quota_pb2.AcceptAgreementRequest, context: Any
    ) -> quota_pb2.AcceptAgreementResponse:
        accepted = self.world.accept(self.lab(context), request.version)
        return quota_pb2.AcceptAgreementResponse(accept_time=to_timestamp(accepted))


class CatalogueService(Service, catalogue_pb2_grpc.CatalogueServiceServicer):
    """The benchmark as data, with placeholder inputs."""

    @functools.cache  # noqa: B019 - lives as long as its one gateway
    def bundle(self, board_id: str) -> bytes:
        """The inputs of a board."""
        board = self.world.catalogue.boards[board_id]
        return inputs_bundle(self.world.catalogue, board, self.world.item_ids or {})

    @answers
    def GetCatalogue(
        self, request: catalogue_pb2.GetCatalogueRequest, context: Any
    ) -> catalogue_pb2.GetCatalogueResponse:
        return catalogue_message(self.world.catalogue)

    @answers
    def ListBoards(
        self, request: catalogue_pb2.ListBoardsRequest, context: Any
    ) -> catalogue_pb2.ListBoardsResponse:
        if request.scope not in {"", "A", "B", "C", "D"}:
            raise InvalidRequest("scope must be A, B, C, D or empty.", field="scope")
        return catalogue_pb2.ListBoardsResponse(
            catalogue_id=self.world.catalogue.id,
            boards=[
                board_message(board, len(self.bundle(board.id)))
                for board in self.world.catalogue.boards.values()
                if request.scope in {"", board.scope.value}
            ],
        )

    @streams
    def DownloadInputs(
        self, request: catalogue_pb2.DownloadInputsRequest, context: Any
    ) -> Iterator[catalogue_pb2.DownloadInputsResponse]:
        self.lab(context)
        if request.board_id not in self.world.catalogue.boards:
            raise UnknownBoard(board_id=request.board_id)
        bundle = self.bundle(request.board_id)
        if not 0 <= request.offset <= len(bundle):
            raise InvalidRequest("The offset is beyond the file.", total_bytes=len(bundle))
        yield catalogue_pb2.DownloadInputsResponse(
            total_bytes=len(bundle), sha256=hashlib.sha256(bundle).hexdigest()
        )
        for start in range(request.offset, len(bundle), _CHUNK_BYTES):
            yield catalogue_pb2.DownloadInputsResponse(data=bundle[start : start + _CHUNK_BYTES])

    @answers
    def ListKeyCommitments(
        self, request: catalogue_pb2.ListKeyCommitmentsRequest, context: Any
    ) -> catalogue_pb2.ListKeyCommitmentsResponse:
        return catalogue_pb2.ListKeyCommitmentsResponse(
            commitments=[
                catalogue_pb2.KeyCommitment(
                    task_id=task_id,
                    key_version=KEY_VERSION,
                    commitment=commitment_of(task_id),
                    item_count=self.world.item_count(task_id) or len(EXAMPLE_ITEM_IDS),
                    publish_time=to_timestamp(self.world.start),
                )
                for task_id in self.world.catalogue.tasks
            ]
        )


class LeaderboardService(Service, leaderboard_pb2_grpc.LeaderboardServiceServicer):
    """The published standings."""

    @answers
    def GetStandings(
        self, request: leaderboard_pb2.GetStandingsRequest, context: Any
    ) -> leaderboard_pb2.GetStandingsResponse:
        standings = self.world.standings_of(request.board_id)
        if standings is None:
            raise NotFound("The board has not been published yet.", board_id=request.board_id)
        return leaderboard_pb2.GetStandingsResponse(standings=standings)

    @streams
    def WatchStandings(
        self, request: leaderboard_pb2.WatchStandingsRequest, context: Any
    ) -> Iterator[leaderboard_pb2.WatchStandingsResponse]:
        last: leaderboard_pb2.Standings | None = None
        while context.is_active():
            with self.world.changed:
                current = self.world.standings_of(request.board_id)
                if current is last:
                    self.wait_for_change()
                    continue
            last = current
            if current is not None:
                yield leaderboard_pb2.WatchStandingsResponse(standings=current)
