"""A Docker engine of the tests' own: nothing of the machine's is used, and nothing stays behind.

A keeper process starts ``dockerd`` with folders, socket and network of its own. It ends the engine
when the tests say so, and also when they are killed: the pipe between the two breaks. It adopts
what the engine leaves behind, so that no process, mount or folder outlives it.

    python -m tests.support.docker_engine FOLDER      # the keeper
    python -m tests.support.docker_engine --base      # the base image's archive
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import docker
from docker.errors import DockerException
from docker.models.images import Image

#: What images are built on and from where there is no registry.
BASE_IMAGE = "general-level-base:tests"
#: A folder that outlives the tests: the base image's archive and downloaded wheels.
CACHE_VARIABLE = "GENERAL_LEVEL_TEST_CACHE"

_NEEDED = ("dockerd", "containerd", "runc")
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
#: The base has what the public Python image has: an interpreter, venv and pip, certificates.
_RECIPE = (
    "mmdebstrap", "--quiet", "--variant=apt", "--include=python3,python3-venv,ca-certificates",
    "bookworm",
)  # fmt: skip
_READY = "API listen on"
_START_SECONDS = 60.0
_STEP_SECONDS = 600.0
_POLL_SECONDS = 0.05
_ENDING_SECONDS = 30.0
_SET_CHILD_SUBREAPER = 36
_PIECE_BYTES = 1 << 20
_STOP = b"s"
_OWN_NETWORK = "--own-network"


class CannotStart(RuntimeError):
    """No engine or base image can be had here; the text says why."""


def cache_folder() -> Path:
    """Made if it is not there; readable by this user only."""
    named = os.environ.get(CACHE_VARIABLE)
    folder = Path(named) if named else Path.home() / ".cache" / "general-level-tests"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def base_archive() -> Path:
    """The root file system of the base image, as a tar; made once in each cache folder.

    Raises:
        CannotStart: it is not there and cannot be made.
    """
    key = hashlib.sha256(" ".join(_RECIPE).encode()).hexdigest()[:12]
    archive = cache_folder() / f"base-{key}.tar"
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if archive.exists():
            return archive
        if shutil.which("mmdebstrap") is None:
            raise CannotStart("mmdebstrap is not installed, so there is no base image")
        unfinished = archive.with_name(f"unfinished-{archive.name}")
        # The machine's authorities: where its downloads pass a proxy, its packages do, too.
        hook = ("--customize-hook", f"copy-in {_CERTIFICATES} /etc/ssl/certs/")
        command = [*_RECIPE[:-1], *(hook if Path(_CERTIFICATES).exists() else ()), _RECIPE[-1]]
        done = subprocess.run(
            [*command, str(unfinished)],
            check=False,
            capture_output=True,
            text=True,
            timeout=_STEP_SECONDS,
        )
        if done.returncode:
            raise CannotStart(f"mmdebstrap made no base image: {done.stderr[-500:]}")
        unfinished.rename(archive)
    return archive


class DockerEngine:
    """One engine, ready when constructed; ``stop`` ends it and all that it ran.

    The bridge that leads outside does not exist, and the firewall of the machine stays as it is: so
    networks are not kept apart. With ``own_network`` they are, by rules in a network namespace that
    goes with the engine; then its containers are reached through the engine only.

    Raises:
        CannotStart: no root, no ``dockerd``, or one that does not start here.
    """

    def __init__(self, *, own_network: bool = False) -> None:
        if os.geteuid() != 0:
            raise CannotStart("a Docker engine of the tests' own needs root")
        missing = [program for program in _NEEDED if shutil.which(program) is None]
        if missing:
            raise CannotStart(f"not installed: {', '.join(missing)}")
        # Short, because sockets below it have a path of at most 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="dk-", dir="/tmp"))
        self._keeper = subprocess.Popen(
            [
                sys.executable,
                "-m",
                __name__,
                str(self._folder),
                *([_OWN_NETWORK] if own_network else []),
            ],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        #: What DOCKER_HOST is for programs that use this engine.
        self.url = f"unix://{self._folder}/d.sock"
        try:
            self.client = self._connected()
        except BaseException:
            self._end_keeper()
            raise

    def _connected(self) -> docker.DockerClient:
        deadline = time.monotonic() + _START_SECONDS
        while _READY not in self.log():
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"dockerd does not start: {self.log()[-800:]}")
            time.sleep(_POLL_SECONDS)
        return docker.DockerClient(base_url=self.url, timeout=int(_STEP_SECONDS))

    def log(self) -> str:
        """What the engine has said so far."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        """For ``docker`` on a command line: this engine, and its own builder."""
        return {**os.environ, "DOCKER_HOST": self.url, "DOCKER_BUILDKIT": "1"}

    def base_image(self) -> Image:
        """The image BASE_IMAGE, imported the first time that it is asked for.

        Raises:
            CannotStart: it cannot be made here.
        """
        for image in self.client.images.list(name=BASE_IMAGE):
            return image
        changes = [f"ENV PIP_CERT={_CERTIFICATES}", 'CMD ["python3"]']
        with base_archive().open("rb") as archive:
            repository, _, tag = BASE_IMAGE.partition(":")
            # In pieces: the client announces such a body, and sends a file otherwise.
            pieces = iter(partial(archive.read, _PIECE_BYTES), b"")
            self.client.api.import_image_from_stream(
                pieces, repository=repository, tag=tag, changes=changes
            )
        return self.client.images.get(BASE_IMAGE)

    def stop(self) -> None:
        self.client.close()
        self._end_keeper()

    def _end_keeper(self) -> None:
        assert self._keeper.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.write(_STOP)
            self._keeper.stdin.close()
        self._keeper.wait(_STEP_SECONDS)


# The keeper.


def _keep(folder: Path, own_network: bool) -> int:
    """Runs the engine until standard input ends, then removes all of it."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A pipe that breaks is the signal. Caught, not ignored: the engine would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    (folder / "d.json").write_text("{}")
    command = [
        "dockerd", "--config-file", folder / "d.json", "--data-root", folder / "data",
        "--exec-root", folder / "exec", "--pidfile", folder / "d.pid",
        "-H", f"unix://{folder}/d.sock", "--bridge=none", "--shutdown-timeout", "5",
    ]  # fmt: skip
    if own_network:
        command = ["unshare", "--net", "--", *command]
    else:
        command += ["--iptables=false", "--ip-masq=false"]
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        while os.read(0, 1) not in (b"", _STOP):
            pass
    finally:
        _empty(folder)
        _end(engine)
        _clear(folder)
    return 0


