"""Results that were published elsewhere before this platform: one document of a past table.

Format ``general-level/history/v1``, JSON (docs/operators/history.md): where the figures are from
and of when, the models, and each printed table row by row. Figures are texts as they were printed,
so that nothing is rounded or completed on the way. They are shown with a mark and are never
mixed with what this platform computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from general_level.errors import InvalidRequest

FORMAT: Final = "general-level/history/v1"
#: One document.
DOCUMENT_BYTES_MAX: Final = 1024 * 1024
MODELS_MAX: Final = 2_000
ID_CHARS_MAX: Final = 60
NAME_CHARS_MAX: Final = 100
TEXT_CHARS_MAX: Final = 500
LINK_CHARS_MAX: Final = 2_000
NOTES_MAX: Final = 20
REMARKS_MAX: Final = 10
RANK_MAX: Final = 100_000
_POINTS_MAX: Final = 100.0

_ID: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Id = Annotated[str, msgspec.Meta(pattern=_ID, max_length=ID_CHARS_MAX)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARS_MAX)]
Link = Annotated[str, msgspec.Meta(pattern=r"^https://\S+$", max_length=LINK_CHARS_MAX)]
Date = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$")]
#: A figure as printed, points of 100: ``13.70``, ``6.975``.
Figure = Annotated[str, msgspec.Meta(pattern=r"^\d{1,3}(\.\d{1,4})?$", max_length=8)]
Level = Annotated[int, msgspec.Meta(ge=2, le=5)]
#: A value of `general_level.catalogue.Modality`.
ModalityName = Annotated[str, msgspec.Meta(pattern=r"^(image|video|audio|3d|language)$")]
ParadigmName = Literal["comprehension", "generation"]

T = TypeVar("T")


class HistoryInvalid(InvalidRequest):
    """The document of historical results cannot be used."""

    reason = "HISTORY_INVALID"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who published the figures; ``kind`` is a word such as ``paper``."""

    kind: Annotated[str, msgspec.Meta(pattern=r"^[a-z]+( [a-z]+)*$", max_length=40)]
    title: Text
    link: Link


class Benchmark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the models were graded on; ``catalogue`` is our id of it, if it has one."""

    name: Name
    catalogue: Annotated[str, msgspec.Meta(max_length=ID_CHARS_MAX)] = ""


class Remark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reader has to know of a figure; of all levels or modalities where none is named."""

    text: Text
    levels: Annotated[tuple[Level, ...], msgspec.Meta(max_length=4)] = ()
    modalities: Annotated[tuple[ModalityName, ...], msgspec.Meta(max_length=5)] = ()


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model, and what it does: none of the two paradigms is language alone."""

    slug: Id
    name: Name
    paradigms: Annotated[tuple[ParadigmName, ...], msgspec.Meta(max_length=2)]
    remarks: Annotated[tuple[Remark, ...], msgspec.Meta(max_length=REMARKS_MAX)] = ()


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a printed table. ``name`` is set where the table spells the model otherwise."""

    model: Id
    rank: Annotated[int, msgspec.Meta(ge=1, le=RANK_MAX)] | None
    overall: Figure
    scores: Annotated[dict[ModalityName, Figure], msgspec.Meta(min_length=1)]
    name: Name | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The printed table of one level, in its order. ``source`` is its number, ``Table 12``."""

    level: Level
    source: Name
    rows: Annotated[tuple[Row, ...], msgspec.Meta(min_length=1, max_length=MODELS_MAX)]


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it. ``not_supported`` is the figure that stands where a model supports nothing."""

    format: Literal["general-level/history/v1"]
    id: Id
    title: Text
    date: Date
    source: Source
    benchmark: Benchmark
    board: Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARS_MAX)]
    convention: Name
    not_supported: Figure
    notes: Annotated[tuple[Text, ...], msgspec.Meta(max_length=NOTES_MAX)]
    models: Annotated[tuple[Model, ...], msgspec.Meta(min_length=1, max_length=MODELS_MAX)]
    tables: Annotated[tuple[Table, ...], msgspec.Meta(min_length=1, max_length=4)]


_decoder: Final = msgspec.json.Decoder(Document)


def parse_history(data: bytes) -> Document:
    """The document, every reference in it resolved and every figure within 0 to 100.

    Raises HistoryInvalid, with ``problem`` and where in the document, for another form, for more
    than `DOCUMENT_BYTES_MAX` bytes, `MODELS_MAX` models or a text that is too long or not
    printable, for a model, level or row that is there twice, and for a row of no model.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        raise HistoryInvalid(f"It has at most {DOCUMENT_BYTES_MAX} bytes.", problem="size")
    try:
        document = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryInvalid(f"{error}.", problem="form") from error
    _check_texts("$", msgspec.to_builtins(document))
    models = _once("$.models", ((model.slug, model) for model in document.models))
    _once("$.tables", ((table.level, table) for table in document.tables))
    shown: set[str] = set()
    for number, table in enumerate(document.tables):
        where = f"$.tables[{number}].rows"
        _once(where, ((row.model, row) for row in table.rows))
        for place, row in enumerate(table.rows):
            _check_row(f"{where}[{place}]", row, models)
        shown.update(row.model for row in table.rows)
    for place, model in enumerate(document.models):
        if model.slug not in shown:
            _refuse(f"$.models[{place}]", "is in no table", "model")
    return document


def _check_row(where: str, row: Row, models: Mapping[str, Model]) -> None:
    if row.model not in models:
        _refuse(where, "is of a model that is not there", "model")
    for figure in (row.overall, *row.scores.values()):
        if float(figure) > _POINTS_MAX:
            _refuse(where, "has a figure above 100", "range")


def _once(where: str, entries: Iterable[tuple[Any, T]]) -> dict[Any, T]:
    found: dict[Any, T] = {}
    for place, (key, entry) in enumerate(entries):
        if key in found:
            _refuse(f"{where}[{place}]", "is there twice", "twice")
        found[key] = entry
    return found


def _check_texts(where: str, value: Any) -> None:
    for place, text in _texts(where, value):
        if not text.isprintable():
            _refuse(place, "has a character that cannot be printed", "text")


def _texts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(f"{where}.{key}", inner)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _texts(f"{where}[{place}]", inner)


def _refuse(where: str, what: str, problem: str) -> None:
    raise HistoryInvalid(f"{where} {what}.", problem=problem, where=where)


def is_history_id(text: str) -> bool:
    """Whether a text can be the id of a document."""
    return len(text) <= ID_CHARS_MAX and re.fullmatch(_ID[1:-1], text) is not None
