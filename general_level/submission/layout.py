"""Which task each member belongs to, and where the lab probably meant to put the others."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from general_level.catalogue.model import LANGUAGE_FOLDER, Catalogue, Modality, Paradigm, Task
from general_level.submission.archive import Member
from general_level.submission.codes import Code
from general_level.submission.findings import FindingSink
from general_level.submission.naming import fold

PREDICTION_FILE: Final = "prediction.json"

#: How alike a folder's name must be to a task's to be taken for it, 0 to 1.
_FOLDER_LIKENESS: Final = 0.85
#: Folders of no task for which a similar name is searched; a search costs milliseconds.
_MAX_SIMILARITY_SEARCHES: Final = 200

_TOP_WORDS: Final = frozenset(
    fold(word) for word in (*Modality, *Paradigm, LANGUAGE_FOLDER)
)  # never taken for the name of a task

Folders = tuple[str, ...]


class _Place(NamedTuple):
    """A folder of no task: the finding's code, the folder, and where it should be."""

    code: Code
    folder: str
    expected: str


def assign_members(
    members: Iterable[Member],
    catalogue: Catalogue,
    board_task_ids: Collection[str],
    sink: FindingSink,
) -> dict[str, dict[str, Member]]:
    """For each task whose folder is in the archive: its members by path within that folder.

    Order is the catalogue's. Members of no task are reported, one finding for each folder, with
    the exact path expected where a task is recognised by its name.
    """
    task_of = {task.archive_path: task_id for task_id, task in catalogue.tasks.items()}
    found: dict[str, dict[str, Member]] = defaultdict(dict)
    strays: Counter[Folders] = Counter()
    for member in members:
        parts = member.path.split("/")
        depth = 2 if parts[0] == LANGUAGE_FOLDER else 3
        task_id = task_of.get("/".join(parts[:depth])) if len(parts) > depth else None
        if task_id is None:
            strays[tuple(parts[:-1]) or (parts[-1],)] += 1
        else:
            found[task_id]["/".join(parts[depth:])] = member
    _report_strays(strays, _Guesser(catalogue, board_task_ids), sink)
    return {task_id: found[task_id] for task_id in catalogue.tasks if task_id in found}


def _report_strays(strays: Mapping[Folders, int], guesser: _Guesser, sink: FindingSink) -> None:
    counts: Counter[_Place] = Counter()
    for folders, count in strays.items():
        counts[guesser.place(folders)] += count
    for place, count in counts.items():
        sink.add(place.code, place.folder, None, count=count, expected=place.expected)


class _Guesser:
    """Recognises tasks by folder names that are nearly right or in the wrong place."""

    def __init__(self, catalogue: Catalogue, board_task_ids: Collection[str]) -> None:
        self._board_task_ids = frozenset(board_task_ids)
        self._searches_left = _MAX_SIMILARITY_SEARCHES
        self._tasks_of: dict[str, list[Task]] = defaultdict(list)
        for task in catalogue.tasks.values():
            names = (task.folder, task.name, task.short_name, task.id, *task.aliases)
            for name in dict.fromkeys(map(fold, names)):
                self._tasks_of[name].append(task)

    def place(self, folders: Folders) -> _Place:
        """What to say about the files in this folder."""
        for index, name in reversed(list(enumerate(folders))):
            tasks = self._tasks_of.get(fold(name))
            if tasks and fold(name) not in _TOP_WORDS:
                return self._recognised(tasks, folders[: index + 1])
        depth = 2 if folders[0] == LANGUAGE_FOLDER else 3
        if self._searches_left > 0:
            self._searches_left -= 1
            for index in (depth - 1, len(folders) - 1):
                name = fold(folders[index]) if index < len(folders) else ""
                near = difflib.get_close_matches(name, self._tasks_of, 1, _FOLDER_LIKENESS)
                if near and name not in _TOP_WORDS:
                    return self._recognised(self._tasks_of[near[0]], folders[: index + 1])
        return _Place(Code.UNKNOWN_FOLDER, "/".join(folders[:depth]), "")

    def _recognised(self, tasks: list[Task], folders: Folders) -> _Place:
        task = max(tasks, key=lambda candidate: self._plausibility(candidate, folders))
        expected = task.archive_path
        in_place = folders[:-1] == tuple(expected.split("/")[:-1])
        code = Code.MISSPELT_FOLDER if in_place else Code.MISPLACED_FOLDER
        return _Place(code, "/".join(folders), expected)

    def _plausibility(self, task: Task, folders: Folders) -> tuple[bool, bool, bool, bool]:
        """Larger for the task that the lab more probably meant."""
        words = {fold(folder) for folder in folders[:-1]}
        top = {fold(task.modality), fold(task.archive_path.split("/")[0])}
        return (
            bool(top & words),
            fold(task.paradigm) in words,
            task.folder == folders[-1],
            task.id in self._board_task_ids,
        )


def prediction_file_hint(files: Collection[str]) -> str:
    """What a task folder has instead of its prediction.json, for the message."""
    candidates = sorted(
        (file for file in files if file.lower().endswith((".json", ".jsonl"))),
        key=lambda file: (file.rpartition("/")[2].casefold() != PREDICTION_FILE, len(file), file),
    )
    return f"; it has {candidates[0]}" if candidates else ""
