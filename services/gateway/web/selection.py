"""Which rows of a board a reader asks for, in which order: the query of a page's address."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from general_level.catalogue import Modality
from services.gateway.web.model_facts import ModelFacts
from services.gateway.web.newest import Row, Sheet
from services.gateway.web.ordering import ordered

#: Characters of a search that are looked at.
SEARCH_CHARACTERS_MAX: Final = 100
#: What a model can be asked to handle.
MODALITIES: Final = tuple(modality.value for modality in Modality)
#: Weights by the word in the address, and how they are called.
WEIGHTS: Final[Mapping[str, tuple[str, bool | None]]] = {
    "open": ("open", True),
    "closed": ("closed", False),
    "unsaid": ("not said", None),
}
#: Parameters by the word in the address: how it is called, above how many, and up to how many.
SIZES: Final[Mapping[str, tuple[str, float, float]]] = {
    "3": ("up to 3 B", 0, 3e9),
    "10": ("3 B to 10 B", 3e9, 10e9),
    "40": ("10 B to 40 B", 10e9, 40e9),
    "more": ("above 40 B", 40e9, math.inf),
    "unsaid": ("not said", math.nan, math.nan),
}
FactsOf = Callable[[Row], ModelFacts]
#: The columns that sort downwards first: more is better, or newer.
_FALLING: Final = frozenset({"score", "level", "supported", "wins", "date"})
_FIXED: Final[Mapping[str, Callable[[Row], object]]] = {
    # A model without a level has rank 0, and stands last.
    "rank": lambda row: row.rank or None,
    "model": lambda row: row.model_name.casefold(),
    "organisation": lambda row: row.organisation.casefold(),
    "score": lambda row: row.score,
    "supported": lambda row: row.supported,
    "wins": lambda row: row.wins,
    "date": lambda row: row.completed,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """A sort column, its direction, and what a model must be; the default shows the board.

    ``level`` is the lowest, ``modality`` one of the benchmark's, ``weights`` and ``size`` are words
    of `WEIGHTS` and `SIZES`; None and empty ask for nothing. ``everything`` asks for all rows at
    once, which on a long board is more than a telephone shows quickly.
    """

    sort: str = "rank"
    descending: bool = False
    level: int | None = None
    search: str = ""
    modality: str = ""
    weights: str = ""
    size: str = ""
    everything: bool = False

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
            modality=_one_of(MODALITIES, query.get("modality", "")),
            weights=_one_of(WEIGHTS, query.get("weights", "")),
            size=_one_of(SIZES, query.get("size", "")),
            everything=query.get("show", "") == "all",
        )

    def apply(self, rows: Sequence[Row], facts_of: FactsOf) -> list[Row]:
        """The rows that are asked for. Those without a value stand last in either direction."""
        wanted = self.search.casefold()
        kept = [
            row
            for row in rows
            if (self.level is None or row.level >= self.level)
            and (not wanted or wanted in f"{row.model_name}\n{row.organisation}".casefold())
            and self._fits(row, facts_of(row))
        ]
        return ordered(kept, _key(self.sort), descending=self.descending)

    def _fits(self, row: Row, facts: ModelFacts) -> bool:
        """Whether what a model is and says is what is asked for."""
        if self.weights and facts.open_weights is not WEIGHTS[self.weights][1]:
            return False
        if self.size and not _is_of_size(facts.parameter_count, self.size):
            return False
        return not self.modality or _handles(row, facts, self.modality)

    def towards(self, sort: str) -> Selection:
        """The same rows by another column, or by the same one the other way round."""
        falls = not self.descending if sort == self.sort else _falls(sort)
        return replace(self, sort=sort, descending=falls)

    def whole(self) -> Selection:
        """The same rows, all of them at once."""
        return replace(self, everything=True)

    @property
    def is_default(self) -> bool:
        """Whether it is the board as it was published."""
        return replace(self, everything=False) == Selection()

    def query(self) -> str:
        """The address's query, without what is the default; empty for the default."""
        parts = {
            "sort": self.sort if self.sort != "rank" else "",
            "order": self._order(),
            "level": str(self.level or ""),
            "q": self.search,
            "modality": self.modality,
            "weights": self.weights,
            "size": self.size,
            "show": "all" if self.everything else "",
        }
        return urlencode({name: value for name, value in parts.items() if value})

    def _order(self) -> str:
        return "" if self.descending == _falls(self.sort) else "desc" if self.descending else "asc"


def _one_of(words: Container[str], word: str) -> str:
    return word if word in words else ""


def _is_of_size(parameters: int | None, size: str) -> bool:
    if parameters is None or size == "unsaid":
        return parameters is None and size == "unsaid"
    _, above, up_to = SIZES[size]
    return above < parameters <= up_to


def _handles(row: Row, facts: ModelFacts, modality: str) -> bool:
    """Whether a model has a task of it on the board or, where nobody counts there, says so."""
    of = row.modalities.get(modality)
    if of is None or of.supported is None:
        return modality in facts.modalities
    return of.is_supported


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
