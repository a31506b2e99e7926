"""A baseline's archive from an inputs bundle: the whole way that a lab goes, and nothing more."""

from __future__ import annotations

import functools
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from general_level.catalogue import Task, load
from general_level.errors import InvalidRequest
from samples.baselines import Baseline
from samples.build import CATALOGUE_NAME
from samples.example import Answer, Example, Question, Split, placed
from samples.registry import TASKS

INPUTS_NAME: Final = "inputs.json"
PREDICTION_NAME: Final = "prediction.json"
BOARD_NAME: Final = "board.json"
#: Members of an archive have this time, so that two archives of one model are equal.
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)


class WrongBundle(InvalidRequest):
    """The inputs bundle is not one of the sample benchmark."""

    reason = "WRONG_BUNDLE"


@dataclass(frozen=True, slots=True)
class BundleTask:
    """The questions of one task, in the bundle's order."""

    task: Task
    ids: Sequence[int | str]
    questions: Sequence[Question]


def read_bundle(path: Path) -> tuple[str, list[BundleTask]]:
    """The board's id and its tasks' questions, from an inputs bundle.

    Raises WrongBundle where it is of another catalogue.
    """
    catalogue = load(name=CATALOGUE_NAME)
    with zipfile.ZipFile(path) as bundle:
        about = json.loads(bundle.read(BOARD_NAME))
        if about["catalogue_id"] != catalogue.id:
            raise WrongBundle(f"It is of {about['catalogue_id']}.", catalogue=about["catalogue_id"])
        names = frozenset(bundle.namelist())
        tasks = []
        for task_id in about["tasks"]:
            task = catalogue.tasks[task_id]
            data = json.loads(bundle.read(f"{task.archive_path}/{INPUTS_NAME}"))["data"]
            questions = [_question(bundle, names, task, item["input"]) for item in data]
            tasks.append(BundleTask(task, [item["id"] for item in data], questions))
    return about["board_id"], tasks


def _question(
    bundle: zipfile.ZipFile, names: frozenset[str], task: Task, fields: dict[str, str]
) -> Question:
    texts: dict[str, str] = {}
    media: dict[str, bytes] = {}
    for field, value in fields.items():
        member = f"{task.archive_path}/{value}"
        if member in names:
            media[field] = bundle.read(member)
        else:
            texts[field] = value
    return Question(texts, media)


@functools.cache
def training(task_id: str) -> tuple[Example, ...]:
    """The training examples of a task, made once for all baselines of a process."""
    return tuple(TASKS[task_id].make(Split.TRAIN))


def one_thread() -> AbstractContextManager[object]:
    """Linear algebra on one thread: the same sums on machines of more cores, and quicker.

    Matrices here are small, and threads would mostly wait for each other.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def predict_task(baseline: Baseline, bundle: BundleTask) -> Sequence[Answer] | None:
    """The baseline's answers to one task, None where it has none."""
    sample = TASKS[bundle.task.id]
    train = training(bundle.task.id)
    with one_thread():
        return baseline.predict(bundle.task, sample.features, train, bundle.questions)


def files_of(bundle: BundleTask, answers: Sequence[Answer]) -> Iterator[tuple[str, bytes]]:
    """The files of one task's predictions as (path in the archive, content)."""
    folder = PurePosixPath(bundle.task.archive_path)
    rows: list[dict[str, Any]] = []
    for number, (item_id, answer) in enumerate(zip(bundle.ids, answers, strict=True), start=1):
        prediction, files = placed(answer, number)
        for name, content in files.items():
            yield str(folder / name), content
        rows.append({"id": item_id, "prediction": prediction})
    yield str(folder / PREDICTION_NAME), json.dumps(rows, ensure_ascii=False).encode()


def predict(baseline: Baseline, inputs: Path, out: Path) -> Path:
    """Answers the bundle ``inputs``; the path of ``<Model Name>-<Board ID>.zip`` in ``out``.

    The same files lie in a folder of the archive's name without the ending beside it.
    """
    board_id, tasks = read_bundle(inputs)
    stem = f"{baseline.model_name}-{board_id}"
    archive_path = out / f"{stem}.zip"
    out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive_path, "w") as archive:
        for bundle in tasks:
            answers = predict_task(baseline, bundle)
            for path, content in files_of(bundle, answers) if answers is not None else ():
                target = out / stem / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                info = zipfile.ZipInfo(path, _ZIP_TIME)
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
    return archive_path
