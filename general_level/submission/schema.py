"""A prediction.json as columns of ids and values, or as findings for every row that is wrong.

    sink = FindingSink()
    predictions = parse_predictions(AnswerKind.TEXT, None, data, path="nlp/X/prediction.json",
                                    sink=sink)
    predictions.ids, predictions.values

The whole list is decoded at once by a typed decoder; only a file that this refuses is read again
row by row to say what is wrong where. Both ways accept exactly the same files.
"""

from __future__ import annotations

import codecs
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from general_level.catalogue.limits import MAX_ITEM_ID_CHARS
from general_level.catalogue.model import AnswerKind
from general_level.submission.answer_forms import AnswerForm, form_of
from general_level.submission.codes import Code
from general_level.submission.diagnosis import id_fault, malformed_fault, prediction_fault
from general_level.submission.findings import FindingSink
from general_level.submission.limits import DEFAULT_LIMITS, Limits
from general_level.submission.paths import Fault
from general_level.submission.rows import BrokenList, Row, split_rows

__all__ = ["Predictions", "parse_predictions"]

#: An id as a lab may write it; whole numbers become their decimal text.
ItemId = (
    Annotated[str, Meta(max_length=MAX_ITEM_ID_CHARS)]
    | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
)

_ID_KEY: Final = b'"id"'
_PREDICTION_KEY: Final = b'"prediction"'
_KNOWN_KEYS: Final = ("id", "prediction")
_UTF8_CHUNK_BYTES: Final = 1024 * 1024


class Predictions(msgspec.Struct, frozen=True):
    """The valid rows of one prediction.json as columns of equal length.

    ``rows[i]`` is the 0-based place of ``ids[i]`` in the file's list. A value is what
    `general_level.submission.answers` names for the answer kind: a str for texts and single
    media paths, a float, a list of str or float, or structs.
    """

    ids: list[str]
    values: list[Any]
    rows: list[int]


class _Loose(msgspec.Struct):
    """A row whose two fields are still JSON."""

    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prediction: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_LOOSE: Final = msgspec.json.Decoder(_Loose)
_ID: Final = msgspec.json.Decoder(ItemId)
_KEY: Final = msgspec.json.Decoder(str)


@functools.lru_cache(maxsize=64)
def _list_decoder(answer: Any) -> msgspec.json.Decoder[list[Any]]:
    """The typed decoder of a whole list of rows with predictions of the type ``answer``."""
    row = msgspec.defstruct(
        "Row", [("id", ItemId), ("prediction", answer)], forbid_unknown_fields=True
    )
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


