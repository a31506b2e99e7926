"""The command line through the fake gateway: results, messages, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from general_level.client import Client
from general_level.client.cli.exits import ExitCode
from general_level.client.cli.program import program
from general_level.testing import FakeGateway
from tests.contract.lab_gateway import wrap

BOARD = "C-audio-comprehension"
UUID = "0b9a1f0e-5c1d-4c0a-9d35-2f3d7f0f8a11"
Cli = Callable[..., Result]


@pytest.fixture
def token(fake: FakeGateway) -> str:
    return fake.new_lab()


@pytest.fixture
def cli(fake: FakeGateway, token: str, tmp_path: Path) -> Cli:
    """Runs a command against the fake as one lab, in an empty folder."""
    before = Path.cwd()
    os.chdir(tmp_path)

    def run(*args: str | Path, **environ: str | None) -> Result:
        settings = {
            "GENERAL_LEVEL_TARGET": fake.target,
            "GENERAL_LEVEL_TOKEN": token,
            "GENERAL_LEVEL_INSECURE": "1",
        }
        result = CliRunner().invoke(
            program,
            [str(a) for a in args],
            env=settings | environ,
            obj={"sleep": lambda _: None},
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert token not in result.output
        return result

    yield run
    os.chdir(before)


def json_of(result: Result) -> object:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def spoil(archive: Path) -> Path:
    """Breaks the first prediction.json of an archive in place."""
    with zipfile.ZipFile(archive) as source:
        members = {n: source.read(n) for n in source.namelist()}
    first = next(iter(members))
    members[first] = b"[{"
    with zipfile.ZipFile(archive, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    return archive


def test_boards_for_people_and_for_programs(cli: Cli) -> None:
    shown = cli("boards", "--scope", "A")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0].split()[:2] == ["BOARD", "NAME"]
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == ["A-full", "A-quick"]
    found = json_of(cli("boards", "--scope", "A", "--format", "json"))
    assert [(b["board_id"], b["task_count"]) for b in found] == [("A-full", 699), ("A-quick", 145)]


def test_submit_checks_uploads_watches_and_prints_only_the_result(cli: Cli, archive: Path) -> None:
    result = cli(
        "submit",
        archive,
        "--watch",
        "--format",
        "json",
        "--organisation",
        "A Lab",
        "--parameters",
        "7000000000",
        "--modality",
        "audio",
        "--modality",
        "language",
        "--closed-weights",
        "--anonymous",
    )
    submission = json_of(result)
    assert submission["state"] == "PUBLISHED"
    assert submission["model"] == {
        "model_name": "Example",
        "organisation": "A Lab",
        "parameter_count": 7_000_000_000,
        "description": "",
        "modalities": ["audio", "language"],
        "report_url": "",
        "contact_email": "",
        "open_weights": False,
        "anonymous": True,
    }
    assert submission["public_name"].startswith("Anonymous ")
    shown = cli("reveal", submission["submission_id"], "--yes", "--format", "json")
    assert json_of(shown)["public_name"] == "Example"
    assert submission["create_time"] == "2026-01-05T09:00:00Z"
    told = result.stderr.splitlines()
    assert any(line.startswith(f"{archive.name}: accepted; 0 errors") for line in told)
    assert f"created {submission['submission_id']}" in told
    assert any(line.startswith("upload: ") and line.endswith("(100 %)") for line in told)
    assert told[-1].startswith("PUBLISHED")


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_metadata_come_from_a_file_and_options_go_before(
    cli: Cli, archive: Path, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"model.{suffix}"
    file.write_text(
        json.dumps({"organisation": "File", "modalities": ["audio"], "parameter_count": 5})
        if suffix == "json"
        else 'organisation = "File"\nmodalities = ["audio"]\nparameter_count = 5\n'
    )
    args = ("submit", archive, "--metadata", file, "--organisation", "Option", "--format", "json")
    model = json_of(cli(*args))["model"]
    assert (model["model_name"], model["organisation"]) == ("Example", "Option")
    assert (model["modalities"], model["parameter_count"]) == (["audio"], 5)


@pytest.mark.parametrize(
    "content", ['{"organization": "x"}', '{"parameter_count": "many"}', "[1]", "{"]
)
def test_unusable_metadata_are_a_usage_error(
    cli: Cli, archive: Path, tmp_path: Path, content: str
) -> None:
    (tmp_path / "model.json").write_text(content)
    result = cli("submit", archive, "--metadata", "model.json")
    assert result.exit_code == 2
    assert "--metadata" in result.stderr
    assert json_of(cli("submissions", "--format", "json")) == []


def test_an_archive_with_findings_is_not_sent(cli: Cli, archive: Path) -> None:
    result = cli("submit", spoil(archive))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "/prediction.json" in result.stderr
    assert "[ARCHIVE_REJECTED]" in result.stderr
    assert json_of(cli("submissions", "--format", "json")) == []


def test_without_the_check_the_gateway_rejects_it_with_the_same_findings(
    cli: Cli, archive: Path
) -> None:
    checked = cli("check", spoil(archive), "--format", "json")
    assert checked.exit_code == 1
    offline = json.loads(checked.stdout)
    assert not offline["ok"]
    result = cli("submit", archive, "--no-check", "--watch", "--format", "json")
    assert result.exit_code == 1
    submission = json.loads(result.stdout)
    assert submission["state"] == "REJECTED"
    assert submission["findings"] == offline["findings"]
    assert submission["finding_count"] == offline["finding_count"]
    assert submission["quota_status"] == "REFUNDED"


def test_check_needs_no_gateway_and_compares_the_items(cli: Cli, archive: Path) -> None:
    alone = {"GENERAL_LEVEL_TARGET": None, "GENERAL_LEVEL_TOKEN": None}
    result = cli("check", archive, **alone)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{archive.name}: accepted")
    path = json_of(cli("inputs", BOARD, "--format", "json"))["path"]
    assert path == f"inputs-{BOARD}.zip"
    assert cli("check", archive, "--inputs", path, **alone).exit_code == 0
    folder = Path("other")
    folder.mkdir()
    other = folder / archive.name
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            rows = json.loads(source.read(name))
            target.writestr(name, json.dumps([*rows, {"id": "9", "prediction": "more"}]))
    assert cli("check", other, **alone).exit_code == 0
    strict = cli("check", other, "--inputs", path, **alone)
    assert strict.exit_code == 1


def test_one_folder_around_everything_is_taken_off_as_the_gateway_does(
    cli: Cli, archive: Path, tmp_path: Path
) -> None:
    """`check` and `submit` say beforehand what the gateway will say."""
    folder = tmp_path / "wrapped"
    folder.mkdir()
    wrapped = wrap(archive, folder)
    checked = cli("check", wrapped, "--format", "json")
    assert checked.exit_code == 0
    offline = json.loads(checked.stdout)
    assert offline["enclosing_folder"] == "Enclosing Folder"
    result = cli("submit", wrapped, "--watch", "--format", "json")
    assert result.exit_code == 0
    assert "GL124" in result.stderr
    assert json.loads(result.stdout)["findings"] == offline["findings"]


def test_check_says_when_the_bundle_is_none(cli: Cli, archive: Path) -> None:
    result = cli("check", archive, "--inputs", archive)
    assert result.exit_code == 1
    assert "has no inputs of this catalogue" in result.stderr
    Path("text.zip").write_text("text")
    assert "is not an inputs bundle" in cli("check", archive, "--inputs", "text.zip").stderr


def test_the_agreement_is_asked_for_and_accepted(
    cli: Cli, fake: FakeGateway, archive: Path
) -> None:
    lab = {"GENERAL_LEVEL_TOKEN": fake.new_lab(accept=False)}
    refused = cli("submit", archive, **lab)
    assert refused.exit_code == 3
    assert "general-level agreement accept 1" in refused.stderr
    shown = cli("agreement", "show", **lab)
    assert shown.stdout.startswith("The inputs are for evaluation only.")
    assert "not accepted" in shown.stderr
    assert cli("agreement", "accept", "0", **lab).exit_code == 1
    assert cli("agreement", "accept", "1", **lab).exit_code == 0
    assert json_of(cli("agreement", "show", "--format", "json", **lab))["accepted"] is True
    assert cli("submit", archive, **lab).exit_code == 0


def test_a_full_quota_says_when_the_next_slot_opens_and_what_holds_it(
    cli: Cli, fake: FakeGateway, archive: Path
) -> None:
    ids = []
    for _ in range(2):
        submitted = json_of(cli("submit", archive, "--watch", "--format", "json"))
        ids.append(submitted["submission_id"])
        fake.advance(timedelta(minutes=1))
    refused = cli("submit", archive)
    assert refused.exit_code == 3
    assert "[QUOTA_EXCEEDED]" in refused.stderr
    assert fake.target in refused.stderr
    assert "next slot  2026-01-06 09:00:00 UTC" in refused.stderr
    assert f"held by    {ids[0]}, {ids[1]}" in refused.stderr
    quota = cli("quota").stdout
    assert "next slot  2026-01-06 09:00:00 UTC" in quota
    assert all(submission_id in quota for submission_id in ids)
    fake.advance(timedelta(days=1))
    assert cli("submit", archive).exit_code == 0


def test_a_pending_submission_is_named_and_can_be_withdrawn(
    cli: Cli, fake: FakeGateway, token: str, archive: Path
) -> None:
    with Client(fake.target, token, insecure=True) as client:
        pending = client.create(archive, request_id=UUID).submission_id
    refused = cli("submit", archive)
    assert refused.exit_code == 3
    assert f"general-level cancel {pending}" in refused.stderr
    cancelled = json_of(cli("cancel", pending, "--format", "json"))
    assert (cancelled["state"], cancelled["quota_status"]) == ("CANCELLED", "REFUNDED")
    assert cli("watch", pending).exit_code == 1
    assert cli("submit", archive).exit_code == 0


def test_a_submission_that_was_created_is_resumed(
    cli: Cli, fake: FakeGateway, token: str, archive: Path
) -> None:
    with Client(fake.target, token, insecure=True) as client:
        created = client.create(archive, request_id=UUID).submission_id
    result = cli("resume", created, archive, "--watch", "--format", "json")
    assert json_of(result)["state"] == "PUBLISHED"


def test_a_request_id_makes_one_submission_however_often(cli: Cli, archive: Path) -> None:
    args = ("submit", archive, "--watch", "--request-id", UUID, "--format", "json")
    first, second = json_of(cli(*args)), json_of(cli(*args))
    assert first["submission_id"] == second["submission_id"]
    other = cli("submit", archive, "--request-id", UUID, "--organisation", "Other")
    assert other.exit_code == 1
    assert "[ALREADY_EXISTS]" in other.stderr


def test_results_receipt_verify_and_board(
    cli: Cli, fake: FakeGateway, archive: Path, tmp_path: Path
) -> None:
    fake.place("Example", 3, s2=40.0, s3=20.5)
    submission = json_of(cli("submit", archive, "--watch", "--format", "json"))
    submission_id = submission["submission_id"]

    results = json_of(cli("results", submission_id, "--format", "json"))
    scores = {r["task_id"]: r["value"] for r in results if r["value"] is not None}
    assert len(cli("results", submission_id).stdout.splitlines()) == len(results) + 1

    assert cli("receipt", submission_id).stdout.strip() == f"receipt-{submission_id}.json"
    receipt = Path(f"receipt-{submission_id}.json")
    Path("commitments.json").write_text(cli("commitments", "--format", "json").stdout)
    args = ("verify", receipt, "--archive", archive, "--commitments", "commitments.json")
    verified = json_of(cli(*args, "--format", "json", GENERAL_LEVEL_TARGET=None))
    assert verified["scores"] == scores
    assert verified["archive_checked"]
    assert verified["commitments_checked"] == len(scores)
    assert "the keys are the receipt's own" in cli(*args).stderr

    [key] = json.loads(receipt.read_text())["grader_public_keys"]
    Path("keys").write_text(f"# graders\n{key}  # the first\n")
    with_keys = cli(*args, "--keys", "keys")
    assert with_keys.exit_code == 0
    assert with_keys.stderr == ""
    Path("keys").write_text("ab" * 32)
    assert cli(*args, "--keys", "keys").exit_code == 6

    board = cli("board", BOARD)
    assert "Example" in board.stdout.splitlines()[1]
    assert "20.50" in board.stdout.splitlines()[1]
    assert json_of(cli("board", BOARD, "--format", "json"))["standings"][0]["rank"] == 1


def test_a_changed_receipt_or_archive_proves_nothing(cli: Cli, archive: Path) -> None:
    submission = json_of(cli("submit", archive, "--watch", "--format", "json"))
    cli("receipt", submission["submission_id"], "-o", "receipt.json")
    content = json.loads(Path("receipt.json").read_text())
    assert cli("verify", "receipt.json").exit_code == 0
    content["submission_id"] = "sub_another"
    Path("changed.json").write_text(json.dumps(content))
    changed = cli("verify", "changed.json")
    assert changed.exit_code == 6
    assert "[RECEIPT_INVALID]" in changed.stderr
    assert changed.stdout == ""
    spoil(archive)
    assert cli("verify", "receipt.json", "--archive", archive).exit_code == 6


def test_submissions_are_listed_newest_first_up_to_the_limit(
    cli: Cli, fake: FakeGateway, archive: Path
) -> None:
    first = json_of(cli("submit", archive, "--watch", "--format", "json"))["submission_id"]
    fake.advance(timedelta(minutes=1))
    second = json_of(cli("submit", archive, "--watch", "--format", "json"))["submission_id"]
    listed = cli("submissions").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["SUBMISSION", second, first]
    assert len(cli("submissions", "--limit", "1").stdout.splitlines()) == 2


def test_each_kind_of_error_has_its_exit_code(cli: Cli, fake: FakeGateway) -> None:
    assert cli("quota", GENERAL_LEVEL_TOKEN=None).exit_code == 4
    wrong = cli("quota", GENERAL_LEVEL_TOKEN="wrong-token")
    assert wrong.exit_code == 4
    assert "wrong-token" not in wrong.output
    assert cli("watch", "sub_nothing").exit_code == 7
    assert cli("board", "Z-nothing").exit_code == 7
    assert cli("board", "A-full").exit_code == 7
    fake.unavailable(1_000)
    away = cli("quota")
    assert away.exit_code == 5
    assert "run the same command again" in away.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("quota", "--target", "grading.example.org:443", "--insecure"),
        ("quota", "--target", ""),
        ("nothing",),
        ("submit",),
        ("boards", "--scope", "E"),
        ("check", "no-such-file.zip"),
    ],
)
def test_usage_errors_end_with_2(cli: Cli, args: tuple[str, ...]) -> None:
    result = cli(*args)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_the_token_can_come_from_a_file(cli: Cli, fake: FakeGateway) -> None:
    Path("token").write_text(fake.new_lab() + "\n")
    assert cli("quota", "--token-file", "token", GENERAL_LEVEL_TOKEN=None).exit_code == 0


def test_the_help_of_the_program_lists_exit_codes(cli: Cli) -> None:
    shown = cli("--help").stdout
    assert "6 receipt" in shown
    for command in program.commands:
        assert command in shown
        assert cli(command, "--help").exit_code == 0


def test_the_manual_names_every_command_option_and_exit_code() -> None:
    manual = (Path(__file__).parents[3] / "docs/labs/cli.md").read_text()
    for name, command in program.commands.items():
        assert f"`{name} " in manual or f"`{name}`" in manual
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert option in manual, (name, option)
    for code in ExitCode:
        assert f"| {code.value} |" in manual


def test_an_upload_that_gave_up_says_how_to_resume(
    cli: Cli, fake: FakeGateway, token: str, archive: Path
) -> None:
    fake.break_upload_after(50)
    given_up = CliRunner().invoke(
        program,
        ["submit", str(archive), "--no-check", "--target", fake.target, "--insecure"],
        env={"GENERAL_LEVEL_TOKEN": token},
        obj={"sleep": lambda _: fake.unavailable(100)},
    )
    assert given_up.exit_code == 5
    fake.calm()
    [created] = json_of(cli("submissions", "--format", "json"))
    submission_id = created["submission_id"]
    assert f"general-level resume {submission_id} '{archive}'" in given_up.stderr
    resumed = json_of(cli("resume", submission_id, archive, "--watch", "--format", "json"))
    assert resumed["state"] == "PUBLISHED"


def test_on_a_terminal_the_views_are_live(fake: FakeGateway, token: str, archive: Path) -> None:
    terminal, other_end = os.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from general_level.client.cli import main; main()",
            *("submit", str(archive), "--watch", "--format", "json"),
        ],
        stdout=subprocess.PIPE,
        stderr=other_end,
        env={
            **os.environ,
            "GENERAL_LEVEL_TARGET": fake.target,
            "GENERAL_LEVEL_TOKEN": token,
            "GENERAL_LEVEL_INSECURE": "1",
            "TERM": "xterm",
            "COLUMNS": "200",
        },
    )
    os.close(other_end)
    shown = b""
    try:
        while data := os.read(terminal, 65536):
            shown += data
    except OSError:
        pass  # Linux tells the end of a pseudo-terminal by EIO
    finally:
        os.close(terminal)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    assert json.loads(out)["state"] == "PUBLISHED"
    assert b"upload" in shown
    assert b"PUBLISHED, 24 of 24 tasks" in shown
    assert b"\x1b[" in shown
