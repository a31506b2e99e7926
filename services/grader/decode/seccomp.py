"""The seccomp wall: the few system calls that decoding needs, and no other.

The filter is a program of the kernel's packet filter language (BPF) over ``struct seccomp_data``
(number at byte 0, architecture at 4, arguments from 16, eight bytes each). A call that is not on
the list fails with EPERM: a library that asks for something on the side may go on without it. Only
a call in the convention of another architecture, which nobody makes by accident, kills the box.
Sources: ``userspace-api/seccomp_filter`` of the kernel's documentation, ``include/uapi/linux``
(``seccomp.h``, ``filter.h``, ``audit.h``) and the tables of system calls of both architectures.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

PR_SET_SECCOMP: Final = 22
SECCOMP_MODE_FILTER: Final = 2

_LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_KILL_PROCESS: Final = 0x80000000
_FAIL: Final = 0x00050000  # plus the error number
_ALLOW: Final = 0x7FFF0000
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_FIRST_ARGUMENT_AT: Final = 16

#: Machine → its number in the audit interface.
_ARCHITECTURES: Final = MappingProxyType({"x86_64": 0xC000003E, "aarch64": 0xC00000B7})

#: System call → its number on x86_64 and on aarch64. Memory, the two pipes, time, random numbers,
#: locks, signal handlers, the end. Nothing here opens, names, makes or signals anything.
_ALLOWED: Final = MappingProxyType(
    {
        "read": (0, 63),
        "write": (1, 64),
        "readv": (19, 65),
        "writev": (20, 66),
        "close": (3, 57),
        "lseek": (8, 62),
        "fstat": (5, 80),
        "mmap": (9, 222),
        "munmap": (11, 215),
        "mremap": (25, 216),
        "mprotect": (10, 226),
        "madvise": (28, 233),
        "brk": (12, 214),
        "futex": (202, 98),
        "rt_sigaction": (13, 134),
        "rt_sigprocmask": (14, 135),
        "rt_sigreturn": (15, 139),
        "sigaltstack": (131, 132),
        "getpid": (39, 172),
        "gettid": (186, 178),
        "exit": (60, 93),
        "exit_group": (231, 94),
        "clock_gettime": (228, 113),
        "clock_nanosleep": (230, 115),
        "nanosleep": (35, 101),
        "gettimeofday": (96, 169),
        "getrandom": (318, 278),
        "sched_yield": (24, 124),
        "sched_getaffinity": (204, 123),
        "getrusage": (98, 165),
        "restart_syscall": (219, 128),
    }
)
#: Allowed to one's own process only: how ``abort`` ends it.
_SIGNAL_THREAD: Final = (234, 131)

ALLOWED_NAMES: Final = frozenset(_ALLOWED) | {"tgkill"}


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """``struct sock_filter``; jumps count the instructions that are left out."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def program(machine: str, own_pid: int) -> bytes:
    """The filter for a process of this id; OSError for a machine whose calls are not known."""
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"seccomp: no table of system calls for {machine}")
    column = list(_ARCHITECTURES).index(machine)
    numbers: Sequence[int] = [row[column] for row in _ALLOWED.values()]
    steps = [
        _instruction(_LOAD_WORD, _ARCHITECTURE_AT),
        _instruction(_JUMP_IF_EQUAL, _ARCHITECTURES[machine], if_true=1),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD_WORD, _NUMBER_AT),
    ]
    # After the list: the test of tgkill (three instructions), the refusal, the permission.
    for place, number in enumerate(numbers):
        steps.append(_instruction(_JUMP_IF_EQUAL, number, if_true=len(numbers) - place + 3))
    steps += [
        _instruction(_JUMP_IF_EQUAL, _SIGNAL_THREAD[column], if_false=2),
        _instruction(_LOAD_WORD, _FIRST_ARGUMENT_AT),
        _instruction(_JUMP_IF_EQUAL, own_pid, if_true=1),
        _instruction(_RETURN, _FAIL | errno.EPERM),
        _instruction(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


_STEP_BYTES: Final = 8
_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class FewSystemCalls:
    """Everything but memory, pipes and time is refused by the kernel. Needs ``no_new_privs``."""

    name: str = "seccomp"
    essential: bool = False

    def apply(self) -> None:
        steps = program(platform.machine(), os.getpid())
        filter_ = _Program(len(steps) // _STEP_BYTES, steps)
        zero = ctypes.c_ulong(0)
        result = _libc.prctl(
            PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(filter_), zero, zero
        )
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"seccomp: {os.strerror(number)}")
