"""Strengths, gaps and what is not supported; and when a difference is more than uncertainty."""

from __future__ import annotations

from dataclasses import replace

import pytest

from general_level.catalogue import Modality, load
from services.gateway.web.compare_pages import verdict
from services.gateway.web.newest import Row, Scores
from services.gateway.web.pictures import by_paradigm, by_skill, distribution, ladder
from services.gateway.web.profiles import Part, Profile, above
from tests.unit.gateway.test_web_selection import row, sheet

CATALOGUE = load()


def part(skill: str, mean: float | None, specialists: float = 50.0) -> Part:
    """One skill with this mean; None for one that the model does not support."""
    board = CATALOGUE.boards[f"D-{skill}"]
    supported = replace(row("M"), scores=Scores(mean), supported=0 if mean is None else 1)
    return Part(board, skill, Modality.IMAGE, specialists, None, supported)


SKILLS = (
    part("I-C-1", 60.0),
    part("I-C-2", 40.0),
    part("I-C-3", 0.0),
    part("I-C-4", None),
    part("I-C-5", 80.0),
    part("I-C-6", 50.0),
)
PROFILE = Profile(SKILLS[:4], SKILLS)


def test_strengths_and_gaps_are_ordered_by_how_far_they_are_from_the_specialists() -> None:
    assert [one.name for one in PROFILE.strengths] == ["I-C-5", "I-C-1"]
    # A mean of 0 is a gap; what is not supported is none, and neither is a mean that is reached.
    assert [one.name for one in PROFILE.gaps] == ["I-C-3", "I-C-2"]
    assert [one.name for one in PROFILE.unsupported] == ["I-C-4"]
    assert above(SKILLS) == 3


def test_what_is_not_supported_is_last_and_never_zero() -> None:
    picture = by_skill([(row("M"), PROFILE)], Modality.IMAGE)
    assert [cells[0] for cells in picture.rows] == [
        "I-C-5", "I-C-1", "I-C-6", "I-C-2", "I-C-3", "I-C-4",
    ]  # fmt: skip
    assert picture.rows[-1][1] == "not supported"
    assert picture.rows[-2][1] == "0.00"
    assert b"not supported" in picture.chart.draw(picture.summary, narrow=False)


def test_a_picture_says_what_is_to_be_seen() -> None:
    assert by_paradigm([(row("M"), PROFILE)]).summary == (
        "M reaches the specialists' mean on 1 of 4 modalities and paradigms; furthest up: I-C-1, "
        "+10.0 points; 1 not supported."
    )
    board = CATALOGUE.boards["A-full"]
    assert ladder(board, row("M", 3, 7.5)).summary == (
        "M stands on level 3 of All modalities, with 7.50 points. Next is S4 paradigm synergy: "
        "reach specialists in comprehension and in generation of one modality."
    )
    assert ladder(board, row("M", 0)).summary.startswith("M has no level on All modalities yet")


def test_a_distribution_counts_every_model_once() -> None:
    rows = [row("A", 2, 0.0), row("B", 2, 4.9), row("C", 2, 5.0), row("D", 2, 100.0), row("E", 0)]
    picture = distribution(CATALOGUE.boards["A-full"], sheet(*rows))
    counts = {cells[0]: cells[-1] for cells in picture.rows}
    assert (counts["0–5"], counts["5–10"], counts["95–100"]) == ("3", "1", "1")
    assert sum(map(int, counts.values())) == len(rows)
    assert "4 on level 2, 1 without a level" in picture.summary


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (row("B", 3, 30.0, low=26.0, high=34.0), "higher, beyond the intervals"),
        (row("B", 3, 10.0, low=8.0, high=12.0), "lower, beyond the intervals"),
        (row("B", 3, 23.0, low=21.0, high=25.0), "within the intervals"),
        (row("B", 3, 25.0, low=22.0, high=28.0), "within the intervals"),
        (row("B", 3, 90.0), "no intervals"),
        (row("B", 2, 90.0, low=89.0, high=91.0), "lower level"),
        (row("B", 4, 1.0, low=0.5, high=1.5), "higher level"),
        (row("B", 2, 0.0, supported=0), "not comparable"),
        (None, "not comparable"),
    ],
)
def test_models_differ_by_level_and_then_by_intervals_that_do_not_touch(
    second: Row | None, said: str
) -> None:
    assert verdict(row("A", 3, 20.0, low=18.0, high=22.0), second) == said
