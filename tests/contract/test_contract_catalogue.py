"""The benchmark as data, and the inputs as a file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from general_level.errors import InvalidRequest, UnknownBoard
from tests.contract.lab_gateway import UNKNOWN_BOARD, LabGateway, OpenLab, OpenLabs


def test_boards_by_scope_are_all_boards(open_labs: OpenLabs) -> None:
    client = open_labs(None).client
    boards = client.boards()
    by_scope = [board for scope in "ABCD" for board in client.boards(scope)]
    assert sorted(b.board_id for b in by_scope) == sorted(b.board_id for b in boards)
    assert all(b.task_count > 0 and 2 <= b.highest_level <= 5 for b in boards)
    with pytest.raises(InvalidRequest):
        client.boards("E")


def test_every_task_says_where_its_predictions_lie(open_labs: OpenLabs) -> None:
    tasks = open_labs(None).client.tasks()
    folders = [t.archive_folder for t in tasks]
    assert len(set(folders)) == len(tasks) == len({t.task_id for t in tasks})
    for task in tasks:
        top = "nlp" if task.modality == "language" else task.modality
        assert task.archive_folder.startswith(f"{top}/")


def test_commitments_are_one_per_task_and_key(open_labs: OpenLabs) -> None:
    client = open_labs(None).client
    found = client.key_commitments()
    assert found
    assert len({(c.task_id, c.key_version) for c in found}) == len(found)
    assert {c.task_id for c in found} <= {t.task_id for t in client.tasks()}
    assert all(len(c.commitment) == 64 and c.item_count > 0 for c in found)


def test_the_inputs_are_a_zip_of_the_boards_tasks(
    lab: OpenLab, lab_gateway: LabGateway, tmp_path: Path
) -> None:
    path = lab.client.download_inputs(lab_gateway.board, tmp_path)
    board = next(b for b in lab.client.boards() if b.board_id == lab_gateway.board)
    assert path.stat().st_size == board.inputs_bytes
    folders = {t.archive_folder for t in lab.client.tasks()}
    with zipfile.ZipFile(path) as bundle:
        assert "board.json" in bundle.namelist()
        inputs = [n for n in bundle.namelist() if n.endswith("/inputs.json")]
        assert len(inputs) > 0
        for name in inputs:
            assert name.removesuffix("/inputs.json") in folders
            content = json.loads(bundle.read(name))
            assert content["data"]
            assert all("output" not in item for item in content["data"])
    assert list(tmp_path.glob("*.part")) == []


def test_a_broken_download_is_continued(
    lab: OpenLab, lab_gateway: LabGateway, tmp_path: Path
) -> None:
    whole = lab.client.download_inputs(lab_gateway.board, tmp_path / "whole.zip").read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole)):
        target = tmp_path / f"{cut}.zip"
        target.with_name(f"{cut}.zip.part").write_bytes(whole[:cut])
        assert lab.client.download_inputs(lab_gateway.board, target).read_bytes() == whole


@pytest.mark.parametrize("left_over", [b"rubbish", b"x" * 10_000_000], ids=["short", "long"])
def test_a_left_over_part_of_something_else_is_replaced(
    lab: OpenLab, lab_gateway: LabGateway, tmp_path: Path, left_over: bytes
) -> None:
    (tmp_path / "a.zip.part").write_bytes(left_over)
    path = lab.client.download_inputs(lab_gateway.board, tmp_path / "a.zip")
    assert zipfile.is_zipfile(path)


def test_an_unknown_board_has_no_inputs(lab: OpenLab, tmp_path: Path) -> None:
    with pytest.raises(UnknownBoard):
        lab.client.download_inputs(UNKNOWN_BOARD, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
