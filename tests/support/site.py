"""A gateway with pages on a free port, and standings put into it as the ranker's call does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Connection

from general_level.catalogue import load
from general_level.v1 import ranking_pb2, submission_pb2
from general_level.wire import to_timestamp
from services.gateway import agreement, identity, publishing, submissions
from services.gateway.app import Gateway
from tests.support.gateway import START, eventually, settings_for
from tests.support.snapshots import ROW, snapshot


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[tuple[Gateway, httpx2.AsyncClient]]:
    gateway = Gateway(settings_for(folder, web_address="127.0.0.1:0"))
    ports = await gateway.start()
    try:
        base = f"http://127.0.0.1:{ports.web}"
        async with httpx2.AsyncClient(base_url=base, timeout=60) as client:
            yield gateway, client
    finally:
        await gateway.stop()


async def publish(
    gateway: Gateway, rows: Sequence[dict[str, Any]], board: str = "A-full", *, told: bool = True
) -> str:
    """Publishes as the ranker's call does; the digest of the snapshot.

    Unless it is ``told``, the gateway finds out by itself, as if another one had published.
    """
    made = snapshot(board, 0, rows)
    request = ranking_pb2.PublishStandingsRequest(
        ledger_position=0, compute_time=to_timestamp(START), boards=[made]
    )
    await gateway.database.run_write(publishing.publish, START, request, load().boards)
    if told:
        gateway.signals.notify(publishing.TOPIC)
    return made.sha256


async def shown(client: httpx2.AsyncClient, address: str, digest: str) -> httpx2.Response:
    """The page, once it shows the publication with this digest."""

    async def is_shown() -> bool:
        answer = await client.get("/boards/A-full.json")
        return answer.headers.get("x-snapshot-sha256") == digest

    await eventually(is_shown, 60)
    return await client.get(address)


async def submit(gateway: Gateway, submission_id: str, model: submission_pb2.ModelMetadata) -> str:
    """A submission of a lab of its own, as its create leaves it; the lab's id."""

    def work(connection: Connection) -> str:
        lab_id = identity.create_lab(connection, START, f"lab of {submission_id}")
        agreement.accept(connection, START, lab_id, agreement.VERSION)
        request = submission_pb2.CreateSubmissionRequest(
            request_id=submission_id, board_id="A-full", model=model, archive_bytes=1
        )
        submissions.create(
            connection,
            START,
            lab_id,
            request,
            catalogue_id="general-bench",
            agreement_version=agreement.VERSION,
            new_submission_id=lambda: submission_id,
        )
        return lab_id

    return await gateway.database.run_write(work)


def entry(name: str, rank: int = 1, **changes: Any) -> dict[str, Any]:
    return {**ROW, "model_name": name, "rank": rank, "submission_id": f"sub-{rank}"} | changes
