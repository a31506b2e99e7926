"""A gateway with pages on a free port, and standings put into it as the ranker's call does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from general_level.catalogue import load
from general_level.v1 import ranking_pb2
from general_level.wire import to_timestamp
from services.gateway import publishing
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


async def publish(gateway: Gateway, rows: Sequence[dict[str, Any]], board: str = "A-full") -> str:
    """Publishes as the ranker's call does; the digest of the snapshot."""
    made = snapshot(board, 0, rows)
    request = ranking_pb2.PublishStandingsRequest(
        ledger_position=0, compute_time=to_timestamp(START), boards=[made]
    )
    await gateway.database.run_write(publishing.publish, START, request, load().boards)
    gateway.signals.notify(publishing.TOPIC)
    return made.sha256


async def shown(client: httpx2.AsyncClient, address: str, digest: str) -> httpx2.Response:
    """The page, once it shows the publication with this digest."""

    async def is_shown() -> bool:
        answer = await client.get("/boards/A-full.json")
        return answer.headers.get("x-snapshot-sha256") == digest

    await eventually(is_shown, 60)
    return await client.get(address)


def entry(name: str, rank: int = 1, **changes: Any) -> dict[str, Any]:
    return {**ROW, "model_name": name, "rank": rank, "submission_id": f"sub-{rank}"} | changes
