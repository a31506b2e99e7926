"""Which rows of a board a reader asks for, in which order: the query of a page's address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from general_level.catalogue import Modality
from services.gateway.web.newest import Row, Sheet

#: Characters of a search that are looked at.
SEARCH_CHARACTERS_MAX: Final = 100
#: The columns that sort downwards first: more is better, or newer.
_FALLING: Final = frozenset({"score", "level", "supported", "wins", "date"})
_FIXED: Final[Mapping[str, Callable[[Row], object]]] = {
    "rank": lambda row: row.rank,
    "model": lambda row: row.model_name.casefold(),
    "organisation": lambda row: row.organisation.casefold(),
    "score": lambda row: row.score,
    "supported": lambda row: row.supported,
    "wins": lambda row: row.wins,
    "date": lambda row: row.completed,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """A sort column, its direction, the lowest level and a text; the default shows the board."""

    sort: str = "rank"
    descending: bool = False
    level: int | None = None
    search: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str], sheet: Sheet | None) -> Selection:
        """What an address asks for; what it asks for and does not exist is left out."""
        sort = query.get("sort", "")
        if sort not in columns(sheet):
            sort = "rank"
        order = query.get("order", "")
        level = query.get("level", "")
        return cls(
            sort=sort,
            descending=order == "desc" if order in {"asc", "desc"} else _falls(sort),
            level=int(level) if level in {"2", "3", "4", "5"} else None,
            search=query.get("q", "").strip()[:SEARCH_CHARACTERS_MAX],
        )

    def apply(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that are asked for. Those without a value stand last in either direction."""
        wanted = self.search.casefold()
        kept = [
            row
            for row in rows
            if (self.level is None or row.level >= self.level)
            and (not wanted or wanted in f"{row.model_name}\n{row.organisation}".casefold())
        ]
        key = _key(self.sort)
        present = [row for row in kept if key(row) is not None]
        absent = [row for row in kept if key(row) is None]
        # The board's own order decides between equals, whichever way the column runs.
        present.sort(key=key, reverse=self.descending)  # type: ignore[arg-type]
        return present + absent

    def towards(self, sort: str) -> Selection:
        """The same rows by another column, or by the same one the other way round."""
        falls = not self.descending if sort == self.sort else _falls(sort)
        return replace(self, sort=sort, descending=falls)

    @property
    def is_default(self) -> bool:
        """Whether it is the board as it was published."""
        return self == Selection()

    def query(self) -> str:
        """The address's query, without what is the default; empty for the default."""
        parts = {
            "sort": self.sort if self.sort != "rank" else "",
            "order": self._order(),
            "level": str(self.level or ""),
            "q": self.search,
        }
        return urlencode({name: value for name, value in parts.items() if value})

    def _order(self) -> str:
        return "" if self.descending == _falls(self.sort) else "desc" if self.descending else "asc"


def columns(sheet: Sheet | None) -> list[str]:
    """What a board can be sorted by."""
    shown = modalities(sheet)
    return [*_FIXED, *(shown if len(shown) > 1 else [])]


def modalities(sheet: Sheet | None) -> list[str]:
    """The modalities of which a board tells scores, in the benchmark's own order."""
    told = sheet.rows[0].modalities if sheet and sheet.rows else {}
    return [modality.value for modality in Modality if modality.value in told]


def _falls(sort: str) -> bool:
    return sort in _FALLING or sort not in _FIXED


def _key(sort: str) -> Callable[[Row], object]:
    if sort == "score":
        # Levels first: a score is comparable with others of its level only.
        return lambda row: None if row.score is None else (row.level, row.score)
    return _FIXED.get(sort) or (lambda row: _s2(row, sort))


def _s2(row: Row, modality: str) -> float | None:
    of = row.modalities.get(modality)
    return of.shown.s2 if of is not None else None
