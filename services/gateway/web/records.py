"""What the pages tell of the past: historical results, and rejudgements that were applied.

Both change seldom. One task reads them again when an operator changed something; no page asks the
database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row

from general_level.errors import GeneralLevelError
from general_level.v1 import operations_pb2
from services.gateway import history, rejudgements
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.web.printed import Printed, printed_of
from services.kit.history import HistoryInvalid
from services.kit.logging import get_logger

#: A change whose signal was lost is seen after this time.
POLL_SECONDS: Final = 5.0
#: How long the database may be away between two attempts to read it.
RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Applied:
    """A rejudgement that was applied, as the public reads it: neither by whom nor in which words.

    ``models`` and ``boards`` are those on which its preview showed a change.
    """

    rejudgement_id: str
    task_id: str
    applied: datetime
    models: int
    boards: int


@dataclass(frozen=True, slots=True)
class _State:
    printed: Mapping[str, Printed] = field(default_factory=dict)
    applied: tuple[Applied, ...] = ()

    @property
    def version(self) -> str:
        told = [f"{one.id} {one.sha256}" for one in self.printed.values()]
        told += [one.rejudgement_id for one in self.applied]
        return sha256("\n".join(told).encode()).hexdigest()[:16]


class Records:
    """Historical results by id and applied rejudgements; ``run`` keeps them up to date."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals
        self._state = _State()
        self._version = self._state.version
        #: Digests of all that is stored, what cannot be read included.
        self._known: dict[str, str] = {}

    @property
    def version(self) -> str:
        """Changes with anything that is told here."""
        return self._version

    @property
    def printed(self) -> Mapping[str, Printed]:
        """Historical results by id."""
        return self._state.printed

    @property
    def applied(self) -> tuple[Applied, ...]:
        """Applied rejudgements, the newest first."""
        return self._state.applied

    def of_board(self, board_id: str) -> list[Printed]:
        """The historical results that correspond to a board."""
        return [one for one in self.printed.values() if one.document.board == board_id]

    async def refresh(self) -> None:
        """Reads what changed since."""
        documents, applied = await self._database.run_read(_read, self._known)
        printed = self.printed
        if documents is not None:
            printed = await asyncio.to_thread(_readable, documents)
            self._known = {one.history_id: one.sha256 for one in documents}
        self._state = _State(printed, applied)
        self._version = self._state.version

    async def run(self) -> None:
        """Follows the operators' changes."""
        while True:
            waiter = self._signals.subscribe(history.TOPIC, rejudgements.TOPIC)
            try:
                await self.refresh()
                await self._signals.wait(waiter, POLL_SECONDS)
            except GeneralLevelError as error:
                # What is shown stays; pages do not fail because the database is away.
                get_logger().warning("records not read", reason=error.reason)
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                waiter.cancel()


def _readable(documents: Sequence[history.StoredHistory]) -> dict[str, Printed]:
    """All but those of a form that another version of the platform wrote."""
    found = {}
    for stored in documents:
        try:
            found[stored.history_id] = printed_of(stored)
        except HistoryInvalid as error:
            about = {"history_id": stored.history_id, "problem": error.metadata.get("problem")}
            get_logger().warning("history not read", **about)
    return found


def _read(
    connection: Connection, known: Mapping[str, str]
) -> tuple[list[history.StoredHistory] | None, tuple[Applied, ...]]:
    applied = tuple(_applied(row) for row in rejudgements.list_applied(connection))
    return history.newer_than(connection, known), applied


def _applied(row: Row[Any]) -> Applied:
    preview = operations_pb2.RejudgementPreview.FromString(row.preview)
    moved = {change.submission_id for board in preview.boards for change in board.changes}
    return Applied(row.rejudgement_id, row.task_id, row.end_time, len(moved), len(preview.boards))
