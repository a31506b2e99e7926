"""Child processes: restarted when they end, ended with their parent, drained in waves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from services.platform.logs import LOGS_KEPT
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


def test_the_log_of_a_child_that_never_ends_stays_bounded(tmp_path: Path) -> None:
    (tmp_path / "talker.py").write_text(
        textwrap.dedent("""
            import time
            number = 0
            while True:
                print(f"{number:09d}", flush=True)
                number += 1
                if number % 100 == 0:
                    time.sleep(0.01)
        """)
    )
    spec = ProcessSpec("talker", "talker", (), {"PYTHONPATH": str(tmp_path)}, 0)
    supervisor = Supervisor([spec], tmp_path, log_bytes=10_000)
    try:
        pid = supervisor.pids()["talker"]
        log = supervisor.log_of("talker")
        oldest = log.with_name(f"{log.name}.{LOGS_KEPT}")

        def turned_over() -> bool:
            """The first line of all has left the last file."""
            return oldest.exists() and not oldest.read_bytes().startswith(b"000000000")

        eventually(turned_over, 30)
        assert supervisor.pids()["talker"] == pid
    finally:
        supervisor.stop()
    files = sorted(path.name for path in tmp_path.glob("talker.log*"))
    assert len(files) == LOGS_KEPT + 1
    # The child went on in the shortened file at its start, without a hole.
    assert b"\0" not in log.read_bytes()
