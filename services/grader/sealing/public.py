"""The public half of a sealed benchmark: inputs by board, item ids, commitments."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from general_level.catalogue import Board, Catalogue
from general_level.commitments import PublishedCommitment
from services.grader.keys import ZIP_DATE
from services.grader.sealing.prepare import PreparedTask

BOARDS_FOLDER: Final = "boards"
IDS_NAME: Final = "ids.json"
COMMITMENTS_NAME: Final = "commitments.json"

_FILE_MODE: Final = 0o644 << 16  # of a member, for those who unpack
_COPY_BYTES: Final = 1024 * 1024


def write_public(
    folder: Path,
    *,
    catalogue: Catalogue,
    boards: Sequence[Board],
    tasks: Mapping[str, PreparedTask],
    commitments: Sequence[PublishedCommitment],
) -> None:
    """Fills the new folder ``public/``. Nothing that only an output names gets here."""
    (folder / BOARDS_FOLDER).mkdir(parents=True)
    for board in boards:
        _write_inputs(folder / BOARDS_FOLDER / f"{board.id}.zip", catalogue, board, tasks)
    ids = {task_id: [key.id for key in task.keys] for task_id, task in tasks.items()}
    (folder / IDS_NAME).write_bytes(_json(ids))
    (folder / COMMITMENTS_NAME).write_bytes(msgspec.json.encode(commitments))


def _write_inputs(
    path: Path, catalogue: Catalogue, board: Board, tasks: Mapping[str, PreparedTask]
) -> None:
    """One board's inputs bundle: board.json, then for every task inputs.json and its media."""
    present = [tasks[task_id] for task_id in board.task_ids if task_id in tasks]
    with zipfile.ZipFile(path, "x") as bundle:
        _add(bundle, "board.json", _json(_about(catalogue, board, present)))
        for prepared in present:
            folder = prepared.task.archive_path
            inputs = {
                "task": prepared.annotation_task or prepared.task.name,
                "type": prepared.annotation_type,
                "data": prepared.inputs,
            }
            _add(bundle, f"{folder}/inputs.json", _json(inputs))
            for name in sorted(prepared.input_files):
                _copy(bundle, f"{folder}/{name}", prepared.folder.path / name)


def _about(
    catalogue: Catalogue, board: Board, present: Sequence[PreparedTask]
) -> dict[str, object]:
    """board.json: what a lab needs to know about the tasks beside their inputs."""
    sealed = {prepared.task.id for prepared in present}
    return {
        "board_id": board.id,
        "name": board.name,
        "catalogue_id": catalogue.id,
        "tasks": [prepared.task.id for prepared in present],
        "tasks_without_inputs": [t for t in board.task_ids if t not in sealed],
        "task_details": {
            prepared.task.id: {
                "name": prepared.task.name,
                "folder": prepared.task.archive_path,
                "answer_kind": prepared.task.answer_kind.value,
                "options": dict(prepared.task.options or {}),
                "metric_id": prepared.task.metric_id,
                "item_count": len(prepared.keys),
            }
            for prepared in present
        },
    }


def _add(bundle: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, ZIP_DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = _FILE_MODE
    bundle.writestr(info, content)


def _copy(bundle: zipfile.ZipFile, name: str, source: Path) -> None:
    info = zipfile.ZipInfo(name, ZIP_DATE)  # stored: media are compressed already
    info.external_attr = _FILE_MODE
    info.file_size = source.stat().st_size  # tells zipfile whether it needs ZIP64
    with source.open("rb") as content, bundle.open(info, "w") as member:
        shutil.copyfileobj(content, member, _COPY_BYTES)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
