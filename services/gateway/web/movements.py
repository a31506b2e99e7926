"""How a board moved: ranks and scores over its kept publications, read when someone asks.

The database keeps many snapshots of a board. Some of them, evenly spaced, are read one after the
other, each parsed off the event loop, and only ranks and scores stay in memory; when a board is
published anew, only what is new is read.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from general_level.errors import GeneralLevelError
from services.gateway import publishing
from services.gateway.storage.database import Database
from services.gateway.web.newest import Row, Sheet
from services.kit.logging import get_logger

#: Publications of a board that its movement shows.
PUBLICATIONS_MAX: Final = 40
#: Kept publications of a board among which those are chosen.
LISTED_MAX: Final = 10_000
#: Boards whose movement is kept in memory.
BOARDS_MAX: Final = 4
#: Models of one publication that are kept, the first of the board.
MODELS_MAX: Final = 1_000

Item = TypeVar("Item")


class Point(NamedTuple):
    """Where a model stood. ``score`` in points of 100 is of its level; None without a level."""

    submission_id: str
    rank: int
    level: int
    score: float | None


@dataclass(frozen=True, slots=True)
class Publication:
    """The models of one kept publication by submission, and which submission bore a name."""

    publication_id: int
    published: datetime
    points: Mapping[str, Point]
    named: Mapping[tuple[str, str], str]

    def point(self, row: Row) -> Point | None:
        """Where a model stood: this submission of it, or another under the same name.

        Names are compared within an organisation; without one they could be of anybody.
        """
        own = self.points.get(row.submission_id)
        if own is None and row.organisation:
            own = self.points.get(self.named.get((row.model_name, row.organisation), ""))
        return own


class Movements:
    """Movements by board, of the newest publication that `Newest` knows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[str, tuple[int, tuple[Publication, ...]]] = OrderedDict()
        # One read at a time: a reader of pages never takes more than one connection.
        self._reading = asyncio.Lock()

    async def of(self, sheet: Sheet) -> tuple[Publication, ...]:
        """The kept publications of a board, oldest first, `PUBLICATIONS_MAX` at most.

        While the database is away, those that are known: a page does not fail because of it.
        """
        async with self._reading:
            newest, known = self._kept.get(sheet.board_id, (0, ()))
            if newest != sheet.publication_id:
                try:
                    known = await self._read(sheet.board_id, known)
                except GeneralLevelError as error:
                    get_logger().warning("movements not read", reason=error.reason)
                    return known
                self._kept[sheet.board_id] = (sheet.publication_id, known)
            self._kept.move_to_end(sheet.board_id)
            while len(self._kept) > BOARDS_MAX:
                self._kept.popitem(last=False)
            return known

    async def _read(self, board_id: str, known: Sequence[Publication]) -> tuple[Publication, ...]:
        have = {one.publication_id: one for one in known}
        kept = await self._database.run_read(publishing.kept, board_id, LISTED_MAX)
        found = []
        for publication_id, published in chosen(kept, have):
            one = have.get(publication_id)
            if one is None:
                snapshot = await self._database.run_read(
                    publishing.snapshot_of, board_id, publication_id
                )
                if snapshot is None:
                    continue  # Retention has removed it meanwhile.
                one = await asyncio.to_thread(_parse, publication_id, published, snapshot)
            found.append(one)
        return tuple(found)


def chosen(
    kept: Sequence[tuple[int, datetime]], known: Collection[int]
) -> list[tuple[int, datetime]]:
    """Which of the kept publications are shown: those already ``known``, and what came since.

    Where they are too many, some go, evenly, and more than needed: else each publication would
    move all of them, and all would be read again.
    """
    newest = max(known, default=0)
    wanted = [one for one in kept if one[0] in known or one[0] > newest]
    if len(wanted) <= PUBLICATIONS_MAX:
        return wanted
    return evenly(wanted, PUBLICATIONS_MAX if not known else PUBLICATIONS_MAX * 3 // 4)


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most ``most`` of the items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[at * (len(items) - 1) // (most - 1)] for at in range(most)]


def _parse(publication_id: int, published: datetime, snapshot: bytes) -> Publication:
    rows = json.loads(snapshot)["rows"][:MODELS_MAX]
    points = {
        row["submission_id"]: Point(
            row["submission_id"],
            row["rank"],
            row["level"],
            row[f"s{row['level']}"] if row["level"] else None,
        )
        for row in rows
    }
    # Of several under one name the best counts: it comes last here.
    named = {(row["model_name"], row["organisation"]): row["submission_id"] for row in rows[::-1]}
    return Publication(publication_id, published, points, named)