def _empty(folder: Path) -> None:
    """Containers and networks go while the engine can still remove them."""
    with contextlib.suppress(DockerException, OSError):
        client = docker.DockerClient(base_url=f"unix://{folder}/d.sock", timeout=60)
        for container in client.containers.list(all=True, ignore_removed=True):
            with contextlib.suppress(DockerException):
                container.remove(force=True, v=True)
        client.networks.prune()
        client.close()


def _end(engine: subprocess.Popen[bytes]) -> None:
    engine.terminate()
    try:
        engine.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait(_ENDING_SECONDS)


def _clear(folder: Path) -> None:
    deadline = time.monotonic() + _ENDING_SECONDS
    while (left := _processes_of(folder)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        _reap()
        time.sleep(_POLL_SECONDS)
    _reap()
    for mount in sorted(_mounts_below(folder), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _processes_of(folder: Path) -> list[int]:
    """Those that run and name the folder on their command line, this one excepted.

    Judged by state: one that has ended and waits for its parent still takes signals.
    """
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            words = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, IndexError):
            continue
        if f"{folder}/".encode() in words and state not in "ZX":
            found.append(int(process.name))
    return found


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [point for line in lines if (point := line.split()[4]).startswith(f"{folder}/")]


if __name__ == "__main__":
    if sys.argv[1] == "--base":
        print(base_archive())
        sys.exit(0)
    sys.exit(_keep(Path(sys.argv[1]), _OWN_NETWORK in sys.argv))
