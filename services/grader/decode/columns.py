"""Answers as columns of numbers, and back.

    text, label, code     text uint8 [bytes], offsets int64 [n + 1]
    labels, ranking       the same for all strings, and groups int64 [n + 1] over the strings
    number                numbers float64 [n]
    series                numbers float64 [all], groups int64 [n + 1] over the numbers

``ids`` is a text column beside them, ``rows`` int64 [n] the answers' places in the lab's file.
The packing side is the decode box and may be hostile, so the unpacking side checks everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_ITEM_ID_CHARS, MAX_ITEMS_PER_TASK
from general_level.catalogue.model import AnswerKind
from services.grader.decode.frames import Arrays, FrameInvalid, array

#: One lab answer in the form that metrics take.
Value = str | list[str] | float | list[float]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one job: ``values[i]`` answers item ``ids[i]`` from row ``rows[i]``."""

    ids: list[str]
    values: list[Any]
    rows: list[int]


def pack_strings(prefix: str, strings: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Strings as ``<prefix>.text`` uint8 [bytes] and ``<prefix>.offsets`` int64 [n + 1]."""
    encoded = [string.encode() for string in strings]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in encoded], out=offsets[1:])
    return {
        f"{prefix}.text": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        f"{prefix}.offsets": offsets,
    }


def check_offsets(offsets: NDArray[np.int64], total: int, max_count: int) -> None:
    """FrameInvalid unless ``offsets`` [n + 1] rises from 0 to ``total`` with n <= ``max_count``."""
    if not 1 <= len(offsets) <= max_count + 1:
        raise FrameInvalid("a column of a length out of range")
    if offsets[0] != 0 or offsets[-1] != total or np.any(offsets[1:] < offsets[:-1]):
        raise FrameInvalid("offsets that do not rise from zero to the end")


def unpack_strings(arrays: Arrays, prefix: str, max_count: int) -> list[str]:
    """The strings of a text column; FrameInvalid unless each is valid UTF-8 by itself."""
    text = array(arrays, f"{prefix}.text", "u1")
    offsets = array(arrays, f"{prefix}.offsets", "<i8")
    check_offsets(offsets, len(text), max_count)
    data = text.tobytes()
    bounds = offsets.tolist()
    try:
        return [data[a:b].decode() for a, b in itertools.pairwise(bounds)]
    except UnicodeDecodeError:
        raise FrameInvalid("text that is not UTF-8") from None


def _groups(lengths: Sequence[int]) -> NDArray[np.int64]:
    groups = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=groups[1:])
    return groups


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
    return {**packed, "values.groups": _groups([len(value) for value in values])}


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
    return {**_pack_numbers(flat), "values.groups": _groups([len(value) for value in values])}


def _unpack_series(arrays: Arrays, max_count: int) -> list[Any]:
    numbers = array(arrays, "values.numbers", "<f8").tolist()
    return _split(array(arrays, "values.groups", "<i8"), numbers, max_count)


@dataclass(frozen=True, slots=True)
class _Form:
    pack: Callable[[Sequence[Any]], dict[str, NDArray[Any]]]
    unpack: Callable[[Arrays, int], list[Any]]


_TEXT: Final = _Form(_pack_text, _unpack_text)
_LISTS: Final = _Form(_pack_lists, _unpack_lists)

#: The answer kinds that cross as columns.
FORMS: Final[Mapping[AnswerKind, _Form]] = {
    AnswerKind.TEXT: _TEXT,
    AnswerKind.LABEL: _TEXT,
    AnswerKind.CODE: _TEXT,
    AnswerKind.LABELS: _LISTS,
    AnswerKind.RANKING: _LISTS,
    AnswerKind.NUMBER: _Form(_pack_numbers, _unpack_numbers),
    AnswerKind.SERIES: _Form(_pack_series, _unpack_series),
    # Which items were answered, by the path of their file: enough for measures that people rate.
    AnswerKind.IMAGE: _TEXT,
    AnswerKind.VIDEO: _TEXT,
    AnswerKind.AUDIO: _TEXT,
}


def pack(kind: AnswerKind, answers: Answers) -> dict[str, NDArray[Any]]:
    """The columns of ``answers``; KeyError for a kind that does not cross as columns."""
    return {
        **pack_strings("ids", answers.ids),
        "rows": np.asarray(answers.rows, dtype=np.int64).reshape(-1),
        **FORMS[kind].pack(answers.values),
    }


def unpack(kind: AnswerKind, arrays: Arrays) -> Answers:
    """The answers that ``arrays`` hold, every one of them checked.

    Raises FrameInvalid where a column is malformed, columns differ in length, an id is empty, too
    long or there twice; KeyError for a kind that does not cross as columns.
    """
    ids = unpack_strings(arrays, "ids", MAX_ITEMS_PER_TASK)
    rows = array(arrays, "rows", "<i8").tolist()
    values = FORMS[kind].unpack(arrays, MAX_ITEMS_PER_TASK)
    if not len(ids) == len(rows) == len(values):
        raise FrameInvalid("columns of different length")
    if any(not 0 < len(item) <= MAX_ITEM_ID_CHARS for item in ids) or len(set(ids)) != len(ids):
        raise FrameInvalid("ids that are empty, too long or repeated")
    if any(row < 0 for row in rows):
        raise FrameInvalid("a row below zero")
    return Answers(ids, values, rows)
