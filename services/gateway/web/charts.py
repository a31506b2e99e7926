"""Pictures of numbers as SVG: drawn by pygal, made safe to show and readable in light and dark.

A picture is whole in itself: it has no script, no reference to anything, and one style, the same
for all pictures, whose digest the policy of its answer names. What it says is also in the page, as
text and as a table.
"""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path
from typing import Any, Final, Protocol
from xml.etree import ElementTree

#: Letters of a name in a picture; the page beside it has the whole.
NAME_CHARACTERS_MAX: Final = 26
#: Categories and series that one picture shows.
CATEGORIES_MAX: Final = 60
SERIES_MAX: Final = 5
#: Letters of a category.
WIDE_LABEL_MAX: Final = 40
NARROW_LABEL_MAX: Final = 20
#: Pixels of a picture at its own size, by the room that the page has.
WIDE: Final = 720
NARROW: Final = 340
#: What is written where a model has no score: that is not zero.
UNSUPPORTED: Final = "not supported"

STYLE: Final = Path(__file__).with_name("charts.css").read_text().strip()
#: Content Security Policy of a picture that is opened by itself: its own style, and nothing else.
_DIGEST: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SVG: Final = "http://www.w3.org/2000/svg"
#: What pygal adds for its script, which is not sent.
_LEFT_OUT: Final = frozenset({"script", "style", "desc", "title"})
#: Room right of a bar of 100 points, for its value or for what stands there without one.
_VALUE_PX: Final = 40
_MISSING_PX: Final = 84
#: A wide letter of the legend.
_LETTER_PX: Final = 9


class Chart(Protocol):
    """What can be drawn, wide or narrow. ``summary`` is the title of the drawing."""

    def height(self, narrow: bool) -> int:
        """Pixels at its own size."""

    def draw(self, summary: str, narrow: bool) -> bytes:
        """The SVG, UTF-8."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values in points of 100 by category; None where there is none. ``look`` names its colour.

    ``notes`` stand behind the printed values, such as an interval.
    """

    name: str
    values: Sequence[float | None]
    look: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """Grouped horizontal bars from 0 to 100, the first category on top."""

    labels: Sequence[str]
    series: Sequence[Series]

    def height(self, narrow: bool) -> int:
        """Pixels at its own size."""
        row = 12 + (15 if len(self.series) < 3 else 13) * min(len(self.series), SERIES_MAX)
        return min(len(self.labels), CATEGORIES_MAX) * row + 40 + _legend_px(self._names(), narrow)

    def draw(self, summary: str, narrow: bool) -> bytes:
        """The SVG, UTF-8."""
        labels, series = self.labels[:CATEGORIES_MAX], self.series[:SERIES_MAX]
        notes = [note for one in series for note in one.notes]
        behind = 0 if narrow else max(map(len, notes), default=0)
        missing = any(value is None for one in series for value in one.values)
        chart = _pygal().HorizontalBar(
            **_common(narrow, self.height(narrow), self._names()),
            range=(0, 100),
            y_labels=[0, 50, 100] if narrow else [0, 25, 50, 75, 100],
            print_values=True,
            print_values_position="top",
            print_zeroes=True,
            margin_right=max(_VALUE_PX + 7 * behind, _MISSING_PX if missing else 0),
        )
        chart._series_margin, chart._serie_margin = 0.12, 0.05
        letters = NARROW_LABEL_MAX if narrow else WIDE_LABEL_MAX
        # pygal begins at the bottom.
        chart.x_labels = [shorten(label, letters) for label in reversed(labels)]
        for one in series:
            notes = [*(() if narrow else one.notes), *[""] * len(one.values)]
            values = list(map(_value, one.values[:CATEGORIES_MAX], notes))
            chart.add(shorten(one.name), values[::-1])
        return _finish(chart, summary, [one.look for one in series], "bars")

    def _names(self) -> list[str]:
        return [shorten(one.name) for one in self.series[:SERIES_MAX]]


