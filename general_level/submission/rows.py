"""The rows of a JSON list as byte ranges, found without building any value.

This is the slow and careful way, for files that the typed decoder refused: memory is bounded
whatever the file holds, nesting is measured before anything is parsed, and one broken row does
not hide the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from general_level.submission.codes import Code
from general_level.submission.limits import Limits

_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_BETWEEN_ROWS: Final = re.compile(rb"[ \t\r\n]*,[ \t\r\n]*")
_BEFORE_VALUE: Final = re.compile(rb"[ \t\r\n]*:")
_JSON_LINES: Final = re.compile(rb"\}[ \t\r]*\n[ \t\r\n]*\{")

_QUOTE, _OPEN_LIST, _OPEN_OBJECT = b'"[{'
_CLOSERS: Final = {_OPEN_LIST: b"]"[0], _OPEN_OBJECT: b"}"[0]}

#: Bytes between two objects that are looked at for rows which are no objects.
_MAX_GAP_BYTES: Final = 64 * 1024
#: Keys of one row that are remembered; a row should have two.
_MAX_KEYS: Final = 16

_JSON_WORDS: Final = {
    "list": "a list", "dict": "an object", "str": "a text", "int": "a number",
    "float": "a number", "bool": "true or false", "NoneType": "null",
}  # fmt: skip


class Row(NamedTuple):
    """One row: its bytes from ``start`` to ``end``, and its keys as they are written.

    ``found`` is empty for an object, else it names what the row is instead.
    """

    start: int
    end: int
    keys: list[bytes]
    found: str


class BrokenList(Exception):
    """The list cannot be read further; ``code``, ``row`` and ``data`` make the finding."""

    def __init__(self, code: Code, row: int | None = None, /, **data: object) -> None:
        super().__init__(code.value)
        self.code = code
        self.row = row
        self.data = data


def split_rows(data: bytes, limits: Limits) -> Iterator[Row]:
    """The rows of the one list in ``data``; raises `BrokenList` where it cannot go on.

    Each row that is an object or a list has balanced brackets and complete texts; nothing else of
    it is proved.
    """
    for count, row in enumerate(_rows(data, limits)):
        if count >= limits.items_per_task:
            raise BrokenList(Code.TOO_MANY_ITEMS, limit=limits.items_per_task)
        yield row


def _rows(data: bytes, limits: Limits) -> Iterator[Row]:
    begin = _list_start(data)
    stack = [_CLOSERS[_OPEN_LIST]]
    count, row_start, gap_start = 0, 0, begin + 1
    keys: list[bytes] = []
    for match in _TOKEN.finditer(data, begin + 1):
        start, end = match.span()
        token = data[start]
        if token == _QUOTE:
            if end == start + 1:
                raise BrokenList(Code.NOT_JSON, count, reason="a text is not closed")
            if len(stack) == 2 and len(keys) < _MAX_KEYS and _BEFORE_VALUE.match(data, end):
                keys.append(data[start:end])
        elif token in _CLOSERS:
            if len(stack) == 1:
                for row in _gap_rows(data, gap_start, start, count, last=False):
                    yield row
                    count += 1
                row_start, keys = start, []
            stack.append(_CLOSERS[token])
            if len(stack) > limits.json_depth:
                raise BrokenList(Code.JSON_TOO_DEEP, count, limit=limits.json_depth)
        elif token != stack.pop():
            raise BrokenList(Code.NOT_JSON, count, reason="a bracket closes what another opened")
        elif len(stack) == 1:
            found = "" if data[row_start] == _OPEN_OBJECT else _JSON_WORDS["list"]
            yield Row(row_start, end, keys, found)
            count += 1
            gap_start = end
        elif not stack:
            yield from _gap_rows(data, gap_start, start, count, last=True)
            if _space_end(data, end) != len(data):
                raise BrokenList(Code.NOT_JSON, reason="more follows after the list")
            return
    raise BrokenList(Code.NOT_JSON, count, reason="the file ends before the list does")


def _space_end(data: bytes, start: int) -> int:
    match = _SPACE.match(data, start)
    return match.end() if match else start


def _list_start(data: bytes) -> int:
    start = _space_end(data, 0)
    first = data[start : start + 1]
    if first == b"[":
        return start
    if not first:
        raise BrokenList(Code.NOT_JSON, reason="the file is empty")
    if first == b"{":
        lines = _JSON_LINES.search(data, start) is not None
        raise BrokenList(Code.NOT_A_LIST, found="one object in each line" if lines else "an object")
    if first == b'"':
        raise BrokenList(Code.NOT_A_LIST, found="a text")
    if first in b"-0123456789tfn":
        raise BrokenList(Code.NOT_A_LIST, found="a single value")
    raise BrokenList(Code.NOT_JSON, reason="it does not begin like JSON")


def _gap_rows(data: bytes, start: int, end: int, count: int, *, last: bool) -> Iterator[Row]:
    """The rows between two bracketed rows: none, where only a comma stands there as it should."""
    separator = _SPACE if count == 0 or last else _BETWEEN_ROWS
    if separator.fullmatch(data, start, end):
        return
    if end - start > _MAX_GAP_BYTES:
        raise BrokenList(Code.ROW_NOT_AN_OBJECT, count, found="a plain value, like those after it,")
    # A lone value completes the list on the side where a row of brackets stands.
    before = b"[0" if count else b"["
    after = b"]" if last else b"0]"
    try:
        values = msgspec.json.decode(before + data[start:end] + after, type=list[object])
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = "between two rows stands something other than one comma"
        if last and data[start:end].strip() == b",":
            reason = "a comma stands before the end of the list"
        raise BrokenList(Code.NOT_JSON, count, reason=reason) from error
    values = values[1 if count else 0 : len(values) if last else -1]
    for value in values:
        yield Row(start, end, [], _JSON_WORDS[type(value).__name__])
