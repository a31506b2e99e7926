"""The Landlock wall: from here on no file can be opened, no port used, nobody else signalled.

Landlock is a part of Linux by which a process takes rights from itself. Its rights come in versions
("ABI"): a kernel refuses a rule that names a right it does not know, so the newest known to both
sides is taken. Source: the kernel's documentation, ``userspace-api/landlock``, and the constants of
``include/uapi/linux/landlock.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass
from typing import Final

_CREATE_RULESET: Final = 444  # the numbers are the same on every architecture
_RESTRICT_SELF: Final = 446
_CREATE_RULESET_VERSION: Final = 1

#: ABI from which on a file system right exists → how many rights there are then: execute, write,
#: read, list, remove two ways, make seven ways (13), then refer, truncate, and ioctl on devices.
_FILE_RIGHTS: Final = ((1, 13), (2, 14), (3, 15), (5, 16))
_NETWORK_ABI: Final = 4
_NETWORK_RIGHTS: Final = 0b11  # bind and connect TCP
_SCOPE_ABI: Final = 6
_SCOPES: Final = 0b11  # abstract unix sockets and signals of others

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result


def abi() -> int:
    """The kernel's Landlock version, from 1; OSError where it has none or it is switched off."""
    return _call(
        _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_CREATE_RULESET_VERSION)
    )


def ruleset(version: int) -> bytes:
    """``struct landlock_ruleset_attr`` of this version: it handles all rights and grants none."""
    if version < 1:
        raise OSError(errno.ENOSYS, "landlock: no version")
    count = max(rights for since, rights in _FILE_RIGHTS if since <= version)
    attributes = struct.pack("=Q", (1 << count) - 1)
    if version >= _NETWORK_ABI:
        attributes += struct.pack("=Q", _NETWORK_RIGHTS)
    if version >= _SCOPE_ABI:
        attributes += struct.pack("=Q", _SCOPES)
    return attributes


@dataclass(frozen=True, slots=True)
class NoFiles:
    """Landlock without any rule: nothing can be opened, made, run or removed, whoever owns it.

    Where the kernel is new enough, TCP, abstract sockets and signals to other processes go too.
    Descriptors that are open already, which are the two pipes, stay. Needs ``no_new_privs``.
    """

    name: str = "landlock"
    essential: bool = False

    def apply(self) -> None:
        attributes = ruleset(abi())
        descriptor = _call(
            _CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)
        )
        try:
            _call(_RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0))
        finally:
            os.close(descriptor)
