"""What an embedded platform never does to a machine: lose keys, empty a folder, share a port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

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
