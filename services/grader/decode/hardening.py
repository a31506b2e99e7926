"""What a decode box gives up before it reads the first untrusted byte.

Each step is an object of one shape, applied in the child, in order. A further one is another object
in the list; nothing else changes. A step that is not ``essential`` may be impossible where the
operating system forbids it; the box then says so, and the worker's isolation setting decides
whether such a box may work.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from services.grader.decode.landlock import NoFiles
from services.grader.decode.seccomp import FewSystemCalls

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000
PR_SET_DUMPABLE: Final = 4
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAPBSET_DROP: Final = 24
LAST_CAPABILITY: Final = 40  # CAP_CHECKPOINT_RESTORE; include/uapi/linux/capability.h
_CAPABILITY_VERSION_3: Final = 0x20080522

#: A box that root started becomes the user and group of this number plus its process id: one that
#: owns nothing and that no other box has, so that boxes cannot signal one another.
FIRST_BOX_IDENTITY: Final = 1_000_000_000

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


class HardeningStep(Protocol):
    """Gives up one thing for ever. ``apply`` raises OSError where that is impossible."""

    @property
    def name(self) -> str: ...

    @property
    def essential(self) -> bool: ...

    def apply(self) -> None: ...


@dataclass(frozen=True, slots=True)
class OneThread:
    """Nothing runs beside us: capabilities, Landlock and seccomp bind the thread that asks."""

    name: str = "one-thread"
    essential: bool = False

    def apply(self) -> None:
        if len(os.listdir("/proc/self/task")) != 1:
            raise OSError(errno.EBUSY, "a library started a thread")


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """Memory, processor time, files, processes and core dumps.

    No file can grow (the box has nowhere to write anyway), no process or thread can be started.
    """

    memory_bytes: int
    cpu_seconds: int
    open_files: int
    name: str = "resource-limits"
    essential: bool = True

    def apply(self) -> None:
        for limit, value in (
            (resource.RLIMIT_AS, self.memory_bytes),
            (resource.RLIMIT_NOFILE, self.open_files),
            (resource.RLIMIT_NPROC, 0),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(limit, (value, value))
        # The first limit kills by SIGXCPU, which tells the worker why; the second by SIGKILL.
        resource.setrlimit(resource.RLIMIT_CPU, (self.cpu_seconds, self.cpu_seconds + 1))


@dataclass(frozen=True, slots=True)
class NewNamespaces:
    """A network without any interface, and no shared mounts or System V objects.

    Root unshares them directly; another identity through a user namespace of its own.
    """

    name: str = "namespaces"
    essential: bool = False

    def apply(self) -> None:
        flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS
        if os.geteuid() != 0:
            flags |= CLONE_NEWUSER
        _check(_libc.unshare(flags), "unshare")


@dataclass(frozen=True, slots=True)
class EmptyRoot:
    """The box's own empty folder becomes its whole file system."""

    folder: Path
    name: str = "empty-root"
    essential: bool = False

    def apply(self) -> None:
        os.chroot(self.folder)
        os.chdir("/")


@dataclass(frozen=True, slots=True)
class NoIdentity:
    """A box that root started becomes nobody in particular; any other keeps its identity."""

    name: str = "identity"
    essential: bool = False

    def apply(self) -> None:
        if os.geteuid() == 0:
            identity = FIRST_BOX_IDENTITY + os.getpid()
            os.setgroups([])
            os.setresgid(identity, identity, identity)
            os.setresuid(identity, identity, identity)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class NoCapabilities:
    """Every capability is dropped, those inside a user namespace included."""

    name: str = "capabilities"
    essential: bool = True

    def apply(self) -> None:
        header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
        empty = (_CapabilitySets * 2)()
        _check(_libc.capset(ctypes.byref(header), ctypes.byref(empty)), "capset")


@dataclass(frozen=True, slots=True)
class NoBoundingSet:
    """No program that the box could start would gain a capability."""

    name: str = "bounding-set"
    essential: bool = False

    def apply(self) -> None:
        for capability in range(LAST_CAPABILITY + 1):
            _check(_libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl")


@dataclass(frozen=True, slots=True)
class NoNewPrivileges:
    """Set-user-id programs give nothing, and no other process of ours can read this one."""

    name: str = "no-new-privileges"
    essential: bool = True

    def apply(self) -> None:
        _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
        _check(_libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")


def standard_steps(
    folder: Path, *, memory_bytes: int, cpu_seconds: int, open_files: int
) -> tuple[HardeningStep, ...]:
    """The steps of a box, in the order that they need one another.

    Namespaces give another identity than root the right to the empty root; Landlock and seccomp
    need no-new-privileges, and after seccomp no further step would be possible.
    """
    return (
        OneThread(),
        NewNamespaces(),
        EmptyRoot(folder),
        NoBoundingSet(),
        NoIdentity(),
        NoCapabilities(),
        NoNewPrivileges(),
        ResourceLimits(memory_bytes, cpu_seconds, open_files),
        NoFiles(),
        FewSystemCalls(),
    )


def apply_all(steps: tuple[HardeningStep, ...], without: Collection[str] = ()) -> list[int]:
    """Applies every step; the positions of those that were impossible or named in ``without``.

    Raises OSError where an essential one is impossible: such a process must not go on.
    """
    skipped: list[int] = []
    for position, step in enumerate(steps):
        if step.name in without:
            skipped.append(position)
            continue
        try:
            step.apply()
        except OSError:
            if step.essential:
                raise
            skipped.append(position)
    return skipped


def hide_from_other_processes() -> None:
    """Keeps processes of the same identity from reading this one's memory (/proc, ptrace)."""
    _check(_libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl")