@dataclass(frozen=True, slots=True)
class Counts:
    """Stacked columns of counts: (name, counts by category, look) each."""

    labels: Sequence[str]
    series: Sequence[tuple[str, Sequence[int], str]]
    x_title: str
    y_title: str

    def height(self, narrow: bool) -> int:
        """Pixels at its own size."""
        return 280 + _legend_px(self._names(), narrow)

    def draw(self, summary: str, narrow: bool) -> bytes:
        """The SVG, UTF-8."""
        chart = _pygal().StackedBar(
            **_common(narrow, self.height(narrow), self._names()),
            x_title=self.x_title,
            y_title=self.y_title,
            order_min=0,
            min_scale=3,
            max_scale=6,
            value_formatter="{:,.0f}".format,
        )
        every = 4 if narrow else 2
        chart.x_labels = [text if at % every == 0 else "" for at, text in enumerate(self.labels)]
        for name, counts, _ in self.series[:SERIES_MAX]:
            chart.add(name, list(counts))
        return _finish(chart, summary, [look for _, _, look in self.series], "stacked")

    def _names(self) -> list[str]:
        return [name for name, _, _ in self.series[:SERIES_MAX]]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Lines of ranks over publications, rank 1 on top; None where a model was not on the board."""

    labels: Sequence[str]
    series: Sequence[tuple[str, Sequence[int | None]]]

    def height(self, narrow: bool) -> int:
        """Pixels at its own size."""
        return 260 + _legend_px(self._names(), narrow)

    def draw(self, summary: str, narrow: bool) -> bytes:
        """The SVG, UTF-8."""
        last = max((rank for _, of in self.series for rank in of if rank), default=1)
        last = max(last, 2)
        step = max(1, -(-last // 6))
        chart = _pygal().Line(
            **_common(narrow, self.height(narrow), self._names()),
            inverse_y_axis=True,
            range=(1, last),
            # pygal cannot place any where there is no line.
            y_labels=sorted({1, *range(step, last - step // 2, step), last}) if self.series else [],
            y_title="Rank",
            value_formatter="{:.0f}".format,
            allow_interruptions=True,
            dots_size=3,
            show_minor_x_labels=False,
            margin_right=40,
        )
        # One label at each end: what lies between is in the table.
        ends = {0: self.labels[0], len(self.labels) - 1: self.labels[-1]} if self.labels else {}
        chart.x_labels = [
            ends.get(at, f"\N{ZERO WIDTH SPACE}{at}") for at in range(len(self.labels))
        ]
        chart.x_labels_major = list(ends.values())
        for name, of in self.series[:SERIES_MAX]:
            chart.add(shorten(name), list(of))
        return _finish(chart, summary, [""] * len(self.series), "movement")

    def _names(self) -> list[str]:
        return [shorten(name) for name, _ in self.series[:SERIES_MAX]]


def shorten(text: str, letters: int = NAME_CHARACTERS_MAX) -> str:
    """What can stand in a picture: no control, no mark of direction, no more than ``letters``."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= letters else plain[: letters - 1].rstrip() + "…"


def _pygal() -> Any:
    import pygal  # noqa: PLC0415  a gateway starts without it

    for finder in list(sys.meta_path):
        # It takes part in every import of the process, for maps that we do not have.
        if isinstance(finder, pygal.PluginImportFixer):
            sys.meta_path.remove(finder)
    return pygal


def _common(narrow: bool, height: int, names: Sequence[str]) -> dict[str, Any]:
    sizes = {"label": 12, "major_label": 12, "legend": 13, "title": 12, "value": 11, "no_data": 14}
    return {
        # The sizes place the texts; how they look, says the style of all pictures.
        "style": _pygal().style.Style(
            **{f"{name}_font_size": size for name, size in sizes.items()}
        ),
        "width": NARROW if narrow else WIDE,
        "height": height,
        "js": (),
        "css": (),
        "margin": 6,
        "margin_bottom": 6 + _unreserved_px(names, narrow),
        "spacing": 8,
        "no_prefix": True,
        "no_data_text": "No scores yet",
        "truncate_label": -1,
        "truncate_legend": -1,
        "show_legend": len(names) > 1,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": _legend_columns(names, narrow),
        "legend_box_size": 12,
    }


def _legend_columns(names: Sequence[str], narrow: bool) -> int:
    longest = max(map(len, names), default=0) * _LETTER_PX + 40
    return max(1, min(len(names), ((NARROW if narrow else WIDE) - 20) // longest))


def _legend_px(names: Sequence[str], narrow: bool) -> int:
    if len(names) < 2:
        return 0
    return 21 * -(-len(names) // _legend_columns(names, narrow)) + 10


def _unreserved_px(names: Sequence[str], narrow: bool) -> int:
    """Of the legend's lines: pygal reserves room as if it were about square."""
    if len(names) < 2:
        return 0
    lines = -(-len(names) // _legend_columns(names, narrow))
    return 20 * max(0, lines - 1 - round(sqrt(len(names)) - 1))


def _value(value: float | None, note: str) -> Mapping[str, Any]:
    if value is None:
        return {"value": 0, "formatter": lambda _: UNSUPPORTED}
    return {"value": value, "formatter": lambda shown: f"{shown:.1f} {note}".rstrip()}


def _finish(chart: Any, summary: str, looks: Sequence[str], kind: str) -> bytes:
    """The drawing without what pygal adds for its script, and with the style of all pictures."""
    root = ElementTree.fromstring(chart.render())  # noqa: S314  pygal wrote it, just now
    for element in list(root.iter()):
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in _LEFT_OUT or "tooltip" in child.get("class", "").split():
                parent.remove(child)
        parent.attrib.pop("style", None)
    for element in root.iter():
        _look(element, looks)
    root.attrib = {
        "xmlns": _SVG,
        "viewBox": f"0 0 {chart.config.width} {chart.config.height}",
        "width": str(chart.config.width),
        "height": str(chart.config.height),
        "class": kind,
        "role": "img",
    }
    style = ElementTree.Element("style")
    style.text = STYLE
    title = ElementTree.Element("title")
    title.text = shorten(summary, 400)
    root.insert(0, style)
    root.insert(0, title)
    drawn: bytes = ElementTree.tostring(root, encoding="utf-8")
    return drawn


def _look(element: ElementTree.Element, looks: Sequence[str]) -> None:
    """Adds the look of a series to what is drawn for it; a legend begins at the picture's edge."""
    names = element.get("class", "").split()
    if "legends" in names:
        height = element.get("transform", "").rpartition(",")[2].strip(" )")
        element.set("transform", f"translate(10, {height})")
    for index, look in enumerate(looks):
        if look and f"color-{index}" in names:
            element.set("class", " ".join([*names, look]))
