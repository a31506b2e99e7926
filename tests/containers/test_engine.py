"""The engine that the other tests stand on: it runs containers, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.docker_engine import DockerEngine
from tests.support.wait import eventually

_KILLED = """
import io, os, tarfile
from tests.support.docker_engine import DockerEngine

engine = DockerEngine()
engine.client.networks.create("inside", internal=True)
empty = tarfile.open(fileobj=(archive := io.BytesIO()), mode="w")
empty.close()
engine.client.api.import_image_from_data(archive.getvalue(), repository="empty")
programs = {path: {"bind": path, "mode": "ro"} for path in ("/usr", "/lib", "/lib64")}
engine.client.containers.run(
    "empty", ["/usr/bin/sleep", "600"], detach=True, network="inside", volumes=programs
)
print(engine.url, flush=True)
os.read(0, 1)
"""


def _traces(folder: str) -> list[str]:
    """What of an engine is still on the machine: processes, mounts, its folder."""
    found = [folder] if Path(folder).exists() else []
    found += [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder in line
    ]
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes() if process.name.isdigit() else b""
        except OSError:
            continue
        if folder.encode() in words:
            found.append(words.decode(errors="replace"))
    return found


def test_a_container_runs_on_the_base(docker_engine: DockerEngine, base_image: str) -> None:
    said = docker_engine.client.containers.run(
        base_image, ["python3", "-c", "print(6 * 7)"], network_mode="none", remove=True
    )
    assert said == b"42\n"


def test_nothing_stays_when_the_tests_are_killed(docker_engine: DockerEngine) -> None:
    """The keeper outlives its owner and removes a running container, its network and all mounts."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _KILLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    folder = owner.stdout.readline().strip().removeprefix("unix://").removesuffix("/d.sock")
    assert _traces(folder)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    eventually(lambda: not _traces(folder), 60, "the killed owner's engine")
    owner.stdin.close()
    owner.stdout.close()
