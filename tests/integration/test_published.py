"""Results that were published before: imported by an operator's command, shown with their mark."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import html
import io
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
import httpx2
import pytest
from sqlalchemy import insert

from general_level.client.cli.program import program as general_level
from general_level.identifiers import new_request_id
from general_level.v1 import operations_pb2 as pb
from services.gateway import history, identity, rejudgements
from services.gateway.app import Gateway
from services.gateway.storage.tables import historical_results
from services.gateway.storage.tables import rejudgements as rejudgements_table
from services.operations.shipped import shipped_history
from tests.support import histories
from tests.support.gateway import START, eventually, open_database, settings_for
from tests.support.site import entry, publish, shown

ROOT = Path(__file__).parents[2]
PAPER = "/published/general-level-paper"
MARK = "As published in the paper of May 2025. Not computed by this platform."
PATIENCE = 60
HOSTILE = "<script>alert('x')</script>"


@dataclass
class Rig:
    """A gateway with pages, and an operator at a terminal."""

    gateway: Gateway
    client: httpx2.AsyncClient
    environ: dict[str, str]

    async def run(self, *arguments: str, code: int = 0) -> str:
        """What the command prints in a process of its own: its result, or what is wrong."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.operations", *arguments,
            cwd=ROOT, env={**os.environ, **self.environ}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, problems = await process.communicate()
        assert process.returncode == code, out + problems
        return (problems if code else out).decode()

    async def put(self, data: bytes) -> None:
        """Imports a document as the call does."""
        await self.gateway.database.run_write(history.import_document, START, data, replace=False)
        self.gateway.signals.notify(history.TOPIC)

    async def page(self, address: str, fits: Callable[[httpx2.Response], bool]) -> str:
        """The page, once it is as it should be."""

        async def found() -> str:
            answer = await self.client.get(address)
            return answer.text if fits(answer) else ""

        return await eventually(found, PATIENCE, address)


@asynccontextmanager
async def rig(folder: Path, **changes: object) -> AsyncIterator[Rig]:
    gateway = Gateway(settings_for(folder, web_address="127.0.0.1:0", **changes))
    ports = await gateway.start()
    try:
        token = folder / "operator.token"
        made = await gateway.database.run_write(
            identity.create_token, gateway.clock.now(), "operator", label="Ada"
        )
        token.write_text(made.reveal())
        environ = {
            "OPERATIONS_GATEWAY": f"127.0.0.1:{ports.internal}",
            "OPERATIONS_TOKEN_FILE": str(token),
        }
        base = f"http://127.0.0.1:{ports.web}"
        async with httpx2.AsyncClient(base_url=base, timeout=PATIENCE) as client:
            yield Rig(gateway, client, environ)
    finally:
        await gateway.stop()


def has(status: int) -> Callable[[httpx2.Response], bool]:
    return lambda answer: answer.status_code == status


def says(text: str) -> Callable[[httpx2.Response], bool]:
    return lambda answer: text in answer.text


