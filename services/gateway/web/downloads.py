"""A board for programs: its canonical snapshot, a CSV file, and an Atom feed of its movements."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree

from general_level.catalogue import Board
from services.gateway.web.newest import ModalityStanding, Row, Sheet
from services.gateway.web.selection import FactsOf, modalities

#: Entries of a feed: the newest models of the board.
FEED_ENTRIES_MAX: Final = 50
_LEVELS: Final = ("s2", "s3", "s4", "s5")
_OF_A_MODALITY: Final = (*_LEVELS[:3], "supported", "tasks", "won")
_ATOM: Final = "http://www.w3.org/2005/Atom"
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def to_csv(sheet: Sheet, facts_of: FactsOf) -> bytes:
    """The board as CSV (RFC 4180), UTF-8, scores at full precision, empty where there is none.

    A modality that a model does not support has no scores. ``facts_of`` gives what a lab says of
    its model; what it does not say is empty.
    """
    shown = modalities(sheet)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(
        [
            *("rank", "model", "organisation", "submission_id", "level", *_LEVELS),
            *("interval_low", "interval_high"),
            *(f"{name}_{column}" for name in shown for column in _OF_A_MODALITY),
            *("supported_tasks", "winning_tasks", "tasks", "like_previous", "completed"),
            *("parameters", "open_weights"),
        ]
    )
    for row in sheet.rows:
        facts = facts_of(row)
        writer.writerow(
            [
                *(row.rank, _cell(row.model_name), _cell(row.organisation), row.submission_id),
                *(row.level, *row.scores, row.low, row.high),
                *(value for name in shown for value in _modality(row.modalities[name])),
                *(
                    row.supported,
                    row.wins,
                    sheet.tasks,
                    str(row.tied).lower(),
                    _time(row.completed),
                ),
                facts.parameter_count,
                "" if facts.open_weights is None else str(facts.open_weights).lower(),
            ]
        )
    return out.getvalue().encode()


def to_atom(board: Board, sheet: Sheet, base: str) -> bytes:
    """An Atom feed (RFC 4287) of the models that came to the board last. ``base`` is the site's."""
    ElementTree.register_namespace("", _ATOM)
    address = f"{base}/boards/{board.id}"
    feed = ElementTree.Element(f"{{{_ATOM}}}feed")
    _text(feed, "title", f"General-Level, {board.name}")
    _text(feed, "id", address)
    _text(feed, "updated", _time(sheet.published))
    ElementTree.SubElement(feed, f"{{{_ATOM}}}link", href=address)
    ElementTree.SubElement(feed, f"{{{_ATOM}}}link", href=f"{address}.atom", rel="self")
    newest = sorted(sheet.rows, key=lambda row: row.completed, reverse=True)
    for row in newest[:FEED_ENTRIES_MAX]:
        entry = ElementTree.SubElement(feed, f"{{{_ATOM}}}entry")
        _text(entry, "title", f"{_plain(row.model_name)}: rank {row.rank}, {_level(row)}")
        _text(entry, "id", f"{base}/models/{row.submission_id}#{board.id}")
        _text(entry, "updated", _time(row.completed))
        author = ElementTree.SubElement(entry, f"{{{_ATOM}}}author")
        _text(author, "name", _plain(row.organisation) or "–")
        ElementTree.SubElement(entry, f"{{{_ATOM}}}link", href=f"{base}/models/{row.submission_id}")
        _text(entry, "summary", f"{row.supported} of {sheet.tasks} tasks, {row.wins} won.")
    body: bytes = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
    return body


def _modality(of: ModalityStanding) -> tuple[float | None, ...]:
    return (*of.shown[:3], of.supported, of.tasks, of.wins)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(letter for letter in text if letter.isprintable())


def _level(row: Row) -> str:
    return "no level yet" if row.score is None else f"level {row.level}, score {row.score:.2f}"


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{_ATOM}}}{name}").text = text


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
