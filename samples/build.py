"""Writing the benchmark: ``<modality>/<paradigm>/<Folder>/annotation.json`` and its media."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from general_level.catalogue import Catalogue, Modality, Task, load
from general_level.errors import InvalidRequest
from samples.example import Example, Split, placed
from samples.registry import TASKS

CATALOGUE_NAME: Final = "sample"
ANNOTATION_NAME: Final = "annotation.json"


class FolderInUse(InvalidRequest):
    """The folder for the result is there already and not empty."""

    reason = "FOLDER_IN_USE"


def item_id(task: Task, number: int) -> int | str:
    """The id of a task's item, 1 for the first: texts for language, whole numbers elsewhere.

    The benchmark has both, so the sample has both.
    """
    return f"{task.id}-{number:03d}" if task.modality is Modality.LANGUAGE else number


def media_paths(example: Example, number: int) -> dict[str, str]:
    """Where the files of one item lie in its task's folder, by field."""
    return {field: f"{field}/{number:03d}{end}" for field, end in example.endings.items()}


def annotation(task: Task, kind: str, examples: list[Example]) -> dict[str, Any]:
    """The content of a task's ``annotation.json``."""
    data = []
    for number, example in enumerate(examples, start=1):
        fields = {**example.question.fields, **media_paths(example, number)}
        answer, _ = placed(example.answer, number)
        data.append({"id": item_id(task, number), "input": fields, "output": answer})
    return {"task": task.folder, "type": kind, "data": data}


def files_of(task: Task, kind: str, examples: list[Example]) -> Iterator[tuple[str, bytes]]:
    """Every file of one task as (path in the benchmark, content)."""
    content = json.dumps(annotation(task, kind, examples), ensure_ascii=False, indent=1)
    yield f"{task.archive_path}/{ANNOTATION_NAME}", content.encode() + b"\n"
    for number, example in enumerate(examples, start=1):
        for field, path in media_paths(example, number).items():
            yield f"{task.archive_path}/{path}", example.question.media[field]
        for path, answer in placed(example.answer, number)[1].items():
            yield f"{task.archive_path}/{path}", answer


def all_files(catalogue: Catalogue | None = None) -> Iterator[tuple[str, bytes]]:
    """Every file of the benchmark, task by task in the catalogue's order."""
    catalogue = catalogue or load(name=CATALOGUE_NAME)
    for task in catalogue.tasks.values():
        examples = TASKS[task.id].make(Split.TEST)
        yield from files_of(task, catalogue.skills[task.skill_id].name, examples)


def build(out: Path) -> dict[str, int]:
    """Writes the benchmark into the new or empty folder ``out``; the number of items by task id.

    Raises FolderInUse. Two builds with the same package versions are equal byte for byte.
    """
    if out.exists() and any(out.iterdir()):
        raise FolderInUse(str(out), folder=out)
    catalogue = load(name=CATALOGUE_NAME)
    of_annotation = {
        f"{task.archive_path}/{ANNOTATION_NAME}": task.id for task in catalogue.tasks.values()
    }
    counts: dict[str, int] = {}
    for path, content in all_files(catalogue):
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if path in of_annotation:
            counts[of_annotation[path]] = len(json.loads(content)["data"])
    return counts


def digest(files: Iterator[tuple[str, bytes]] | Mapping[str, bytes]) -> str:
    """One SHA-256 over all paths and contents."""
    pairs = files.items() if isinstance(files, Mapping) else files
    whole = hashlib.sha256()
    for path, content in sorted(pairs):
        whole.update(f"{path}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()
