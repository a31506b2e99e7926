"""Files that hold a secret: made for their owner only, and refused where others could read them."""

from __future__ import annotations

import os
import stat
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
    """The content of a small secret file that nobody but its owner can touch.

    Raises KeyUnavailable with ``why``: unreadable, mode (the group or others have a right to it),
    or too-large.
    """
    try:
        with path.open("rb") as file:
            # Of the open file, not of the path: what is checked is what is read.
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError:
        raise KeyUnavailable("The file cannot be read.", what=what, why="unreadable") from None
    if mode & _OTHERS:
        raise KeyUnavailable(
            "Only its owner may have rights to the file: chmod 600.", what=what, why="mode"
        )
    if len(content) > MAX_SECRET_BYTES:
        raise KeyUnavailable("The file is too large.", what=what, why="too-large")
    return content


def write_private_file(path: Path, content: bytes) -> None:
    """Makes a new file of mode 0600 and writes it durably; FileExistsError where there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
