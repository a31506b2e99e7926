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
from samples.build import FolderInUse, all_files, build, digest, item_id
from samples.example import Media, Question, Split, placed
from samples.predict import BundleTask, files_of
from samples.registry import TASKS
from samples.scores import NetworkNeeded, score
from samples.specialists import SPECIALISTS
from services.grader.offline import score_offline
from services.grader.sealing.report import SealReport
from tests.unit.samples.conftest import examples

MAX_BYTES = 10 * 1024 * 1024
FEWEST_ITEMS, MOST_ITEMS = 10, 200


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


#: What the key itself scores where the top is no round number.
TOPS = {"success-auc": 100 * 20 / 21}  # an overlap of 1 does not exceed the last threshold


@pytest.mark.parametrize("task_id", TASKS)
def test_the_answers_themselves_score_best(task_id: str, catalogue: Catalogue) -> None:
    task, metric = catalogue.tasks[task_id], catalogue.metric_of(task_id)
    test = examples(task_id, Split.TEST)
    value = score(task, [example.answer for example in test], test)
    if metric.id == "cider":
        assert value > 900  # its top depends on the references
    elif metric.direction is Direction.LOWER:
        assert value == 0.0
    elif metric.unit == "dB":
        assert value > 75  # one value off by one level
    else:
        best = TOPS.get(metric.id, 100.0)
        # The corpus forms of BLEU guard against 0/0 by 1e-9.
        assert value == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("task_id", ["image-g-004", "3d-g-005"])
def test_a_metric_that_waits_is_known_of_equal_files_alone(
    task_id: str, catalogue: Catalogue
) -> None:
    test = examples(task_id, Split.TEST)
    first, second, *others = [example.answer for example in test]
    with pytest.raises(NetworkNeeded):
        score(catalogue.tasks[task_id], [second, first, *others], test)


#: One task for each way in which content reaches a grader.
OFFLINE = ("image-c-008", "image-c-009", "video-c-006", "video-g-003", "3d-c-003", "3d-c-004")


@pytest.mark.parametrize("task_id", OFFLINE)
def test_a_grader_gives_the_same_score(
    task_id: str, catalogue: Catalogue, benchmark_folder: Path, tmp_path: Path
) -> None:
    """Through a prediction.json, a decode box and the annotation.json, as the service does."""
    task, test = catalogue.tasks[task_id], examples(task_id, Split.TEST)
    given = SPECIALISTS[task_id](
        examples(task_id, Split.TRAIN), [example.question for example in test]
    )
    ids = [item_id(task, number) for number in range(1, len(test) + 1)]
    bundle = BundleTask(task, ids, [example.question for example in test])
    for path, content in files_of(bundle, given):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    result = score_offline(catalogue, task_id, tmp_path, benchmark_folder / task.archive_path)
    assert not result.findings
    assert result.missing == 0
    assert result.score == pytest.approx(score(task, given, test), rel=1e-12)


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


def test_an_answer_has_one_file_at_most() -> None:
    file = Media(b"a", ".png")
    assert placed({"file": file, "more": [1]}, 7) == (
        {"file": "answers/007.png", "more": [1]},
        {"answers/007.png": b"a"},
    )
    with pytest.raises(ValueError, match="second file"):
        placed([file, file], 1)


def test_the_coins_of_the_half_picture_are_those_of_the_whole() -> None:
    for split in Split:
        whole, centres = sources.coins(split)
        half = sources.half_coins(split)
        assert half.picture.shape == (whole.shape[0] // 2, whole.shape[1] // 2)
        rows, columns = np.mgrid[: half.picture.shape[0], : half.picture.shape[1]]
        outside = np.full(half.picture.shape, True)
        levels = []
        for (y, x), (row, column, radius) in zip(centres, half.circles, strict=True):
            assert (row, column) == ((y - 0.5) / 2, (x - 0.5) / 2)
            inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
            assert (inside & ~outside).sum() == 0  # no two coins touch
            outside &= ~inside
            levels.append(half.picture[inside].mean())
        assert min(levels) > half.picture[outside].mean() + 20


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


def test_equal_neighbours_are_told_apart() -> None:
    clip = np.zeros((3, 4, 4), dtype=np.uint8)
    changed = media.distinct(clip)
    assert (media.read_gif(media.gif(changed)) == changed).all()
    assert np.abs(changed.astype(int) - clip).max() == 1
