"""Receipts: everything a lab needs to check its scores without trusting the platform.

    from general_level.receipts import load_receipt, read_trusted_keys, verify_receipt

    receipt = load_receipt(Path("receipt.json").read_bytes())
    report = verify_receipt(
        receipt,
        archive=Path("My Model-A-full.zip"),
        trusted_keys=read_trusted_keys(Path("trusted-keys.txt")),
    )
    for score in report.statements:
        print(score.task_id, score.value)

Nothing here needs the network. The trusted keys come from a place that the lab trusts, not from
the receipt: the keys inside a receipt only say which ones to look for.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import msgspec

from general_level.canonical import canonical_json
from general_level.commitments import (
    Opening,
    PublishedCommitment,
    load_commitments,
    verify_commitment,
)
from general_level.dsse import MAX_ENVELOPE_BYTES, PUBLIC_KEY_BYTES, open_envelope, strict_json
from general_level.errors import GeneralLevelError, ReceiptInvalid
from general_level.statements import (
    PAYLOAD_TYPE,
    GraderInfo,
    ScoreStatement,
    decode_statement,
    digest_of_members,
)
from general_level.trusted_keys import read_trusted_keys

__all__ = [
    "GraderInfo",
    "Opening",
    "PublishedCommitment",
    "Receipt",
    "ReceiptReport",
    "ScoreStatement",
    "SignedStatement",
    "Statement",
    "dump_receipt",
    "load_commitments",
    "load_receipt",
    "read_trusted_keys",
    "verify_commitment",
    "verify_envelope",
    "verify_receipt",
]

#: The verified content of an envelope.
Statement = ScoreStatement

MAX_STATEMENTS: Final = 10_000  # of one receipt; the benchmark has 699 tasks
MAX_RECEIPT_BYTES: Final = 128 * 1024 * 1024
MAX_GRADER_KEYS: Final = 100

_READ_BYTES: Final = 1024 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEY: Final = re.compile(rf"[0-9a-f]{{{2 * PUBLIC_KEY_BYTES}}}")


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """One task's envelope as JSON bytes, at most 64 KiB; nothing about it is verified yet."""

    task_id: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """The signed statements of one submission.

    ``grader_public_keys`` are the raw Ed25519 keys (32 bytes each) that are said to have signed.
    ``superseded`` are earlier statements about the same tasks, the oldest first, which later ones
    replaced on the boards.
    """

    submission_id: str
    archive_sha256: str
    statements: tuple[SignedStatement, ...]
    grader_public_keys: tuple[bytes, ...]
    superseded: tuple[SignedStatement, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiptReport:
    """What was verified.

    ``key_ids`` are the trusted keys that signed. ``archive_checked`` tells whether the archive was
    given, ``members_checked`` how many of its members were hashed, and ``commitments_checked`` how
    many statements were found in the published list (0 where none was given).
    """

    submission_id: str
    archive_sha256: str
    statements: tuple[ScoreStatement, ...]
    key_ids: tuple[str, ...]
    archive_checked: bool
    members_checked: int
    commitments_checked: int
    superseded: tuple[ScoreStatement, ...] = ()


class _SignedStatement(msgspec.Struct, forbid_unknown_fields=True):
    task_id: str
    envelope: dict[str, Any]


class _Receipt(msgspec.Struct, forbid_unknown_fields=True):
    submission_id: str
    archive_sha256: str
    statements: list[_SignedStatement]
    grader_public_keys: list[str]
    superseded_statements: list[_SignedStatement] = []


def load_receipt(data: bytes) -> Receipt:
    """Reads the receipt file's format; verifies nothing. ReceiptInvalid with ``what="receipt"``."""
    if len(data) > MAX_RECEIPT_BYTES:
        _refuse("receipt", f"A receipt has at most {MAX_RECEIPT_BYTES} bytes.")
    try:
        parts = msgspec.convert(strict_json(data), _Receipt)
        statements, superseded = (
            tuple(SignedStatement(one.task_id, canonical_json(one.envelope)) for one in signed)
            for signed in (parts.statements, parts.superseded_statements)
        )
    except ValueError as error:
        raise ReceiptInvalid(f"The receipt cannot be read: {error}.", what="receipt") from None
    if not _SHA256.fullmatch(parts.archive_sha256):
        _refuse("receipt", "The archive's digest is not SHA-256 in lower-case hex.")
    if not all(_KEY.fullmatch(key) for key in parts.grader_public_keys):
        _refuse("receipt", "A public key is not 32 bytes in lower-case hex.")
    return Receipt(
        submission_id=parts.submission_id,
        archive_sha256=parts.archive_sha256,
        statements=statements,
        grader_public_keys=tuple(map(bytes.fromhex, parts.grader_public_keys)),
        superseded=superseded,
    )


def dump_receipt(receipt: Receipt) -> bytes:
    """The receipt as a file: JSON, indented, with the envelopes as objects."""
    content = {
        "submission_id": receipt.submission_id,
        "archive_sha256": receipt.archive_sha256,
        "grader_public_keys": [key.hex() for key in receipt.grader_public_keys],
        "statements": [
            {"task_id": statement.task_id, "envelope": _envelope_object(statement)}
            for statement in receipt.statements
        ],
    }
    if receipt.superseded:
        content["superseded_statements"] = [
            {"task_id": statement.task_id, "envelope": _envelope_object(statement)}
            for statement in receipt.superseded
        ]
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def verify_envelope(envelope: bytes, trusted_keys: Sequence[bytes]) -> Statement:
    """The score statement of an envelope that one of ``trusted_keys`` signed.

    Keys are raw Ed25519 public keys of 32 bytes. Raises ReceiptInvalid with ``what``: envelope,
    payload-type, signature, or statement.
    """
    return _open(envelope, trusted_keys)[0]


def verify_receipt(
    receipt: Receipt,
    *,
    archive: Path | None,
    trusted_keys: Sequence[bytes],
    commitments: Iterable[PublishedCommitment] | None = None,
) -> ReceiptReport:
    """Checks a whole receipt: signatures, submission, archive, members, key commitments.

    Without ``archive`` the statements are held against the receipt's digest only; without
    ``commitments`` the keys are not looked up. Raises ReceiptInvalid at the first failure, with
    ``what`` (as in `verify_envelope`, or receipt, submission, task, archive, member, commitment)
    and ``task_id`` or ``path`` where they apply.
    """
    if len(receipt.statements) + len(receipt.superseded) > MAX_STATEMENTS:
        _refuse("receipt", f"A receipt has at most {MAX_STATEMENTS} statements.")
    if len(receipt.grader_public_keys) > MAX_GRADER_KEYS:
        _refuse("receipt", f"A receipt has at most {MAX_GRADER_KEYS} public keys.")
    opened = [_open_signed(signed, trusted_keys) for signed in receipt.statements]
    statements = tuple(statement for statement, _ in opened)
    _check_against_receipt(receipt, statements)
    replaced = [_open_signed(signed, trusted_keys) for signed in receipt.superseded]
    superseded = tuple(statement for statement, _ in replaced)
    _check_superseded(receipt, superseded)
    published = None if commitments is None else tuple(commitments)
    if published is not None:
        _check_commitments((*statements, *superseded), published)
    members_checked = 0
    if archive is not None:
        with archive.open("rb") as file:
            _check_archive_digest(file, receipt.archive_sha256)
            members_checked = _check_members(file, statements)
    return ReceiptReport(
        submission_id=receipt.submission_id,
        archive_sha256=receipt.archive_sha256,
        statements=statements,
        key_ids=tuple(sorted({key for _, key in (*opened, *replaced)})),
        archive_checked=archive is not None,
        members_checked=members_checked,
        commitments_checked=0 if published is None else len(statements) + len(superseded),
        superseded=superseded,
    )


def _refuse(what: str, why: str, **where: object) -> NoReturn:
    raise ReceiptInvalid(why, what=what, **where)


def _envelope_object(statement: SignedStatement) -> object:
    try:
        return strict_json(statement.envelope)
    except ValueError as error:
        raise ReceiptInvalid(
            f"An envelope cannot be read: {error}.", what="envelope", task_id=statement.task_id
        ) from None


def _open(envelope: bytes, trusted_keys: Sequence[bytes]) -> tuple[Statement, str]:
    payload, identity = open_envelope(envelope, PAYLOAD_TYPE, trusted_keys)
    try:
        return decode_statement(payload), identity
    except ValueError as error:
        raise ReceiptInvalid(f"The statement cannot be read: {error}.", what="statement") from None


def _open_signed(signed: SignedStatement, trusted_keys: Sequence[bytes]) -> tuple[Statement, str]:
    try:
        return _open(signed.envelope, trusted_keys)
    except ReceiptInvalid as error:
        error.metadata.setdefault("task_id", signed.task_id)
        raise


def _check_against_receipt(receipt: Receipt, statements: Sequence[Statement]) -> None:
    seen: set[str] = set()
    for signed, statement in zip(receipt.statements, statements, strict=True):
        task_id = statement.task_id
        if statement.submission_id != receipt.submission_id:
            _refuse("submission", "A statement is about another submission.", task_id=task_id)
        if statement.archive_sha256 != receipt.archive_sha256:
            _refuse("archive", "A statement is about another archive.", task_id=task_id)
        if signed.task_id != task_id:
            _refuse("task", "A statement is about another task.", task_id=signed.task_id)
        if task_id in seen:
            _refuse("task", "Two statements are about one task.", task_id=task_id)
        seen.add(task_id)


def _check_superseded(receipt: Receipt, superseded: Sequence[Statement]) -> None:
    """Each is about this submission and archive, and about a task that has a later statement."""
    current = {signed.task_id for signed in receipt.statements}
    for signed, statement in zip(receipt.superseded, superseded, strict=True):
        where = {"task_id": signed.task_id}
        if statement.submission_id != receipt.submission_id:
            _refuse("submission", "A superseded statement is about another submission.", **where)
        if statement.archive_sha256 != receipt.archive_sha256:
            _refuse("archive", "A superseded statement is about another archive.", **where)
        if statement.task_id != signed.task_id or signed.task_id not in current:
            _refuse("task", "A superseded statement has no later one.", **where)


def _check_commitments(
    statements: Sequence[Statement], published: Sequence[PublishedCommitment]
) -> None:
    known = {(entry.task_id, entry.key_version): entry for entry in published}
    for statement in statements:
        where = {"task_id": statement.task_id, "key_version": statement.key_version}
        entry = known.get((statement.task_id, statement.key_version))
        if entry is None:
            _refuse("commitment", "No commitment to this key was published.", **where)
        if entry.commitment != statement.key_commitment:
            _refuse("commitment", "The score was computed with another key.", **where)
        if entry.item_count != statement.item_count:
            _refuse("commitment", "The score is over another number of items.", **where)


def _check_archive_digest(file: BinaryIO, expected: str) -> None:
    digest = hashlib.sha256()
    while chunk := file.read(_READ_BYTES):
        digest.update(chunk)
    if digest.hexdigest() != expected:
        _refuse("archive", "This is not the archive that was graded.")


def _check_members(file: BinaryIO, statements: Sequence[Statement]) -> int:
    """Hashes every named member once; the number of members hashed."""
    reader = _MemberHashes(file)
    for statement in statements:
        for name, expected in statement.members.items():
            where = {"task_id": statement.task_id, "path": name}
            if name.endswith("/"):
                found = digest_of_members(reader.digests_of_task(name))
            elif name in reader:
                found = reader.digest(name)
            else:
                _refuse("member", "The archive has no such member.", **where)
            if found != expected:
                _refuse("member", "A member is not the one that was graded.", **where)
    return reader.count


class _MemberHashes:
    """SHA-256 of the archive's members by path, each computed at most once."""

    def __init__(self, file: BinaryIO) -> None:
        # Here and not above: only who has the archive at hand needs the ZIP reader.
        from general_level.submission.archive import index_archive, open_member  # noqa: PLC0415
        from general_level.submission.findings import FindingSink  # noqa: PLC0415

        self._file = file
        self._open = open_member
        # The platform may have taken one enclosing folder off, so do the same.
        index = index_archive(file, FindingSink(), allow_strip=True)
        self._members = {member.path: member for member in index.members}
        self._digests: dict[str, str] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._members

    @property
    def count(self) -> int:
        return len(self._digests)

    def digest(self, path: str) -> str:
        if path not in self._digests:
            digest = hashlib.sha256()
            for chunk in self._chunks(path):
                digest.update(chunk)
            self._digests[path] = digest.hexdigest()
        return self._digests[path]

    def digests_of_task(self, folder: str) -> Mapping[str, str]:
        """The digests of prediction.json and of the members that its predictions name."""
        prediction = f"{folder}prediction.json"
        if prediction not in self:
            _refuse("member", "The archive has no such member.", path=prediction)
        try:
            rows = json.loads(b"".join(self._chunks(prediction)))
            answers = [row["prediction"] for row in rows]
        except (ValueError, TypeError, KeyError, RecursionError):
            _refuse("member", "The predictions cannot be read.", path=prediction)
        named = {posixpath.normpath(folder + name) for name in answers if isinstance(name, str)}
        return {path: self.digest(path) for path in sorted({prediction, *named}) if path in self}

    def _chunks(self, path: str) -> Iterable[bytes]:
        try:
            yield from self._open(self._file, self._members[path])
        except GeneralLevelError:
            _refuse("member", "A member cannot be read.", path=path)


assert MAX_RECEIPT_BYTES >= 699 * 2 * MAX_ENVELOPE_BYTES  # every task of the benchmark fits
