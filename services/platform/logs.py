"""Log files of child processes, bounded in size.

A child writes through a descriptor that its parent opened for appending, and knows of no rotation.
So the file is copied and shortened in place: what the child writes next is again its first line. A
line that is written between the two steps is lost.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

#: A file that has grown to this is rotated.
LOG_BYTES_MAX: Final = 16 * 1024 * 1024
#: Earlier files of each log, ``NAME.log.1`` being the newest.
LOGS_KEPT: Final = 4


def rotate(log: Path, bytes_max: int = LOG_BYTES_MAX, kept: int = LOGS_KEPT) -> bool:
    """Rotates a log that has ``bytes_max`` bytes or more; whether it had. OSError if it cannot."""
    try:
        if log.stat().st_size < bytes_max:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept, 1, -1):
        earlier = _numbered(log, number - 1)
        if earlier.exists():
            earlier.replace(_numbered(log, number))
    shutil.copyfile(log, _numbered(log, 1))
    os.truncate(log, 0)
    return True


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
