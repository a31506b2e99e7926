"""Sorting and filtering a board: what has no value is last, and nothing asked for is trusted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.web.model_facts import NOTHING_SAID, ModelFacts
from services.gateway.web.newest import ModalityStanding, Row, Scores, Sheet
from services.gateway.web.selection import MODALITIES, SIZES, WEIGHTS, Selection, columns

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def modality(s2: float | None, supported: int | None = 1) -> ModalityStanding:
    counted = supported is not None
    return ModalityStanding(Scores(s2), supported, 6 if counted else None, 0 if counted else None)


def row(name: str, level: int = 2, score: float = 10.0, **changes: Any) -> Row:
    values = {
        "rank": 1,
        "model_name": name,
        "organisation": "Lab",
        "submission_id": f"sub-{name}",
        "level": level,
        "scores": Scores(**{f"s{level}": score}) if level else Scores(),
        "low": None,
        "high": None,
        "modalities": {"image": modality(score), "audio": modality(0.0, 0)},
        "supported": 1,
        "wins": 0,
        "tied": False,
        "completed": NOON,
    }
    return Row(**(values | changes))


def sheet(*rows: Row) -> Sheet:
    return Sheet(
        board_id="A-full",
        publication_id=1,
        published=NOON,
        computed=NOON,
        sha256="00",
        catalogue_id="general-bench",
        reference_list_id="paper",
        convention="general-level",
        tasks=10,
        highest_level=5,
        rows=rows,
        by_submission={},
    )


BOARD = sheet(row("b", 4, 3.0), row("a", 2, 90.0), row("c", 0))


def chosen(**query: str) -> list[str]:
    return names(BOARD, query)


def names(board: Sheet, query: dict[str, str], said: dict[str, ModelFacts] | None = None) -> Any:
    def facts_of(row: Row) -> ModelFacts:
        return (said or {}).get(row.model_name, NOTHING_SAID)

    return [r.model_name for r in Selection.from_query(query, board).apply(board.rows, facts_of)]


def test_without_a_query_the_board_stays_as_it_is() -> None:
    assert chosen() == ["b", "a", "c"]
    assert Selection.from_query({}, BOARD).is_default
    assert Selection.from_query({}, BOARD).query() == ""


def test_a_higher_level_stands_above_a_higher_score_and_no_score_stands_last() -> None:
    assert chosen(sort="score") == ["b", "a", "c"]
    assert chosen(sort="score", order="asc") == ["a", "b", "c"]


def test_a_modality_without_a_score_stands_last_in_both_directions() -> None:
    audio = modality(1.0)
    board = sheet(
        row("none", modalities={"image": modality(0.0, 0), "audio": audio}),
        row("zero", modalities={"image": modality(0.0), "audio": audio}),
        row("some"),
        # Published before anyone counted: its 0 may be either.
        row("old", modalities={"image": modality(0.0, None), "audio": audio}),
    )
    for order, found in (("asc", "zero old some none"), ("desc", "some zero old none")):
        assert names(board, {"sort": "image", "order": order}) == found.split()


def test_filters_by_level_and_by_text() -> None:
    assert chosen(level="3") == ["b"]
    assert chosen(q=" A ") == ["b", "a", "c"]  # all are of "Lab"
    assert chosen(q="sub-") == []


def test_filters_by_what_a_lab_says() -> None:
    said = {
        "a": ModelFacts("a", parameter_count=3_000_000_000, open_weights=True),
        "b": ModelFacts("b", parameter_count=3_000_000_001, open_weights=False),
    }
    for query, found in (
        ({"weights": "open"}, ["a"]),
        ({"weights": "closed"}, ["b"]),
        ({"weights": "unsaid"}, ["c"]),
        ({"size": "3"}, ["a"]),
        ({"size": "10"}, ["b"]),
        ({"size": "40"}, []),
        ({"size": "more"}, []),
        ({"size": "unsaid"}, ["c"]),
        ({"size": "3", "weights": "closed"}, []),
    ):
        assert names(BOARD, query, said) == found, query


def test_a_modality_is_what_is_counted_here_and_else_what_the_lab_says() -> None:
    board = sheet(
        row("has", modalities={"image": modality(0.0)}),
        row("has not", modalities={"image": modality(0.0, 0)}),
        row("of before", modalities={"image": modality(0.0, None)}),
    )
    said = {
        name: ModelFacts(name, modalities=("image", "audio")) for name in ("has not", "of before")
    }
    assert names(board, {"modality": "image"}, said) == ["has", "of before"]
    assert names(board, {"modality": "audio"}, said) == ["has not", "of before"]


@pytest.mark.parametrize(
    "query",
    [
        {"size": "7"},
        {"weights": "half"},
        {"modality": "smell"},
        {"sort": "nothing"},
        {"order": "up"},
        {"level": "9"},
        {"level": "٣"},
        {"sort": "__class__"},
    ],
)
def test_what_does_not_exist_is_left_out(query: dict[str, str]) -> None:
    assert Selection.from_query(query, BOARD).is_default


def test_a_long_search_is_cut() -> None:
    assert len(Selection.from_query({"q": "x" * 5_000}, BOARD).search) == 100


@given(
    sort=st.sampled_from(columns(BOARD)),
    order=st.sampled_from(["asc", "desc", ""]),
    level=st.sampled_from(["", "2", "3", "4", "5"]),
    text=st.text(max_size=20),
    modality=st.sampled_from(["", *MODALITIES]),
    weights=st.sampled_from(["", *WEIGHTS]),
    size=st.sampled_from(["", *SIZES]),
)
def test_an_address_that_a_page_writes_means_what_was_chosen(text: str, **asked: str) -> None:
    first = Selection.from_query({"q": text, **asked}, BOARD)
    again = Selection.from_query(dict(parse_qsl(first.query())), BOARD)
    assert again == first


def test_a_model_without_a_level_has_no_rank_and_stands_last_either_way() -> None:
    rows = [row("None", 0, rank=0), row("First", rank=1), row("Second", rank=2)]
    for chosen in (Selection(), Selection(descending=True)):
        assert chosen.apply(rows, lambda _: NOTHING_SAID)[-1].model_name == "None"
