"""From the typed decoder's refusal of one row to a finding in the lab's words."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from general_level.catalogue.model import AnswerKind
from general_level.submission.answer_forms import AnswerForm
from general_level.submission.codes import Code
from general_level.submission.paths import Fault

_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_NUMBER: Final = re.compile(rb"(?<![A-Za-z])[-+]?(?:nan|inf(?:inity)?)(?![A-Za-z])", re.I)
_QUOTED_NUMBER: Final = re.compile(rb'"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*"')
_PYTHON_WORD: Final = re.compile(rb"(?<![A-Za-z])(?:None|True|False)(?![A-Za-z])")
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL: Final = re.compile(rb"[\x00-\x1f]")
#: A \u escape of one half of a surrogate pair; pairs in order are taken out before.
_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ESCAPED_BACKSLASH: Final = b"\\\\"

_JSON_NAMES: Final = {
    "str": "a text", "int": "a whole number", "float": "a number", "array": "a list",
    "object": "an object", "bool": "true or false", "null": "null",
}  # fmt: skip
_EXPECTED_GOT: Final = re.compile(r"Expected `([^`]+)`, got `(\w+)`(?: - at `\$(.*)`)?")
_BOUND: Final = re.compile(r"Expected `(\w+)` (of length )?([<>=]* ?[-+.\w]+)(?: - at `\$(.*)`)?")
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`(?: - at `\$(.*)`)?")


def id_fault(item_id: str) -> Fault | None:
    """Why a decoded id is unusable, or None."""
    if not item_id:
        return Code.BAD_ID, {"reason": "it is empty"}
    if not item_id.isprintable() and _CONTROL_CHARACTER.search(item_id):
        return Code.BAD_ID, {"reason": "it has control characters"}
    return None


def malformed_fault(raw: bytes, error: Exception) -> Fault:
    """What is wrong with a row, or a part of one, that is no JSON although its brackets match."""
    if isinstance(error, RecursionError):
        return Code.JSON_TOO_DEEP, {"limit": "the reader's"}
    if _HALF.search(_PAIR.sub(b"", raw.replace(_ESCAPED_BACKSLASH, b""))):
        return Code.BAD_UNICODE, {}
    bare = _TEXT.sub(b"", raw)
    if match := _NO_NUMBER.search(bare):
        return Code.NOT_FINITE, {"reason": f"{match[0].decode()} is no JSON number"}
    if match := _PYTHON_WORD.search(bare):
        reason = f"{match[0].decode()} is Python, not JSON"
    elif b"'" in bare:
        reason = "texts stand in single quotes"
    elif any(_CONTROL.search(text[0]) for text in _TEXT.finditer(raw)):
        reason = "a text has a control character, for example a line break, that is not escaped"
    elif re.search(rb",\s*[}\]]", bare):
        reason = "a comma stands before a closing bracket"
    else:
        reason = "the row cannot be read"
    return Code.NOT_JSON, {"reason": reason}


def prediction_fault(kind: AnswerKind, form: AnswerForm, raw: bytes, error: Exception) -> Fault:
    """Why the typed decoder refused a prediction, ``raw`` being its JSON."""
    message = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return malformed_fault(raw, error)
    if "Number out of range" in message:
        return Code.NOT_FINITE, {"reason": "a number is too large for a computer's number"}
    if match := _EXPECTED_GOT.match(message):
        return _type_fault(kind, form, raw, match)
    if match := _BOUND.match(message):
        return _bound_fault(kind, form, match)
    reason = "it cannot be read"
    if match := _MISSING.match(message):
        reason = f"the field {match[1]} is missing{_at(match[2])}"
    return _wrong_type(kind, form, reason)


def _bound_fault(kind: AnswerKind, form: AnswerForm, match: re.Match[str]) -> Fault:
    name, length, bound, place = match.groups()
    shown = f"{_JSON_NAMES.get(name, name)}{_at(place)}"
    if length and bound.startswith("<="):
        unit = "characters" if name == "str" else "entries"
        return Code.TOO_LONG, {"reason": f"{shown} may have at most {bound[3:]} {unit}"}
    if not length:
        return Code.NOT_FINITE, {"reason": f"{shown} must be {bound}"}
    return _wrong_type(kind, form, f"{shown} must have {bound} entries")


def _type_fault(kind: AnswerKind, form: AnswerForm, raw: bytes, match: re.Match[str]) -> Fault:
    wanted, got, place = match.groups()
    if got == "null" and not place:
        return Code.NULL_PREDICTION, {"expected": form.expected}
    if got == "str" and wanted in ("float", "int") and _QUOTED_NUMBER.search(raw):
        return Code.NUMBER_AS_TEXT, {"place": _at(place)}
    options = " or ".join(_JSON_NAMES.get(name, name) for name in wanted.split(" | "))
    found = _JSON_NAMES.get(got, got)
    return _wrong_type(kind, form, f"{options} is expected{_at(place)}, {found} was found")


def _wrong_type(kind: AnswerKind, form: AnswerForm, reason: str) -> Fault:
    return Code.WRONG_TYPE, {"kind": kind.value, "reason": reason, "expected": form.expected}


def _at(place: str | None) -> str:
    return f" at {place.lstrip('.')}" if place else ""
