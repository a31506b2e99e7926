"""From an ``output`` of the benchmark to the list of accepted answers that a metric compares with.

| answer kind | one accepted answer | ``output`` as found |
|---|---|---|
| text, label, code | str | text or number; a list of them: each is accepted |
| ranking | str | text or number; a list of them: each is accepted |
| labels | list[str] | "a<p>b", "a, b" or a list: one set; a list of lists: each is accepted |
| number | float | number, or its decimal text |
| series | list[float] | list of numbers; a list of lists: each is accepted |
| any other | as it is | as it is |

For every kind ``{"references": [...]}`` lists the accepted answers explicitly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from general_level.canonical import canonical_json
from general_level.catalogue import AnswerKind, Task

#: Between labels where the annotation does not use the task's own separator.
_COMMA: Final = ", "
_DEFAULT_SEPARATOR: Final = "<p>"


class NoAnswer(ValueError):
    """The output is absent or empty."""


class WrongAnswer(ValueError):
    """The output does not fit the task's answer kind. The message holds nothing of it."""


def accepted_answers(task: Task, output: object) -> list[Any]:
    """The accepted answers of one item, at least one.

    Raises NoAnswer for null, an empty or blank text and an empty list of answers, and WrongAnswer
    for anything that the task's answer kind cannot be.
    """
    if output is None:
        raise NoAnswer
    explicit = isinstance(output, Mapping) and output.keys() == {"references"}
    if isinstance(output, Mapping) and explicit:
        listed = output["references"]
        if not isinstance(listed, list):
            raise WrongAnswer("references are a list")
        candidates = listed
    else:
        candidates = _candidates(task, output)
    if not candidates:
        raise NoAnswer
    single = _SINGLE.get(task.answer_kind, _as_it_is)
    accepted = [single(task, candidate) for candidate in candidates]
    try:
        canonical_json(accepted)
    except (ValueError, TypeError):
        raise WrongAnswer("the output has no canonical form") from None
    return accepted


def holds_files(task: Task) -> bool:
    """Whether strings in an output of this task may name answer files."""
    return task.answer_kind not in _SINGLE


def _candidates(task: Task, output: object) -> list[Any]:
    """The outputs of a list that means several accepted answers, or the one output."""
    if not isinstance(output, list):
        return [output]
    kind = task.answer_kind
    if kind in (AnswerKind.TEXT, AnswerKind.LABEL, AnswerKind.CODE, AnswerKind.RANKING):
        return output
    nested = bool(output) and all(isinstance(element, list) for element in output)
    if kind in (AnswerKind.LABELS, AnswerKind.SERIES) and nested:
        return output
    return [output]


def _text(_task: Task, value: object) -> str:
    if value is None:
        raise NoAnswer
    if isinstance(value, str):
        if not value.strip():
            raise NoAnswer
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongAnswer("an answer in words is a text")
    return str(value) if isinstance(value, int) else canonical_json(value).decode()


def _label_set(task: Task, value: object) -> list[str]:
    if isinstance(value, str):
        separator = (task.options or {}).get("separator", _DEFAULT_SEPARATOR)
        parts = value.split(separator if separator in value else _COMMA)
        # An empty text is the empty set: "nothing of what was asked for is there".
        return [part.strip() for part in parts if part.strip()]
    if not isinstance(value, list):
        raise WrongAnswer("a label set is a text or a list")
    return [_text(task, label) for label in value]


def _number(_task: Task, value: object) -> float:
    if isinstance(value, str):
        if not value.strip():
            raise NoAnswer
        try:
            value = float(value)
        except ValueError:
            raise WrongAnswer("a number is expected") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongAnswer("a number is expected")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WrongAnswer("a number is finite")
    return number


def _series(task: Task, value: object) -> list[float]:
    if not isinstance(value, list):
        raise WrongAnswer("a series is a list of numbers")
    if not value:
        raise NoAnswer
    return [_number(task, element) for element in value]


def _as_it_is(_task: Task, value: object) -> object:
    if value is None or value == "":
        raise NoAnswer
    return value


_SINGLE: Final[Mapping[AnswerKind, Callable[[Task, object], Any]]] = MappingProxyType(
    {
        AnswerKind.TEXT: _text,
        AnswerKind.LABEL: _text,
        AnswerKind.CODE: _text,
        AnswerKind.RANKING: _text,
        AnswerKind.LABELS: _label_set,
        AnswerKind.NUMBER: _number,
        AnswerKind.SERIES: _series,
    }
)
