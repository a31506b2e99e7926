"""Pages of models, skills and tasks, and all pictures, of a real gateway over real sockets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx2
import pytest

from general_level.v1 import submission_pb2 as pb
from services.gateway.app import Gateway
from services.gateway.web.charts import POLICY
from services.gateway.web.security import HEADERS
from tests.support.site import entry, publish, shown, site, submit

HOSTILE = "<script>alert('x')</script>\u202e"
SVG = "{http://www.w3.org/2000/svg}"
COMPARED = "m=sub-1&m=sub-2"
PAGES = (
    "/",
    "/models/sub-1",
    "/compare",
    "/compare?m=sub-1",
    f"/compare?{COMPARED}",
    "/skills",
    "/skills/I-C-1",
    "/tasks?q=depth&modality=image",
    "/tasks/image-c-001",
    "/pictures/boards/A-full",
)
DRAWN = re.compile(r'(?:src|srcset)="(/pictures/[^"]+)"')


def at(mean: float, supported: int = 3, **changes: Any) -> dict[str, Any]:
    """Of a row on a board of one skill or one paradigm."""
    return {"level": 2, "s2": mean, "s3": 0.0, "supported": supported, **changes}


@asynccontextmanager
async def two_models(
    folder: Path, name: str = "First"
) -> AsyncIterator[tuple[Gateway, httpx2.AsyncClient]]:
    """Two models on the full board, one skill and one paradigm; the second supports no skill."""
    async with site(folder) as (gateway, client):
        apart = {"intervals": {"s3": {"low": 1.0, "high": 2.0, "standard_error": 0.2}}, "s3": 1.5}
        rows = [entry(name, 1, organisation=name), entry("Second", 2, **apart)]
        for board in ("D-I-C-1", "C-image-comprehension"):
            await publish(gateway, [entry(name, 1, **at(61.25)),
                                    entry("Second", 2, **at(0.0, 0, level=0))], board)  # fmt: skip
        await shown(client, "/", await publish(gateway, rows))
        yield gateway, client


async def test_every_page_answers_and_every_picture_on_it_is_whole(tmp_path: Path) -> None:
    async with two_models(tmp_path, HOSTILE) as (_, client):
        drawn = set()
        for address in PAGES:
            page = await client.get(address, headers={"accept": "text/html"})
            assert page.status_code == 200, address
            assert HOSTILE not in page.text
            assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|<style", page.text)
            found = {unescape(one) for one in DRAWN.findall(page.text)}
            alternatives = re.findall(r'<img src="/pictures[^>]* alt="([^"]*)"', page.text)
            # A finding, not a name of a kind of picture.
            assert all(len(text) > 20 for text in alternatives), address
            drawn |= found
        # Each in two forms: a ladder, ten profiles of models and of the comparison, …
        assert len(drawn) >= 2 * (1 + 2 * 6 + 2)
        for address in sorted(drawn):
            answer = await client.get(address)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["x-content-type-options"] == HEADERS["x-content-type-options"]
            root = ElementTree.fromstring(answer.content)
            tags = {element.tag.removeprefix(SVG) for element in root.iter()}
            assert not tags & {"script", "image", "use", "foreignObject", "a", "desc"}
            assert "href" not in answer.text
            assert "\u202e" not in answer.text
            known = {"if-none-match": answer.headers["etag"]}
            assert (await client.get(address, headers=known)).status_code == 304


async def test_a_model_s_page_tells_numbers_strengths_and_what_is_not_supported(
    tmp_path: Path,
) -> None:
    async with two_models(tmp_path) as (gateway, client):
        page = (await client.get("/models/sub-1")).text
        strengths, gaps = page.index('id="strengths"'), page.index('id="gaps"')
        assert 'href="/skills/I-C-1"' in page[strengths:gaps]
        assert "61.25" in page[strengths:gaps]
        # The numbers of the picture are in the page, and what the model lacks is not 0 there.
        assert page.count("not supported") > 144
        assert "Image comprehension" in page
        other = (await client.get("/models/sub-2")).text
        assert "not supported: none of its" in other
        assert "145 of 145 skills are not supported" in other
        # What a lab says, once it is known of a model of that name.
        metadata = pb.ModelMetadata(
            model_name="Third", parameter_count=7 * 10**9, open_weights=True,
            report_url="https://example.org/r", description="<b>fast</b>", modalities=["image"],
        )  # fmt: skip
        await submit(gateway, "sub-3", metadata)
        digest = await publish(gateway, [entry("Third", 1, submission_id="sub-3")])
        page = (await shown(client, "/models/sub-3", digest)).text
        for text in ("7 B", "open", "https://example.org/r", "&lt;b&gt;fast&lt;/b&gt;"):
            assert text in page


async def test_a_model_s_history_has_every_place_that_it_had(tmp_path: Path) -> None:
    async with two_models(tmp_path) as (gateway, client):
        digest = await publish(gateway, [entry("Second", 1, submission_id="sub-9")])
        page = (await shown(client, "/models/sub-9", digest)).text
        history = page[page.index('id="history"') :]
        assert history.index("this one") < history.index("an earlier one")
        board = (await client.get("/pictures/boards/A-full")).text
        assert "2 publications are shown" in board


@pytest.mark.parametrize(
    ("ids", "status", "text"),
    [
        (["sub-1", "sub-2", "3", "4", "5"], 400, "this address names 5"),
        (["sub-1", "none"], 404, "No board shows this model."),
        (["sub-1"], 200, "take at least one more"),
        (["sub-1", "sub-1"], 200, "take at least one more"),
        ([], 200, "Compare two to four models"),
    ],
)
async def test_what_cannot_be_compared_is_said(
    tmp_path: Path, ids: list[str], status: int, text: str
) -> None:
    async with two_models(tmp_path) as (_, client):
        query = urlencode([("m", one) for one in ids])
        page = await client.get(f"/compare?{query}", headers={"accept": "text/html"})
        assert page.status_code == status
        assert text in page.text


async def test_differences_beyond_the_intervals_are_marked(tmp_path: Path) -> None:
    async with two_models(tmp_path) as (_, client):
        page = (await client.get(f"/compare?{COMPARED}")).text
        assert '<span class="verdict apart">lower, beyond the intervals</span>' in page
        assert "61.25" in page


async def test_tasks_and_skills_are_searched_by_their_address(tmp_path: Path) -> None:
    async with site(tmp_path) as (_, client):
        page = (await client.get("/tasks?q=DEPTH&modality=image&paradigm=nonsense")).text
        assert 0 < page.count('href="/tasks/') < 100
        assert "video-c-001" not in page
        assert "No task fits" in (await client.get("/tasks?q=zebra%00")).text
        assert "No skill fits" in (await client.get("/skills?q=zebra")).text
        page = (await client.get("/tasks/image-c-001")).text
        for text in ("better", "is the score", "2025-05", "used by default"):
            assert text in page
        missing = await client.get("/skills/none", headers={"accept": "text/html"})
        assert missing.status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/pictures/models/none/ladder.svg",
        "/pictures/models/sub-1/skills.svg?modality=smell",
        "/pictures/boards/none/movement.svg",
        "/pictures/boards/B-image/movement.svg",
        "/pictures/boards/none",
        "/pictures/other.svg",
    ],
)
async def test_a_picture_of_nothing_is_not_there(tmp_path: Path, address: str) -> None:
    async with two_models(tmp_path) as (_, client):
        assert (await client.get(address)).status_code == 404
