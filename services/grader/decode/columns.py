"""Answers as columns of numbers, and back.

    text, label, code     text uint8 [bytes], offsets int64 [n + 1]
    labels, ranking       the same for all strings, and groups int64 [n + 1] over the strings
    number                numbers float64 [n]
    series                numbers float64 [all], groups int64 [n + 1] over the numbers
    structured kinds      see ``records``: boxes, masks, scene graphs, tubes, tracks, poses, rolls
    media with content    see ``contents``: what is inside comes as parts beside the columns
    media without         as text: the path of each answer's file

``ids`` is a text column beside them, ``rows`` int64 [n] the answers' places in the lab's file. All
value columns are named ``values.…``. The packing side is the decode box and may be hostile, so the
unpacking side checks everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_ITEM_ID_CHARS, MAX_ITEMS_PER_TASK
from general_level.catalogue.model import AnswerKind
from services.grader.decode import records
from services.grader.decode.contents import pack_contents, unpack_contents
from services.grader.decode.frames import Arrays, FrameInvalid, array
from services.grader.decode.records import FLAT_BOX, SOLID_BOX
from services.grader.decode.strings import (
    check_offsets,
    groups_of,
    pack_strings,
    unpack_strings,
)
from services.grader.decode.values import Runs

#: One lab answer of the simple kinds in the form that metrics take.
Value = str | list[str] | float | list[float]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one job: ``values[i]`` answers item ``ids[i]`` from row ``rows[i]``."""

    ids: list[str]
    values: list[Any]
    rows: list[int]


def _split(groups: NDArray[np.int64], values: list[Any], max_count: int) -> list[list[Any]]:
    check_offsets(groups, len(values), max_count)
    bounds = groups.tolist()
    return [values[a:b] for a, b in itertools.pairwise(bounds)]


def _pack_text(values: Sequence[str]) -> dict[str, NDArray[Any]]:
    return pack_strings("values", values)


def _unpack_text(arrays: Arrays, max_count: int) -> list[Any]:
    return unpack_strings(arrays, "values", max_count)


def _pack_lists(values: Sequence[Sequence[str]]) -> dict[str, NDArray[Any]]:
    packed = pack_strings("values", [string for value in values for string in value])
    return {**packed, "values.groups": groups_of(values)}


def _unpack_lists(arrays: Arrays, max_count: int) -> list[Any]:
    # Any number of strings that the frame has room for; the groups bound what an item may hold.
    count = len(array(arrays, "values.offsets", "<i8"))
    strings = unpack_strings(arrays, "values", count)
    return _split(array(arrays, "values.groups", "<i8"), strings, max_count)


def _pack_numbers(values: Sequence[float]) -> dict[str, NDArray[Any]]:
    return {"values.numbers": np.asarray(values, dtype=np.float64).reshape(-1)}


def _unpack_numbers(arrays: Arrays, max_count: int) -> list[Any]:
    numbers = array(arrays, "values.numbers", "<f8")
    if len(numbers) > max_count:
        raise FrameInvalid("a column of a length out of range")
    values: list[Any] = numbers.tolist()
    return values


def _pack_series(values: Sequence[Sequence[float]]) -> dict[str, NDArray[Any]]:
    flat = [number for value in values for number in value]
    return {**_pack_numbers(flat), "values.groups": groups_of(values)}


def _unpack_series(arrays: Arrays, max_count: int) -> list[Any]:
    numbers = array(arrays, "values.numbers", "<f8").tolist()
    return _split(array(arrays, "values.groups", "<i8"), numbers, max_count)


@dataclass(frozen=True, slots=True)
class WithRuns:
    """An answer with masks inside the box: ``runs`` holds those of each list of masks in turn."""

    value: Any
    runs: tuple[Runs, ...]


def _pack_masks(values: Sequence[WithRuns]) -> dict[str, NDArray[Any]]:
    return records.pack_masks([(value.value, value.runs[0]) for value in values])


def _pack_tracks(values: Sequence[WithRuns]) -> dict[str, NDArray[Any]]:
    runs = [part for value in values for part in value.runs]
    return records.pack_paths([value.value for value in values], FLAT_BOX, runs)


def _pack_plain_paths(values: Sequence[Any], width: int) -> dict[str, NDArray[Any]]:
    return records.pack_paths(values, width, [])


@dataclass(frozen=True, slots=True)
class _Form:
    pack: Callable[[Sequence[Any]], dict[str, NDArray[Any]]]
    unpack: Callable[[Arrays, int], list[Any]]


_TEXT: Final = _Form(_pack_text, _unpack_text)
_LISTS: Final = _Form(_pack_lists, _unpack_lists)

