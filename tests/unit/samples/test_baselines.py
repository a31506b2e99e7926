"""The baselines: valid archives from questions alone, the same each time, better than guessing."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from general_level.catalogue import Catalogue
from general_level.submission.check import check_archive
from samples.baselines import BASELINES
from samples.example import Split
from samples.predict import WrongBundle, predict, predict_task, read_bundle
from samples.scores import score
from services.grader.sealing.report import SealReport
from tests.unit.samples.conftest import examples

#: Boards of answers in words, numbers, objects and files that are quick.
BOARDS = (
    *("D-SI-C-2", "D-SI-C-3", "D-SI-G-2", "D-SV-C-5", "D-S3-C-3", "D-S3-C-4", "D-S3-G-2"),
    *("D-SL-1", "D-SL-2", "D-SL-4"),
)


def bundle_of(sealed: tuple[Path, SealReport], board_id: str) -> Path:
    return sealed[0] / "boards" / f"{board_id}.zip"


@pytest.mark.parametrize("board_id", BOARDS)
@pytest.mark.parametrize("name", BASELINES)
def test_archives_pass_the_check(
    name: str,
    board_id: str,
    sealed: tuple[Path, SealReport],
    item_ids: Mapping[str, list[str]],
    catalogue: Catalogue,
    tmp_path: Path,
) -> None:
    path = predict(BASELINES[name], bundle_of(sealed, board_id), tmp_path)
    assert path.name == f"{BASELINES[name].model_name}-{board_id}.zip"
    with path.open("rb") as file:
        report = check_archive(
            file, catalogue=catalogue, archive_name=path.name, item_ids=item_ids, read_media=True
        )
    supported = {"majority": BOARDS_OF_MAJORITY, "linear": BOARDS_OF_LINEAR}.get(name, BOARDS)
    assert bool(report.tasks) is (board_id in supported)
    if report.tasks:
        assert not report.findings
        for task in report.tasks.values():
            assert task.item_count == len(item_ids[task.task_id])


BOARDS_OF_MAJORITY = ("D-SI-C-2", "D-SI-C-3", "D-SL-1", "D-SL-2", "D-SL-4")
BOARDS_OF_LINEAR = tuple(board for board in BOARDS if not board.startswith("D-SL"))


def test_the_bundle_holds_no_answer(sealed: tuple[Path, SealReport]) -> None:
    with zipfile.ZipFile(bundle_of(sealed, "A-full")) as bundle:
        for name in bundle.namelist():
            assert "/answers/" not in name
            if name.endswith("inputs.json"):
                items = json.loads(bundle.read(name))["data"]
                assert all(item.keys() == {"id", "input"} for item in items)


def test_a_baseline_answers_the_same_each_time(
    sealed: tuple[Path, SealReport], tmp_path: Path
) -> None:
    inputs = bundle_of(sealed, "D-SL-3")
    first, second = (
        predict(BASELINES["polyglot"], inputs, tmp_path / place) for place in ("one", "two")
    )
    assert first.read_bytes() == second.read_bytes()
    folder = first.with_suffix("")
    with zipfile.ZipFile(first) as archive:
        for name in archive.namelist():
            assert (folder / name).read_bytes() == archive.read(name)


def test_a_bundle_of_another_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("board.json", json.dumps({"catalogue_id": "general-bench", "tasks": []}))
    with pytest.raises(WrongBundle):
        read_bundle(path)


@pytest.mark.parametrize(
    ("task_id", "better", "worse"),
    [
        ("language-006", "linear", "majority"),
        ("image-c-001", "neighbour", "majority"),
        ("language-002", "polyglot", "neighbour"),
    ],
)
def test_learning_from_the_questions_pays(
    task_id: str,
    better: str,
    worse: str,
    sealed: tuple[Path, SealReport],
    catalogue: Catalogue,
) -> None:
    _, tasks = read_bundle(bundle_of(sealed, f"D-{catalogue.tasks[task_id].skill_id}"))
    (bundle,) = (one for one in tasks if one.task.id == task_id)
    values = []
    for name in (better, worse):
        answers = predict_task(BASELINES[name], bundle)
        assert answers is not None
        values.append(score(bundle.task, answers, examples(task_id, Split.TEST)))
    assert values[0] > values[1] + 20
