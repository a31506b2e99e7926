"""Historical results as the pages show them: printed tables, a model's lines, what is supported."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final
from urllib.parse import urlencode

from general_level.catalogue import Modality
from services.gateway.history import StoredHistory
from services.gateway.web.ordering import ordered
from services.gateway.web.selection import SEARCH_CHARACTERS_MAX
from services.kit.history import Document, Model, Remark, parse_history

#: The columns that sort downwards first: more is better.
_RISING: Final = frozenset({"rank", "model"})
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA: Final = ("=", "+", "-", "@")
_PARADIGMS: Final = {
    (): "/",
    ("comprehension",): "C",
    ("generation",): "G",
    ("comprehension", "generation"): "C+G",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a printed table: figures as printed, None where nothing is supported.

    ``name`` is the model's in this table, ``reached`` the highest level with a figure above zero.
    """

    level: int
    rank: int | None
    name: str
    model: Model
    reached: int
    overall: str | None
    scores: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Printed:
    """A document with its tables, by level, and what of each model they tell."""

    id: str
    sha256: str
    imported: datetime
    data: bytes = field(repr=False)
    document: Document = field(repr=False)
    modalities: tuple[str, ...]
    tables: Mapping[int, tuple[Line, ...]] = field(repr=False)
    by_slug: Mapping[str, tuple[Line, ...]] = field(repr=False)

    @property
    def dated(self) -> str:
        """When it was published: ``May 2025``, or the day."""
        told = self.document.date
        if len(told) == len("2025-05"):
            return date.fromisoformat(f"{told}-01").strftime("%B %Y")
        return told

    @property
    def lines(self) -> int:
        """Lines of all tables."""
        return sum(len(table) for table in self.tables.values())

    def leaders(self, most: int) -> list[Line]:
        """The models that reached most, each by its line of its highest level."""
        best = [lines[-1] for lines in self.by_slug.values() if lines[-1].reached]
        found = [next(one for one in self.by_slug[line.model.slug] if one.level == line.reached)
                 for line in best]  # fmt: skip
        found.sort(key=lambda line: (-line.reached, -float(line.overall or 0)))
        return found[:most]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which table of a document a reader asks for, in which order; the default is the first."""

    level: int
    first: int
    sort: str = "rank"
    descending: bool = False
    search: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str], printed: Printed) -> Choice:
        """What an address asks for; what it asks for and does not exist is left out."""
        first = min(printed.tables)
        level = query.get("level", "")
        sort = query.get("sort", "")
        if sort not in ("rank", "model", "reached", "score", *printed.modalities):
            sort = "rank"
        order = query.get("order", "")
        return cls(
            level=int(level) if level in {str(one) for one in printed.tables} else first,
            first=first,
            sort=sort,
            descending=order == "desc" if order in {"asc", "desc"} else sort not in _RISING,
            search=query.get("q", "").strip()[:SEARCH_CHARACTERS_MAX],
        )

    def apply(self, lines: Sequence[Line]) -> list[Line]:
        """The lines that are asked for. Those without a figure stand last in either direction."""
        wanted = self.search.casefold()
        kept = [line for line in lines if wanted in f"{line.name}\n{line.model.name}".casefold()]
        return ordered(kept, _key(self.sort), descending=self.descending)

    def towards(self, sort: str) -> Choice:
        """The same lines by another column, or by the same one the other way round."""
        falls = not self.descending if sort == self.sort else sort not in _RISING
        return replace(self, sort=sort, descending=falls)

    def of_level(self, level: int) -> Choice:
        """Another table, in the same order."""
        return replace(self, level=level)

    @property
    def is_default(self) -> bool:
        """Whether it is the table in its printed order."""
        return self == Choice(self.level, self.first)

    def query(self) -> str:
        """The address's query, without what is the default; empty for the default."""
        order = "desc" if self.descending else "asc"
        parts = {
            "level": str(self.level) if self.level != self.first else "",
            "sort": self.sort if self.sort != "rank" else "",
            "order": order if self.descending != (self.sort not in _RISING) else "",
            "q": self.search,
        }
        return urlencode({name: value for name, value in parts.items() if value})


def printed_of(stored: StoredHistory) -> Printed:
    """A stored document, made ready for the pages."""
    document = parse_history(stored.document)
    tables = sorted(document.tables, key=lambda table: table.level)
    models = {model.slug: model for model in document.models}
    told = {name for table in tables for row in table.rows for name in row.scores}
    modalities: tuple[str, ...] = tuple(one.value for one in Modality if one.value in told)
    reached: dict[str, int] = dict.fromkeys(models, 0)
    #: What the lowest level tells: a zero there is no figure but the word for "not supported".
    lowest: dict[str, Mapping[str, str]] = {}
    for table in tables:
        for row in table.rows:
            lowest.setdefault(row.model, row.scores)
            if float(row.overall) > 0:
                reached[row.model] = table.level

    def figure(slug: str, name: str, printed: str | None) -> str | None:
        nothing = (None, document.not_supported)
        return None if printed in nothing and lowest[slug].get(name) in nothing else printed

    lines: dict[int, tuple[Line, ...]] = {}
    by_slug: dict[str, list[Line]] = {slug: [] for slug in models}
    for table in tables:
        made = []
        for row in table.rows:
            scores = {name: figure(row.model, name, row.scores.get(name)) for name in modalities}
            supported = any(score is not None for score in scores.values())
            line = Line(
                level=table.level,
                rank=row.rank,
                name=row.name or models[row.model].name,
                model=models[row.model],
                reached=reached[row.model],
                overall=row.overall if supported else None,
                scores=scores,
            )
            made.append(line)
            by_slug[row.model].append(line)
        lines[table.level] = tuple(made)
    return Printed(
        id=document.id,
        sha256=stored.sha256,
        imported=stored.imported,
        data=stored.document,
        document=document,
        modalities=modalities,
        tables=lines,
        by_slug={slug: tuple(found) for slug, found in by_slug.items()},
    )


def remarks_at(line: Line) -> list[Remark]:
    """What a reader has to know of the figures of a line."""
    return [
        remark for remark in line.model.remarks if not remark.levels or line.level in remark.levels
    ]


def to_csv(printed: Printed) -> bytes:
    """All tables as CSV (RFC 4180), UTF-8: figures and order as printed, ``/`` for no rank."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    columns = printed.modalities
    writer.writerow(["level", "model", "paradigm", *columns, "overall", "rank", "remarks"])
    models = {model.slug: model for model in printed.document.models}
    for table in printed.document.tables:
        for row in table.rows:
            model = models[row.model]
            told = [r.text for r in model.remarks if not r.levels or table.level in r.levels]
            writer.writerow(
                [
                    *(table.level, _cell(row.name or model.name), _PARADIGMS[model.paradigms]),
                    *(row.scores.get(name, "") for name in columns),
                    *(row.overall, row.rank or "/", _cell(" ".join(told))),
                ]
            )
    return out.getvalue().encode()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _key(sort: str) -> Callable[[Line], object]:
    fixed: Mapping[str, Callable[[Line], object]] = {
        "rank": lambda line: line.rank,
        "model": lambda line: line.name.casefold(),
        "reached": lambda line: line.reached,
        "score": lambda line: _number(line.overall),
    }
    return fixed.get(sort) or (lambda line: _number(line.scores[sort]))


def _number(figure: str | None) -> float | None:
    return None if figure is None else float(figure)
