"""Small documents of historical results."""

from __future__ import annotations

import json
from typing import Any


def told(**changes: Any) -> dict[str, Any]:
    """Two models on two levels; the second model has no video and no level 3."""
    return {
        "format": "general-level/history/v1",
        "id": "old-table",
        "title": "An old table",
        "date": "2024-02-29",
        "source": {"kind": "report", "title": "A report", "link": "https://example.org/report"},
        "benchmark": {"name": "Old-Bench"},
        "board": "A-full",
        "convention": "published-2024-12",
        "not_supported": "0.00",
        "notes": ["A note."],
        "models": [
            {"slug": "first", "name": "First", "paradigms": ["comprehension", "generation"]},
            {"slug": "second", "name": "Second", "paradigms": ["comprehension"]},
        ],
        "tables": [
            {
                "level": 2,
                "source": "Table 1",
                "rows": [
                    row("first", 1, "15.00", "10.00", "20.00"),
                    row("second", 2, "6.975", "13.95", "0.00"),
                ],
            },
            {
                "level": 3,
                "source": "Table 2",
                "rows": [
                    row("first", 1, "2.50", "0.00", "5.00"),
                    row("second", None, "0.00", "0.00", "0.00", name="The Second"),
                ],
            },
        ],
    } | changes


def row(
    model: str, rank: int | None, overall: str, image: str, video: str, **more: Any
) -> dict[str, Any]:
    scores = {"image": image, "video": video}
    return {"model": model, "rank": rank, "overall": overall, "scores": scores, **more}


def history(**changes: Any) -> bytes:
    return json.dumps(told(**changes)).encode()
