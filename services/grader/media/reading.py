"""What the bindings of one family share: columns side by side, and marks that only a key has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.grader.media.binding import LazyColumn, MediaJob
from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.metrics.result import MetricResult

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a binding adds to its metric; the fields are those of ``Binding``."""

    columns: Callable[[MediaJob], tuple[Any, ...]]
    read: Callable[[KeyReader, Any], Any]
    key_form: str


def remembered(column: Sequence[R]) -> LazyColumn[R]:
    """The column with its last entry kept, for one that is read beside another."""
    return LazyColumn(len(column), lru_cache(maxsize=1)(column.__getitem__))


def beside(
    job: MediaJob, references: Sequence[R], convert: Callable[[Any, R], A | None]
) -> LazyColumn[A | None]:
    """The answers through ``convert``, each with its reference; as ``MediaJob.answered``."""

    def entry(item: int) -> A | None:
        answer = job.answers[item]
        if answer is None:
            return None
        made = convert(answer, references[item])
        if made is None:
            job.unfit.add(item)
        return made

    return LazyColumn(len(job), entry)


def columns_of(
    read: Callable[[KeyReader, Any], R], convert: Callable[[Any, R], A | None]
) -> Callable[[MediaJob], tuple[LazyColumn[A | None], LazyColumn[R]]]:
    """The two columns of a metric whose reference is what ``read`` gives; both read lazily."""

    def columns(job: MediaJob) -> tuple[LazyColumn[A | None], LazyColumn[R]]:
        references = remembered(job.expected(read))
        return beside(job, references, convert), references

    return columns


def measurable(function: Callable[..., MetricResult], reference: R, wanted: str) -> R:
    """``reference`` itself; ReferenceUnusable where ``function`` can measure nothing against it.

    The metric is asked about an answer that is missing: what it raises then is about the key.
    """
    try:
        function([None], [reference])
    except ValueError:
        raise ReferenceUnusable(wanted) from None
    return reference


class _Marks(msgspec.Struct):
    """What COCO's annotations add to a found object."""

    crowd: bool | Literal[0, 1] = False
    iscrowd: bool | Literal[0, 1] = False


def crowd_marks(entries: object) -> NDArray[np.bool_]:
    """Which objects of a key are regions of many: the fields ``crowd`` or ``iscrowd``, bool [n]."""
    try:
        marks = msgspec.convert(entries, list[_Marks])
    except msgspec.ValidationError:
        raise ReferenceUnusable('objects whose "crowd" is 0 or 1') from None
    return np.array([bool(mark.crowd or mark.iscrowd) for mark in marks], dtype=np.bool_)
