"""Files that hold a secret: made for their owner only, and refused where others could read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

from general_level.errors import GeneralLevelError

#: An age identity has 74 characters and an Ed25519 key in PEM 119; comments may stand around them.
MAX_SECRET_BYTES: Final = 16 * 1024

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyUnavailable(GeneralLevelError):
    """A sealed key, an identity or a signing key cannot be used.

    ``what`` says which of them, ``why`` a stable word. No message holds a part of any content.
    """

    reason = "KEY_UNAVAILABLE"


def read_private_file(path: Path, *, what: str) -> bytes:
    """The content of a small secret file that nobody else can touch; see :func:`is_private`.

    Raises KeyUnavailable with ``why``: unreadable, mode (others have a right to it), or too-large.
    """
    try:
        with path.open("rb") as file:
            # Of the open file, not of the path: what is checked is what is read.
            status = os.fstat(file.fileno())
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError:
        raise KeyUnavailable("The file cannot be read.", what=what, why="unreadable") from None
    if not is_private(status, os.geteuid(), {os.getegid(), *os.getgroups()}):
        raise KeyUnavailable(
            "Only its owner may have rights to the file: chmod 600.", what=what, why="mode"
        )
    if len(content) > MAX_SECRET_BYTES:
        raise KeyUnavailable("The file is too large.", what=what, why="too-large")
    return content


def is_private(status: os.stat_result, user: int, groups: Collection[int]) -> bool:
    """Whether nobody but the file's owner can touch it.

    A secret that an orchestrator mounts belongs to root and is read through a group of the process,
    which itself is not root: Kubernetes' ``fsGroup``. There the group may read, and no more.
    """
    rights = status.st_mode & _OTHERS
    mounted = status.st_uid == 0 and user != 0 and status.st_gid in groups
    return not rights or (mounted and rights == stat.S_IRGRP)


def write_private_file(path: Path, content: bytes) -> None:
    """Makes a new file of mode 0600 and writes it durably; FileExistsError where there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
