"""Fair share between labs by virtual time.

A lab's virtual time grows by one with every job that is leased for it, in each modality apart, and
the lab with the smallest is served next (equal ones by lab id). A lab with one job therefore never
waits behind another lab's thousand, and two busy labs take turns.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, func, insert, literal, select, update

from services.gateway.fencing import READY
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import jobs, lab_shares


def join(connection: Connection, lab_id: str, modality: str) -> None:
    """Lets a lab that comes (back) start where the labs that wait are; call it before its jobs.

    Time in which it asked for nothing gives it no claim to be served alone later. Where nobody
    waits it starts at the furthest, so that nobody pays for what was served before.
    """
    serialise(connection, f"share/{modality}")
    waiting = _waiting(jobs.c.state == READY)
    rows = connection.execute(
        select(lab_shares.c.lab_id, lab_shares.c.virtual_time, waiting.label("waits")).where(
            lab_shares.c.modality == modality
        )
    ).all()
    own = next((row for row in rows if row.lab_id == lab_id), None)
    if own is not None and own.waits:
        return
    active = [row.virtual_time for row in rows if row.waits]
    start = min(active) if active else max((row.virtual_time for row in rows), default=0)
    if own is None:
        connection.execute(
            insert(lab_shares).values(lab_id=lab_id, modality=modality, virtual_time=start)
        )
    elif own.virtual_time < start:
        connection.execute(
            update(lab_shares)
            .where(lab_shares.c.lab_id == lab_id, lab_shares.c.modality == modality)
            .values(virtual_time=start)
        )


def turns(
    connection: Connection,
    modality: str,
    leasable: ColumnElement[bool],
    served: Mapping[str, int],
    wanted: int,
    passed_over: Collection[str] = (),
) -> dict[str, int]:
    """Whose the next ``wanted`` turns are, among the labs with a job that is ``leasable``.

    ``served`` is what this transaction has given and not yet charged. A lab may get more turns than
    it has jobs: what it leaves is dealt out by the next call, in which it is ``passed_over``.
    """
    rows = connection.execute(
        select(lab_shares.c.virtual_time, lab_shares.c.lab_id).where(
            lab_shares.c.modality == modality, _waiting(leasable)
        )
    )
    queue = [
        (time + served.get(lab_id, 0), lab_id) for time, lab_id in rows if lab_id not in passed_over
    ]
    heapq.heapify(queue)
    dealt: Counter[str] = Counter()
    while queue and dealt.total() < wanted:
        time, lab_id = queue[0]
        dealt[lab_id] += 1
        heapq.heapreplace(queue, (time + 1, lab_id))
    return dict(dealt)


def charge(connection: Connection, modality: str, served: Mapping[str, int]) -> None:
    """Adds what was served to the labs' virtual times."""
    # In one order everywhere, so that two graders never wait for each other's rows.
    for lab_id in sorted(served):
        connection.execute(
            update(lab_shares)
            .where(lab_shares.c.lab_id == lab_id, lab_shares.c.modality == modality)
            .values(virtual_time=lab_shares.c.virtual_time + served[lab_id])
        )


def spreads(connection: Connection) -> dict[str, int]:
    """By how many jobs the labs that wait are apart in each modality; none where nobody waits."""
    time = lab_shares.c.virtual_time
    rows = connection.execute(
        select(lab_shares.c.modality, func.max(time) - func.min(time))
        .where(_waiting(jobs.c.state == READY))
        .group_by(lab_shares.c.modality)
    )
    return {modality: int(spread) for modality, spread in rows}


def _waiting(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the lab of the share has a job of its modality that fulfils the condition.

    One look into the index for each lab, however many jobs wait.
    """
    return (
        select(literal(1))
        .where(
            jobs.c.modality == lab_shares.c.modality,
            jobs.c.lab_id == lab_shares.c.lab_id,
            condition,
        )
        .correlate(lab_shares)
        .exists()
    )
