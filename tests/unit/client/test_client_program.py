"""The program in the Client's docstring runs as it is printed."""

from __future__ import annotations

import inspect
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from general_level.client import Client, ModelMetadata
from general_level.client.archive_name import split_archive_name
from general_level.client.channel import is_loopback, open_channel, token_metadata
from general_level.errors import InvalidRequest
from general_level.testing import FakeGateway


def program_of(documented: type) -> str:
    """The first indented block after ``::`` in a class's docstring."""
    text = inspect.getdoc(documented)
    assert text is not None
    block: list[str] = []
    for line in text.split("::\n", 1)[1].splitlines():
        if line and not line.startswith(" "):
            break
        block.append(line)
    return textwrap.dedent("\n".join(block))


@pytest.fixture
def in_folder(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def test_the_docstring_of_the_client_is_a_complete_program(
    fake: FakeGateway, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.example_archive(in_folder, "A-quick", "Example Model")
    fake.place("Example Model", 3, s2=30.0, s3=20.5)
    environ = {
        "GENERAL_LEVEL_TARGET": fake.target,
        "GENERAL_LEVEL_TOKEN": fake.new_lab(accept=False),
        "GENERAL_LEVEL_INSECURE": "1",
    }
    os.environ.update(environ)
    try:
        exec(compile(program_of(Client), "docstring", "exec"), {})
    finally:
        for name in environ:
            del os.environ[name]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("The inputs are for evaluation only.")
    assert any(line.startswith("PUBLISHED 67 of 67") for line in printed)
    assert any(line.startswith("image-c-001 SCORED ") for line in printed)
    assert printed[-1] == "1 Example Model 3 20.5"


def test_the_docstring_of_the_fake_is_a_complete_program(in_folder: Path) -> None:
    names: dict[str, object] = {"folder": in_folder}
    exec(compile(program_of(FakeGateway), "docstring", "exec"), names)
    assert names["final"] == "PUBLISHED"


def test_settings_come_from_the_environment(fake: FakeGateway, tmp_path: Path) -> None:
    environ = {"GENERAL_LEVEL_TARGET": fake.target, "GENERAL_LEVEL_INSECURE": "true"}
    with Client.from_env(environ) as client:
        assert client.catalogue_id() == "general-bench"
    with pytest.raises(InvalidRequest, match="GENERAL_LEVEL_TARGET"):
        Client.from_env({})


def test_the_model_is_named_by_the_archive(client: Client, archive: Path) -> None:
    assert client.submit(archive).model == ModelMetadata(model_name="Example")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My Model-A-full.zip", ("My Model", "A-full")),
        ("My-Model-B-image-text.zip", ("My-Model", "B-image-text")),
        ("m-D-I-C-1.zip", ("m", "D-I-C-1")),
        ("A-full-A-full.zip", ("A-full", "A-full")),
    ],
)
def test_the_board_is_the_longest_known_ending(name: str, expected: tuple[str, str]) -> None:
    boards = ["A-full", "B-image", "B-image-text", "text", "D-I-C-1", "C-1"]
    assert split_archive_name(name, boards) == expected


@pytest.mark.parametrize("name", ["A-full.zip", "-A-full.zip", " -A-full.zip", "M-A-full.tar", "M"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        split_archive_name(name, ["A-full"])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("127.0.0.1:8443", True),
        ("localhost:1", True),
        ("[::1]:8443", True),
        ("dns:///localhost:1", True),
        ("unix:/run/gateway.sock", True),
        ("10.0.0.1:1", False),
        ("grading.example.org:443", False),
        ("localhost.example.org:443", False),
        ("127.0.0.1.example.org:443", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(target: str, expected: bool) -> None:
    assert is_loopback(target) is expected


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ünicode"])
def test_a_token_is_one_printable_word_and_never_in_the_message(token: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        token_metadata(token)
    assert not token or token not in str(caught.value)


def test_a_channel_needs_a_target_and_one_kind_of_security() -> None:
    with pytest.raises(InvalidRequest):
        open_channel("")
    with pytest.raises(InvalidRequest):
        open_channel("localhost:1", root_certificates=b"pem", insecure=True)


def test_standings_are_followed_from_publication_to_publication(
    fake: FakeGateway, client: Client, tmp_path: Path
) -> None:
    fake.publish("A-quick")
    updates = client.watch_standings("A-quick")
    first = next(updates)
    assert first.standings == ()
    submission = client.submit(fake.example_archive(tmp_path, "A-quick"))
    fake.finish(submission.submission_id)
    assert next(u for u in updates if u.standings).standings[0].rank == 1
    updates.close()


def programs_of_the_manual() -> list[str]:
    """The Python programs of docs/labs/client.md, in order."""
    manual = (Path(__file__).parents[3] / "docs/labs/client.md").read_text()
    return re.findall(r"```python\n(.*?)```", manual, flags=re.DOTALL)


def test_the_manuals_programs_are_the_docstrings_and_run(tmp_path: Path) -> None:
    program, test_program = programs_of_the_manual()
    assert program.strip() == program_of(Client).strip()
    names: dict[str, Any] = {}
    exec(compile(test_program, "client.md", "exec"), names)
    names["test_our_nightly_submission"](tmp_path)
