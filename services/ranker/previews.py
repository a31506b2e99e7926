"""What a rejudgement would change on every board, computed before any of it is in the ledger.

The gateway has the new statements and no formulas; the ranker has the formulas, and verifies the
statements with its own list of keys. It asks for those that wait, computes the boards that hold the
task twice, and sends back where somebody would stand differently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from general_level.catalogue.model import Catalogue
from general_level.v1 import operations_pb2, ranking_pb2
from services.kit.logging import get_logger
from services.kit.settings import Secret
from services.ranker.formulas.conventions import Convention
from services.ranker.ledger_view import LedgerView
from services.ranker.standings import BoardStandings, ModelEntry, Standing, compute_standings

#: One call.
CALL_SECONDS: Final = 30.0


class Previewer:
    """Looks for rejudgements that wait for their preview, one at a time."""

    def __init__(
        self,
        *,
        token: Secret,
        catalogue: Catalogue,
        reference_list_id: str | None,
        convention: Convention,
    ) -> None:
        self._metadata = (("authorization", f"Bearer {token.reveal()}"),)
        self._catalogue = catalogue
        self._references = reference_list_id
        self._convention = convention

    async def round(self, stub: Any, view: LedgerView, view_lock: asyncio.Lock) -> bool:
        """Computes and sends one preview; False if none waits, or the view is behind the ledger.

        ``stub`` is that of the ledger's stream, whose connection is known to work. Raises
        grpc.RpcError where a call fails.
        """
        found = await self._scores(stub, "", "")
        if not found.rejudgement_id:
            return False
        rejudgement_id, scores = found.rejudgement_id, list(found.scores)
        while found.more:
            found = await self._scores(stub, rejudgement_id, scores[-1].submission_id)
            if found.rejudgement_id != rejudgement_id:
                return False
            scores += found.scores
        async with view_lock:
            position = view.position
            if position < found.head_position:
                return False
            old, new, refused = await asyncio.to_thread(view.models_with, scores)
        preview = await asyncio.to_thread(self._compute, found.task_id, old, new)
        preview.ledger_position = position
        preview.refused_submission_ids.extend(sorted(refused))
        await stub.PublishPreview(
            ranking_pb2.PublishPreviewRequest(rejudgement_id=rejudgement_id, preview=preview),
            metadata=self._metadata,
            timeout=CALL_SECONDS,
        )
        get_logger().info(
            "rejudgement previewed",
            rejudgement_id=rejudgement_id,
            scores=len(scores),
            boards_changed=len(preview.boards),
            refused=len(refused),
        )
        return True

    async def _scores(
        self, stub: Any, rejudgement_id: str, after: str
    ) -> ranking_pb2.GetRejudgedScoresResponse:
        request = ranking_pb2.GetRejudgedScoresRequest(
            rejudgement_id=rejudgement_id, after_submission_id=after
        )
        answer: ranking_pb2.GetRejudgedScoresResponse
        answer = await stub.GetRejudgedScores(
            request, metadata=self._metadata, timeout=CALL_SECONDS
        )
        return answer

    def _compute(
        self, task_id: str, old: Sequence[ModelEntry], new: Sequence[ModelEntry]
    ) -> operations_pb2.RejudgementPreview:
        boards = [b for b in self._catalogue.boards.values() if task_id in b.task_ids]
        before, after = (
            compute_standings(self._catalogue, self._references, self._convention, models, boards)
            for models in (old, new)
        )
        changes = [change_of(*pair) for pair in zip(before, after, strict=True)]
        return operations_pb2.RejudgementPreview(
            boards=[change for change in changes if change.changes], computed_boards=len(boards)
        )


def change_of(before: BoardStandings, after: BoardStandings) -> operations_pb2.BoardChange:
    """The rows of a board that would read differently, in the order of their new ranks."""
    old = {row.submission_id: row for row in before.rows}
    return operations_pb2.BoardChange(
        board_id=after.board_id,
        changes=[
            _standing_change(old[row.submission_id], row)
            for row in after.rows
            if _content(old[row.submission_id]) != _content(row)
        ],
    )


def _content(row: Standing) -> tuple[object, ...]:
    return (row.rank, row.level, row.s2, row.s3, row.s4, row.s5)


def _standing_change(old: Standing, new: Standing) -> operations_pb2.StandingChange:
    return operations_pb2.StandingChange(
        submission_id=new.submission_id,
        model_name=new.model_name,
        organisation=new.organisation,
        old_rank=old.rank,
        new_rank=new.rank,
        old_level=old.level,
        new_level=new.level,
        old_score=_score(old),
        new_score=_score(new),
    )


def _score(row: Standing) -> float:
    """The score that decides the rank; S2 of a model without a level, which is 0."""
    by_level = {3: row.s3, 4: row.s4, 5: row.s5}
    found = by_level.get(row.level, row.s2)
    return row.s2 if found is None else found
