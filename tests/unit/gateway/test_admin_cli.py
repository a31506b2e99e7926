"""The operator's commands: labs, tokens, ratings, with errors as one line and exit code 1."""

from __future__ import annotations

import io
import json
import re
from contextlib import closing

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import insert

from services.gateway import agreement, identity, submissions
from services.gateway.__main__ import MODALITIES, main
from services.gateway.states import Outcome, State
from services.gateway.storage.database import Database
from services.gateway.storage.tables import task_results
from services.kit.logging import configure_logging
from tests.support.gateway import START, archive, create_request


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'gateway.db'}"


@pytest.fixture(autouse=True)
def quiet():
    """Log events of services that other tests left running are no part of a command's output."""
    configure_logging("test", stream=io.StringIO())
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def run(url):
    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, list(arguments), env={"GATEWAY_DATABASE_URL": url})
        assert result.exit_code == code, result.output
        return result.output.strip()

    return run


def identify(url, token):
    database = Database(url)
    try:
        with database.read() as connection:
            return identity.identify(connection, token)
    finally:
        database.close()


def test_a_lab_gets_a_token_that_works(run, url):
    lab_id = run("labs", "create", "Example Lab")
    token = run("tokens", "create", "--lab", "Example Lab", "--label", "laptop")
    assert identify(url, token).lab_id == lab_id


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_graders_token_is_bound_to_its_modality(run, url, modality):
    token = run("tokens", "create", "--kind", "grader", "--modality", modality)
    assert identify(url, token).modality == modality


def test_the_database_may_be_named_on_the_command_line(url):
    result = CliRunner().invoke(main, ["migrate", "--database", url], env={})
    assert (result.exit_code, result.output) == (0, "The schema is up to date.\n")


def test_without_a_database_the_command_says_what_to_set():
    result = CliRunner().invoke(main, ["migrate"], env={"GATEWAY_DATABASE_URL": ""})
    assert result.exit_code == 2
    assert "--database" in result.output


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--kind", "lab", "--modality", "image"),
        ("--kind", "grader"),
        ("--kind", "grader", "--modality", "smell"),
        ("--kind", "ranker", "--lab", "Example Lab"),
        ("--kind", "ranker", "--modality", "image"),
        ("--kind", "root"),
    ],
)
def test_a_token_for_nobody_is_a_usage_error(run, wrong):
    run("labs", "create", "Example Lab")
    run("tokens", "create", *wrong, code=2)
    assert run("tokens", "list") == ""


def test_faults_of_the_operator_are_one_line(run):
    run("labs", "create", "Example Lab")
    for arguments, reason in (
        (("labs", "create", "Example Lab"), "ALREADY_EXISTS"),
        (("tokens", "create", "--lab", "Nobody"), "NOT_FOUND"),
        (("tokens", "revoke", "tok_none"), "NOT_FOUND"),
    ):
        said = run(*arguments, code=1)
        assert re.fullmatch(rf"{reason}: .+", said), said


def test_the_list_is_for_people_and_for_programs_and_has_no_secret(run, url):
    run("labs", "create", "Example Lab")
    lab = run("tokens", "create", "--lab", "Example Lab")
    ranker = run("tokens", "create", "--kind", "ranker", "--label", "main")
    table = run("tokens", "list")
    listed = json.loads(run("tokens", "list", "--format", "json"))
    assert [one["kind"] for one in listed] == ["lab", "ranker"]
    assert [one["lab_name"] for one in listed] == ["Example Lab", ""]
    assert table.count("live") == 2
    for token in (lab, ranker):
        secret = token.rpartition("_")[2]
        assert secret not in table
        assert secret not in json.dumps(listed)


def test_labs_are_listed_with_their_live_tokens_and_submissions(run, url):
    assert run("labs", "list") == ""
    first = run("labs", "create", "First Lab")
    second = run("labs", "create", "Second Lab")
    for _ in range(2):
        token = run("tokens", "create", "--lab", "First Lab")
    run("tokens", "revoke", identify(url, token).token_id)
    with closing(Database(url)) as database, database.write() as connection:
        agreement.accept(connection, START, second, agreement.VERSION)
        submissions.create(
            connection, START, second, create_request(archive()), catalogue_id="c",
            agreement_version=agreement.VERSION, new_submission_id=lambda: "sub_1",
        )  # fmt: skip

    listed = json.loads(run("labs", "list", "--format", "json"))
    assert [
        (lab["lab_id"], lab["name"], lab["live_tokens"], lab["submissions"]) for lab in listed
    ] == [(first, "First Lab", 1, 0), (second, "Second Lab", 0, 1)]
    table = run("labs", "list").splitlines()
    assert [line.split()[0] for line in table] == [first, second]
    assert "1 live tokens" in table[0]
    assert table[1].endswith("Second Lab")


def test_a_revoked_token_is_shown_as_such(run, url):
    token = run("tokens", "create", "--kind", "ranker")
    token_id = identify(url, token).token_id
    assert run("tokens", "revoke", token_id) == f"{token_id} is revoked."
    assert "revoked" in run("tokens", "list")
    assert json.loads(run("tokens", "list", "--format", "json"))[0]["revoke_time"]


def test_ratings_of_no_item_of_the_task_are_refused(run, url, tmp_path):
    """The public folder says which items there are."""
    task = "audio-c-018"
    (tmp_path / "ids.json").write_text(json.dumps({task: ["1", "2"]}))
    file = tmp_path / "ratings.json"
    lab_id = run("labs", "create", "Example Lab")
    with closing(Database(url)) as database, database.write() as connection:
        agreement.accept(connection, START, lab_id, agreement.VERSION)
        submissions.create(
            connection, START, lab_id, create_request(archive("D-A-C-7")), catalogue_id="c",
            agreement_version=agreement.VERSION, new_submission_id=lambda: "sub_1",
        )  # fmt: skip
        for state in (State.UPLOADING, State.CHECKING, State.QUEUED):
            submissions.move(connection, START, "sub_1", state)
        connection.execute(
            insert(task_results).values(
                submission_id="sub_1", task_id=task, metric_id="m",
                outcome=Outcome.AWAITING_RATINGS, prediction_bytes=0, item_count=0,
                missing_count=0, attempt_count=0,
            )
        )  # fmt: skip
    command = (
        "ratings", "import", "--submission", "sub_1", "--task", task,
        "--public-folder", str(tmp_path), str(file),
    )  # fmt: skip
    file.write_text('{"ratings": [{"id": "3", "ratings": [4]}]}')
    assert run(*command, code=1).startswith("RATINGS_INVALID: ")
    file.write_text('{"ratings": [{"id": 2, "ratings": [4]}]}')
    assert run(*command) == f"{task} of sub_1 waits for a grader."


def test_ratings_of_an_unknown_submission_are_refused(run, tmp_path):
    file = tmp_path / "ratings.json"
    file.write_text('{"ratings": [{"id": "1", "ratings": [4]}]}')
    said = run(
        "ratings", "import", "--submission", "sub_none", "--task", "audio-c-018", str(file), code=1
    )
    assert said.startswith("NOT_FOUND: ")
