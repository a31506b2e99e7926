"""The benchmark's own layout on disk, and which folder is which task of the catalogue.

``<modality>/<paradigm>/<Task>/annotation.json`` with the media beside it, language tasks directly
under ``nlp/<Task>/``. Links are never followed: a link could bring a file of elsewhere into a
public bundle.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from general_level.catalogue import LANGUAGE_FOLDER, Catalogue, Modality, Paradigm, Task
from services.grader.sealing.report import Trouble

ANNOTATION_NAME: Final = "annotation.json"

_MODALITIES: Final = {
    modality.value: modality for modality in Modality if modality is not Modality.LANGUAGE
}
_PARADIGMS: Final = {
    paradigm.value: paradigm for paradigm in Paradigm if paradigm is not Paradigm.NONE
}
_SPACING: Final = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """One folder where a task can be. ``relative`` is its path below the benchmark's folder."""

    path: Path
    relative: str
    modality: Modality
    paradigm: Paradigm


def find_task_folders(benchmark: Path) -> tuple[list[TaskFolder], list[str]]:
    """The folders at the places of tasks, and the paths of everything that is at no such place."""
    folders: list[TaskFolder] = []
    stray: list[str] = []
    for top in _entries(benchmark):
        name = top.name.casefold()
        if not _is_folder(top):
            stray.append(top.name)
        elif name == LANGUAGE_FOLDER:
            _collect(benchmark, top, Modality.LANGUAGE, Paradigm.NONE, folders, stray)
        elif name in _MODALITIES:
            for middle in _entries(top):
                paradigm = _PARADIGMS.get(middle.name.casefold())
                if paradigm is None or not _is_folder(middle):
                    stray.append(middle.relative_to(benchmark).as_posix())
                else:
                    _collect(benchmark, middle, _MODALITIES[name], paradigm, folders, stray)
        else:
            stray.append(top.name)
    return folders, stray


def files_below(folder: Path) -> list[str]:
    """The paths of all files and links below a task's folder, relative to it, sorted."""
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        found += [(Path(root) / name).relative_to(folder).as_posix() for name in [*files, *links]]
    return sorted(found)


class TaskNames:
    """Finds the one task of the catalogue that a folder's or an annotation's name means."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._by_folder: dict[tuple[Modality, Paradigm, str], list[Task]] = {}
        self._by_alias: dict[tuple[Modality, Paradigm, str], list[Task]] = {}
        for task in catalogue.tasks.values():
            place = (task.modality, task.paradigm)
            for name in {_spelling(task.folder), _spelling(task.name)}:
                self._by_folder.setdefault((*place, name), []).append(task)
            for name in {_spelling(alias) for alias in (task.short_name, *task.aliases)}:
                self._by_alias.setdefault((*place, name), []).append(task)

    def find(self, folder: TaskFolder, annotated: str) -> Task | Trouble:
        """The task of a folder whose annotation says ``annotated`` in its field "task".

        The folder's name counts first, then the annotation's. Where both name a task they must
        name the same one, and a name must mean one task only.
        """
        by_folder = self._lookup(folder, folder.path.name)
        by_field = self._lookup(folder, annotated)
        if len(by_folder) == 1 and len(by_field) == 1 and by_folder != by_field:
            return Trouble.CONTRADICTING_NAMES
        for found in (by_folder, by_field):
            if len(found) == 1:
                return found[0]
        return Trouble.AMBIGUOUS_FOLDER if by_folder or by_field else Trouble.UNKNOWN_FOLDER

    def _lookup(self, folder: TaskFolder, name: str) -> list[Task]:
        key = (folder.modality, folder.paradigm, _spelling(name))
        return self._by_folder.get(key) or self._by_alias.get(key) or []


def _spelling(name: str) -> str:
    """One form for the spellings of a name that differ in case, spacing, hyphens or Unicode."""
    return _SPACING.sub(" ", unicodedata.normalize("NFKC", name)).strip().casefold()


def _collect(
    benchmark: Path,
    parent: Path,
    modality: Modality,
    paradigm: Paradigm,
    folders: list[TaskFolder],
    stray: list[str],
) -> None:
    for entry in _entries(parent):
        relative = entry.relative_to(benchmark).as_posix()
        if _is_folder(entry):
            folders.append(TaskFolder(entry, relative, modality, paradigm))
        else:
            stray.append(relative)


def _entries(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir()))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
