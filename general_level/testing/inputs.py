"""Example inputs and example answers, so that a test needs no benchmark data."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from general_level.catalogue import AnswerKind, Board, Catalogue

#: The items of a task where the test names none.
EXAMPLE_ITEM_IDS: Final = ("1", "2", "3")

#: A fixed date makes equal content equal bytes; the earliest that a ZIP can say.
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)

#: One acceptable prediction for the answer kinds that a JSON value alone can give.
_EXAMPLES: Final[Mapping[AnswerKind, object]] = {
    AnswerKind.TEXT: "an answer",
    AnswerKind.LABEL: "a label",
    AnswerKind.LABELS: ["a label"],
    AnswerKind.NUMBER: 1.0,
    AnswerKind.CODE: "print(1)",
    AnswerKind.RANKING: ["first", "second"],
}


def inputs_bundle(
    catalogue: Catalogue, board: Board, item_ids: Mapping[str, Collection[str]]
) -> bytes:
    """The inputs of a board as a ZIP in the platform's layout, with placeholder inputs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        about = {"board_id": board.id, "catalogue_id": catalogue.id, "tasks": list(board.task_ids)}
        _add(bundle, "board.json", about)
        for task_id in board.task_ids:
            task = catalogue.tasks[task_id]
            ids = item_ids.get(task_id, EXAMPLE_ITEM_IDS)
            data = [{"id": i, "input": {"text": f"example input {i}"}} for i in ids]
            inputs = {"task": task.name, "type": task.paradigm.value, "data": data}
            _add(bundle, f"{task.archive_path}/inputs.json", inputs)
    return buffer.getvalue()


def write_example_archive(
    path: Path, catalogue: Catalogue, board: Board, item_ids: Mapping[str, Collection[str]]
) -> Path:
    """An archive that the checker accepts, with an answer to every item of every simple task.

    Tasks whose answers are more than a short JSON value (boxes, media…) are left out.
    ValueError if the board has no other.
    """
    written = 0
    with zipfile.ZipFile(path, "w") as archive:
        for task_id in board.task_ids:
            task = catalogue.tasks[task_id]
            if task.answer_kind not in _EXAMPLES:
                continue
            answer = _EXAMPLES[task.answer_kind]
            ids = item_ids.get(task_id, EXAMPLE_ITEM_IDS)
            rows = [{"id": i, "prediction": answer} for i in ids]
            _add(archive, f"{task.archive_path}/prediction.json", rows)
            written += 1
    if not written:
        path.unlink()
        raise ValueError(f"board {board.id} has no task with a simple answer")
    return path


def _add(bundle: zipfile.ZipFile, name: str, value: object) -> None:
    bundle.writestr(zipfile.ZipInfo(name, _ZIP_DATE), json.dumps(value))
