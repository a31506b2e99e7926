"""Sealed keys: the answers of one modality, encrypted to the grader, opened in memory task by task.

A key bundle is a ZIP of stored members: ``manifest.json``, which is public, and one
``<task id>.age`` for every task. An age member (https://age-encryption.org/v1, X25519) holds
another ZIP: ``answers.json`` and, for answers that are files, ``media/<path>``. `KeyBundle.read`
decrypts one task, recomputes its commitment, and keeps nothing: there is no cache, so no answer
outlives the job that it grades. Opening a task of 10,000 text answers takes some 50 ms.

No message, repr or log line of this module holds a part of an answer or of a secret.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn, Self

import msgspec

from general_level.commitments import OPENING_FORMAT, key_commitment
from services.grader.identities import Identity, encrypt_to
from services.grader.private_files import KeyUnavailable

__all__ = [
    "AnswerKey",
    "Identity",
    "KeyBundle",
    "KeyItem",
    "KeyUnavailable",
    "ManifestEntry",
    "seal_answers",
    "write_bundle",
]

BUNDLE_FORMAT: Final = "general-level/keys/v1"
MANIFEST_NAME: Final = "manifest.json"
ANSWERS_NAME: Final = "answers.json"
MEDIA_FOLDER: Final = "media/"

#: The date that every ZIP made here carries: a bundle tells nothing of when it was made.
ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)

MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
MAX_TASKS: Final = 10_000  # of one bundle
#: One task's sealed answers, and the same unpacked; they are held in memory as a whole.
MAX_SEALED_BYTES: Final = 4 * 1024**3

#: What reading a ZIP or JSON of unknown content raises; zipfile has no single base for it.
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    RuntimeError,  # also NotImplementedError and RecursionError
    TypeError,
    ValueError,
)


class KeyItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item of a key: its id and the accepted answers, at least one, typed by answer kind."""

    id: str
    references: list[Any]

    def __repr__(self) -> str:
        return f"KeyItem(id={self.id!r})"


class _Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    task_id: str
    catalogue_id: str
    key_version: str
    salt: str
    items: list[KeyItem]

    def __repr__(self) -> str:
        return f"_Answers(task_id={self.task_id!r})"


@dataclass(frozen=True, slots=True, repr=False)
class AnswerKey:
    """The opened key of one task; its repr shows no content.

    ``items`` are in the benchmark's order. ``media`` maps paths relative to the task's folder to
    the bytes of answer files, empty for answers in words.
    """

    task_id: str
    catalogue_id: str
    key_version: str
    commitment: str
    salt: str
    items: tuple[KeyItem, ...]
    media: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[str, ...]:
        """The item ids [n]."""
        return tuple(item.id for item in self.items)

    @property
    def references(self) -> tuple[Sequence[Any], ...]:
        """The accepted answers [n], aligned with `ids`: what the metrics take."""
        return tuple(item.references for item in self.items)

    def opening(self) -> bytes:
        """The JSON that reveals this key, for `general_level.commitments.verify_commitment`.

        Publishing it retires the task.
        """
        content = {
            "format": OPENING_FORMAT,
            "task_id": self.task_id,
            "catalogue_id": self.catalogue_id,
            "key_version": self.key_version,
            "salt": self.salt,
            "commitment": self.commitment,
            "items": self.items,
            "media": _digests(self.media),
        }
        return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"

    def __repr__(self) -> str:
        return f"AnswerKey({self.task_id}, version {self.key_version}, {len(self.items)} items)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an opened key does not leave its process")


class ManifestEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is public about one sealed task."""

    task_id: str
    commitment: str
    item_count: int


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    catalogue_id: str
    key_version: str
    modality: str
    tasks: list[ManifestEntry]


class KeyBundle:
    """The sealed keys of one modality. Threads may share it; the file is opened per read."""

    def __init__(self, path: Path, identity: Identity, manifest: _Manifest) -> None:
        self._path = path
        self._identity = identity
        self.modality: str = manifest.modality
        self.catalogue_id: str = manifest.catalogue_id
        self.key_version: str = manifest.key_version
        #: What is public about each task, by task id, in the bundle's order.
        self.entries: Mapping[str, ManifestEntry] = MappingProxyType(
            {entry.task_id: entry for entry in manifest.tasks}
        )

    @classmethod
    def open(cls, path: Path, identity: Identity) -> Self:
        """Reads the manifest; opens no answer yet.

        Raises KeyUnavailable with ``why``: unreadable, or damaged.
        """
        try:
            with zipfile.ZipFile(path) as bundle:
                content = _member(bundle, MANIFEST_NAME, MAX_MANIFEST_BYTES)
                names = set(bundle.namelist())
            manifest = msgspec.json.decode(content, type=_Manifest)
        except OSError:
            raise KeyUnavailable("It cannot be read.", what="bundle", why="unreadable") from None
        except _UNREADABLE:
            raise _damaged("bundle") from None
        tasks = {entry.task_id for entry in manifest.tasks}
        complete = names == {f"{task_id}.age" for task_id in tasks} | {MANIFEST_NAME}
        unique = len(tasks) == len(manifest.tasks) <= MAX_TASKS
        if manifest.format != BUNDLE_FORMAT or not complete or not unique:
            raise _damaged("bundle")
        return cls(path, identity, manifest)

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The tasks that this bundle holds keys of."""
        return tuple(self.entries)

    def read(self, task_id: str) -> AnswerKey:
        """Opens one task's key and proves it against its commitment.

        Every call decrypts anew and the caller holds the only copy. Raises KeyUnavailable with the
        task and ``why``: unknown-task, unreadable, damaged, wrong-identity-or-damaged, or
        commitment (the answers are not those that were committed to).
        """
        entry = self.entries.get(task_id)
        if entry is None:
            raise KeyUnavailable(
                "There is no key of this task.", what="key", why="unknown-task", task_id=task_id
            )
        try:
            with zipfile.ZipFile(self._path) as bundle:
                sealed = _member(bundle, f"{task_id}.age", MAX_SEALED_BYTES)
        except OSError:
            raise KeyUnavailable(
                "It cannot be read.", what="key", why="unreadable", task_id=task_id
            ) from None
        except _UNREADABLE:
            raise _damaged("key", task_id=task_id) from None
        try:
            plain = self._identity.decrypt(sealed)
        except KeyUnavailable as error:
            error.metadata["task_id"] = task_id
            raise
        return self._prove(entry, plain)

    def _prove(self, entry: ManifestEntry, plain: bytes) -> AnswerKey:
        where = {"what": "key", "task_id": entry.task_id}
        try:
            answers, media = _unpack(plain)
            commitment = _commitment(answers, media)
        except _UNREADABLE:
            # Decoding errors quote what they could not decode: none of them is chained.
            raise _damaged(**where) from None
        named = (answers.task_id, answers.catalogue_id, answers.key_version, len(answers.items))
        expected = (entry.task_id, self.catalogue_id, self.key_version, entry.item_count)
        if commitment != entry.commitment or named != expected:
            raise KeyUnavailable(
                "The answers are not those that were committed to.", why="commitment", **where
            )
        return AnswerKey(
            task_id=answers.task_id,
            catalogue_id=answers.catalogue_id,
            key_version=answers.key_version,
            commitment=commitment,
            salt=answers.salt,
            items=tuple(answers.items),
            media=MappingProxyType(media),
        )

    def __repr__(self) -> str:
        return f"KeyBundle({self.modality}, version {self.key_version}, {len(self.entries)} tasks)"


def seal_answers(
    *,
    recipients: Sequence[str],
    salt: str,
    task_id: str,
    catalogue_id: str,
    key_version: str,
    items: Sequence[KeyItem],
    media: Mapping[str, bytes],
) -> tuple[ManifestEntry, bytes]:
    """One task's age member and its manifest entry; plain answers stay in memory.

    ``recipients`` are ``age1…``, ``salt`` is 32 random bytes in lower-case hex. ValueError for a
    recipient that is none, and for answers that have no canonical form; no message quotes one.
    """
    answers = _Answers(task_id, catalogue_id, key_version, salt, list(items))
    entry = ManifestEntry(task_id, _commitment(answers, media), len(items))
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as inner:
        inner.writestr(_info(ANSWERS_NAME, zipfile.ZIP_DEFLATED), msgspec.json.encode(answers))
        for path, content in media.items():
            inner.writestr(_info(MEDIA_FOLDER + path), content)
    return entry, encrypt_to(recipients, plain.getvalue())


def write_bundle(
    path: Path,
    *,
    modality: str,
    catalogue_id: str,
    key_version: str,
    members: Iterable[tuple[ManifestEntry, bytes]],
) -> tuple[ManifestEntry, ...]:
    """Writes a new key bundle of `seal_answers` members, one after the other, and lists them.

    FileExistsError where there is a file.
    """
    entries: list[ManifestEntry] = []
    with zipfile.ZipFile(path, "x") as bundle:
        for entry, sealed in members:
            bundle.writestr(_info(f"{entry.task_id}.age"), sealed)
            entries.append(entry)
        manifest = _Manifest(BUNDLE_FORMAT, catalogue_id, key_version, modality, entries)
        bundle.writestr(_info(MANIFEST_NAME), msgspec.json.encode(manifest))
    path.chmod(0o600)
    return tuple(entries)


def _info(name: str, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, ZIP_DATE)
    info.compress_type = method
    return info


def _member(file: zipfile.ZipFile, name: str, limit_bytes: int) -> bytes:
    """A member's content with its checksum verified; ValueError beyond the limit."""
    if file.getinfo(name).file_size > limit_bytes:
        raise ValueError("a member is too large")
    return file.read(name)


def _unpack(plain: bytes) -> tuple[_Answers, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(plain)) as inner:
        if sum(info.file_size for info in inner.infolist()) > MAX_SEALED_BYTES:
            raise ValueError("the answers are too large")
        answers = msgspec.json.decode(inner.read(ANSWERS_NAME), type=_Answers)
        media = {
            name.removeprefix(MEDIA_FOLDER): inner.read(name)
            for name in inner.namelist()
            if name.startswith(MEDIA_FOLDER)
        }
    return answers, media


def _digests(media: Mapping[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in media.items()}


def _commitment(answers: _Answers, media: Mapping[str, bytes]) -> str:
    return key_commitment(
        salt=answers.salt,
        task_id=answers.task_id,
        catalogue_id=answers.catalogue_id,
        key_version=answers.key_version,
        items=[(item.id, item.references) for item in answers.items],
        media=_digests(media),
    )


def _damaged(what: str, **where: str) -> KeyUnavailable:
    return KeyUnavailable("It is damaged.", what=what, why="damaged", **where)