#: The answer kinds that cross as columns, in the form of a task without the option ``form``.
FORMS: Final[Mapping[AnswerKind, _Form]] = {
    AnswerKind.TEXT: _TEXT,
    AnswerKind.LABEL: _TEXT,
    AnswerKind.CODE: _TEXT,
    AnswerKind.LABELS: _LISTS,
    AnswerKind.RANKING: _LISTS,
    AnswerKind.NUMBER: _Form(_pack_numbers, _unpack_numbers),
    AnswerKind.SERIES: _Form(_pack_series, _unpack_series),
    AnswerKind.BOXES: _Form(
        partial(records.pack_boxes, width=FLAT_BOX), partial(records.unpack_boxes, width=FLAT_BOX)
    ),
    AnswerKind.MASKS: _Form(_pack_masks, records.unpack_masks),
    AnswerKind.SCENE_GRAPH: _Form(records.pack_graphs, records.unpack_graphs),
    AnswerKind.TUBES: _Form(
        partial(_pack_plain_paths, width=FLAT_BOX), partial(records.unpack_paths, width=FLAT_BOX)
    ),
    AnswerKind.TRACKS: _Form(_pack_tracks, partial(records.unpack_paths, width=FLAT_BOX)),
    AnswerKind.POSE: _Form(records.pack_people, records.unpack_people),
    AnswerKind.PIANO_ROLL: _Form(records.pack_rolls, records.unpack_rolls),
    # Which items were answered, by the path of their file: enough for measures that people rate.
    AnswerKind.IMAGE: _TEXT,
    AnswerKind.VIDEO: _TEXT,
    AnswerKind.AUDIO: _TEXT,
}

#: The forms of a kind under the task's option ``form``.
_SPECIAL_FORMS: Final[Mapping[tuple[AnswerKind, str], _Form]] = {
    (AnswerKind.BOXES, "boxes-3d"): _Form(
        partial(records.pack_boxes, width=SOLID_BOX),
        partial(records.unpack_boxes, width=SOLID_BOX),
    ),
    (AnswerKind.TRACKS, "boxes-3d"): _Form(
        partial(_pack_plain_paths, width=SOLID_BOX),
        partial(records.unpack_paths, width=SOLID_BOX),
    ),
    (AnswerKind.POSE, "trajectory"): _Form(records.pack_trajectories, records.unpack_trajectories),
}


def _form(kind: AnswerKind, options: Mapping[str, str] | None) -> _Form:
    special = _SPECIAL_FORMS.get((kind, (options or {}).get("form", "")))
    return special or FORMS[kind]


def with_runs(kind: AnswerKind, value: Any) -> WithRuns | None:
    """An answer of masks or tracks with its masks decoded; None where one is too large."""
    if kind is AnswerKind.MASKS:
        masks = [[mask.mask for mask in value]]
    else:
        masks = [track.masks for track in value if track.masks is not None]
    runs: list[Runs] = []
    for group in masks:
        decoded = records.runs_of(group)
        if decoded is None:
            return None
        runs.append(decoded)
    return WithRuns(value, tuple(runs))


def pack(
    kind: AnswerKind,
    answers: Answers,
    options: Mapping[str, str] | None = None,
    *,
    content: bool = False,
) -> dict[str, NDArray[Any]]:
    """The columns of ``answers``; KeyError for a kind that does not cross as columns.

    Values are those of the schema; of masks and tracks :class:`WithRuns`, with ``content``
    ``contents.Content`` of each item.
    """
    values = answers.values
    packed = pack_contents(kind, values) if content else _form(kind, options).pack(values)
    return {
        **pack_strings("ids", answers.ids),
        "rows": np.asarray(answers.rows, dtype=np.int64).reshape(-1),
        **packed,
    }


def unpack(
    kind: AnswerKind,
    arrays: Arrays,
    options: Mapping[str, str] | None = None,
    parts: Sequence[Arrays] | None = None,
) -> Answers:
    """The answers that ``arrays`` hold, every one of them checked.

    ``options`` are the task's. ``parts`` (``spool.Parts``) is given where the request asked for the
    content of media. Values are texts, numbers, lists, or what ``values`` and ``contents`` name.
    Raises FrameInvalid where a column is malformed, columns differ in length, an id is empty, too
    long or there twice; KeyError for a kind that does not cross as columns.
    """
    ids = unpack_strings(arrays, "ids", MAX_ITEMS_PER_TASK)
    rows = array(arrays, "rows", "<i8").tolist()
    if parts is None:
        values = _form(kind, options).unpack(arrays, MAX_ITEMS_PER_TASK)
    else:
        values = unpack_contents(kind, arrays, parts, MAX_ITEMS_PER_TASK)
    if not len(ids) == len(rows) == len(values):
        raise FrameInvalid("columns of different length")
    if any(not 0 < len(item) <= MAX_ITEM_ID_CHARS for item in ids) or len(set(ids)) != len(ids):
        raise FrameInvalid("ids that are empty, too long or repeated")
    if any(row < 0 for row in rows):
        raise FrameInvalid("a row below zero")
    return Answers(ids, values, rows)
