"""Proves an accepted answer of a media task by reading it as grading will."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from general_level.catalogue import Task
from services.grader.keys import KeyItem
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.media.table import BINDINGS
from services.grader.networks import NO_NETWORKS
from services.grader.sealing.answers import WrongAnswer


@dataclass(frozen=True, slots=True)
class _Files(Mapping[str, bytes]):
    """Files of a folder by name, read when they are asked for."""

    folder: Path
    names: frozenset[str]

    def __getitem__(self, name: str, /) -> bytes:
        if name not in self.names:
            raise KeyError(name)
        return (self.folder / name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def prove(task: Task, references: Sequence[Any], folder: Path, names: frozenset[str]) -> None:
    """Reads each accepted answer; ``names`` are the files of ``folder`` that they name.

    Raises WrongAnswer where the task's metric could not use one. Its message says which form is
    wanted and holds nothing of the answer. Measures that people rate compare with no answer.
    """
    binding = BINDINGS.get(task.metric_id)
    if binding is None:
        return
    reader = KeyReader(task.answer_kind, task.options or {}, _Files(folder, names))
    for reference in references:
        try:
            binding.read(reader, reference)
        except ReferenceUnusable:
            raise WrongAnswer(binding.key_form) from None


def can_score(task: Task, keys: Sequence[KeyItem], folder: Path, names: frozenset[str]) -> bool:
    """Whether the answers together make a key: the metric gives nobody's answers a score.

    Each may be usable and their whole not, such as pictures none of which has an object. A metric
    that needs networks is not tried.
    """
    binding = BINDINGS.get(task.metric_id)
    if binding is None or binding.extractors or not keys:
        return True
    kind, options = task.answer_kind, task.options or {}
    reader = KeyReader(kind, options, _Files(folder, names))
    references = [item.references for item in keys]
    nothing = [None] * len(keys)
    try:
        binding.compute(MediaJob(kind, options, nothing, references, reader, NO_NETWORKS))
    except (ValueError, ReferenceUnusable):
        return False
    return True
