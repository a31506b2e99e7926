"""Published standings as canonical JSON with a SHA-256 digest, and back.

The form follows RFC 8785 (keys sorted, no spaces, UTF-8, no NaN or infinity), except that a
number is written as Python's shortest round-trip form: whoever parses and writes a snapshot
again in Python gets the same bytes, and so the same digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from general_level.errors import InvalidRequest
from services.ranker.formulas.conventions import Convention
from services.ranker.standings import BoardStandings, Interval, ModalityScores, Standing

#: The version of the snapshot's form; a reader refuses another.
FORMAT = "general-level/standings/v2"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The standings of one board at one ledger position. ``computed_at`` is ISO 8601."""

    board_id: str
    catalogue_id: str
    reference_list_id: str
    convention: Convention
    highest_level: int
    tasks: int
    computed_at: str
    ledger_position: int
    rows: tuple[Standing, ...]


def take_snapshot(standings: BoardStandings, computed_at: str, ledger_position: int) -> Snapshot:
    """The snapshot of a board; the caller says when and up to which ledger position."""
    return Snapshot(
        board_id=standings.board_id,
        catalogue_id=standings.catalogue_id,
        reference_list_id=standings.reference_list_id,
        convention=standings.convention,
        highest_level=standings.highest_level,
        tasks=standings.tasks,
        computed_at=computed_at,
        ledger_position=ledger_position,
        rows=standings.rows,
    )


def to_bytes(snapshot: Snapshot) -> bytes:
    """Canonical JSON, UTF-8."""
    return _canonical(
        {
            "board_id": snapshot.board_id,
            "catalogue_id": snapshot.catalogue_id,
            "computed_at": snapshot.computed_at,
            "convention": snapshot.convention,
            "format": FORMAT,
            "highest_level": snapshot.highest_level,
            "ledger_position": snapshot.ledger_position,
            "reference_list_id": snapshot.reference_list_id,
            "rows": [_row_to_json(row) for row in snapshot.rows],
            "tasks": snapshot.tasks,
        }
    )


def from_bytes(data: bytes) -> Snapshot:
    """Parse what ``to_bytes`` wrote; InvalidRequest for anything else, other spellings included."""
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise InvalidRequest("This snapshot has another format.", format=document["format"])
        snapshot = Snapshot(
            board_id=document["board_id"],
            catalogue_id=document["catalogue_id"],
            reference_list_id=document["reference_list_id"],
            convention=Convention(document["convention"]),
            highest_level=document["highest_level"],
            tasks=document["tasks"],
            computed_at=document["computed_at"],
            ledger_position=document["ledger_position"],
            rows=tuple(_row_from_json(row) for row in document["rows"]),
        )
        canonical = to_bytes(snapshot)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidRequest("This is not a snapshot of standings.") from error
    if canonical != data:
        raise InvalidRequest("This snapshot is not in its canonical form.")
    return snapshot


def digest(data: bytes) -> str:
    """SHA-256 of a snapshot's bytes, lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def content_digest(snapshot: Snapshot) -> str:
    """SHA-256 of what a snapshot says, without when and up to where it was computed.

    Equal for two snapshots of a board on which nothing moved.
    """
    rows = [_row_to_json(row) for row in snapshot.rows]
    versions = [snapshot.catalogue_id, snapshot.reference_list_id, snapshot.convention]
    return digest(_canonical([FORMAT, snapshot.board_id, versions, rows]))


def _canonical(value: Any) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def modalities_to_json(row: Standing) -> dict[str, Any]:
    """A row's modalities: scores, null above the board's highest level, and counts of tasks."""
    return {
        modality: {
            "s2": of.s2,
            "s3": of.s3,
            "s4": of.s4,
            "supported": of.supported,
            "tasks": of.tasks,
            "wins": of.wins,
        }
        for modality, of in row.by_modality.items()
    }


def _row_to_json(row: Standing) -> dict[str, Any]:
    return {
        "by_modality": modalities_to_json(row),
        "indistinguishable_from_previous": row.indistinguishable_from_previous,
        "intervals": {
            name: {"high": of.high, "low": of.low, "standard_error": of.standard_error}
            for name, of in row.intervals.items()
        },
        "level": row.level,
        "level_high": row.level_high,
        "level_low": row.level_low,
        "model_name": row.model_name,
        "organisation": row.organisation,
        "published_at": row.published_at,
        "rank": row.rank,
        "s2": row.s2,
        "s3": row.s3,
        "s4": row.s4,
        "s5": row.s5,
        "submission_id": row.submission_id,
        "supported": row.supported,
        "tasks": row.tasks,
        "tasks_with_error": row.tasks_with_error,
        "wins": row.wins,
    }


def _row_from_json(row: Mapping[str, Any]) -> Standing:
    values = dict(row)
    values["by_modality"] = {
        modality: ModalityScores(**of) for modality, of in row["by_modality"].items()
    }
    values["intervals"] = {name: Interval(**of) for name, of in row["intervals"].items()}
    return Standing(**values)
