"""Historical results as rows: imported and removed by operators, read by the pages.

A document is kept as it came, so that its digest stays checkable; what it says is in
`services.kit.history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from general_level.errors import AlreadyExists, NotFound, ResourceExhausted
from general_level.v1 import operations_pb2 as pb
from general_level.wire import to_timestamp
from services.gateway import audit
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import audit_log, historical_results
from services.kit.history import Document, HistoryInvalid, parse_history

#: Signals that a document was imported, replaced or removed.
TOPIC: Final = "history"
#: Documents of one platform.
DOCUMENTS_MAX: Final = 20
_IMPORT: Final = "ImportHistory"


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """A document, its digest, and when it came."""

    history_id: str
    sha256: str
    imported: datetime
    document: bytes = field(repr=False)


def import_document(
    connection: Connection, now: datetime, data: bytes, *, replace: bool
) -> pb.ImportHistoryResponse:
    """Stores a document; what is stored already in the same words stays as it is.

    Raises HistoryInvalid for what is no document, AlreadyExists for another one of the same id
    unless ``replace``, ResourceExhausted beyond `DOCUMENTS_MAX`.
    """
    document, digest = parse_history(data), sha256(data).hexdigest()
    serialise(connection, "history")
    stored = _find(connection, document.id)
    if stored is not None and stored.sha256 == digest:
        return pb.ImportHistoryResponse(results=message(stored), changed=False)
    values = {"document": data, "sha256": digest, "import_time": now}
    if stored is None:
        if int(connection.scalar(select(func.count()).select_from(historical_results)) or 0) >= (
            DOCUMENTS_MAX
        ):
            raise ResourceExhausted(f"At most {DOCUMENTS_MAX} documents are kept; remove one.")
        connection.execute(insert(historical_results).values(history_id=document.id, **values))
    elif replace:
        connection.execute(
            update(historical_results)
            .where(historical_results.c.history_id == document.id)
            .values(**values)
        )
    else:
        raise AlreadyExists(
            "Say that it shall be replaced, or remove it first.",
            history_id=document.id,
            sha256=stored.sha256,
        )
    made = StoredHistory(document.id, digest, now, data)
    return pb.ImportHistoryResponse(results=message(made, document), changed=True)


def import_first(connection: Connection, now: datetime, data: bytes) -> bool:
    """Stores a document on a platform that never had any; whether it did.

    So that what an operator removed does not come back with the next start.
    """
    serialise(connection, "history")
    known = select(audit_log.c.entry_id).where(
        audit_log.c.action == _IMPORT, audit_log.c.outcome == audit.DONE
    )
    if connection.execute(known.limit(1)).first() is not None:
        return False
    response = import_document(connection, now, data, replace=False)
    audit.record(connection, now, _IMPORT, about(data, response.results.history_id), response)
    return True


def about(
    data: bytes, history_id: str, request_id: str = "", *, replace: bool = False
) -> pb.ImportedHistory:
    """What the audit log holds of an import: not the document, which may be large."""
    return pb.ImportedHistory(
        request_id=request_id,
        history_id=history_id,
        document_bytes=len(data),
        document_sha256=sha256(data).hexdigest(),
        replace=replace,
    )


def remove(connection: Connection, history_id: str) -> pb.RemoveHistoryResponse:
    """Takes a document away; NotFound."""
    serialise(connection, "history")
    stored = _find(connection, history_id)
    if stored is None:
        raise NotFound("There are no historical results of this id.", history_id=history_id)
    connection.execute(
        delete(historical_results).where(historical_results.c.history_id == history_id)
    )
    return pb.RemoveHistoryResponse(results=message(stored))


def list_all(connection: Connection) -> list[StoredHistory]:
    """All documents, by id."""
    rows = connection.execute(select(historical_results).order_by(historical_results.c.history_id))
    return [
        StoredHistory(row.history_id, row.sha256, row.import_time, row.document) for row in rows
    ]


def digests(connection: Connection) -> dict[str, str]:
    """The digest of every document, by id."""
    rows = connection.execute(select(historical_results.c.history_id, historical_results.c.sha256))
    return {row.history_id: row.sha256 for row in rows}


def newer_than(connection: Connection, known: Mapping[str, str]) -> list[StoredHistory] | None:
    """All documents where any of them is not the ``known`` one, else None."""
    return None if digests(connection) == dict(known) else list_all(connection)


def message(stored: StoredHistory, document: Document | None = None) -> pb.HistoricalResults:
    """What operators read of a document; of one in an unknown form only that it is there."""
    found = pb.HistoricalResults(
        history_id=stored.history_id,
        document_sha256=stored.sha256,
        import_time=to_timestamp(stored.imported),
    )
    try:
        told = document or parse_history(stored.document)
    except HistoryInvalid:
        return found
    found.title, found.publication_date, found.board_id = told.title, told.date, told.board
    found.models = len(told.models)
    found.rows = sum(len(table.rows) for table in told.tables)
    return found


def _find(connection: Connection, history_id: str) -> StoredHistory | None:
    row = connection.execute(
        select(historical_results).where(historical_results.c.history_id == history_id)
    ).one_or_none()
    if row is None:
        return None
    return StoredHistory(row.history_id, row.sha256, row.import_time, row.document)
