"""The public pages of a real gateway, over real sockets."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import html
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from general_level.v1 import submission_pb2 as pb
from services.gateway.web.board_pages import ROWS_FIRST
from services.gateway.web.security import HEADERS
from tests.support.site import entry, publish, shown, site, submit

HOSTILE = "<script>alert('x')</script>"
TURNED = "model \u202egpj.exe"
ALL = ("/", "/boards", "/boards/A-full", "/boards/D-I-C-1", "/tasks", "/tasks/image-c-001")


async def test_every_page_answers_before_the_first_publication(tmp_path: Path) -> None:
    async with site(tmp_path) as (_, client):
        for address in (*ALL, "/take-part", "/healthz"):
            answer = await client.get(address)
            assert answer.status_code == 200, address
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        missing = await client.get("/boards/A-full.json")
        assert (missing.status_code, missing.json()["reason"]) == (404, "NOT_FOUND")


async def test_a_lab_s_text_is_text(tmp_path: Path) -> None:
    async with site(tmp_path) as (gateway, client):
        digest = await publish(gateway, [entry(HOSTILE, organisation=HOSTILE), entry(TURNED, 2)])
        for address in ("/boards/A-full", "/", "/models/sub-1", "/boards"):
            page = (await shown(client, address, digest)).text
            assert HOSTILE not in page
            assert "&lt;script&gt;" in page
            assert "\u202e" not in page
            # The policy forbids them, so a page that had any would be broken.
            assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=|<style", page)


async def test_the_board_is_sorted_and_filtered_by_its_address(tmp_path: Path) -> None:
    rows = [entry("Older", 1), entry("Newer", 2, published_at="2026-03-02T12:00:00Z", level=2)]
    async with site(tmp_path) as (gateway, client):
        digest = await publish(gateway, rows)
        page = (await shown(client, "/boards/A-full?sort=date", digest)).text
        assert page.index("Newer") < page.index("Older")
        page = (await client.get("/boards/A-full?level=3")).text
        assert "Older" in page
        assert "Newer" not in page
        page = (await client.get("/boards/A-full?q=zebra")).text
        assert "No model fits this filter." in page


async def test_a_board_shows_and_filters_by_what_the_labs_say(tmp_path: Path) -> None:
    async with site(tmp_path) as (gateway, client):
        for name, metadata in {
            "sub-1": pb.ModelMetadata(
                model_name="Large",
                parameter_count=70_000_000_000,
                open_weights=True,
                modalities=["audio"],
                report_url="https://example.org/a?b=1&c=<2>",
                contact_email="who@lab.example",
            ),
            "sub-2": pb.ModelMetadata(model_name="Shy", report_url="https://a@b.example/"),
        }.items():
            await submit(gateway, name, metadata)
        rows = [entry("Large", 1), entry("Shy", 2), entry("Unknown", 3)]
        page = (await shown(client, "/boards/A-full", await publish(gateway, rows))).text
        assert "70 B parameters" in page
        assert "open weights" in page
        link = 'href="https://example.org/a?b=1&amp;c=&lt;2&gt;" rel="nofollow noopener external"'
        assert link in page
        assert "b.example" not in page
        assert "who@" not in page

        async def found(query: str) -> set[str]:
            part = (await client.get(f"/boards/A-full?part=table&{query}")).text
            return set(re.findall("Large|Shy|Unknown", part))

        assert await found("weights=open") == {"Large"}
        assert await found("weights=unsaid&size=unsaid") == {"Shy", "Unknown"}
        assert await found("modality=audio") == {"Large"}
        assert await found("modality=image") == {"Large", "Shy", "Unknown"}
        assert await found("size=more") == {"Large"}
        nobody = (await client.get("/boards/A-full?size=3&sort=date")).text
        assert "No model fits this filter." in nobody
        assert "Show all 3" in nobody
        assert '<option value="3" selected>' in nobody
        table = csv.DictReader(io.StringIO((await client.get("/boards/A-full.csv")).text))
        told = {row["model"]: (row["parameters"], row["open_weights"]) for row in table}
        assert told == {"Large": ("70000000000", "true"), "Shy": ("", ""), "Unknown": ("", "")}


async def test_a_modality_that_is_not_supported_is_no_zero(tmp_path: Path) -> None:
    none = {"s2": 0.0, "s3": 0.0, "s4": 0.0, "supported": 0, "tasks": 4, "wins": 0}
    zero = {**none, "supported": 2}
    row = entry("Model", by_modality={"image": zero, "audio": none})
    old = {"s2": 0.0, "s3": 0.0, "s4": 0.0}
    before = entry("Before", 2, by_modality={"image": old, "audio": old})
    async with site(tmp_path) as (gateway, client):
        page = await shown(client, "/boards/A-full", await publish(gateway, [row, before]))
        cells = re.findall(r'<td class="number">(.*?)</td>', page.text)
        (first, second) = cells[2:4], cells[8:10]
        assert first[0] == "0.00"
        assert 'aria-label="not supported"' in first[1]
        assert second == ["0.00", "0.00"]
        table = list(csv.DictReader(io.StringIO((await client.get("/boards/A-full.csv")).text)))
        columns = ("s2", "supported", "tasks", "won")
        assert [table[0][f"image_{name}"] for name in columns] == ["0.0", "2", "4", "0"]
        assert [table[0][f"audio_{name}"] for name in columns] == ["", "0", "4", "0"]
        assert [table[1][f"audio_{name}"] for name in columns] == ["0.0", "", "", ""]
        model = (await client.get("/models/sub-1")).text
        assert "0.00" in model


async def test_a_long_board_shows_its_first_models_and_all_when_asked(tmp_path: Path) -> None:
    rows = [entry(f"Model {rank:03}", rank) for rank in range(1, ROWS_FIRST + 11)]
    async with site(tmp_path) as (gateway, client):
        digest = await publish(gateway, rows)
        page = (await shown(client, "/boards/A-full?sort=model&order=desc", digest)).text
        assert page.count('<th scope="row">') == ROWS_FIRST
        assert f"The first {ROWS_FIRST} of {ROWS_FIRST + 10} models." in page
        whole = re.search(r'href="([^"]*show=all[^"]*)"', page)
        assert whole is not None
        page = (await client.get(html.unescape(whole[1]))).text
        assert page.count('<th scope="row">') == ROWS_FIRST + 10
        assert page.index("Model 260") < page.index("Model 001")
        assert "show=all" not in (await client.get("/boards/A-full?q=Model 00")).text


async def test_downloads_are_the_snapshot_itself(tmp_path: Path) -> None:
    async with site(tmp_path) as (gateway, client):
        digest = await publish(gateway, [entry("=1+1")])
        answer = await shown(client, "/boards/A-full.json", digest)
        assert hashlib.sha256(answer.content).hexdigest() == digest
        assert json.loads(answer.content)["rows"][0]["model_name"] == "=1+1"
        table = list(csv.DictReader(io.StringIO((await client.get("/boards/A-full.csv")).text)))
        # A spreadsheet must not compute what a lab wrote.
        assert (table[0]["model"], table[0]["s3"], table[0]["s5"]) == ("'=1+1", "5.0", "")
        feed = ElementTree.fromstring((await client.get("/boards/A-full.atom")).content)
        titles = [e.text for e in feed.iterfind("{*}entry/{*}title")]
        assert titles == ["=1+1: rank 1, level 3, score 5.00"]


async def test_a_page_is_sent_again_only_when_it_changed(tmp_path: Path) -> None:
    async with site(tmp_path) as (gateway, client):
        first = await shown(client, "/boards/A-full", await publish(gateway, [entry("One")]))
        known = {"if-none-match": first.headers["etag"]}
        assert (await client.get("/boards/A-full", headers=known)).status_code == 304
        await shown(client, "/boards/A-full", await publish(gateway, [entry("Two")]))
        answer = await client.get("/boards/A-full", headers=known)
        assert answer.status_code == 200
        assert "Two" in answer.text


async def test_an_open_page_hears_of_new_standings_and_of_the_gateway_s_end(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as (gateway, client):
        await shown(client, "/boards/A-full", await publish(gateway, [entry("One")]))
        async with client.stream("GET", "/boards/A-full/events") as stream:
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith("retry: ")
            await publish(gateway, [entry("Two")])
            seen = [line async for line in _until(lines, "data: 2")]
            assert "event: standings" in seen
            ended = asyncio.create_task(gateway.stop())
            assert [line async for line in lines if line.startswith("data")] == []
            await ended
        # `site` stops it once more, which must do no harm.


async def _until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == last:
            return


@pytest.mark.parametrize("address", ["/boards/X", "/models/none", "/tasks/none", "/static/no.css"])
async def test_what_is_not_there_is_said_in_the_reader_s_form(tmp_path: Path, address: str) -> None:
    async with site(tmp_path) as (_, client):
        page = await client.get(address, headers={"accept": "text/html"})
        assert page.status_code == 404
        assert "<h1>" in page.text
        answer = await client.get(address, headers={"accept": "application/json"})
        assert set(answer.json()) == {"reason", "message"}
        assert (await client.post("/boards")).status_code == 405
