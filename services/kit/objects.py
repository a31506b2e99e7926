"""Immutable bytes under keys, in a local folder or an S3-compatible store, chosen by URL.

``obstore`` is the library; this module only narrows it to what the platform does: put whole
objects, read ranges, delete. A key is a relative path of safe characters.

Each store promises the same: an object is there whole or not at all, whoever asks after a put sees
it, and what was put is durable. S3 promises that since 2020, and so do the stores compatible to it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store, from_url

from general_level.errors import Unavailable
from services.kit.settings import Secret

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

#: One range read from the store; larger reads are done in several.
READ_BYTES_MAX = 8 * 1024 * 1024
#: Objects above this size (bytes) are sent in several parts to S3, at least as large as it takes
#: them, so many at once.
MULTIPART_BYTES: Final = 5 * 1024 * 1024
MULTIPART_AT_ONCE: Final = 4
#: The waits between two tries of a request to S3, in seconds: at first, and at most.
RETRY_WAIT_SECONDS: Final = 0.1
RETRY_WAIT_SECONDS_MAX: Final = 5.0


class ObjectMissing(Unavailable):
    """A stored object cannot be found."""

    reason = "OBJECT_MISSING"


class ObjectStoreFailed(Unavailable):
    """The object store did not do what was asked."""

    reason = "OBJECT_STORE_FAILED"


@dataclass(frozen=True, slots=True)
class S3Options:
    """How an S3-compatible store is reached.

    What is None is taken from the usual ``AWS_…`` variables, or from the machine's role.
    """

    endpoint: str | None = None
    """``https://host:port`` of a store that is not Amazon's; the bucket is named in the path."""
    region: str | None = None
    access_key_id: Secret | None = field(default=None, repr=False)
    secret_access_key: Secret | None = field(default=None, repr=False)
    connect_seconds: float = 5.0
    request_seconds: float = 30.0
    """A request that takes longer is given up, and tried again if time is left."""
    retry_seconds: float = 60.0
    """Answers 5xx and broken connections are tried again for so long after the first try."""


class Objects:
    """A store opened by URL: ``file:///folder``, ``s3://bucket/prefix`` or ``memory:///``."""

    def __init__(self, url: str, s3: S3Options | None = None) -> None:
        self.url = url
        self.s3 = s3
        self._folder: Path | None = None
        if url.startswith("file://"):
            self._folder = Path(url.removeprefix("file://"))
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store = cast("obstore.store.ObjectStore", LocalStore(self._folder, mkdir=True))
        elif url.startswith("s3://"):
            self._store = _open_s3(url, s3 or S3Options())
        else:
            self._store = from_url(url)

    def put(self, key: str, data: bytes) -> None:
        """Stores the bytes durably; an existing object of the key is replaced.

        A remote store is durable when it answers. A local one is written by rename and not synced
        (obstore has no option for it), so that is done here: the file, and every folder up to the
        store's, each of which may be new.
        """
        try:
            obstore.put(
                self._store,
                key,
                data,
                # A folder has no parts: one file, renamed.
                use_multipart=None if self._folder is None else False,
                chunk_size=MULTIPART_BYTES,
                max_concurrency=MULTIPART_AT_ONCE,
            )
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


def _open_s3(url: str, options: S3Options) -> obstore.store.ObjectStore:
    place = urlsplit(url)
    config: S3Config = {}
    if options.endpoint is not None:
        config["endpoint"] = options.endpoint
        config["virtual_hosted_style_request"] = False
    if options.region is not None:
        config["region"] = options.region
    if options.access_key_id is not None and options.secret_access_key is not None:
        config["access_key_id"] = options.access_key_id.reveal()
        config["secret_access_key"] = options.secret_access_key.reveal()
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=options.connect_seconds),
        "timeout": timedelta(seconds=options.request_seconds),
    }
    if (options.endpoint or "").startswith("http://"):
        client["allow_http"] = True
    return S3Store(
        place.netloc,
        prefix=place.path.strip("/") or None,
        config=config,
        client_options=client,
        retry_config={
            # Time is the bound; so many waits are never done within it.
            "max_retries": 1_000,
            "retry_timeout": timedelta(seconds=options.retry_seconds),
            "backoff": {
                "init_backoff": timedelta(seconds=RETRY_WAIT_SECONDS),
                "max_backoff": timedelta(seconds=RETRY_WAIT_SECONDS_MAX),
                "base": 2,
            },
        },
    )


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
