"""A scorer that does what a file in the grader's temporary folder asks for.

A scorer has no environment and starts in that folder, so a file there is the way to tell it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.grader import scorer
from services.grader.decode.frames import Arrays
from services.grader.metrics import table
from services.grader.scoring import Scorer
from services.kit.clock import SystemClock

#: ``skew_seconds``: the clock is ahead by so much. ``wrong_metric``: this one gives half its value.
FILE: Final = "fault.json"
#: While it is there, the next job removes it and then takes all the memory that there is.
HUNGRY: Final = "hungry"


def _told() -> dict[str, Any]:
    path = Path(FILE)
    return json.loads(path.read_bytes()) if path.exists() else {}


class SkewedClock:
    def now(self) -> datetime:
        return SystemClock().now() + timedelta(seconds=_told().get("skew_seconds", 0))


def _break(metric_id: str) -> None:
    known = table.TEXT_METRICS[metric_id]

    def wrong(*arguments: Any, **options: Any) -> Any:
        result = known.function(*arguments, **options)
        return replace(result, value=result.value / 2)

    table.TEXT_METRICS = {**table.TEXT_METRICS, metric_id: replace(known, function=wrong)}  # type: ignore[assignment]


def respond(real: Scorer, arrays: Arrays) -> Arrays:
    hungry = Path(HUNGRY)
    if "job" in arrays and hungry.exists():
        hungry.unlink()
        kept = []
        while True:
            kept.append(np.empty(16 * 1024 * 1024))
    return scorer.respond(real, arrays)


if __name__ == "__main__":
    scorer.SystemClock = SkewedClock  # type: ignore[misc,assignment]
    if "wrong_metric" in _told():
        _break(_told()["wrong_metric"])
    scorer.main(respond)
