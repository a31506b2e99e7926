"""Who contributed what to a benchmark: the optional ``acknowledgements.csv``."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources.abc import Traversable
from typing import Final

from general_level.catalogue.model import Acknowledgement
from general_level.catalogue.tables import WHOLE_FILE, Problems, Row, read_csv

ACKNOWLEDGEMENTS_FILE: Final = "acknowledgements.csv"
ACKNOWLEDGEMENTS_MAX: Final = 1_000
WHO_CHARS_MAX: Final = 200
WHAT_CHARS_MAX: Final = 500
LINK_CHARS_MAX: Final = 2_000


def read_acknowledgements(
    folder: Traversable, problems: Problems, known: Collection[str]
) -> tuple[Acknowledgement, ...]:
    """The file's rows; none where there is no file. ``known`` are the ids of tasks and skills."""
    if not (folder / ACKNOWLEDGEMENTS_FILE).is_file():
        return ()
    rows = list(read_csv(folder, ACKNOWLEDGEMENTS_FILE, problems, ("who", "what"), ("of", "link")))
    if len(rows) > ACKNOWLEDGEMENTS_MAX:
        problem = f"more than {ACKNOWLEDGEMENTS_MAX} rows"
        problems.add(ACKNOWLEDGEMENTS_FILE, WHOLE_FILE, problem)
        return ()
    return tuple(_acknowledgement(row, known) for row in rows)


def _acknowledgement(row: Row, known: Collection[str]) -> Acknowledgement:
    who, what, link = row.text("who"), row.text("what"), row.text("link", "")
    bounds = (
        ("who", who, WHO_CHARS_MAX),
        ("what", what, WHAT_CHARS_MAX),
        ("link", link, LINK_CHARS_MAX),
    )
    for name, text, most in bounds:
        if len(text) > most:
            row.wrong(f"{name} has more than {most} characters")
        if not text.isprintable():
            row.wrong(f"{name} has a character that cannot be printed")
    if link and (not link.startswith("https://") or " " in link):
        row.wrong("link must be an https address")
    of = tuple(word.strip() for word in row.text("of", "").split("|") if word.strip())
    for word in of:
        if word not in known:
            row.wrong(f"of names {word!r}, which is neither a task nor a skill")
    return Acknowledgement(who, what, of, link)
