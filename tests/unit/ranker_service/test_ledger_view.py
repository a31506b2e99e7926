"""The ranker's memory of the ledger: verified again, and which boards an entry touches."""

from __future__ import annotations

from itertools import count

import pytest

from general_level.public_name import public_name
from general_level.v1 import ranking_pb2, submission_pb2
from general_level.wire import to_timestamp
from services.ranker.formulas.conventions import Convention
from services.ranker.ledger_view import LedgerBroken, LedgerView
from services.ranker.previews import change_of
from services.ranker.standings import compute_standings
from services.ranker.verifying import Verifier
from tests.support.queue_world import CATALOGUE, NOON, GraderKey, statement, tasks_of

TASK, OTHER = tasks_of("image")[:2]
ARCHIVE = "e" * 64
KEY = GraderKey()


class Ledger:
    """Makes entries with the positions of a ledger."""

    def __init__(self) -> None:
        self._positions = count(1)

    def entry(self, **kind):
        return ranking_pb2.LedgerEntry(
            position=next(self._positions), append_time=to_timestamp(NOON), **kind
        )

    def score(self, value=50.0, *, key=KEY, task=TASK, submission="sub-1", signed=None, **changes):
        said = statement(submission, task.id, ARCHIVE, value, **(signed or {}))
        fields = {
            "submission_id": submission,
            "task_id": task.id,
            "value": value,
            "item_count": 100,
            "envelope": key.sign(said),
        }
        return self.entry(score=ranking_pb2.ScoreEntry(**(fields | changes)))

    def completion(self, submission="sub-1", board="B-image", **changes):
        fields = {
            "submission_id": submission,
            "board_id": board,
            "model": submission_pb2.ModelMetadata(model_name="Model", organisation="Lab"),
            "archive_sha256": ARCHIVE,
            "complete_time": to_timestamp(NOON),
            "catalogue_id": CATALOGUE.id,
        }
        return self.entry(completion=ranking_pb2.CompletionEntry(**(fields | changes)))

    def naming(self, submission="sub-1", name="Revealed"):
        model = submission_pb2.ModelMetadata(model_name=name, organisation="Lab")
        return self.entry(naming=ranking_pb2.NamingEntry(submission_id=submission, model=model))

    def withdrawal(self, submission="sub-1"):
        return self.entry(
            withdrawal=ranking_pb2.WithdrawalEntry(submission_id=submission, reason="by-lab")
        )


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def view():
    return LedgerView(CATALOGUE, Verifier([KEY.public]))


class TestModels:
    def test_a_submission_counts_once_it_is_complete(self, view, ledger):
        assert view.apply([ledger.score()]) == []
        assert view.models() == []
        view.apply([ledger.score(60.0, task=OTHER), ledger.completion()])

        (model,) = view.models()

        assert (model.model_name, model.submitted_board_id) == ("Model", "B-image")
        assert {task: score.value for task, score in model.scores.items()} == {
            TASK.id: 50.0,
            OTHER.id: 60.0,
        }
        assert view.position == 3
        assert view.as_of == "2026-03-01T12:00:00Z"

    def test_a_later_edition_replaces_the_score(self, view, ledger):
        view.apply([ledger.score(), ledger.completion(), ledger.score(70.0)])
        (model,) = view.models()
        assert model.scores[TASK.id].value == 70.0

    def test_a_withdrawal_takes_it_off(self, view, ledger):
        view.apply([ledger.score(), ledger.completion()])
        view.take_touched()
        view.apply([ledger.withdrawal()])
        assert view.models() == []
        assert "B-image" in view.take_touched()


class TestTouched:
    def test_scores_alone_touch_nothing(self, view, ledger):
        view.apply([ledger.score()])
        assert view.take_touched() == set()
        assert view.relevant_position == 0

    def test_a_completion_touches_the_boards_that_its_board_covers(self, view, ledger):
        view.apply([ledger.completion(board="C-image-comprehension")])
        touched = view.take_touched()
        assert "C-image-comprehension" in touched
        assert "B-image" not in touched
        assert all(CATALOGUE.boards[board].modalities == ("image",) for board in touched)
        assert view.take_touched() == set()
        assert view.relevant_position == 1

    def test_what_was_put_back_is_taken_again(self, view, ledger):
        view.apply([ledger.completion()])
        touched = view.take_touched()
        view.put_back(touched)
        assert view.take_touched() == touched


class TestRefusals:
    @pytest.mark.parametrize(
        ("what", "bad"),
        [
            ("signature", {"key": GraderKey()}),
            ("envelope", {"envelope": b"{}"}),
            ("mismatch", {"item_count": 99}),
            ("mismatch", {"standard_error": 1.0}),
            ("metric", {"signed": {"metric_version": 99}}),
            ("value", {"value": 101.0}),
        ],
    )
    def test_a_bad_statement_takes_the_whole_submission_out(self, view, ledger, what, bad):
        refusals = view.apply([ledger.score(task=OTHER), ledger.score(**bad), ledger.completion()])
        assert [refusal.what for refusal in refusals] == [what]
        assert view.models() == []
        assert view.refused_ids() == ["sub-1"]

    def test_a_value_other_than_the_signed_one(self, view, ledger):
        entry = ledger.score(50.0)
        entry.score.value = 99.0
        (refusal,) = view.apply([entry])
        assert refusal.what == "mismatch"

    @pytest.mark.parametrize("changes", [{"archive_sha256": "f" * 64}, {"catalogue_id": "other"}])
    def test_statements_about_another_archive_or_catalogue(self, view, ledger, changes):
        (refusal,) = view.apply([ledger.score(), ledger.completion(**changes)])
        assert refusal.what == "archive"
        assert view.refused_ids() == ["sub-1"]

    def test_others_are_not_touched_by_it(self, view, ledger):
        view.apply(
            [
                ledger.score(key=GraderKey()),
                ledger.completion(),
                ledger.score(submission="sub-2"),
                ledger.completion("sub-2"),
            ]
        )
        assert [model.submission_id for model in view.models()] == ["sub-2"]

    def test_a_submission_that_is_not_complete_is_not_reported(self, view, ledger):
        view.apply([ledger.score(key=GraderKey())])
        assert view.refused_ids() == []


