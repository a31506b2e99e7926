"""What an embedded platform never does to a machine: lose keys, empty a folder, share a port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.gateway import history, identity
from services.gateway.storage.database import Database
from services.grader.seal_command import keygen
from services.platform import home as home_module
from services.platform.app import PlatformNotReady, Ports, start
from services.platform.demo import DemoFailed, run_demo
from services.platform.home import Home


def test_a_new_signing_key_joins_the_trusted_ones(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "sample")
    home.prepare()
    first = home.trusted_keys.read_text()
    home.signing_key.unlink()
    home.signing_key.with_name(f"{home.signing_key.name}.pub").unlink()
    home.prepare()
    lines = home.trusted_keys.read_text().splitlines()
    assert lines[0] == first.strip()
    assert len(set(lines)) == 2


#: Files of a whole home; the database's tokens and keys are compared apart.
WHOLE = {
    "gateway.db", "logs", "objects", "recipient.txt", "secrets", "trusted-keys.txt",
}  # fmt: skip


def is_whole(home: Home) -> bool:
    """Whether every key has its public half and every token of a file is one of the database."""
    if {path.name for path in home.folder.iterdir()} != WHOLE:
        return False
    recipient = home.identity.read_text().splitlines()[0].removeprefix("# recipient: ")
    signing = load_pem_private_key(home.signing_key.read_bytes(), None).public_key()
    database = Database(home.database_url)
    try:
        with database.read() as connection:
            kinds = [
                identity.identify(connection, path.read_text()).kind
                for path in sorted(home.secrets.glob("*.token"))
            ]
    finally:
        database.close()
    return (
        home.recipient.read_text().strip() == recipient
        and signing.public_bytes_raw().hex() in home.trusted_keys.read_text().split()
        and sorted(kinds) == ["grader"] * 5 + ["operator", "ranker"]
        and {path.name for path in home.secrets.iterdir() if path.suffix != ".token"}
        == {"grader.age", "grader-signing.pem", "grader-signing.pem.pub"}
    )


class Crash(BaseException):
    """The process ended here: nothing after it is done, and nobody catches it."""


def crash_at(step: int) -> Callable[[], None]:
    """Something that is called at each step and crashes at the given one."""
    left = iter(range(step))

    def tick() -> None:
        if next(left, None) is None:
            raise Crash

    return tick


def keygen_in_this_process(*arguments: str) -> str:
    """The graders' command without the start of a Python for each key."""
    done = CliRunner().invoke(keygen, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout.splitlines()[-1]


@pytest.fixture
def crash_before(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Arms a crash before the n-th rename, key or token that `Home.prepare` makes."""
    real = {
        (Path, "rename"): Path.rename,
        (home_module, "_keygen"): keygen_in_this_process,
        (identity, "create_token"): identity.create_token,
    }

    def arm(step: int) -> None:
        tick = crash_at(step)
        for (owner, name), function in real.items():

            def broken(*args: Any, _real: Any = function, **kwargs: Any) -> Any:
                tick()
                return _real(*args, **kwargs)

            monkeypatch.setattr(owner, name, broken)

    return arm


#: Two keys, two names for each (its own and that of its public half), seven tokens and their names;
#: a new home has its own name after them.
STEPS = 2 + 4 + 14
FEW = (0, 1, 2, 4, 5, 7, STEPS - 1)


@pytest.mark.parametrize("step", [*FEW, STEPS])
def test_a_new_home_that_was_cut_short_is_none(
    tmp_path: Path, crash_before: Callable[[int], None], step: int
) -> None:
    home = Home(tmp_path / "home", "sample")
    crash_before(step)
    with pytest.raises(Crash):
        home.prepare()
    assert not home.folder.exists()
    crash_before(1_000)
    home.prepare()
    assert is_whole(home)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("step", FEW)
def test_a_home_to_which_something_is_added_is_whole_after_the_next_start(
    tmp_path: Path, crash_before: Callable[[int], None], step: int
) -> None:
    """A folder that holds something already cannot be moved into place: each file is."""
    home = Home(tmp_path / "home", "sample")
    home.logs.mkdir(parents=True)
    crash_before(step)
    with pytest.raises(Crash):
        home.prepare()
    crash_before(1_000)
    home.prepare()
    assert is_whole(home)


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "sample")
    home.prepare()
    files = [*home.secrets.iterdir(), home.recipient, home.trusted_keys]
    before = {path: path.read_bytes() for path in files}
    home.prepare()
    assert {path: path.read_bytes() for path in files} == before


def test_the_demo_empties_no_folder_that_is_not_its_own(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.txt"
    kept.write_text("years of work")
    with pytest.raises(DemoFailed, match="--home"):
        run_demo(Home(tmp_path, "sample"), Ports(), wait=None)
    assert kept.read_text() == "years of work"


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "sample")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PlatformNotReady) as caught:
            start(home, Ports(public=port))
    assert caught.value.metadata["port"] == str(port)
    assert not home.logs.exists()


def stored_history(home: Home) -> list[str]:
    database = Database(home.database_url)
    try:
        with database.read() as connection:
            return list(history.digests(connection))
    finally:
        database.close()


def test_a_new_home_has_the_paper_s_results_until_an_operator_removes_them(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", "sample")
    home.prepare()
    assert stored_history(home) == ["general-level-paper"]
    database = Database(home.database_url)
    with database.write() as connection:
        history.remove(connection, "general-level-paper")
    database.close()
    home.prepare()
    assert stored_history(home) == []
