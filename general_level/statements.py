"""The score statement: what a grader signs about one task of one submission.

An in-toto Statement v1 (https://in-toto.io/Statement/v1) whose subjects are the lab's archive and
the members of the task, and whose predicate is the score, the metric, the key's commitment and the
grader. This module knows the form only; `general_level.dsse` signs and verifies.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from general_level.canonical import canonical_json
from general_level.dsse import strict_json

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:general-level:score:v1"

#: The name of the subject that is the archive as a whole.
ARCHIVE_SUBJECT: Final = "archive"

#: A task with more members than this lists prediction.json and one digest of all: an envelope has
#: at most 64 KiB, and these two bounds keep even hostile paths below it.
MAX_LISTED_MEMBERS: Final = 64
#: The same bound for the members' paths together, in UTF-8 bytes.
MAX_LISTED_PATH_BYTES: Final = 16 * 1024

MAX_FIELD_CHARS: Final = 256

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TEXT_FIELDS: Final = ("submission_id", "task_id", "catalogue_id", "metric_id", "key_version")


@dataclass(frozen=True, slots=True)
class GraderInfo:
    """Who computed the score: the image's digest, the device ("cpu"), the code's version."""

    image_digest: str
    device: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreStatement:
    """One score and what it was computed from.

    ``value`` and ``standard_error`` are raw, in the metric's unit; ``standard_error`` is None where
    the metric has none. ``archive_sha256``, ``key_commitment`` and the values of ``members`` are
    SHA-256 in lower-case hex. ``members`` maps the paths of the task's members, prediction.json
    among them, to the digests of their content; a statement of a task with very many members holds
    `member_subjects` of them instead. ``scored_time`` is aware; the signed form has whole seconds.

    Raises ValueError for anything that a statement must not say.
    """

    submission_id: str
    task_id: str
    catalogue_id: str
    metric_id: str
    metric_version: int
    value: float
    standard_error: float | None
    item_count: int
    missing_count: int
    key_version: str
    key_commitment: str
    grader: GraderInfo
    scored_time: datetime
    archive_sha256: str
    members: Mapping[str, str]

    def __post_init__(self) -> None:
        texts = [getattr(self, field) for field in _TEXT_FIELDS]
        texts += [self.grader.image_digest, self.grader.device, self.grader.version]
        if not all(isinstance(text, str) and 0 < len(text) <= MAX_FIELD_CHARS for text in texts):
            raise ValueError(f"a field of a statement has 1 to {MAX_FIELD_CHARS} characters")
        if not math.isfinite(self.value):
            raise ValueError("a score is a finite number")
        error = self.standard_error
        if error is not None and not (math.isfinite(error) and error >= 0):
            raise ValueError("a standard error is a finite number and not negative")
        if not 0 <= self.missing_count <= self.item_count or self.item_count == 0:
            raise ValueError("a score is over at least one item, and no more than all are missing")
        if self.metric_version < 1:
            raise ValueError("a metric's version is at least 1")
        digests = [self.archive_sha256, self.key_commitment, *self.members.values()]
        if not all(_SHA256.fullmatch(digest) for digest in digests):
            raise ValueError("a digest is SHA-256 in lower-case hex")
        if not self.members or "" in self.members or ARCHIVE_SUBJECT in self.members:
            raise ValueError("a score is of at least one member of the archive")
        if self.scored_time.tzinfo is None:
            raise ValueError("the time of a score has its zone")


class _Digest(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str


class _Subject(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    digest: _Digest


class _Grader(msgspec.Struct, forbid_unknown_fields=True):
    image_digest: str
    device: str
    version: str


class _Predicate(msgspec.Struct, forbid_unknown_fields=True):
    submission_id: str
    task_id: str
    catalogue_id: str
    metric_id: str
    metric_version: int
    value: float
    standard_error: float | None
    item_count: int
    missing_count: int
    key_version: str
    key_commitment: str
    grader: _Grader
    scored_time: str


class _Statement(msgspec.Struct, forbid_unknown_fields=True):
    type: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: _Predicate


def member_subjects(folder: str, members: Mapping[str, str]) -> dict[str, str]:
    """The subjects that stand for a task's members: name to SHA-256.

    Where they are few, the members themselves. Otherwise ``<folder>/prediction.json`` and, under
    the name ``<folder>/``, `digest_of_members` of all of them.
    """
    paths_bytes = sum(len(path.encode()) for path in members)
    if len(members) <= MAX_LISTED_MEMBERS and paths_bytes <= MAX_LISTED_PATH_BYTES:
        return dict(members)
    prediction = f"{folder}/prediction.json"
    return {prediction: members[prediction], f"{folder}/": digest_of_members(members)}


def digest_of_members(members: Mapping[str, str]) -> str:
    """SHA-256 over the canonical JSON of the [path, digest] pairs in the order of their paths."""
    return hashlib.sha256(canonical_json(sorted(members.items()))).hexdigest()


def encode_statement(statement: ScoreStatement) -> bytes:
    """The canonical JSON that is signed."""
    subjects = {ARCHIVE_SUBJECT: statement.archive_sha256, **statement.members}
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "predicateType": PREDICATE_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()
            ],
            "predicate": {
                "submission_id": statement.submission_id,
                "task_id": statement.task_id,
                "catalogue_id": statement.catalogue_id,
                "metric_id": statement.metric_id,
                "metric_version": statement.metric_version,
                "value": statement.value,
                "standard_error": statement.standard_error,
                "item_count": statement.item_count,
                "missing_count": statement.missing_count,
                "key_version": statement.key_version,
                "key_commitment": statement.key_commitment,
                "grader": {
                    "image_digest": statement.grader.image_digest,
                    "device": statement.grader.device,
                    "version": statement.grader.version,
                },
                "scored_time": format_time(statement.scored_time),
            },
        }
    )


def decode_statement(payload: bytes) -> ScoreStatement:
    """The statement of a payload whose signature was verified; ValueError for any other JSON."""
    parts = msgspec.convert(strict_json(payload), _Statement)
    if parts.type != STATEMENT_TYPE:
        raise ValueError("it is not an in-toto Statement v1")
    if parts.predicate_type != PREDICATE_TYPE:
        raise ValueError(f"its predicate is not {PREDICATE_TYPE}")
    subjects = {subject.name: subject.digest.sha256 for subject in parts.subject}
    if len(subjects) != len(parts.subject):
        raise ValueError("it names a subject twice")
    archive = subjects.pop(ARCHIVE_SUBJECT, None)
    if archive is None:
        raise ValueError("it names no archive")
    fields = msgspec.structs.asdict(parts.predicate)
    fields["grader"] = GraderInfo(**msgspec.structs.asdict(parts.predicate.grader))
    fields["scored_time"] = parse_time(parts.predicate.scored_time)
    return ScoreStatement(**fields, archive_sha256=archive, members=subjects)


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, for example ``2026-03-01T12:00:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The inverse of `format_time`, which accepts no other spelling; ValueError."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("a time is not like 2026-03-01T12:00:00Z") from None