def test_a_gap_is_noticed(view, ledger):
    ledger.score()
    with pytest.raises(LedgerBroken):
        view.apply([ledger.score()])
    assert view.position == 0


class TestRejudged:
    """Scores that are not in the ledger, tried on."""

    def test_they_supersede_only_in_the_answer(self, view, ledger):
        view.apply([ledger.score(40.0), ledger.score(30.0, task=OTHER), ledger.completion()])
        old, new, refused = view.models_with([ledger.score(60.0).score])
        assert refused == []
        assert {task: score.value for task, score in old[0].scores.items()} == {
            TASK.id: 40.0, OTHER.id: 30.0,
        }  # fmt: skip
        assert {task: score.value for task, score in new[0].scores.items()} == {
            TASK.id: 60.0, OTHER.id: 30.0,
        }  # fmt: skip
        assert view.models() == old

    @pytest.mark.parametrize(
        "change",
        [
            {"key": GraderKey()},
            {"item_count": 99},
            {"signed": {"metric_version": 99}},
            {"signed": {"archive_sha256": "f" * 64}},
        ],
    )
    def test_what_does_not_verify_is_named_and_changes_nothing(self, view, ledger, change):
        view.apply([ledger.score(40.0), ledger.completion()])
        old, new, refused = view.models_with([ledger.score(60.0, **change).score])
        assert refused == ["sub-1"]
        assert new == old
        assert view.refused_ids() == []

    def test_a_submission_on_its_way_is_on_no_board(self, view, ledger):
        view.apply([ledger.score(40.0)])
        assert view.models_with([ledger.score(60.0).score]) == ([], [], [])


class TestNaming:
    HIDDEN = submission_pb2.ModelMetadata(model_name="Anonymous 01234567")

    def test_a_revealed_name_takes_the_place_of_the_public_one(self, view, ledger):
        view.apply([ledger.score(), ledger.completion(model=self.HIDDEN)])
        (model,) = view.models()
        assert (model.model_name, model.organisation) == ("Anonymous 01234567", "")
        view.take_touched()

        view.apply([ledger.naming()])

        (model,) = view.models()
        assert (model.model_name, model.organisation) == ("Revealed", "Lab")
        assert "B-image" in view.take_touched()
        assert view.relevant_position == view.position

    def test_a_name_without_a_row_changes_nothing(self, view, ledger):
        view.apply([ledger.naming(), ledger.score(), ledger.naming()])
        assert view.take_touched() == set()
        view.apply([ledger.completion(), ledger.withdrawal(), ledger.naming()])
        assert view.models() == []

    def test_a_completion_that_says_too_much_is_shown_under_the_public_name(self, view, ledger):
        """A gateway from before this was known wrote what the lab had said."""
        said = submission_pb2.ModelMetadata(model_name="Model", organisation="Lab", anonymous=True)
        view.apply([ledger.score(), ledger.completion(model=said, lab_id="lab-1")])
        (model,) = view.models()
        assert (model.model_name, model.organisation) == (public_name("lab-1", "Model"), "")
        view.apply([ledger.naming()])
        assert [model.model_name for model in view.models()] == ["Revealed"]


class TestPreview:
    def test_it_says_where_somebody_would_stand_differently(self, view, ledger):
        board = CATALOGUE.boards["B-image"]
        for name, value in (("a", 50.0), ("b", 40.0), ("c", 30.0)):
            view.apply(
                [
                    ledger.score(value, submission=name),
                    ledger.completion(
                        name,
                        lab_id=name,
                        model=submission_pb2.ModelMetadata(model_name=name, organisation=name),
                    ),
                ]
            )
        old, new, _ = view.models_with([ledger.score(45.0, submission="c").score])
        before, after = (
            compute_standings(CATALOGUE, None, Convention.GENERAL_LEVEL, models, [board])[0]
            for models in (old, new)
        )
        change = change_of(before, after)
        assert change.board_id == "B-image"
        assert [(one.submission_id, one.old_rank, one.new_rank) for one in change.changes] == [
            ("c", 3, 2), ("b", 2, 3),
        ]  # fmt: skip
        assert change.changes[0].new_score > change.changes[0].old_score
        assert change.changes[1].new_score == change.changes[1].old_score
        assert not change_of(before, before).changes


def test_the_submissions_that_were_completed_last_are_known(ledger):
    view = LedgerView(CATALOGUE, Verifier([KEY.public]))
    names = ("sub-1", "sub-2", "sub-3", "sub-4")
    # One whose scores came first is completed last.
    view.apply([ledger.score(submission="sub-4")])
    view.apply([ledger.completion(submission=one) for one in names])
    head = view.position
    assert view.newest_ids(head, 2) == ["sub-4", "sub-3"]
    assert view.newest_ids(head - 1, 2) == ["sub-3", "sub-2"]
    assert view.newest_ids(head, 99) == ["sub-4", "sub-3", "sub-2", "sub-1"]
    view.apply([ledger.withdrawal("sub-3")])
    assert view.newest_ids(head, 2) == ["sub-4", "sub-2"]
