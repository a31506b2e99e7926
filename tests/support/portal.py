"""A lab in a browser's place: signs in to a gateway's portal over real sockets and sends forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from general_level.identifiers import new_request_id
from services.kit.clock import Clock
from tests.support.gateway import Archive, Lab, Running, running

TUS = {"tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream"}


@asynccontextmanager
async def portal(
    folder: Path, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """A gateway with pages."""
    async with running(folder, clock, web_address="127.0.0.1:0", **settings) as gateway:
        yield gateway


class Browser:
    """Keeps its cookie and sends what a page of the site would send."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.origin = str(client.base_url).rstrip("/")
        self.form_token = ""

    async def sign_in(self, token: str, **headers: str) -> httpx2.Response:
        answer = await self.post("/sign-in", {"token": token}, **headers)
        if answer.status_code == 303:
            page = (await self.get("/portal")).text
            found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
            assert found is not None, page
            self.form_token = found[1]
        return answer

    async def get(self, address: str, accept: str = "text/html") -> httpx2.Response:
        return await self.client.get(address, headers={"accept": accept})

    async def post(
        self,
        address: str,
        fields: dict[str, Any] | None = None,
        accept: str = "text/html",
        **headers: str,
    ) -> httpx2.Response:
        """As a form of a page does: with its origin and the session's form token."""
        sent = {"form_token": self.form_token} | (fields or {})
        given = {"accept": accept, "origin": self.origin} | headers
        kept = {name: value for name, value in given.items() if value}
        return await self.client.post(address, data=sent, headers=kept)

    async def create(self, what: Archive, **fields: Any) -> str:
        """The id of a new submission that announces the archive."""
        answer = await self.post(
            "/portal/submissions", create_fields(what, **fields), accept="application/json"
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["submission_id"])

    async def patch(
        self, submission_id: str, offset: int, body: Any, **headers: str
    ) -> httpx2.Response:
        given = {
            **TUS,
            "upload-offset": str(offset),
            "origin": self.origin,
            "x-form-token": self.form_token,
        } | headers
        kept = {name: value for name, value in given.items() if value}
        address = f"/portal/submissions/{submission_id}/archive"
        return await self.client.patch(address, content=body, headers=kept)

    async def offset(self, submission_id: str) -> int:
        answer = await self.client.head(f"/portal/submissions/{submission_id}/archive")
        assert answer.status_code == 200
        return int(answer.headers["upload-offset"])


def create_fields(what: Archive, **changes: Any) -> dict[str, Any]:
    return {
        "request_id": new_request_id(),
        "board_id": what.board,
        "model_name": what.name.removesuffix(f"-{what.board}.zip"),
        "archive_bytes": str(len(what.data)),
        "archive_sha256": what.sha256,
        "archive_name": what.name,
    } | changes


@asynccontextmanager
async def browser(gateway: Running, lab: Lab | None = None) -> AsyncIterator[Browser]:
    """A browser, signed in if a lab is given."""
    base = f"http://127.0.0.1:{gateway.ports.web}"
    async with httpx2.AsyncClient(base_url=base, timeout=60) as client:
        made = Browser(client)
        if lab is not None:
            assert lab.token is not None
            assert (await made.sign_in(lab.token)).status_code == 303
        yield made
