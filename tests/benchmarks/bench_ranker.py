"""Seconds to recompute every board for many random models.

    python -m tests.benchmarks.bench_ranker [--models 1000] [--repeats 3]

Prints the best of the repeats for each stage: the arrays of all boards (the bar: under 1 s for
1,000 models), the same from submissions with their selection and ranking, the rows, and the
snapshots of all boards with their digests.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from general_level import catalogue as catalogues
from general_level.catalogue.model import Catalogue
from services.ranker.formulas.conventions import Convention
from services.ranker.formulas.levels import score_boards
from services.ranker.formulas.plan import build_plan
from services.ranker.snapshot import digest, take_snapshot, to_bytes
from services.ranker.standings import (
    BoardStandings,
    ModelEntry,
    TaskScore,
    compute_standings,
    score_arrays,
)

#: The bar of the arrays for 1,000 models, in seconds.
BAR_SECONDS = 1.0
SEED = 20250504
SHARE_SUPPORTED = 0.8
#: Random scores spread about their reference by this share of it.
SPREAD = 0.2

Result = TypeVar("Result")


def random_entries(catalogue: Catalogue, models: int, seed: int = SEED) -> list[ModelEntry]:
    """Submissions to the full board, each task near its reference, with standard errors."""
    random = np.random.default_rng(seed)
    references = catalogue.references().references
    tasks = [
        (task_id, references[task_id].score, catalogue.metric_of(task_id))
        for task_id in catalogue.tasks
    ]
    entries = []
    for model in range(models):
        skill = random.normal(1.0, SPREAD, len(tasks))
        keep = random.random(len(tasks)) < SHARE_SUPPORTED
        scores = {}
        for (task_id, reference, metric), factor, kept in zip(tasks, skill, keep, strict=True):
            if kept:
                low = -np.inf if metric.minimum is None else metric.minimum
                high = np.inf if metric.maximum is None else metric.maximum
                value = float(np.clip(reference * factor, low, high))
                scores[task_id] = TaskScore(value, n=100, stderr=abs(value) * 0.02)
        entries.append(
            ModelEntry(
                submission_id=f"s-{model:05d}",
                model_name=f"Model {model}",
                organisation=f"Lab {model % 50}",
                submitted_board_id="A-full",
                completed_at=f"2025-06-01T00:{model // 60 % 60:02d}:{model % 60:02d}+00:00",
                scores=scores,
            )
        )
    return entries


def best_of(repeats: int, work: Callable[[], Result]) -> tuple[float, Result]:
    """The least seconds of some runs, and the last result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    catalogue = catalogues.load()
    boards = list(catalogue.boards.values())
    entries = random_entries(catalogue, options.models)
    convention = Convention.GENERAL_LEVEL

    plan_s, plan = best_of(options.repeats, lambda: build_plan(catalogue, None, boards))
    raw, supported, error = score_arrays(entries, plan.column)

    def arrays() -> object:
        return score_boards(
            raw, supported, error, tasks=plan.tasks, boards=plan.boards, convention=convention
        )

    def standings() -> list[BoardStandings]:
        return compute_standings(catalogue, None, convention, entries)

    arrays_s, _ = best_of(options.repeats, arrays)
    standings_s, result = best_of(options.repeats, standings)
    rows_s, rows = best_of(1, lambda: sum(len(board.rows) for board in result))

    def snapshots() -> int:
        written = 0
        for board in result:
            data = to_bytes(take_snapshot(board, "2025-06-02T00:00:00+00:00", 1))
            digest(data)
            written += len(data)
        return written

    snapshots_s, written = best_of(1, snapshots)
    print(f"models {len(entries)}, tasks {len(catalogue.tasks)}, boards {len(boards)}")
    for name, seconds in (
        ("plan (once per catalogue)", plan_s),
        ("arrays of all boards", arrays_s),
        ("standings from submissions", standings_s),
        (f"{rows} rows", rows_s),
        (f"snapshots, {written / 1e6:.0f} MB", snapshots_s),
    ):
        print(f"{name:32} {seconds:8.3f} s {options.models / seconds:12.0f} models/s")
    met = arrays_s < BAR_SECONDS * options.models / 1000
    print(f"bar of {BAR_SECONDS} s per 1,000 models: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
