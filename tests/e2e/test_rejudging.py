"""A key is corrected, and a task is rejudged: real graders, the real ranker, the real command."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from general_level.catalogue import Modality, load
from general_level.client import Client
from general_level.client.models import SubmissionState
from general_level.commitments import load_commitments
from general_level.receipts import dump_receipt, load_receipt, verify_receipt
from general_level.trusted_keys import read_trusted_keys
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.web.records import Applied, Records
from services.operations.__main__ import main as operations
from services.platform.home import run_module
from tests.support.platform import Platform, running_platform
from tests.support.synthetic import write_archive, write_benchmark
from tests.support.wait import eventually

pytestmark = pytest.mark.slow

BOARD = "D-L-11"
TASK = "language-055"
ITEMS = 12
#: Seeds of the answers: of the key that turned out to be wrong, and of its correction.
WRONG, RIGHT = 0, 1


class Commands:
    """``python -m services.operations`` against the platform."""

    def __init__(self, platform: Platform) -> None:
        self._environ = {
            "OPERATIONS_GATEWAY": f"127.0.0.1:{platform.ports.internal}",
            "OPERATIONS_TOKEN_FILE": str(platform.home.token_file("operator")),
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(operations, list(arguments), env=self._environ)
        assert done.exit_code == code, done.output
        return done.output

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json"))


def told_to_the_public(platform: Platform) -> tuple[Applied, ...]:
    """The rejudgements as a gateway's pages read them."""
    database = Database(platform.home.database_url)
    try:
        records = Records(database, Signals())
        asyncio.run(records.refresh())
        return records.applied
    finally:
        database.close()


def published(client: Client, path: Path) -> str:
    submission_id = client.submit(path).submission_id
    eventually(lambda: client.get(submission_id).state == SubmissionState.PUBLISHED, 90, path.name)
    return submission_id


def correct_the_key(platform: Platform, folder: Path) -> None:
    """Seals the right answers as version 2, publishes the commitment beside the first, loads it."""
    benchmark, sealed = folder / "corrected", folder / "sealed-2"
    task = platform.catalogue.tasks[TASK]
    write_benchmark(benchmark, [task], ITEMS, seed=RIGHT)
    run_module(
        "services.grader", "seal", "--benchmark", str(benchmark), "--out", str(sealed),
        "--recipient", platform.home.recipient.read_text().strip(), "--key-version", "2",
        "--allow-unmatched",
    )  # fmt: skip
    both = [
        entry
        for place in (platform.home.sealed, sealed)
        for entry in json.loads((place / "public" / "commitments.json").read_bytes())
    ]
    draft = folder / "commitments.json"
    draft.write_text(json.dumps(both))
    draft.replace(platform.home.sealed / "public" / "commitments.json")
    bundle = platform.home.key_bundle(Modality.LANGUAGE)
    os.replace(sealed / "keys" / bundle.name, bundle)


def ranks(client: Client) -> dict[str, int]:
    return {row.submission_id: row.rank for row in client.standings(BOARD).standings}


