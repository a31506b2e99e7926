"""The fleet's process: one of a name, what it leaves when it is killed, what it ends on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers.fleet_rig import Rig, build_image, started
from tests.support.docker_engine import DockerEngine
from tests.support.wait import eventually

#: On a machine with much other work an engine takes its time.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
LOCK = "fleet-process-fleet-lock"


@pytest.fixture
def rig(docker_engine: DockerEngine, base_image: str, tmp_path: Path) -> Iterator[Rig]:
    build_image(docker_engine)
    more = {"FLEET_FLOOR": "2", "FLEET_INTERVAL_SECONDS": "0.2", "FLEET_METRICS_PORT": "0"}
    with started(docker_engine, tmp_path, "fleet-process", more) as rig:
        yield rig


@contextmanager
def _process(rig: Rig, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    path = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.grader.fleet"],
            env={**path, **rig.environ},
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_one_fleet_at_a_time_survives_its_process_and_drains(
    rig: Rig, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    with _process(rig, first) as process:
        eventually(lambda: len(rig.graders()) == 2, 60, "two graders")
        with _process(rig, second) as refused:
            assert refused.wait(60) == 1
        assert "FLEET_ALREADY_RUNS" in second.read_text()
        assert LOCK in second.read_text()
        assert not [line for line in _lines(second) if line["event"] == "grader started"]
        mine = {one.id for one in rig.graders()}
        assert len(mine) == 2
        process.kill()
    with _process(rig, third) as process:
        eventually(
            lambda: [line for line in _lines(third) if line["event"] == "graders wanted"], 60
        )
        assert {one.id for one in rig.graders()} == mine
        (begun,) = [line for line in _lines(third) if line["event"] == "fleet begins"]
        assert begun["found"] == {"image": 2}
        eventually(lambda: all(b"ready" in one.logs() for one in rig.graders()), 60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert rig.graders(all=True) == []
    eventually(lambda: LOCK not in _names(docker_engine), 60, "the end of the lock")
    asked = [line for line in _lines(third) if line["event"] == "grader asked to end"]
    assert [line["reason"] for line in asked] == ["drain", "drain"]
    for log in (first, second, third):
        assert "hush-hush" not in log.read_text()


def test_a_fleet_may_leave_its_graders_at_work(rig: Rig, tmp_path: Path) -> None:
    rig.environ["FLEET_AT_END"] = "leave"
    with _process(rig, tmp_path / "log") as process:
        eventually(lambda: len(rig.graders()) == 2, 60, "two graders")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert len(rig.graders()) == 2


def test_a_setting_that_cannot_be_used_is_named(rig: Rig, tmp_path: Path) -> None:
    rig.environ["FLEET_GRADER_TOKEN"] = "hush-hush"
    with _process(rig, tmp_path / "log") as process:
        assert process.wait(60) == 2
    said = (tmp_path / "log").read_text()
    assert "FLEET_GRADER_TOKEN" in said
    assert "hush-hush" not in said


def _names(engine: DockerEngine) -> set[str]:
    found = engine.client.containers.list(all=True, ignore_removed=True)
    return {container.name for container in found}
