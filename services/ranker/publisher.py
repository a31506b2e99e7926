"""From the ledger's view to published snapshots: what changed, in requests that fit.

All boards of one publication and the PUBLISHED state of the submissions in them belong together. A
publication too large for one message is sent in several: all but the last repeat the position that
is published already, so the submissions change their state only when every board is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from general_level.catalogue.model import Catalogue
from general_level.v1 import ranking_pb2 as pb
from general_level.wire import to_timestamp
from services.ranker.formulas.conventions import Convention
from services.ranker.snapshot import content_digest, digest, take_snapshot, to_bytes
from services.ranker.standings import BoardStandings, ModelEntry, compute_standings

#: Snapshots in one request together.
REQUEST_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What is ranked: the models at a position. ``as_of`` is when its entry was appended."""

    models: Sequence[ModelEntry] = field(repr=False)
    refused_ids: Sequence[str]
    position: int
    as_of: str


@dataclass(frozen=True, slots=True)
class Publication:
    """Changed boards, ready to be sent, and what to remember once they are stored."""

    state: LedgerState
    compute_time: datetime
    boards: Sequence[pb.BoardSnapshot] = field(repr=False)
    standings: Sequence[BoardStandings] = field(repr=False)
    contents: dict[str, str] = field(repr=False)


class BoardComputer:
    """Computes boards and remembers what was published of each, to send only what changed."""

    def __init__(
        self, catalogue: Catalogue, reference_list_id: str | None, convention: Convention
    ) -> None:
        self._catalogue = catalogue
        self._references = reference_list_id
        self._convention = convention
        self._contents: dict[str, str] = {}

    def unpublished(self) -> set[str]:
        """Boards of which this process has published nothing yet."""
        return set(self._catalogue.boards) - set(self._contents)

    def compute(self, state: LedgerState, board_ids: set[str], now: datetime) -> Publication:
        """The boards among ``board_ids`` whose rows are other than those published last.

        A snapshot is dated by the newest ledger entry in it and not by the clock: whoever has the
        ledger gets the same bytes again.
        """
        boards = [board for board in self._catalogue.boards.values() if board.id in board_ids]
        computed = compute_standings(
            self._catalogue, self._references, self._convention, state.models, boards
        )
        snapshots, standings, contents = [], [], {}
        for board in computed:
            snapshot = take_snapshot(board, state.as_of, state.position)
            content = content_digest(snapshot)
            if self._contents.get(board.board_id) == content:
                continue
            data = to_bytes(snapshot)
            snapshots.append(
                pb.BoardSnapshot(board_id=board.board_id, snapshot=data, sha256=digest(data))
            )
            standings.append(board)
            contents[board.board_id] = content
        return Publication(state, now, snapshots, standings, contents)

    def remember(self, publication: Publication) -> None:
        """The publication is stored."""
        self._contents.update(publication.contents)


def requests(
    publication: Publication, published_position: int, limit: int = REQUEST_BYTES
) -> Iterator[pb.PublishStandingsRequest]:
    """The publication as messages; only the last carries its position and what was refused."""
    groups = list(_groups(publication.boards, limit))
    for group in groups[:-1]:
        yield pb.PublishStandingsRequest(
            ledger_position=published_position,
            compute_time=to_timestamp(publication.compute_time),
            boards=group,
        )
    yield pb.PublishStandingsRequest(
        ledger_position=publication.state.position,
        compute_time=to_timestamp(publication.compute_time),
        boards=groups[-1],
        refused_submission_ids=publication.state.refused_ids,
    )


def _groups(boards: Sequence[pb.BoardSnapshot], limit: int) -> Iterator[list[pb.BoardSnapshot]]:
    """The boards in order, in groups of at most ``limit`` bytes or of one board; at least one."""
    group: list[pb.BoardSnapshot] = []
    size = 0
    for board in boards:
        if group and size + len(board.snapshot) > limit:
            yield group
            group, size = [], 0
        group.append(board)
        size += len(board.snapshot)
    yield group
