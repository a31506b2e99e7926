"""The catalogue's references: every specialist run and scored, as the CSV file has them."""

from __future__ import annotations

import csv
import io
import math
from datetime import date
from importlib.metadata import version

from general_level.catalogue import Direction, Task, load
from samples.build import CATALOGUE_NAME
from samples.example import Split
from samples.predict import one_thread
from samples.registry import TASKS
from samples.scores import score
from samples.specialists import SPECIALISTS

DECIMALS = 4


def reference(task: Task) -> float:
    """The raw score of the task's specialist, cut to four decimals on the side that is worse.

    So the specialist's own answers always reach their reference.
    """
    direction = load(name=CATALOGUE_NAME).metric_of(task.id).direction
    train, test = (TASKS[task.id].make(split) for split in Split)
    with one_thread():
        answers = SPECIALISTS[task.id](train, [example.question for example in test])
    steps = 10.0**DECIMALS
    scaled = score(task, answers, test) * steps
    # A sum of floats may lie a hair above a whole number of steps.
    nearest = round(scaled)
    if math.isclose(scaled, nearest, rel_tol=0, abs_tol=1e-6):
        return nearest / steps
    worse = math.floor if direction is Direction.HIGHER else math.ceil
    return worse(scaled) / steps


def references_csv(day: date) -> str:
    """The file ``references/specialists.csv``, as computed now."""
    source = (
        f"specialist of this repository; scikit-learn {version('scikit-learn')}, "
        f"scikit-image {version('scikit-image')}, numpy {version('numpy')}"
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["task", "score", "source", "date"])
    for task in load(name=CATALOGUE_NAME).tasks.values():
        writer.writerow([task.id, f"{reference(task):.{DECIMALS}f}", source, day.isoformat()])
    return buffer.getvalue()