@pytest.mark.timeout(300)
def test_a_corrected_key_changes_every_board_at_once_or_not_at_all(tmp_path: Path) -> None:
    task = load().tasks[TASK]
    with running_platform(tmp_path, [task], ITEMS) as platform:
        commands = Commands(platform)
        first, second = platform.new_lab(), platform.new_lab()
        # By the wrong key the first is perfect, by the right one the second.
        of_first = published(
            first, write_archive(tmp_path, "First", BOARD, [task], ITEMS, seed=WRONG, correct=1)
        )
        of_second = published(
            second, write_archive(tmp_path, "Second", BOARD, [task], ITEMS, seed=RIGHT, correct=1)
        )
        eventually(lambda: ranks(first) == {of_first: 1, of_second: 2}, 60, "the board")
        before = first.standings(BOARD)
        old = {one: client.results(one)[0].value for one, client in (
            (of_first, first), (of_second, second),
        )}  # fmt: skip
        assert old[of_first] == 100.0

        # The graders still have the first key: what they say does not count for this one.
        started = commands.json(
            "rejudge", "start", TASK, "--reason", "a corrected key", "--key-version", "2"
        )["rejudgement"]
        rejudgement_id = started["rejudgement_id"]
        assert (started["pending"], started["unscored"]) == (2, 0)
        eventually(
            lambda: (
                platform.rows("SELECT fault FROM jobs WHERE rejudgement_id IS NOT NULL")
                == [("key-unavailable",)] * 2
            ),
            60,
            "both wait for the other key",
        )
        shown = commands.json("rejudge", "show", rejudgement_id)
        assert {one["fault"] for one in shown["scores"]} == {"key-unavailable"}
        correct_the_key(platform, tmp_path)
        platform.kill("grader-language")

        def ready() -> bool:
            found = platform.rows("SELECT rejudgement_id FROM rejudgements WHERE state = 'ready'")
            return found == [(rejudgement_id,)]

        eventually(ready, 120, "the preview")
        shown = commands.json("rejudge", "show", rejudgement_id)
        assert shown["rejudgement"]["state"] == "REJUDGEMENT_STATE_READY"
        assert {one["submission_id"]: one["old_value"] for one in shown["scores"]} == old
        new = {one["submission_id"]: one["new_value"] for one in shown["scores"]}
        assert new[of_second] == 100.0
        assert new[of_first] < 100.0
        (board,) = shown["preview"]["boards"]
        assert board["board_id"] == BOARD
        assert shown["preview"]["computed_boards"] > 1
        changes = {one["submission_id"]: one for one in board["changes"]}
        assert [(c["old_rank"], c["new_rank"]) for c in board["changes"]] == [(2, 1), (1, 2)]
        table = commands.run("rejudge", "show", rejudgement_id)
        assert "2 → 1" in table
        # Nothing has changed yet, for nobody.
        assert first.standings(BOARD).snapshot_sha256 == before.snapshot_sha256
        assert first.receipt(of_first).superseded == ()

        seen = shown["rejudgement"]["preview_sha256"]
        commands.run("rejudge", "apply", rejudgement_id, "--yes", code=2)
        assert "preview-changed" in commands.run(
            "rejudge", "apply", rejudgement_id, "--yes", "--preview", "0" * 64, code=1
        )
        done = commands.json("rejudge", "apply", rejudgement_id, "--yes", "--preview", seen)
        assert done["superseded_scores"] == 2
        assert "REJUDGEMENT_REFUSED" in commands.run(
            "rejudge", "apply", rejudgement_id, "--yes", "--preview", seen, code=1
        )
        eventually(lambda: ranks(first) == {of_first: 2, of_second: 1}, 60, "the new board")
        for row in first.standings(BOARD).standings:
            change = changes[row.submission_id]
            assert (row.rank, row.level) == (change["new_rank"], change["new_level"])
            assert row.score == pytest.approx(change["new_score"])
        assert first.results(of_first)[0].value == new[of_first]
        check_receipt(platform, first, of_first, tmp_path, old[of_first], new[of_first])

        scores = platform.rows(
            "SELECT submission_id, edition FROM score_ledger WHERE kind = 'score'"
        )
        assert sorted(scores) == sorted(
            (one, edition) for one in (of_first, of_second) for edition in (1, 2)
        )
        quota = dict(platform.rows("SELECT action, count(*) FROM quota_ledger GROUP BY action"))
        assert quota == {"reserve": 2, "commit": 2}
        log = commands.json("audit")["entries"]
        assert [(one["action"], one["outcome"]) for one in log] == [
            ("ApplyRejudgement", "REJUDGEMENT_REFUSED"),
            ("ApplyRejudgement", "DONE"),
            ("ApplyRejudgement", "REJUDGEMENT_REFUSED"),
            ("StartRejudgement", "DONE"),
            # By the platform itself, at its first start.
            ("ImportHistory", "DONE"),
        ]
        (applied,) = told_to_the_public(platform)
        assert (applied.task_id, applied.models, applied.boards) == (TASK, 2, 1)

        # Another one finds the same, changes no board, and is discarded.
        again = commands.json("rejudge", "start", TASK, "--reason", "to be sure")["rejudgement"]
        rejudgement_id = again["rejudgement_id"]
        eventually(ready, 120, "the second preview")
        shown = commands.json("rejudge", "show", rejudgement_id)
        assert shown["preview"]["boards"] == []
        commands.run("rejudge", "cancel", rejudgement_id, "--yes")
        assert "cancelled" in commands.run("rejudge", "list")
        first.close()
        second.close()


def check_receipt(
    platform: Platform,
    client: Client,
    submission_id: str,
    folder: Path,
    old: float | None,
    new: float,
) -> None:
    """The receipt proves both scores offline, and which one is superseded."""
    path = folder / "receipt.json"
    path.write_bytes(dump_receipt(client.receipt(submission_id)))
    report = verify_receipt(
        load_receipt(path.read_bytes()),
        archive=folder / f"First-{BOARD}.zip",
        trusted_keys=read_trusted_keys(platform.home.trusted_keys),
        commitments=load_commitments(
            (platform.home.sealed / "public" / "commitments.json").read_bytes()
        ),
    )
    assert [(one.value, one.key_version) for one in report.statements] == [(new, "2")]
    assert [(one.value, one.key_version) for one in report.superseded] == [(old, "1")]
    assert report.commitments_checked == 2
