"""The table of legal moves is whole: every state ends, and nothing leads out of an end."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from general_level.v1 import submission_pb2 as pb
from services.gateway.states import (
    FINAL,
    HELD_BY_PAUSES,
    MOVES,
    OVERDUE,
    PENDING,
    REOPENED,
    STATE_AGE_MAX,
    Outcome,
    State,
)


def names(enum_type, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in enum_type.keys()} - {"UNSPECIFIED"}  # noqa: SIM118


def test_states_and_outcomes_are_those_of_the_contract():
    assert {state.name for state in State} == names(pb.SubmissionState, "SUBMISSION_STATE_")
    assert {outcome.name for outcome in Outcome} == names(pb.TaskOutcome, "TASK_OUTCOME_")


def test_the_table_names_every_state():
    assert set(MOVES) == set(State)


def test_the_ends_are_these_five():
    ends = {State.PUBLISHED, State.REJECTED, State.FAILED, State.CANCELLED, State.EXPIRED}
    assert ends == FINAL
    assert set(State) - ends == PENDING


@pytest.mark.parametrize("state", sorted(PENDING))
def test_every_pending_state_has_a_maximum_age_and_a_legal_end_for_it(state):
    assert timedelta(0) < STATE_AGE_MAX[state] <= timedelta(days=3)
    end, reason = OVERDUE[state]
    assert end in MOVES[state]
    # The lab is gone while it owes us bytes; later it is our fault. Both give the quota back.
    waits_for_lab = state in {State.CREATED, State.UPLOADING}
    assert end is (State.EXPIRED if waits_for_lab else State.FAILED)
    assert reason == reason.lower()
    assert len(reason) <= 60


def test_no_age_is_kept_for_an_end():
    assert set(STATE_AGE_MAX) == set(OVERDUE) == PENDING


def test_the_usual_way_is_open():
    way = ["CREATED", "UPLOADING", "CHECKING", "QUEUED", "GRADING", "RANKING", "PUBLISHED"]
    for here, there in pairwise(way):
        assert State[there] in MOVES[State[here]]


def test_no_state_is_entered_twice():
    def ways_back(start: State, now: State, seen: frozenset[State]) -> bool:
        if now in seen:
            return True
        return any(ways_back(start, after, seen | {now}) for after in MOVES[now])

    assert not ways_back(State.CREATED, State.CREATED, frozenset())


def test_only_what_ended_by_our_fault_comes_back_and_only_to_the_queue():
    assert REOPENED == {State.FAILED: State.QUEUED}
    assert set(REOPENED) <= FINAL


def test_pauses_hold_only_states_that_wait_for_graders():
    assert {State.QUEUED, State.GRADING} == HELD_BY_PAUSES


@pytest.mark.parametrize("state", sorted(PENDING))
def test_a_lab_can_withdraw_until_its_scores_are_in_the_ledger(state):
    assert (State.CANCELLED in MOVES[state]) == (state is not State.RANKING)