async def test_an_operator_imports_lists_replaces_and_removes(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        assert (await it.client.get(PAPER)).status_code == 404
        assert "No published results" in (await it.client.get("/published")).text
        said = await it.run("history", "import")
        assert said == "general-level-paper is imported: 102 models, 207 rows\n"
        assert MARK in await it.page(PAPER, has(200))
        assert "was there already" in await it.run("history", "import")

        file = tmp_path / "old.json"
        file.write_bytes(histories.history(title="An older table"))
        request = ("--request-id", new_request_id())
        first = await it.run("history", "import", str(file), *request)
        assert await it.run("history", "import", str(file), *request) == first
        file.write_bytes(histories.history(title="A mended table"))
        assert "ALREADY_EXISTS" in await it.run("history", "import", str(file), code=1)
        assert "An older table" in await it.page("/published", says("old-table"))
        # The same request_id is another request with another document.
        assert "ALREADY_EXISTS" in await it.run(
            "history", "import", str(file), "--replace", *request, code=1
        )
        await it.run("history", "import", str(file), "--replace")
        assert "An older table" not in await it.page("/published", says("A mended table"))

        listed = json.loads(await it.run("history", "list", "--format", "json"))["results"]
        assert [(one["history_id"], one["models"]) for one in listed] == [
            ("general-level-paper", 102),
            ("old-table", 2),
        ]
        assert listed[1]["document_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert "A mended table" in await it.run("history", "list")

        await it.run("history", "remove", "old-table", code=2)
        await it.run("history", "remove", "old-table", "--yes")
        assert "NOT_FOUND" in await it.run("history", "remove", "old-table", "--yes", code=7)
        await it.page("/published/old-table", has(404))

        file.write_bytes(b"{}")
        assert "HISTORY_INVALID" in await it.run("history", "import", str(file), code=1)
        log = json.loads(await it.run("audit", "--format", "json"))["entries"]
        assert [(one["action"], one["outcome"]) for one in reversed(log)] == [
            ("ImportHistory", "DONE"),
            ("ImportHistory", "DONE"),
            ("ImportHistory", "DONE"),
            ("ImportHistory", "ALREADY_EXISTS"),
            ("ImportHistory", "ALREADY_EXISTS"),
            ("ImportHistory", "DONE"),
            ("RemoveHistory", "DONE"),
            ("RemoveHistory", "NOT_FOUND"),
        ]
        assert all(len(one["parameters"]) < 1_000 for one in log)


async def test_the_paper_s_tables_are_read_without_a_script(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.put(shipped_history())
        page = await it.page(PAPER, has(200))
        assert page.index("Unified-io-2-XXL") < page.index("AnyGPT")
        assert page.count('<span class="unseen">not supported</span>') > 200
        page = (await it.client.get(f"{PAPER}?sort=video")).text
        assert page.index("VidAgent") < page.index("Vitron-V1")
        page = (await it.client.get(f"{PAPER}?level=4")).text
        assert re.findall(r'class="name" title="([^"]+)"', page) == [
            "Mini-Gemini", "Vitron-V1", "Emu2-37B",
        ]  # fmt: skip
        page = (await it.client.get(f"{PAPER}?q=internvl2")).text
        assert "3 of 102 models" in page
        page = (await it.client.get(f"{PAPER}/models/vitron-v1")).text
        assert MARK in page
        assert "does not follow from the published scores of the tasks" in page
        assert (await it.client.get(f"{PAPER}/models/none")).status_code == 404

        answer = await it.client.get(f"{PAPER}.csv")
        assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 207
        document = (await it.client.get(f"{PAPER}.json")).json()
        assert document["format"] == "general-level/history/v1"
        known = {"if-none-match": answer.headers["etag"]}
        assert (await it.client.get(f"{PAPER}.csv", headers=known)).status_code == 304


@pytest.mark.parametrize("catalogue", ["general-bench", "sample"])
async def test_the_board_tells_them_apart_from_what_it_ranks(
    tmp_path: Path, catalogue: str
) -> None:
    async with rig(tmp_path, catalogue=catalogue) as it:
        before = (await it.client.get("/boards/A-full")).text
        assert "Published before" not in before
        digest = await publish(it.gateway, [entry("Zebra")])
        await it.put(shipped_history())
        await shown(it.client, "/boards/A-full", digest)
        page = await it.page("/boards/A-full", says("Published before"))
        computed, _, published = page.partition("Published before")
        assert "Zebra" in computed
        assert "Mini-Gemini" not in computed
        assert "Zebra" not in published
        assert MARK in published
        assert "Mini-Gemini" in published
        assert ("another benchmark" in published) == (catalogue == "sample")
        for other in ("/boards/B-image", "/boards/A-full?part=table", "/boards/A-full.csv", "/"):
            assert "Mini-Gemini" not in (await it.client.get(other)).text
        assert it.gateway.catalogue.id == catalogue


async def test_a_document_s_text_is_text(tmp_path: Path) -> None:
    models = histories.told()["models"]
    models[0] |= {"name": HOSTILE, "remarks": [{"text": HOSTILE}]}
    data = histories.history(models=models, title=HOSTILE, notes=[HOSTILE])
    async with rig(tmp_path) as it:
        await it.put(data)
        await it.page("/published/old-table", has(200))
        for address in ("", "/old-table", "/old-table/models/first"):
            page = (await it.client.get(f"/published{address}")).text
            assert HOSTILE not in page
            assert "&lt;script&gt;" in page
        assert HOSTILE not in (await it.client.get("/boards/A-full")).text


async def test_what_changed_names_no_operator_and_no_reason(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        assert "No task has been rejudged." in (await it.client.get("/versions")).text
        changes = [pb.StandingChange(submission_id=name) for name in ("sub-1", "sub-2")]
        preview = pb.RejudgementPreview(
            boards=[
                pb.BoardChange(board_id="A-full", changes=changes),
                pb.BoardChange(board_id="D-I-C-1", changes=changes[:1]),
            ]
        )
        row = {
            "task_id": "image-c-001", "reason": "our secret", "operator": "Ada Lovelace",
            "key_version": "", "grader_image_digest": "", "start_time": START,
            "end_time": START + timedelta(hours=1), "preview": preview.SerializeToString(),
            "preview_sha256": "0" * 64,
        }  # fmt: skip
        await it.gateway.database.run_write(
            lambda connection: connection.execute(
                insert(rejudgements_table),
                [
                    {**row, "rejudgement_id": "rej_1", "state": rejudgements.APPLIED},
                    {**row, "rejudgement_id": "rej_2", "state": rejudgements.CANCELLED},
                ],
            )
        )
        it.gateway.signals.notify(rejudgements.TOPIC)
        page = await it.page("/versions", says("Models that moved"))
        assert page.count('<time datetime="') == 1
        assert re.search(r'class="number">2</td><td class="number">2</td>', page)
        for hidden in ("our secret", "Ada Lovelace"):
            assert hidden not in page
        assert "differ in 72 tasks" in page


async def test_rules_are_those_of_the_code_and_the_catalogue(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        page = (await it.client.get("/rules")).text
        for window in ("2 submissions in any 24 hours", "4 submissions in any 7 days"):
            assert window in page
        rules = re.search(r'aria-label="Mappings".*?</table>', page, re.DOTALL)
        assert rules
        for metric in it.gateway.catalogue.metrics.values():
            assert metric.name in html.unescape(rules[0])
        counted = [int(n) for n in re.findall(r'<td class="number">(\d+)</td>', rules[0])]
        assert sum(counted) == len(it.gateway.catalogue.tasks)
        thanks = (await it.client.get("/acknowledgements")).text
        assert "arXiv" in page
        assert "Flan-T5-Large" in thanks
        for address in ("/rules", "/versions", "/acknowledgements", "/published"):
            assert f'<a href="{address}">' in (await it.client.get("/")).text


def parse(command: str) -> None:
    """The command as its own program reads it; click's UsageError where it does not fit."""
    name, *arguments = shlex.split(command)
    assert name == "general-level"
    found: click.Command = general_level
    context = click.Context(found, info_name=name)
    while isinstance(found, click.Group):
        word, inner, arguments = found.resolve_command(context, arguments)
        assert inner is not None
        found, context = inner, click.Context(inner, parent=context, info_name=word)
    with found.make_context(found.name, arguments, parent=context):
        pass


async def test_every_command_of_a_page_is_one_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("My Model-A-full.zip", "inputs-A-full.zip"):
        (tmp_path / name).write_bytes(b"")
    seen = []
    async with rig(tmp_path) as it:
        for address in ("/take-part", "/rules", "/", "/versions", "/published"):
            page = (await it.client.get(address)).text
            for block in re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL):
                text = html.unescape(re.sub(r"<[^>]+>", "", block))
                seen += [line for line in text.splitlines() if not line.startswith("export ")]
    assert [shlex.split(line)[1] for line in seen] == [
        "agreement", "agreement", "inputs", "check", "submit", "results", "receipt",
    ]  # fmt: skip
    for line in seen:
        parse(line)
    with pytest.raises(click.UsageError):
        parse("general-level inputs A-full --out inputs/")


async def test_a_document_of_another_version_stops_no_gateway(tmp_path: Path) -> None:
    with open_database(tmp_path) as database, database.write() as connection:
        values = {"document": b"{}", "sha256": "0" * 64, "import_time": START}
        connection.execute(insert(historical_results).values(history_id="newer", **values))
    async with rig(tmp_path) as it:
        await it.put(shipped_history())
        assert "102 models" in await it.page("/published", says("102 models"))
        assert "newer" in await it.run("history", "list")
        await it.run("history", "remove", "newer", "--yes")


async def test_what_a_version_has_otherwise_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "sample-2"
    shutil.copytree(ROOT / "general_level" / "catalogue" / "data" / "sample", folder)
    head, references = folder / "catalogue.toml", folder / "references" / "specialists.csv"
    head.write_text('follows = "sample"\n' + head.read_text().replace("Sample", "Second sample"))
    lines = references.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if line.startswith("image-c-001,"))
    lines[place] = lines[place].replace("98", "99", 1)
    references.write_text("\n".join(lines) + "\n")
    async with rig(tmp_path, catalogue=str(folder)) as it:
        page = (await it.client.get("/versions")).text
        assert "From Sample benchmark to Second sample benchmark" in page
        assert "0 tasks were added" in page
        assert "Handwritten Digit Recognition (98.0 → 99.0)" in page


async def test_a_later_gateway_shows_what_an_earlier_one_was_given(tmp_path: Path) -> None:
    async with rig(tmp_path) as it:
        await it.put(shipped_history())
    async with rig(tmp_path) as it:
        assert (await it.client.get(PAPER)).status_code == 200
