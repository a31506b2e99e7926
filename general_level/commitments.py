"""Commitments: a sealed key's fingerprint, published before anyone is graded with it.

A commitment is SHA-256(salt || canonical JSON of the answers with their task, catalogue and key
version). It tells nothing of the answers, because the salt is 32 random bytes that stay sealed with
them, and it binds them: when a task is retired, its salt and answers are published as an *opening*,
and everyone can check that every score before was computed from exactly these answers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from general_level.canonical import canonical_json
from general_level.dsse import strict_json
from general_level.errors import ReceiptInvalid

SALT_BYTES: Final = 32

#: Names the form of an opening; a reader refuses another.
OPENING_FORMAT: Final = "general-level/opening/v1"

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SALT: Final = re.compile(rf"[0-9a-f]{{{2 * SALT_BYTES}}}")


class PublishedCommitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the published list, ``public/commitments.json``."""

    task_id: str
    key_version: str
    commitment: str  # SHA-256, lower-case hex
    item_count: int
    modality: str


class OpenedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item of an opened key: its id and the accepted answers."""

    id: str
    references: list[Any]


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The revealed key of one retired task. ``media`` maps answer files to their SHA-256."""

    format: str
    task_id: str
    catalogue_id: str
    key_version: str
    salt: str  # 32 bytes, lower-case hex
    commitment: str  # what salt and answers hash to
    items: list[OpenedItem]
    media: dict[str, str]


def key_commitment(
    *,
    salt: str,
    task_id: str,
    catalogue_id: str,
    key_version: str,
    items: Iterable[tuple[str, Sequence[object]]],
    media: Mapping[str, str],
) -> str:
    """The commitment of one task's key, SHA-256 in lower-case hex.

    ``salt`` is 32 bytes in lower-case hex; ``items`` are (id, accepted answers) in the key's
    order; ``media`` maps the paths of answer files to their SHA-256 and is left out of the hashed
    form where it is empty. ValueError for another salt and for answers without a canonical form.
    """
    if not _SALT.fullmatch(salt):
        raise ValueError(f"a salt is {SALT_BYTES} bytes in lower-case hex")
    answers: dict[str, object] = {
        "task_id": task_id,
        "catalogue_id": catalogue_id,
        "key_version": key_version,
        "items": [{"id": item_id, "references": references} for item_id, references in items],
    }
    if media:
        answers["media"] = media
    return hashlib.sha256(bytes.fromhex(salt) + canonical_json(answers)).hexdigest()


def load_commitments(data: bytes) -> tuple[PublishedCommitment, ...]:
    """The published list; ReceiptInvalid where it is none or names a key twice."""
    try:
        entries = msgspec.convert(strict_json(data), tuple[PublishedCommitment, ...])
    except ValueError as error:
        raise ReceiptInvalid(
            f"The list of commitments cannot be read: {error}.", what="commitments"
        ) from None
    if not all(_SHA256.fullmatch(entry.commitment) for entry in entries):
        raise ReceiptInvalid("A commitment is not a SHA-256.", what="commitments")
    if len({(entry.task_id, entry.key_version) for entry in entries}) != len(entries):
        raise ReceiptInvalid("The list names a key twice.", what="commitments")
    return entries


def verify_commitment(opening: bytes, commitments: Iterable[PublishedCommitment]) -> Opening:
    """Checks that an opened key is the one that was committed to, and returns it.

    ``opening`` is the JSON that ``python -m services.grader open-commitment`` writes,
    ``commitments`` the list that was published. Raises ReceiptInvalid with ``what`` (opening,
    commitments, commitment) and the task. Answer files are bound by the digests in
    ``Opening.media``; who has the files compares them.
    """
    try:
        opened = msgspec.convert(strict_json(opening), Opening)
        if opened.format != OPENING_FORMAT:
            raise ValueError(f"its format is not {OPENING_FORMAT}")
        computed = key_commitment(
            salt=opened.salt,
            task_id=opened.task_id,
            catalogue_id=opened.catalogue_id,
            key_version=opened.key_version,
            items=[(item.id, item.references) for item in opened.items],
            media=opened.media,
        )
    except ValueError as error:
        raise ReceiptInvalid(f"The opening cannot be read: {error}.", what="opening") from None
    where = {"task_id": opened.task_id, "key_version": opened.key_version}
    published = [
        entry
        for entry in commitments
        if (entry.task_id, entry.key_version) == (opened.task_id, opened.key_version)
    ]
    if not published:
        raise ReceiptInvalid("This key was never committed to.", what="commitments", **where)
    for commitment in (opened.commitment, published[0].commitment):
        if not hmac.compare_digest(computed, commitment):
            raise ReceiptInvalid(
                "The opened answers are not those that were committed to.",
                what="commitment",
                **where,
            )
    return opened
