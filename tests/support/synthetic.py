"""A benchmark of made-up items in the benchmark's own layout, and archives that answer it.

For load, faults and secrecy, where the content does not matter: every task that graders score,
as many items as wanted, the same bytes for the same seed.
"""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from general_level.catalogue import AnswerKind, Catalogue, Grading, Task

_WORDS: Final = [
    "river",
    "stone",
    "window",
    "garden",
    "signal",
    "copper",
    "morning",
    "table",
    "engine",
    "paper",
    "forest",
    "silver",
    "bridge",
    "letter",
    "market",
    "cloud",
    "winter",
    "circle",
    "motor",
    "lantern",
    "valley",
    "needle",
    "harbour",
    "pencil",
]

Answer = Any


def _words(random_: random.Random, count: int) -> str:
    return " ".join(random_.choice(_WORDS) for _ in range(count))


_MAKERS: Final[dict[AnswerKind, Callable[[random.Random], Answer]]] = {
    AnswerKind.TEXT: lambda r: _words(r, r.randint(3, 30)),
    AnswerKind.LABEL: lambda r: r.choice(_WORDS),
    AnswerKind.LABELS: lambda r: sorted(set(r.choices(_WORDS, k=3))),
    AnswerKind.NUMBER: lambda r: float(r.randint(0, 60)),
    AnswerKind.SERIES: lambda r: [round(r.gauss(0, 3), 3) for _ in range(24)],
    AnswerKind.CODE: lambda r: f"def f(x):\n    y = x + {r.randint(1, 99)}\n    return y\n",
    AnswerKind.RANKING: lambda r: [r.choice(_WORDS)],
}


def scored_tasks(catalogue: Catalogue, board_id: str) -> list[Task]:
    """The board's tasks of answers in words and numbers, which graders score by themselves."""
    return [
        catalogue.tasks[task_id]
        for task_id in catalogue.boards[board_id].task_ids
        if catalogue.metric_of(task_id).grading is Grading.AUTOMATIC
        and catalogue.tasks[task_id].answer_kind in _MAKERS
    ]


def answers_of(task: Task, items: int, seed: int = 0, canary: str = "") -> list[Answer]:
    """The answers of a task's items; with a canary, each text holds it."""
    random_ = random.Random(f"{seed}/{task.id}")
    made = [_MAKERS[task.answer_kind](random_) for _ in range(items)]
    if not canary:
        return made
    return [_with_canary(answer, canary) for answer in made]


def _with_canary(answer: Answer, canary: str) -> Answer:
    if isinstance(answer, str):
        return f"{answer} {canary}"
    if isinstance(answer, list) and answer and isinstance(answer[0], str):
        return [*answer, canary]
    return answer


def write_benchmark(
    folder: Path, tasks: Sequence[Task], items: int, *, seed: int = 0, canary: str = ""
) -> None:
    """Writes ``<modality>/<paradigm>/<Task>/annotation.json`` for each task."""
    for task in tasks:
        place = folder / task.archive_path
        place.mkdir(parents=True)
        data = [
            {"id": f"{number}", "input": f"item {number} of {task.id}", "output": answer}
            for number, answer in enumerate(answers_of(task, items, seed, canary))
        ]
        content = {"task": task.name, "type": str(task.paradigm), "data": data}
        (place / "annotation.json").write_text(json.dumps(content))


def write_archive(
    folder: Path,
    model_name: str,
    board_id: str,
    tasks: Sequence[Task],
    items: int,
    *,
    seed: int = 0,
    correct: float = 0.5,
    prediction_seed: int = 1,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """An archive in which about ``correct`` of the answers are right, the others of the same kind.

    Wrong answers are another item's, so that nothing in the archive needs the canary.
    """
    random_ = random.Random(prediction_seed)
    path = folder / f"{model_name}-{board_id}.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for task in tasks:
            answers = answers_of(task, items, seed)
            rows = [
                {
                    "id": f"{number}",
                    "prediction": answer if random_.random() < correct else random_.choice(answers),
                }
                for number, answer in enumerate(answers)
            ]
            archive.writestr(f"{task.archive_path}/prediction.json", json.dumps(rows))
    return path
