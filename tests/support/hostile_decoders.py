"""Decoders that misbehave as a lab's file might make a real one misbehave.

They run inside a real decode box: ``SubprocessBox.start(…, decoders_module=…)``. What a decoder
finds out about its surroundings leaves it as numbers, the only thing that can.
"""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401 - loaded late by sockets, when the box has no file system any more
import errno
import mmap
import os
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode import frames
from services.grader.decode.protocol import (
    BoxFinding,
    DecodeRequest,
    Emit,
    MemberReader,
    WarmUp,
)

Outcome = tuple[dict[str, NDArray[Any]] | None, Sequence[BoxFinding]]

#: What the action "print" prints: it begins as a frame does.
PRINTED = "GLFR text among the frames"

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


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


#: System calls by their numbers on x86_64 and aarch64, as far as Python has no name for them.
_NUMBERS = {
    "mount": (165, 40),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "memfd_create": (319, 279),
    "unshare": (272, 97),
}
_COLUMN = 1 if platform.machine() == "aarch64" else 0
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _system_call(name: str, *arguments: object) -> None:
    """Succeeds unless the call is refused as such; arguments of no sense are no refusal."""
    result = _libc.syscall(ctypes.c_long(_NUMBERS[name][_COLUMN]), *arguments)
    code = ctypes.get_errno()
    if result > 0 and name == "memfd_create":
        os.close(result)
    if result < 0 and code in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        raise OSError(code, name)


def _raise_limit() -> None:
    try:
        resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))
    except ValueError as error:  # Python's word for EPERM here
        raise PermissionError from error


def _probes(options: dict[str, str]) -> dict[str, Callable[[], object]]:
    """The attempts by name, those last that would change the process itself.

    They also run in boxes without any wall, as root: each must be harmless where it succeeds.
    """
    other = int(options["other_pid"])
    nothing = ctypes.c_long(0)
    peek = ctypes.c_long(1)  # at another process that was not attached to: leaves nothing behind
    attempts: dict[str, Callable[[], object]] = {
        "connect": lambda: _connect(options["address"]),
        "socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "read-key": lambda: _read(options["key_file"]),
        "read-public": lambda: _read(options["public_file"]),
        "read-proc": lambda: _read(f"/proc/{other}/environ"),
        "read-own-proc": lambda: _read("/proc/self/maps"),
        "list-root": lambda: os.listdir("/"),
        "write-folder": lambda: _write("left-behind"),
        "write-tmp": lambda: _write(options["scratch_file"]),
        "kill": lambda: os.kill(other, 0),
        "fork": _fork,
        "exec": lambda: subprocess.run(["/bin/true"], check=True),
        "trace": lambda: _system_call("ptrace", peek, ctypes.c_long(other)),
        "read-memory": lambda: _system_call("process_vm_readv", ctypes.c_long(other)),
        # A type that no kernel has: who may mount gets ENODEV, and nothing is ever mounted.
        "mount": lambda: _system_call("mount", b"none", b"/", b"no-such-type", nothing, nothing),
        "keyctl": lambda: _system_call("keyctl", nothing, ctypes.c_long(-3), nothing),
        "bpf": lambda: _system_call("bpf", nothing, nothing, nothing),
        "perf": lambda: _system_call("perf_event_open", nothing, nothing, nothing),
        "memfd": lambda: _system_call("memfd_create", b"x", nothing),
        "set-limit": _raise_limit,
        "become-root": lambda: os.setuid(0),
        "chroot": lambda: os.chroot("/"),
        "unshare": lambda: _system_call("unshare", ctypes.c_long(0x40000000)),
    }
    return attempts


PROBES = (
    *_probes({"other_pid": "0"}),
    "environment",
    "descriptors",
)


def _probe(options: dict[str, str]) -> NDArray[np.int64]:
    """Results in the order of PROBES."""
    results = [_try(attempt) for attempt in _probes(options).values()]
    results += [len(os.environ), sum(_try(partial(os.close, number)) for number in range(4, 256))]
    return np.array(results, dtype=np.int64)


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


def _forge_parts() -> None:
    # Past the emitter, which would stop.
    frame = b"".join(frames.encode({"part": np.zeros(500_000, dtype=np.uint8)}))
    while True:
        os.write(3, frame)


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
    "two-gigabytes": lambda: mmap.mmap(-1, 2 * 1024**3).close(),
    "flood": _flood,
    "forge-parts": _forge_parts,
    "lie": _lie_about_size,
    "print": lambda: print(PRINTED, flush=True),
    "recurse": lambda: sys.setrecursionlimit(10**6),
}


def decode(request: DecodeRequest, members: Iterator[MemberReader], emit: Emit) -> Outcome:
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
    if action == "endless-parts":
        while True:
            emit({"part": np.zeros(1024, dtype=np.uint8)})
    if action == "parts":
        for number in range(3):
            emit({"part": np.full(100_000, number, dtype=np.uint8)})
    if action == "not-finite":
        return {"numbers": np.array([1.0, np.nan])}, ()
    if action in ACTIONS:
        ACTIONS[action]()
    return {"sizes": np.array(sizes, dtype=np.int64)}, ()


DECODERS = {AnswerKind.TEXT: decode}
WARM_UP: tuple[WarmUp, ...] = ()
