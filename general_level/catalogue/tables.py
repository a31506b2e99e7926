"""Reading a catalogue's files row by row, with every problem kept at its file and row.

A row number is the line of the file as an editor counts it: of a CSV row its last line, of a TOML
entry the line of its ``[[header]]``; 1 stands for the file as a whole.
"""

from __future__ import annotations

import csv
import enum
import io
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any, Final, TypeVar

from general_level.errors import CatalogueError

WHOLE_FILE: Final = 1

#: Problems written out in one error message; metadata has the full count.
MAX_PROBLEMS_SHOWN: Final = 50

E = TypeVar("E", bound=enum.StrEnum)


@dataclass(frozen=True, slots=True)
class Problem:
    """One contradiction, and where it stands."""

    file: str
    row: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.problem}"


@dataclass(slots=True)
class Problems:
    """All problems met so far; reading goes on after each, so that all are told at once."""

    found: list[Problem] = field(default_factory=list)

    def add(self, file: str, row: int, problem: str) -> None:
        self.found.append(Problem(file, row, problem))

    def raise_if_any(self) -> None:
        """Raise CatalogueError with ``file``, ``row``, ``problem`` of the first problem, the
        ``count``, and all ``problems``, one per line, as metadata."""
        if not self.found:
            return
        first, lines = self.found[0], [str(problem) for problem in self.found]
        more = len(lines) - MAX_PROBLEMS_SHOWN
        shown = lines[:MAX_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise CatalogueError(
            "\n" + "\n".join(shown),
            file=first.file,
            row=first.row,
            problem=first.problem,
            count=len(lines),
            problems="\n".join(lines),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One row or entry with typed access; a bad cell becomes a problem and a stand-in value."""

    file: str
    number: int
    cells: Mapping[str, Any]
    problems: Problems

    def wrong(self, problem: str) -> None:
        self.problems.add(self.file, self.number, problem)

    def text(self, key: str, default: str | None = None) -> str:
        """A trimmed text; without a default it must be there and not be empty."""
        value = self.cells.get(key, "")
        if not isinstance(value, str):
            self.wrong(f"{key} must be a text, not {value!r}")
            return ""
        value = value.strip()
        if value:
            return value
        if default is None:
            self.wrong(f"{key} is missing")
            return ""
        return default

    def choice(self, key: str, choices: type[E], default: E | None = None) -> E | None:
        """A member of an enumeration, None (and a problem) for an unknown word."""
        if default is not None and key not in self.cells:
            return default
        return self._member(key, self.text(key), choices)

    def choices(self, key: str, choices: type[E]) -> tuple[E, ...]:
        """The members named by a list of words."""
        members = (self._member(key, word, choices) for word in self.words(key))
        return tuple(member for member in members if member is not None)

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where it is absent."""
        value = self.cells.get(key, [])
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return tuple(value)
        self.wrong(f"{key} must be a list of texts, not {value!r}")
        return ()

    def integer(self, key: str) -> int:
        value = self.cells.get(key)
        try:
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise ValueError
            return int(value)
        except ValueError:
            self.wrong(f"{key} must be a whole number, not {value!r}")
            return 0

    def number_of(self, key: str) -> float | None:
        """A finite number; None where it is absent or (with a problem) not a finite number."""
        value = self.cells.get(key)
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not math.isfinite(number):
            self.wrong(f"{key} must be a finite number, not {value!r}")
            return None
        return number

    def known(self, keys: Iterable[str]) -> None:
        """A problem for every key that nobody reads: most are misspelled ones."""
        for key in sorted(self.cells.keys() - set(keys)):
            self.wrong(f"unknown key {key}")

    def _member(self, key: str, word: str, choices: type[E]) -> E | None:
        try:
            return choices(word)
        except ValueError:
            if word:
                expected = ", ".join(choices)
                self.wrong(f"unknown {key} {word!r}; expected one of: {expected}")
            return None


def read_csv(
    folder: Traversable,
    file: str,
    problems: Problems,
    required: Iterable[str],
    optional: Iterable[str] = (),
) -> Iterator[Row]:
    """The rows of a CSV table (UTF-8, header first); none where a required column is missing."""
    text = read_text(folder, file, problems)
    if text is None:
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        missing = [column for column in required if column not in header]
        unknown = set(header) - set(required) - set(optional)
        for column in missing:
            problems.add(file, WHOLE_FILE, f"column {column} is missing")
        for column in sorted(unknown):
            problems.add(file, WHOLE_FILE, f"unknown column {column!r}")
        if missing:
            return
        for cells in reader:
            if len(cells) == len(header):
                yield Row(file, reader.line_num, dict(zip(header, cells, strict=True)), problems)
            elif cells:
                found = f"{len(cells)} cells where the header has {len(header)}"
                problems.add(file, reader.line_num, found)
    except csv.Error as error:
        problems.add(file, reader.line_num, f"not a CSV table: {error}")


def read_toml(folder: Traversable, file: str, problems: Problems) -> dict[str, Any]:
    """A TOML document; empty (and a problem) where it cannot be read."""
    text = read_text(folder, file, problems)
    if text is None:
        return {}
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.add(file, WHOLE_FILE, f"not TOML: {error}")
        return {}


def read_entries(folder: Traversable, file: str, name: str, problems: Problems) -> list[Row]:
    """The ``[[name]]`` entries of a TOML file."""
    document = read_toml(folder, file, problems)
    entries = document.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        problems.add(file, WHOLE_FILE, f"{name} must be [[{name}]] entries")
        return []
    lines = [] if not entries else _header_lines(read_text(folder, file, problems) or "", name)
    if len(lines) != len(entries):  # written inline, without headers
        lines = [WHOLE_FILE] * len(entries)
    return [Row(file, line, entry, problems) for line, entry in zip(lines, entries, strict=True)]


def read_text(folder: Traversable, file: str, problems: Problems) -> str | None:
    """A file's text, None (and a problem) where there is none."""
    try:
        return folder.joinpath(*file.split("/")).read_text(encoding="utf-8")
    except OSError:
        problems.add(file, WHOLE_FILE, "the file cannot be read")
    except UnicodeDecodeError as error:
        problems.add(file, WHOLE_FILE, f"not UTF-8 at byte {error.start}")
    return None


def _header_lines(text: str, name: str) -> list[int]:
    header = f"[[{name}]]"
    lines = enumerate(text.splitlines(), start=1)
    return [number for number, line in lines if line.strip() == header]
