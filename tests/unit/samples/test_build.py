"""What `build` writes: the same every time, small, sealable, and never training data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from general_level.catalogue import Catalogue, Direction
from general_level.submission.findings import FindingSink
from general_level.submission.schema import parse_predictions
from samples import media, sources
from samples.build import FolderInUse, all_files, build, digest
from samples.example import Question, Split
from samples.registry import TASKS
from samples.scores import score
from services.grader.sealing.report import SealReport
from tests.unit.samples.conftest import examples

MAX_BYTES = 10 * 1024 * 1024
FEWEST_ITEMS, MOST_ITEMS = 20, 200


def test_two_builds_are_equal_byte_for_byte_and_small(benchmark_folder: Path) -> None:
    written = {
        path.relative_to(benchmark_folder).as_posix(): path.read_bytes()
        for path in benchmark_folder.rglob("*")
        if path.is_file()
    }
    assert digest(written) == digest(all_files())
    assert sum(map(len, written.values())) < MAX_BYTES


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FolderInUse):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_everything_is_sealed_and_nothing_is_left_over(
    sealed: tuple[Path, SealReport], catalogue: Catalogue
) -> None:
    _, report = sealed
    assert not report.problems
    assert {task.task_id for task in report.tasks} == catalogue.tasks.keys()
    assert set(report.board_ids) == catalogue.boards.keys()


@pytest.mark.parametrize("task_id", TASKS)
def test_outputs_are_answers_of_the_tasks_kind(
    task_id: str, catalogue: Catalogue, benchmark_folder: Path
) -> None:
    task = catalogue.tasks[task_id]
    annotation = json.loads((benchmark_folder / task.archive_path / "annotation.json").read_text())
    assert annotation["task"] == task.folder
    data = annotation["data"]
    assert FEWEST_ITEMS <= len(data) <= MOST_ITEMS
    rows = [{"id": item["id"], "prediction": item["output"]} for item in data]
    sink = FindingSink()
    parsed = parse_predictions(
        task.answer_kind, task.options, json.dumps(rows).encode(), path="prediction.json", sink=sink
    )
    assert sink.ok
    assert len(parsed.ids) == len(data)


#: All but the pictures: an equal picture has no finite PSNR.
SCORED = [task_id for task_id in TASKS if task_id != "image-g-003"]


@pytest.mark.parametrize("task_id", SCORED)
def test_the_answers_themselves_score_best(task_id: str, catalogue: Catalogue) -> None:
    task, metric = catalogue.tasks[task_id], catalogue.metric_of(task_id)
    test = examples(task_id, Split.TEST)
    value = score(task, [example.answer for example in test], test)
    if metric.id == "cider":
        assert value > 900  # its top depends on the references
    else:
        best = 0.0 if metric.direction is Direction.LOWER else 100.0
        # The corpus forms of BLEU guard against 0/0 by 1e-9.
        assert value == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("task_id", TASKS)
def test_no_item_is_training_data_or_there_twice(task_id: str) -> None:
    train, test = ({_print(e.question) for e in examples(task_id, split)} for split in Split)
    assert not train & test
    assert len(test) == len(examples(task_id, Split.TEST))


def _print(question: Question) -> str:
    whole: list[Any] = [sorted(question.fields.items())]
    whole += [(k, hashlib.sha256(v).hexdigest()) for k, v in sorted(question.media.items())]
    return repr(whole)


def test_the_halves_of_the_sources_share_nothing() -> None:
    train, test = (sources.digits(split) for split in Split)
    assert len(train.digits) + len(test.digits) == 1797
    assert not set(sources.PHOTOGRAPHS[Split.TRAIN]) & set(sources.PHOTOGRAPHS[Split.TEST])
    coins = [sources.coins(split) for split in Split]
    assert [len(centres) for _, centres in coins] == [12, 12]
    assert sum(picture.shape[0] for picture, _ in coins) == sources.picture("coins.png").shape[0]
    for table in (sources.wine, sources.diabetes):
        one, other = (table(split) for split in Split)
        assert len(one.targets) > len(other.targets) > 0


def test_media_come_back_as_they_went() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(256, size=(7, 9)).astype(np.uint8)
    assert (media.read_png(media.png(picture)) == picture).all()
    clip = rng.integers(256, size=(5, 6, 8)).astype(np.uint8)
    assert (media.read_gif(media.gif(clip)) == clip).all()
    sound = rng.uniform(-1, 1, 50)
    assert np.abs(media.read_wav(media.wav(sound)) - sound).max() <= 0.5 / media.FULL_SCALE + 1e-12
    points = rng.normal(size=(4, 3))
    assert np.abs(media.read_xyz(media.xyz(points)) - points).max() <= 0.0005 + 1e-12


def test_a_clip_that_the_format_would_shorten_is_refused() -> None:
    with pytest.raises(ValueError, match="equal"):
        media.gif(np.zeros((2, 4, 4), dtype=np.uint8))
