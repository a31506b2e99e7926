"""Immutable bytes under keys, in a local folder or an S3-compatible store, chosen by URL.

``obstore`` is the library; this module only narrows it to what the platform does: put whole
objects, read ranges, list, delete. A key is a relative path of safe characters.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from general_level.errors import Unavailable

#: One range read from the store; larger reads are done in several.
READ_BYTES_MAX = 8 * 1024 * 1024


class ObjectMissing(Unavailable):
    """A stored object cannot be found."""

    reason = "OBJECT_MISSING"


class ObjectStoreFailed(Unavailable):
    """The object store did not do what was asked."""

    reason = "OBJECT_STORE_FAILED"


class Objects:
    """A store opened by URL: ``file:///folder``, ``s3://bucket/prefix`` or ``memory:///``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._folder: Path | None = None
        if url.startswith("file://"):
            self._folder = Path(url.removeprefix("file://"))
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store = cast("obstore.store.ObjectStore", LocalStore(self._folder, mkdir=True))
        else:
            self._store = from_url(url)

    def put(self, key: str, data: bytes) -> None:
        """Stores the bytes durably; an existing object of the key is replaced.

        A remote store is durable when it answers. A local one is written by rename and not synced
        (obstore has no option for it), so that is done here: the file, and every folder up to the
        store's, each of which may be new.
        """
        try:
            obstore.put(self._store, key, data)
            if self._folder is not None:
                path = self._folder / key
                _sync(path)
                for folder in path.relative_to(self._folder).parents:
                    _sync(self._folder / folder)
        except (BaseError, OSError) as error:
            raise ObjectStoreFailed(operation="put", key=key) from error

    def read(self, key: str, start: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``start``."""
        if length == 0:
            return b""
        try:
            data = obstore.get_range(self._store, key, start=start, length=length)
        except FileNotFoundError as error:
            raise ObjectMissing(key=key) from error
        except (BaseError, OSError) as error:
            raise ObjectStoreFailed(operation="read", key=key) from error
        if len(data) != length:
            # The store answers a range past the end with what there is: a damaged object.
            raise ObjectStoreFailed(operation="read", key=key, problem="short")
        return data.to_bytes()

    def size(self, key: str) -> int:
        """Bytes of the object."""
        try:
            return obstore.head(self._store, key)["size"]
        except FileNotFoundError as error:
            raise ObjectMissing(key=key) from error
        except (BaseError, OSError) as error:
            raise ObjectStoreFailed(operation="head", key=key) from error

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects; one that is not there is no error."""
        for key in keys:
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                continue
            except (BaseError, OSError) as error:
                raise ObjectStoreFailed(operation="delete", key=key) from error


def _sync(path: Path) -> None:
    """Returns once the file's bytes, or the folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Part(NamedTuple):
    """A stretch of a larger file that is stored as one object."""

    offset: int
    size: int
    key: str


class PartedFile(io.RawIOBase):
    """One read-only, seekable file over parts that follow each other without a gap.

    An upload is kept as the parts in which it arrived: a broken connection loses nothing, no
    replica needs a disk, and a large archive is never copied together.
    """

    def __init__(self, objects: Objects, parts: Sequence[Part]) -> None:
        super().__init__()
        self._objects = objects
        self._parts = sorted(parts)
        end = 0
        for part in self._parts:
            if part.offset != end:
                raise ValueError("parts leave a gap or overlap")
            end += part.size
        self.size = end
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer)).cast("B")
        data = self._read_some(min(len(view), READ_BYTES_MAX))
        view[: len(data)] = data
        return len(data)

    def _read_some(self, length: int) -> bytes:
        """Up to ``length`` bytes at the position, from one part; empty at the end."""
        low, high = 0, len(self._parts)
        while low < high:
            middle = (low + high) // 2
            if self._parts[middle].offset + self._parts[middle].size <= self._position:
                low = middle + 1
            else:
                high = middle
        if low == len(self._parts) or length == 0:
            return b""
        part = self._parts[low]
        start = self._position - part.offset
        data = self._objects.read(part.key, start, min(length, part.size - start))
        self._position += len(data)
        return data
