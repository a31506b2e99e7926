"""The newest snapshot of every board, parsed once in this gateway, and who waits for the next.

One task follows the database for all readers: a page costs no query, however many look at it, and
an open page hears of a publication as soon as this gateway knows it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from general_level.errors import GeneralLevelError, NotFound
from general_level.wire import from_rfc3339
from services.gateway import publishing, submissions
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.web.model_facts import NOTHING_SAID, ModelFacts, facts_of
from services.kit.logging import get_logger

#: A publication whose signal was lost is seen after this time.
POLL_SECONDS: Final = 1.0
#: How long the database may be away between two attempts to read it.
RETRY_SECONDS: Final = 1.0


class Scores(NamedTuple):
    """S2 to S5 in points of 100; None where a board or a modality has no such score."""

    s2: float | None = None
    s3: float | None = None
    s4: float | None = None
    s5: float | None = None

    def of(self, level: int) -> float | None:
        """The score of a level, 2 to 5; None for level 0, which has none."""
        return self[level - 2] if level else None


class ModalityStanding(NamedTuple):
    """One modality of a model on a board: its scores, and how many of the board's tasks it has.

    The counts are None where the board was published before they were counted.
    """

    scores: Scores
    supported: int | None
    tasks: int | None
    wins: int | None

    @property
    def is_supported(self) -> bool:
        """Whether the model has a task of it; True where nobody counted."""
        return self.supported != 0

    @property
    def shown(self) -> Scores:
        """The scores, and none of a modality that is not supported: that is no score of 0."""
        return self.scores if self.is_supported else NO_SCORES


#: What stands for a modality that a model does not support.
NO_SCORES: Final = Scores()


@dataclass(frozen=True, slots=True)
class Row:
    """One model on a board. Held for each model on each board, so it is small."""

    rank: int
    model_name: str
    organisation: str
    submission_id: str
    level: int
    scores: Scores
    low: float | None
    high: float | None
    modalities: Mapping[str, ModalityStanding]
    supported: int
    wins: int
    tied: bool
    completed: datetime

    @property
    def score(self) -> float | None:
        """The score of the model's level, in points of 100; None while no level has one."""
        return self.scores.of(self.level)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The newest standings of one board. ``sha256`` is of its snapshot, canonical JSON."""

    board_id: str
    publication_id: int
    published: datetime
    computed: datetime
    sha256: str
    catalogue_id: str
    reference_list_id: str
    convention: str
    tasks: int
    highest_level: int
    rows: tuple[Row, ...]
    by_submission: Mapping[str, Row] = field(repr=False)


class Newest:
    """Sheets by board id; ``run`` keeps them up to date until it is cancelled."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals
        self._sheets: dict[str, Sheet] = {}
        #: Of every submission that stands on a board.
        self._facts: dict[str, ModelFacts] = {}
        self._changed = asyncio.Condition()
        self._refreshing = asyncio.Lock()
        self._ended = False

    def sheet(self, board_id: str) -> Sheet | None:
        """The newest standings of a board; None before its first publication."""
        return self._sheets.get(board_id)

    def boards_of(self, submission_id: str) -> list[tuple[str, Row]]:
        """The boards on which a submission stands, and its row on each."""
        return [
            (board_id, sheet.by_submission[submission_id])
            for board_id, sheet in self._sheets.items()
            if submission_id in sheet.by_submission
        ]

    def sheets(self) -> Mapping[str, Sheet]:
        """All boards that have standings."""
        return self._sheets

    def facts(self, row: Row) -> ModelFacts:
        """What the lab says about a model, as far as the name in the row lets it be shown."""
        return self._facts.get(row.submission_id, NOTHING_SAID).under(row.model_name)

    async def changes(self, board_id: str, seen: int, wait_seconds: float) -> AsyncIterator[int]:
        """Each publication of a board after ``seen``; ``seen`` again whenever none came in time.

        Ends with the gateway.
        """
        while not self._ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds), self._changed:
                    while not self._has_news(board_id, seen):
                        await self._changed.wait()
            seen = max(seen, self._position(board_id))
            yield seen

    async def publications(self, wait_seconds: float) -> AsyncIterator[int]:
        """The newest publication of all boards, now and at each change, until the gateway ends."""
        seen = -1
        while not self._ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds), self._changed:
                    while not self._is_newer(seen):
                        await self._changed.wait()
            if self._newest_position() != seen:
                seen = self._newest_position()
                yield seen

    async def end(self) -> None:
        """Ends the streams of changes."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def snapshot(self, sheet: Sheet) -> bytes:
        """The canonical JSON of a sheet; NotFound if a newer one has taken its place."""
        stored = await self._database.run_read(publishing.current, sheet.board_id)
        if stored is None or stored.sha256 != sheet.sha256:
            raise NotFound("Newer standings are being published; ask again.")
        return stored.snapshot

    async def refresh(self) -> bool:
        """Reads what was published since; whether there was anything."""
        # One after the other: an earlier read never comes over a later one.
        async with self._refreshing:
            known = {board_id: sheet.publication_id for board_id, sheet in self._sheets.items()}
            found = await self._database.run_read(publishing.newer_than, known)
            if not found:
                return False
            texts: dict[str, str] = {}
            sheets = await asyncio.to_thread(lambda: [_sheet(stored, texts) for stored in found])
            known_sheets = {**self._sheets, **{sheet.board_id: sheet for sheet in sheets}}
            facts = await self._facts_of(known_sheets.values())
            async with self._changed:
                # Together, so that a page of a snapshot never changes.
                self._sheets, self._facts = known_sheets, facts
                self._changed.notify_all()
            return True

    async def _facts_of(self, sheets: Collection[Sheet]) -> dict[str, ModelFacts]:
        """Those of all submissions on these boards; only what is new is read."""
        shown = await asyncio.to_thread(lambda: set().union(*(one.by_submission for one in sheets)))
        facts = {name: known for name, known in self._facts.items() if name in shown}
        unknown = sorted(shown - facts.keys())
        for start in range(0, len(unknown), submissions.MODELS_IN_QUERY):
            asked = unknown[start : start + submissions.MODELS_IN_QUERY]
            found = await self._database.run_read(submissions.models_of, asked)
            facts |= dict.fromkeys(asked, NOTHING_SAID)
            facts |= {name: facts_of(model) for name, model in found.items()}
        return facts

    async def run(self) -> None:
        """Follows the publications."""
        while True:
            waiter = self._signals.subscribe(publishing.TOPIC)
            try:
                await self.refresh()
                await self._signals.wait(waiter, POLL_SECONDS)
            except GeneralLevelError as error:
                # What is shown stays; pages do not fail because the database is away.
                get_logger().warning("standings not read", reason=error.reason)
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                waiter.cancel()

    def _has_news(self, board_id: str, seen: int) -> bool:
        return self._ended or self._position(board_id) > seen

    def _is_newer(self, seen: int) -> bool:
        return self._ended or self._newest_position() != seen

    def _newest_position(self) -> int:
        return max((sheet.publication_id for sheet in self._sheets.values()), default=0)

    def _position(self, board_id: str) -> int:
        sheet = self._sheets.get(board_id)
        return sheet.publication_id if sheet else 0


def _sheet(stored: publishing.StoredSnapshot, texts: dict[str, str]) -> Sheet:
    document = json.loads(stored.snapshot)
    rows = tuple(_row(row, texts) for row in document["rows"])
    return Sheet(
        board_id=stored.board_id,
        publication_id=stored.publication_id,
        published=stored.publish_time,
        computed=from_rfc3339(document["computed_at"]),
        sha256=stored.sha256,
        catalogue_id=document["catalogue_id"],
        reference_list_id=document["reference_list_id"],
        convention=document["convention"],
        tasks=document["tasks"],
        highest_level=document["highest_level"],
        rows=rows,
        by_submission={row.submission_id: row for row in rows},
    )


def _row(row: Mapping[str, Any], texts: dict[str, str]) -> Row:
    def once(name: str) -> str:
        # A model stands on many boards; its texts are kept once.
        return texts.setdefault(row[name], row[name])

    interval = row["intervals"].get(f"s{row['level']}") or {}
    return Row(
        rank=row["rank"],
        model_name=once("model_name"),
        organisation=once("organisation"),
        submission_id=once("submission_id"),
        level=row["level"],
        scores=_scores(row),
        low=interval.get("low"),
        high=interval.get("high"),
        modalities={name: _modality(of) for name, of in row["by_modality"].items()},
        supported=row["supported"],
        wins=row["wins"],
        tied=row["indistinguishable_from_previous"],
        completed=from_rfc3339(row["published_at"]),
    )


def _modality(of: Mapping[str, Any]) -> ModalityStanding:
    counts = (of.get("supported"), of.get("tasks"), of.get("wins"))
    return ModalityStanding(_scores(of), *counts)


def _scores(scores: Mapping[str, Any]) -> Scores:
    return Scores(*(scores.get(name) for name in Scores._fields))
