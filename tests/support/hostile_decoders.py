"""Decoders that misbehave as a lab's file might make a real one misbehave.

They run inside a real decode box: ``SubprocessBox.start(…, decoders_module=…)``. What a decoder
finds out about its surroundings leaves it as numbers, the only thing that can.
"""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401 - loaded late by sockets, when the box has no file system any more
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode.protocol import BoxFinding, DecodeRequest, MemberReader

Outcome = tuple[dict[str, NDArray[Any]] | None, Sequence[BoxFinding]]

#: Answers of a probe.
SUCCEEDED = 1
REFUSED = 0


def _try(action: Callable[[], object]) -> int:
    try:
        action()
    except (OSError, MemoryError, subprocess.SubprocessError):
        return REFUSED
    return SUCCEEDED


def _connect(address: str) -> None:
    host, port = address.rsplit(":", 1)
    socket.create_connection((host, int(port)), timeout=1.0).close()


def _read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


def _write(path: str) -> None:
    with open(path, "wb") as file:
        file.write(b"x")


def _probe(options: dict[str, str]) -> NDArray[np.int64]:
    """Results in the order of PROBES."""
    other = int(options["other_pid"])
    return np.array(
        [
            _try(lambda: _connect(options["address"])),
            _try(lambda: _read(options["key_file"])),
            _try(lambda: _read("/etc/passwd")),
            _try(lambda: _read(f"/proc/{other}/environ")),
            _try(lambda: _write("left-behind")),
            _try(lambda: _write("/tmp/left-behind")),
            _try(lambda: os.kill(other, signal.SIGKILL)),
            _try(os.fork),
            _try(lambda: subprocess.run(["/bin/true"], check=True)),
            _try(lambda: os.setuid(0)),
            _try(lambda: os.chroot("/")),
            len(os.environ),
            sum(_try(lambda fd=fd: os.fstat(fd)) for fd in range(4, 256)),
        ],
        dtype=np.int64,
    )


PROBES = (
    "connect",
    "read-key",
    "read-etc",
    "read-proc",
    "write-folder",
    "write-tmp",
    "kill",
    "fork",
    "exec",
    "become-root",
    "chroot",
    "environment",
    "descriptors",
)


def _bomb() -> None:
    kept = []
    while True:
        kept.append(np.empty(64 * 1024 * 1024))


def _memory_map_bomb() -> None:
    kept = []
    while True:
        kept.append(mmap.mmap(-1, 64 * 1024 * 1024))


def _flood() -> None:
    while True:
        os.write(3, b"\x00" * 65536)


def _lie_about_size() -> None:
    # The prefix of a frame of 2^60 bytes, then silence.
    os.write(3, b"GLFR\x01\x00\x01\x00\x10\x00\x00\x00" + (1 << 60).to_bytes(8, "little"))
    time.sleep(3600)


ACTIONS: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(0),
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "raise": lambda: (_ for _ in ()).throw(RuntimeError("a decoder's own fault")),
    "hang": lambda: time.sleep(3600),
    "spin": lambda: [None for _ in iter(int, 1)],
    "bomb": _bomb,
    "map-bomb": _memory_map_bomb,
    "flood": _flood,
    "lie": _lie_about_size,
    "print": lambda: print("GLFR text among the frames", flush=True),
    "recurse": lambda: sys.setrecursionlimit(10**6),
}


def decode(request: DecodeRequest, members: Iterator[MemberReader]) -> Outcome:
    """Does what the option ``action`` says, then answers."""
    sizes = []
    for member in members:
        data = b""
        while part := member.read(65536):
            data += part
        sizes.append(len(data))
    options = dict(request.options)
    action = options.get("action", "answer")
    if action == "probe":
        return {"probes": _probe(options)}, ()
    if action == "oversize":
        return {"big": np.zeros(64 * 1024 * 1024, dtype=np.uint8)}, ()
    if action == "not-finite":
        return {"numbers": np.array([1.0, np.nan])}, ()
    if action in ACTIONS:
        ACTIONS[action]()
    return {"sizes": np.array(sizes, dtype=np.int64)}, ()


DECODERS = {AnswerKind.TEXT: decode}
WARM_UP: dict[AnswerKind, bytes] = {}
