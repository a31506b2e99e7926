"""Who stands on which board, in which order, and with which neighbours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from general_level.errors import InvalidRequest, ScoreRefused, UnknownBoard, UnknownTask
from services.ranker.formulas.conventions import Convention
from services.ranker.standings import compute_standings


def ranks(board):
    return [(row.rank, row.model_name) for row in board.rows]


def test_level_comes_before_score_and_ties_share_a_rank(entry, rank):
    board = rank(
        [
            entry("None", {}),
            entry("High two", {"image-c-001": 49, "image-c-002": 59}),
            entry("Three b", {"image-c-001": 60}, at="2025-06-02T00:00:00+00:00"),
            entry("Four", {"image-c-001": 50, "image-g-002": 0.5}),
            entry("Three a", {"image-c-002": 60}, at="2025-06-01T00:00:00+00:00"),
            entry("Low two", {"image-c-001": 1}),
        ],
        "B-image",
    )
    assert ranks(board) == [
        (1, "Four"),
        (2, "Three a"),
        (2, "Three b"),
        (4, "High two"),
        (5, "Low two"),
        (0, "None"),
    ]


def test_a_model_without_a_level_is_never_first(entry, rank):
    assert ranks(rank([entry("None", {})], "B-image")) == [(0, "None")]


def test_a_submission_stands_on_every_board_that_its_own_board_contains(bench, entry):
    scores = {"image-c-001": 40.0}
    entries = [
        entry("Full", scores),
        entry("Image", scores, board="B-image"),
        entry("Skill", scores, board="D-I-C-1"),
    ]
    found = {
        board.board_id: {row.model_name for row in board.rows}
        for board in compute_standings(bench, None, Convention.GENERAL_LEVEL, entries)
    }
    assert found == {
        "A-full": {"Full"},
        "A-quick": {"Full"},
        "B-image": {"Full", "Image"},
        "B-video": {"Full"},
        "B-image-text": {"Full"},
        "C-image-comprehension": {"Full", "Image"},
        "D-I-C-1": {"Full", "Image", "Skill"},
    }


def test_the_latest_submission_of_a_model_counts_even_if_it_is_worse(entry, rank):
    # 23:30 at UTC-2 is 01:30 of the next day at UTC, later than 01:00.
    late = entry("M", {"image-c-001": 10}, at="2025-06-01T23:30:00-02:00", submission="a")
    early = entry("M", {"image-c-001": 40}, at="2025-06-02T01:00:00+00:00", submission="b")
    other = entry("M", {"image-c-001": 30}, submission="c", lab="Other lab")
    for entries in ([late, early, other], [other, early, late]):
        board = rank(entries, "D-I-C-1")
        assert [row.submission_id for row in board.rows] == ["c", "a"]


def test_another_labs_model_of_the_same_name_and_organisation_replaces_nothing(entry, rank):
    mine = replace(entry("M", {"image-c-001": 60.0}, submission="mine"), owner="lab_1")
    theirs = replace(
        entry("M", {"image-c-001": 1.0}, submission="theirs", at="2025-06-09T00:00:00+00:00"),
        owner="lab_2",
    )
    rows = rank([mine, theirs]).rows
    assert [row.submission_id for row in rows] == ["mine", "theirs"]


def test_a_later_submission_to_a_smaller_board_leaves_the_larger_one_alone(entry, rank):
    full = entry("M", {"image-c-001": 40}, submission="full")
    skill = entry(
        "M",
        {"image-c-001": 45},
        board="D-I-C-1",
        submission="skill",
        at="2025-07-01T00:00:00+00:00",
    )
    assert rank([full, skill], "A-full").rows[0].submission_id == "full"
    assert rank([full, skill], "D-I-C-1").rows[0].submission_id == "skill"


def test_neighbours_within_their_errors_are_marked(entry, rank):
    board = rank(
        [
            entry("Best", {"image-c-001": (49.0, 1.0)}),
            entry("Near", {"image-c-001": (47.0, 1.0)}),
            entry("Far", {"image-c-001": (40.0, 1.0)}),
            entry("Same", {"image-c-001": 40.0}),
            entry("Exact", {"image-c-001": 39.0}),
        ],
        "D-I-C-1",
    )
    # 2 < 1.96 * sqrt(2), 7 is not; equal scores are always marked; without errors 1 is told apart.
    marks = [row.indistinguishable_from_previous for row in board.rows]
    assert [row.model_name for row in board.rows] == ["Best", "Near", "Far", "Same", "Exact"]
    assert marks == [False, True, False, True, False]


def test_a_model_just_below_the_reference_is_compared_at_the_level_above(entry, rank):
    scores = [
        entry("Just above", {"image-c-001": (50.0, 5.0)}),
        entry("Just below", {"image-c-001": (49.9, 5.0)}),
        entry("Clear", {"image-c-001": (10.0, 0.1)}),
    ]
    rows = rank(scores, "D-I-C-1").rows
    assert [row.level for row in rows] == [3, 2, 2]
    assert [row.indistinguishable_from_previous for row in rows] == [False, True, False]
    assert [(row.level_low, row.level_high) for row in rows] == [(2, 3), (2, 3), (2, 2)]


def test_intervals_are_given_where_errors_are_known_only(entry, rank):
    rows = rank(
        [entry("With", {"image-c-001": (40.0, 2.0)}), entry("Without", {"image-c-001": 30.0})],
        "D-I-C-1",
    ).rows
    assert rows[0].intervals["s2"].standard_error == pytest.approx(2.0)
    assert rows[0].interval is not None
    assert rows[0].interval.low == pytest.approx(40 - 1.96 * 2, abs=1e-3)
    assert (rows[0].tasks_with_error, rows[1].tasks_with_error) == (1, 0)
    assert (rows[1].intervals, rows[1].interval) == ({}, None)


def test_no_submissions_give_empty_boards(bench):
    boards = compute_standings(bench, None, Convention.GENERAL_LEVEL, [])
    assert len(boards) == len(bench.boards)
    assert [board.rows for board in boards] == [()] * len(boards)


class TestRefusals:
    def test_unknown_task(self, entry, rank):
        with pytest.raises(UnknownTask):
            rank([entry("M", {"image-c-999": 1.0})])

    def test_unknown_board(self, entry, rank):
        with pytest.raises(UnknownBoard):
            rank([entry("M", {}, board="B-smell")])

    def test_the_same_submission_twice(self, entry, rank):
        with pytest.raises(InvalidRequest):
            rank([entry("M", {}), entry("M", {})])

    @pytest.mark.parametrize("at", ["2025-06-01T00:00:00", "yesterday"])
    def test_a_time_without_offset(self, entry, rank, at):
        with pytest.raises(InvalidRequest):
            rank([entry("M", {}, at=at)])

    @pytest.mark.parametrize("error", [-0.1, float("inf")])
    def test_an_impossible_standard_error(self, entry, rank, error):
        with pytest.raises(ScoreRefused):
            rank([entry("M", {"image-c-001": (40.0, error)})])


def test_scores_that_differ_by_rounding_only_share_a_rank(entry, rank):
    models = [entry("A", {"image-c-001": 33.3}), entry("B", {"image-c-001": 33.3 + 1e-12})]
    assert ranks(rank(models, "D-I-C-1")) == [(1, "A"), (1, "B")]


class TestLevelIntervals:
    """Standard errors of 10 points; 22 points above a reference is reached with 98.6 %."""

    SURE = (99.0, 0.001)
    LIKELY = (50.0 + 22.0, 10.0)
    #: The MS-SSIM reference 0.5, at the same distance in standard errors.
    LIKELY_GENERATION = (0.5 + 0.22, 0.1)

    def levels(self, rank_one, comprehension, generation, language=(0.0, 0.001)):
        scores = {
            "image-c-001": comprehension,
            "image-g-002": generation,
            "language-001": language,
        }
        row = rank_one(scores, "B-image-text")
        return row.level_low, row.level_high

    def test_level_four_needs_a_win_in_both_paradigms(self, rank_one):
        assert self.levels(rank_one, self.SURE, self.LIKELY_GENERATION) == (4, 4)
        # 0.986 squared is below 0.975, while one win of two is nearly certain.
        assert self.levels(rank_one, self.LIKELY, self.LIKELY_GENERATION) == (3, 4)

    def test_level_five_needs_a_win_in_language_too(self, rank_one):
        # 18 and 23 points below the reference of 70: reached with 3.6 % and 1.1 %.
        four = (self.SURE, (0.99, 0.001))
        assert self.levels(rank_one, *four, language=(52.0, 10.0)) == (4, 5)
        assert self.levels(rank_one, *four, language=(47.0, 10.0)) == (4, 4)
