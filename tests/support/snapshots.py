"""Snapshots of standings as a ranker makes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from general_level.v1 import ranking_pb2

ROW: Final[Mapping[str, Any]] = {
    "by_modality": {
        "image": {"s2": 10.0, "s3": 5.0, "s4": None, "supported": 2, "tasks": 6, "wins": 1}
    },
    "indistinguishable_from_previous": True,
    "intervals": {"s3": {"high": 6.0, "low": 4.0, "standard_error": 0.5}},
    "level": 3,
    "level_high": 3,
    "level_low": 3,
    "model_name": "Model",
    "organisation": "Lab",
    "published_at": "2026-03-01T12:00:00Z",
    "rank": 1,
    "s2": 10.0,
    "s3": 5.0,
    "s4": None,
    "s5": None,
    "submission_id": "sub-1",
    "supported": 2,
    "tasks": 10,
    "tasks_with_error": 1,
    "wins": 1,
}


def snapshot(
    board_id: str = "A-full",
    position: int = 1,
    rows: Sequence[Mapping[str, Any]] = (ROW,),
    **changes: Any,
) -> ranking_pb2.BoardSnapshot:
    """A board with these rows; ``changes`` replace fields of the document."""
    document = {
        "board_id": board_id,
        "catalogue_id": "general-bench",
        "computed_at": "2026-03-01T12:00:01Z",
        "convention": "general-level",
        "format": "general-level/standings/v2",
        "highest_level": 5,
        "ledger_position": position,
        "reference_list_id": "paper",
        "rows": [dict(row) for row in rows],
        "tasks": 10,
    }
    data = json.dumps(document | changes).encode()
    return ranking_pb2.BoardSnapshot(
        board_id=board_id, snapshot=data, sha256=hashlib.sha256(data).hexdigest()
    )