@functools.lru_cache(maxsize=64)
def _answer_decoder(answer: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(answer)


def parse_predictions(
    kind: AnswerKind,
    options: Mapping[str, str] | None,
    data: bytes,
    *,
    path: str,
    sink: FindingSink,
    limits: Limits = DEFAULT_LIMITS,
) -> Predictions:
    """Parses ``data``, the content of the member ``path``, as predictions of ``kind``.

    Reports to ``sink`` and never raises for what ``data`` holds. Every wrong row is reported and
    left out, so that ``ids`` has the valid rows only; the file is acceptable only where the sink
    got no error. Duplicate ids keep their first row.
    """
    form = form_of(kind, options)
    table = _Table(kind, form, path, sink)
    if len(data) > limits.prediction_json_bytes:
        sink.add(Code.JSON_TOO_LARGE, path, size=len(data), limit=limits.prediction_json_bytes)
        return table.predictions
    if data.startswith(codecs.BOM_UTF8):
        sink.add(Code.BYTE_ORDER_MARK, path)
        data = data[len(codecs.BOM_UTF8) :]
    fault = _encoding_fault(data)
    if fault:
        sink.add(fault[0], path, None, **fault[1])
        return table.predictions
    errors_before = sink.error_count
    if not _parse_at_once(table, data, limits):
        _parse_by_row(table, data, limits)
    if not table.predictions.ids and sink.error_count == errors_before:
        sink.add(Code.EMPTY_LIST, path)
    return table.predictions


class _Table:
    """The columns that grow, and where their findings go."""

    def __init__(self, kind: AnswerKind, form: AnswerForm, path: str, sink: FindingSink) -> None:
        self.kind = kind
        self.form = form
        self.predictions = Predictions([], [], [])
        self._row_of: dict[str, int] = {}
        self._path = path
        self._sink = sink

    def report(self, row: int | None, fault: Fault) -> None:
        self._sink.add(fault[0], self._path, row, **fault[1])

    def add(self, row: int, item_id: str | int, value: Any) -> None:
        """Takes one decoded row, or reports why not."""
        key = str(item_id)
        fault = id_fault(key)
        if self.form.normalise:
            value = self.form.normalise(value)
        if fault is None and self.form.fault:
            fault = self.form.fault(value)
        if fault:
            self.report(row, fault)
            return
        first = self._row_of.setdefault(key, row)
        if first != row:
            self.report(row, (Code.DUPLICATE_ID, {"id": key, "first_row": first}))
            return
        columns = self.predictions
        columns.ids.append(key)
        columns.values.append(value)
        columns.rows.append(row)


def _encoding_fault(data: bytes) -> Fault | None:
    """The first byte that is not UTF-8, found without a decoded copy of the whole."""
    if data.isascii():
        return None
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    start = 0
    try:
        for start in range(0, len(data), _UTF8_CHUNK_BYTES):
            chunk = view[start : start + _UTF8_CHUNK_BYTES]
            decoder.decode(chunk, final=start + _UTF8_CHUNK_BYTES >= len(data))
    except UnicodeDecodeError as error:
        # Bytes of a character that the chunk before began count from that chunk.
        offset = start + error.start - (len(error.object) - len(chunk))
        return Code.NOT_UTF8, {"offset": offset, "hint": "; it looks like UTF-16" * utf16}
    return None


def _parse_at_once(table: _Table, data: bytes, limits: Limits) -> bool:
    """Whether the typed decoder took the file; then all its rows are in ``table``."""
    id_keys = data.count(_ID_KEY)
    # No more rows than this can be inside, so that the decoder's memory is bounded beforehand.
    if min(data.count(b"{"), id_keys + data.count(b"\\u")) > limits.items_per_task:
        return False
    decoder = _list_decoder(table.form.type)
    try:
        rows = decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return False
    # A key that a row has twice makes the counts differ; the careful way then says in which row.
    if id_keys != len(rows) or data.count(_PREDICTION_KEY) != len(rows):
        return False
    for index, row in enumerate(rows):
        table.add(index, row.id, row.prediction)
    return True


def _parse_by_row(table: _Table, data: bytes, limits: Limits) -> None:
    try:
        for index, row in enumerate(split_rows(data, limits)):
            if row.found:
                table.report(index, (Code.ROW_NOT_AN_OBJECT, {"found": row.found}))
            else:
                _parse_row(table, index, row, data[row.start : row.end])
    except BrokenList as broken:
        table.report(broken.row, (broken.code, broken.data))


def _parse_row(table: _Table, index: int, row: Row, raw: bytes) -> None:
    try:
        keys = [_KEY.decode(key) for key in row.keys]
        loose = _LOOSE.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        table.report(index, malformed_fault(raw, error))
        return
    complete = True
    for key in dict.fromkeys(keys):
        if key not in _KNOWN_KEYS:
            table.report(index, (Code.EXTRA_KEY, {"key": key}))
        elif keys.count(key) > 1:
            table.report(index, (Code.DUPLICATE_KEY, {"key": key}))
            complete = False
    item_id: str | int = ""
    if loose.id is msgspec.UNSET:
        table.report(index, (Code.MISSING_KEY, {"key": "id"}))
        complete = False
    else:
        try:
            item_id = _ID.decode(loose.id)
        except (msgspec.MsgspecError, ValueError) as error:
            table.report(index, _id_type_fault(bytes(loose.id), error))
            complete = False
    if loose.prediction is msgspec.UNSET:
        table.report(index, (Code.MISSING_KEY, {"key": "prediction"}))
        return
    decoder = _answer_decoder(table.form.type)
    try:
        value = decoder.decode(loose.prediction)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raw_value = bytes(loose.prediction)
        table.report(index, prediction_fault(table.kind, table.form, raw_value, error))
        return
    if complete:
        table.add(index, item_id, value)


def _id_type_fault(raw: bytes, error: Exception) -> Fault:
    if not isinstance(error, msgspec.ValidationError):
        return malformed_fault(raw, error)
    reason = "it is neither a text nor a whole number"
    if "length" in str(error):
        reason = f"it has more than {MAX_ITEM_ID_CHARS} characters"
    elif "=" in str(error):
        reason = "it is a number out of range"
    return Code.BAD_ID, {"reason": reason}
