"""What a former self of this ranker has verified: a position of the ledger and a digest up to it.

    line 1    general-level ranker checkpoint, and the SHA-256 HMAC of the rest
    rest      JSON: `Checkpoint`

A ranker that starts with a checkpoint hashes the ledger up to its position instead of verifying
each statement again. Equal digests mean equal entries, which were verified by the same rules with
the same keys. A file that cannot be used for any reason is worth nothing and costs one full
verification (docs/decisions/0017).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from general_level.catalogue.model import Catalogue
from general_level.v1 import ranking_pb2 as pb
from services.kit.logging import get_logger
from services.kit.settings import Secret

#: Of one file; the entries themselves are not in it.
CHECKPOINT_BYTES_MAX: Final = 256 * 1024 * 1024
#: Another number whenever verification itself changes: what was verified by older rules is again.
RULES: Final = 1

_MAGIC: Final = b"general-level ranker checkpoint 1 "


class RefusedAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement or completion that did not verify, and the position of its entry."""

    position: int
    submission_id: str
    task_id: str
    what: str


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All entries up to ``position`` were verified by the rules that ``basis`` is a digest of.

    ``digest`` is the chain's. ``about`` is what the statements of a submission say that they are
    about, (archive digest, catalogue id), where its completion does not tell.
    """

    basis: str
    position: int
    digest: str
    refusals: list[RefusedAt]
    about: dict[str, list[tuple[str, str]]]


class LedgerChain:
    """A running digest over a ledger's entries, each with its length before it."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, entry: pb.LedgerEntry) -> None:
        data = entry.SerializeToString(deterministic=True)
        self._sha256.update(len(data).to_bytes(8, "big"))
        self._sha256.update(data)

    def digest(self) -> str:
        """SHA-256 in hex, of all entries so far."""
        return self._sha256.copy().hexdigest()


def basis_of(catalogue: Catalogue, trusted_keys: Sequence[bytes]) -> str:
    """A digest of all that a verdict on a statement depends on beside the statement itself."""
    facts = (
        RULES,
        sorted(key.hex() for key in trusted_keys),
        catalogue.id,
        sorted((task.id, task.metric_id) for task in catalogue.tasks.values()),
        sorted(
            (one.id, one.version, repr(one.minimum), repr(one.maximum))
            for one in catalogue.metrics.values()
        ),
    )
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


class CheckpointFile:
    """The file of one ranker. With a key only who has it can make one that is believed."""

    def __init__(self, path: Path, key: Secret | None = None) -> None:
        self._path = path
        self._key = key.reveal().encode() if key is not None else b""

    def load(self, basis: str) -> Checkpoint | None:
        """What was saved for these rules; None, and a warning, where it cannot be used."""
        try:
            return self._believed(basis)
        except FileNotFoundError:
            get_logger().info("no checkpoint yet", path=str(self._path))
        except OSError as error:
            self._tell_unused(type(error).__name__)
        except _Unusable as unusable:
            self._tell_unused(str(unusable))
        return None

    def _believed(self, basis: str) -> Checkpoint:
        data = self._private_bytes()
        first, _, body = data.partition(b"\n")
        if not hmac.compare_digest(first, self._first(body)):
            raise _Unusable("damaged, or of another key")
        try:
            checkpoint = msgspec.json.decode(body, type=Checkpoint)
        except msgspec.MsgspecError:
            raise _Unusable("of another form") from None
        if checkpoint.basis != basis:
            raise _Unusable("of other trusted keys, another catalogue or older rules")
        return checkpoint

    def save(self, checkpoint: Checkpoint) -> bool:
        """Replaces the file, durably; False, and a warning, where that cannot be done."""
        body = msgspec.json.encode(checkpoint)
        draft = self._path.with_name(f".{self._path.name}.draft")
        try:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
                file.write(self._first(body) + b"\n" + body)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            get_logger().warning(
                "checkpoint not saved", path=str(self._path), problem=type(error).__name__
            )
            return False
        return True

    def _first(self, body: bytes) -> bytes:
        return _MAGIC + hmac.new(self._key, body, hashlib.sha256).hexdigest().encode()

    def _private_bytes(self) -> bytes:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            ours = status.st_gid in {os.getegid(), *os.getgroups()}
            # An orchestrator gives a volume's files to a group of ours, and lets it write them.
            others = stat.S_IWOTH if ours else stat.S_IWOTH | stat.S_IWGRP
            if status.st_uid != os.geteuid() or status.st_mode & others:
                raise _Unusable("others may write it")
            if status.st_size > CHECKPOINT_BYTES_MAX:
                raise _Unusable("too large")
            return file.read(CHECKPOINT_BYTES_MAX)

    def _tell_unused(self, why: str) -> None:
        get_logger().warning(
            "checkpoint not used: every statement is verified", path=str(self._path), why=why
        )


class _Unusable(Exception):
    """Why a file is worth nothing."""
