"""Publications: only what changed, in requests that fit, the same bytes from the same ledger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.ranker.formulas.conventions import Convention
from services.ranker.publisher import BoardComputer, LedgerState, requests
from services.ranker.snapshot import digest, from_bytes
from services.ranker.standings import ModelEntry, TaskScore
from tests.support.queue_world import CATALOGUE, NOON, tasks_of

TASK = tasks_of("image")[0]
AS_OF = "2026-03-01T12:00:00Z"


def model(value, submission="sub-1", board="B-image"):
    return ModelEntry(submission, submission, "Lab", board, AS_OF, {TASK.id: TaskScore(value)})


def state(*models, position=1):
    return LedgerState(models, ("sub-bad",), position, AS_OF)


@pytest.fixture
def computer():
    return BoardComputer(CATALOGUE, None, Convention.GENERAL_LEVEL)


class TestCompute:
    def test_at_first_every_board_is_new(self, computer):
        assert computer.unpublished() == set(CATALOGUE.boards)
        publication = computer.compute(state(model(50.0)), computer.unpublished(), NOON)
        assert {board.board_id for board in publication.boards} == set(CATALOGUE.boards)
        board = next(one for one in publication.boards if one.board_id == "B-image")
        snapshot = from_bytes(board.snapshot)
        assert board.sha256 == digest(board.snapshot)
        assert (snapshot.ledger_position, snapshot.computed_at) == (1, AS_OF)
        assert [row.submission_id for row in snapshot.rows] == ["sub-1"]

    def test_then_only_what_changed(self, computer):
        boards = set(CATALOGUE.boards)
        computer.remember(computer.compute(state(model(50.0)), boards, NOON))
        assert computer.unpublished() == set()

        nothing = computer.compute(state(model(50.0), position=2), boards, NOON)
        moved = computer.compute(state(model(60.0), position=3), boards, NOON)

        assert nothing.boards == []
        changed = {board.board_id for board in moved.boards}
        assert {"B-image", "C-image-comprehension", f"D-{TASK.skill_id}"} <= changed
        assert "B-video" not in changed

    def test_what_was_not_stored_is_computed_again(self, computer):
        first = computer.compute(state(model(50.0)), {"B-image"}, NOON)
        again = computer.compute(state(model(50.0)), {"B-image"}, NOON + timedelta(hours=1))
        assert again.boards == first.boards != []


class TestRequests:
    @pytest.fixture
    def publication(self, computer):
        return computer.compute(state(model(50.0), position=9), {"A-full", "B-image"}, NOON)

    def test_one_request_where_it_fits(self, publication):
        (request,) = requests(publication, published_position=4)
        assert request.ledger_position == 9
        assert [board.board_id for board in request.boards] == ["A-full", "B-image"]
        assert request.refused_submission_ids == ["sub-bad"]

    def test_submissions_change_state_only_with_the_last(self, publication):
        first, last = requests(publication, published_position=4, limit=10)
        assert (first.ledger_position, last.ledger_position) == (4, 9)
        assert [b.board_id for r in (first, last) for b in r.boards] == ["A-full", "B-image"]
        assert (first.refused_submission_ids, last.refused_submission_ids) == ([], ["sub-bad"])

    def test_a_publication_without_boards_is_still_one(self, computer):
        empty = computer.compute(state(position=9), set(), NOON)
        (request,) = requests(empty, published_position=4)
        assert (request.ledger_position, len(request.boards)) == (9, 0)
