"""Child processes: restarted when they end, ended with their parent, drained in waves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from services.platform.processes import ProcessSpec, Supervisor
from tests.support.wait import eventually

CHILD = """
    import signal, sys, time
    def leave(*_):
        open(sys.argv[1], "a").write(sys.argv[2])
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    open(sys.argv[1] + "." + sys.argv[2], "a").write("up")
    while True:
        time.sleep(0.05)
"""


def _specs(folder: Path, **waves: int) -> list[ProcessSpec]:
    (folder / "child_module.py").write_text(textwrap.dedent(CHILD))
    return [
        ProcessSpec(
            name,
            "child_module",
            (str(folder / "order"), name),
            {"PYTHONPATH": str(folder)},
            wave,
        )
        for name, wave in waves.items()
    ]


def _is_up(folder: Path, name: str) -> bool:
    return (folder / f"order.{name}").exists()


def test_waves_are_stopped_in_order(tmp_path: Path) -> None:
    supervisor = Supervisor(_specs(tmp_path, g=2, a=0, r=1), tmp_path)
    eventually(lambda: all(_is_up(tmp_path, name) for name in "gar"))
    supervisor.stop()
    assert (tmp_path / "order").read_text() == "arg"


def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(_specs(tmp_path, a=0), tmp_path)
    try:
        eventually(lambda: _is_up(tmp_path, "a"))
        first = supervisor.pids()["a"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: supervisor.restarts()["a"] == 1)
        assert supervisor.pids()["a"] != first
        eventually(lambda: (tmp_path / "order.a").read_text() == "upup")
    finally:
        supervisor.stop()


def test_a_child_that_cannot_be_started_now_is_started_later(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    supervisor = Supervisor(_specs(tmp_path, a=0, b=0), logs)
    try:
        eventually(lambda: _is_up(tmp_path, "a") and _is_up(tmp_path, "b"))
        logs.rename(tmp_path / "away")
        os.kill(supervisor.pids()["a"], signal.SIGKILL)
        eventually(lambda: supervisor.restarts()["a"] >= 2)
        (tmp_path / "away").rename(logs)
        eventually(lambda: (tmp_path / "order.a").read_text() == "upup")
        assert supervisor.restarts()["b"] == 0
    finally:
        supervisor.stop()


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    _specs(tmp_path, a=0)
    program = f"""
        import time
        from pathlib import Path
        from tests.integration.test_supervisor import _specs, Supervisor
        Supervisor(_specs(Path({str(tmp_path)!r}), a=0), Path({str(tmp_path)!r}))
        time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    eventually(lambda: _is_up(tmp_path, "a"))
    parent.kill()
    parent.wait()
    eventually((tmp_path / "order").exists, what="the child drained")
