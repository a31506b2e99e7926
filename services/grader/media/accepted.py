"""Columns that come from a key alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from services.grader.media.binding import LazyColumn, MediaJob
from services.grader.media.key_reader import KeyReader

R = TypeVar("R")


def all_accepted(job: MediaJob, read: Callable[[KeyReader, Any], R]) -> LazyColumn[list[R]]:
    """All accepted answers of each item, read from the key each time."""
    return LazyColumn(
        len(job), lambda item: [read(job.key, value) for value in job.references[item]]
    )


def firsts(job: MediaJob, read: Callable[[KeyReader, Any], R]) -> list[R]:
    """The first accepted answer of each item, all at once: for small ones, as texts are."""
    return list(job.expected(read))
