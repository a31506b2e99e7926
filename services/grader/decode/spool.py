"""The large arrays of one job on their way from a box to the scorer: a file of frames.

The worker writes what it received and checked; the scorer maps the file and gets views of it, so
nothing is copied again and pages that nobody looks at need no memory. The box never sees the file.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, overload

from services.grader.decode import frames
from services.grader.decode.frames import Arrays, FrameInvalid, FrameLimits

_READ_ONLY_MODE: Final = 0o400


class SpoolWriter:
    """Takes one frame after another; nothing is on disk before the first."""

    def __init__(self, max_bytes: int, max_frames: int) -> None:
        self._left_bytes = max_bytes
        self._left_frames = max_frames
        self._descriptor: int | None = None
        self._path: Path | None = None

    def append(self, arrays: Arrays) -> None:
        """Writes one frame; FrameInvalid where the file would pass its limits."""
        buffers = frames.encode(arrays)
        self._left_bytes -= sum(map(len, buffers))
        self._left_frames -= 1
        if self._left_bytes < 0 or self._left_frames < 0:
            raise FrameInvalid("more parts than are kept")
        if self._descriptor is None:
            self._descriptor, name = tempfile.mkstemp(prefix="general-level-parts-")  # mode 0600
            self._path = Path(name)
        for buffer in buffers:
            view = memoryview(buffer)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def close(self) -> Path | None:
        """Ends writing; the file, None where nothing was written. The caller removes it."""
        if self._descriptor is not None:
            os.fchmod(self._descriptor, _READ_ONLY_MODE)
            os.close(self._descriptor)
            self._descriptor = None
        return self._path

    def discard(self) -> None:
        """Ends writing and removes what was written."""
        remove(self.close())


def remove(path: Path | None) -> None:
    """Removes a spool file, if there is one."""
    if path is not None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


class Parts(Sequence[Arrays]):
    """The frames of a spool file as read-only views of it, each checked when it is asked for.

    The views stay good after the file is removed and after this object is gone.
    """

    def __init__(self, path: Path | None, limits: FrameLimits) -> None:
        self._limits = limits
        self._starts: list[int] = []
        self._view = memoryview(b"")
        if path is None:
            return
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size:
                self._view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        position = 0
        while position < size:
            self._starts.append(position)
            prefix = self._prefix(position)
            position += frames.PREFIX_BYTES + prefix.header_bytes + prefix.payload_bytes
        if position != size:
            raise FrameInvalid("parts that are cut off")

    def _prefix(self, position: int) -> frames.Prefix:
        data = bytes(self._view[position : position + frames.PREFIX_BYTES])
        if len(data) != frames.PREFIX_BYTES:
            raise FrameInvalid("parts that are cut off")
        return frames.parse_prefix(data, self._limits)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int, /) -> Arrays: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[Arrays]: ...
    def __getitem__(self, index: int | slice, /) -> Arrays | Sequence[Arrays]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        start = self._starts[index]
        prefix = self._prefix(start)
        start += frames.PREFIX_BYTES
        return frames.parse(
            prefix, self._view[start : start + prefix.header_bytes + prefix.payload_bytes]
        )
