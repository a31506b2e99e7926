"""A lab reveals the name of a model that stood on the boards without it.

In one transaction the name is open in the lab's own submissions, so that whatever completes from
here on carries it, and the ledger says it of what completed before. There is no way back: what was
read under a name stays known.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from general_level.v1 import submission_pb2 as pb
from services.gateway import ledger
from services.gateway.states import State
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import submissions as table
from services.gateway.submissions import read, touch

#: States in which a submission's completion is in the ledger and not withdrawn.
_COMPLETE: Final = frozenset({State.RANKING, State.PUBLISHED})


def reveal(
    connection: Connection, now: datetime, lab_id: str, submission_id: str
) -> tuple[str, ...]:
    """Opens the name of a submission's model in all of the lab's submissions of it.

    Returns those that were changed; none if the name is open already. NotFound for an id that is
    none of the lab's.
    """
    # No create of the lab comes between, which would be of the other kind.
    serialise(connection, f"lab/{lab_id}")
    name = _model(read(connection, submission_id, lab_id).model).model_name
    rows = connection.execute(
        select(table.c.submission_id, table.c.state, table.c.model)
        .where(table.c.lab_id == lab_id)
        .order_by(table.c.submission_id)
        .with_for_update(key_share=True)
    ).all()
    changed = []
    for row in rows:
        model = _model(row.model)
        if model.model_name != name or not model.anonymous:
            continue
        model.anonymous = False
        touch(connection, now, row.submission_id, model=model.SerializeToString())
        if row.state in _COMPLETE:
            ledger.append_naming(connection, now, lab_id, row.submission_id, model)
        changed.append(row.submission_id)
    return tuple(changed)


def _model(data: bytes) -> pb.ModelMetadata:
    return pb.ModelMetadata.FromString(data)
