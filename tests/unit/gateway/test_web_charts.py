"""Drawings: whole, without script or reference, with every name as text, bounded in size."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from services.gateway.web.charts import (
    CATEGORIES_MAX,
    POLICY,
    STYLE,
    Bars,
    Chart,
    Counts,
    Ranks,
    Series,
    shorten,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert('x')</script>&\x00\x0b\u202e\ud800"
CHARTS = (
    Bars(["A", HOSTILE], [Series(HOSTILE, (10.0, None)), Series("S", (1.0, 2.0), "specialists")]),
    Bars(["A"], [Series("One", (50.0,), "level-3", ("(40.0 to 60.0)",))]),
    Bars(["A"], [Series(f"{HOSTILE}{at}", (10.0,)) for at in range(5)]),
    Counts(["0–5", "5–10"], [("Level 2", (0, 3), "level-2"), ("Level 3", (1, 0), "")], "S2", "n"),
    Counts(["0–5"], [], "S2", "Models"),
    Ranks(["2026-01-01", "2026-01-02"], [(HOSTILE, (1, 2)), ("B", (None, 1))]),
    Ranks(["2026-01-01"], [("A", (1,))]),
    Ranks([], []),
)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("chart", CHARTS)
def test_a_drawing_is_whole_and_does_nothing(chart: Chart, narrow: bool) -> None:
    svg = chart.draw(f"Says {HOSTILE}", narrow).decode()
    root = ElementTree.fromstring(svg)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "style", "title", "defs", "g", "rect", "path", "circle", "text"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in attributes if "href" in name or name.startswith("on")]
    assert "style" not in attributes
    assert not re.search(r"@import|url\(|https?://(?!www\.w3\.org/2000/svg)", svg)
    assert [one.text for one in root.iter(f"{SVG}style")] == [STYLE]
    assert root.get("height") == str(chart.height(narrow))


def test_names_are_text_and_short() -> None:
    root = ElementTree.fromstring(CHARTS[0].draw("M", False))
    texts = [one.text or "" for one in root.iter(f"{SVG}text")]
    assert "</text><script>alert('x')…" in texts
    assert "not supported" in texts
    assert shorten("M" * 300) == "M" * 25 + "…"
    assert shorten("a\u202eb\n c\x00") == "a b c"


def test_a_drawing_has_bounds() -> None:
    many = Bars(["x" * 900] * 5_000, [Series("n" * 900, [1.0] * 5_000)] * 50)
    root = ElementTree.fromstring(many.draw("M", False))
    shown = [one for one in root.iter(f"{SVG}text") if (one.text or "").startswith("xxx")]
    assert len(shown) == CATEGORIES_MAX


def test_the_policy_of_a_picture_lets_its_own_style_in_and_nothing_else() -> None:
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY
    assert "prefers-color-scheme: dark" in STYLE


def test_a_drawing_is_the_same_without_lxml() -> None:
    # An image of the gateway has none; pygal takes it where it is installed.
    expected = CHARTS[0].draw("M", False)
    # Not at the top: a drawing brings pygal in without the finder that it adds to all imports.
    from pygal.etree import etree  # noqa: PLC0415

    etree.to_etree()
    try:
        assert CHARTS[0].draw("M", False) == expected
    finally:
        if etree._lxml_etree is not None:
            etree.to_lxml()
