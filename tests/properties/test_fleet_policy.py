"""What holds for the wanted graders whatever the queue tells, and for the waits before starts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from general_level.catalogue.model import Modality
from services.grader.fleet_policy import (
    Cooldown,
    Decision,
    Limits,
    Pace,
    Policy,
    Reading,
    adopted,
    decide,
    needed,
)

MODALITIES = tuple(Modality)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    limits = {}
    for modality in draw(st.sets(st.sampled_from(MODALITIES), min_size=1)):
        floor = draw(st.integers(0, 4))
        limits[modality] = Limits(
            floor,
            draw(st.integers(max(1, floor), 12)),
            draw(st.integers(1, 300)),
            draw(st.floats(1.0, 3600.0)),
        )
    floors = sum(one.floor for one in limits.values())
    total = draw(st.integers(max(1, floors), 40))
    return Policy(limits, total, draw(st.floats(0.0, 3600.0)))


readings = st.builds(
    Reading,
    st.integers(0, 10**9),
    st.floats(0.0, allow_infinity=False, allow_nan=False),
)
observations = st.dictionaries(st.sampled_from(MODALITIES), readings)
#: Readings with the seconds between them; a modality that is not told of is not answered for.
histories = st.lists(st.tuples(st.floats(0.0, 2000.0), observations), min_size=1, max_size=12)


def decisions(policy: Policy, history: list[tuple[float, dict[Modality, Reading]]]):
    """Each decision with its second and reading, from a fleet that begins with nothing."""
    now = 0.0
    decision = Decision({}, adopted(policy, {}, now))
    for passed, reading in history:
        now += passed
        decision = decide(policy, decision.state, reading, now)
        yield now, reading, decision


@given(policies(), histories)
def test_wanted_is_never_beyond_a_limit(policy: Policy, history) -> None:
    for _, _, decision in decisions(policy, history):
        assert set(decision.wanted) == set(policy.limits)
        for modality, wanted in decision.wanted.items():
            limits = policy.limits[modality]
            assert limits.floor <= wanted <= limits.ceiling
        assert sum(decision.wanted.values()) <= policy.total


@given(policies(), histories)
def test_one_more_is_never_refused_where_there_is_room(policy: Policy, history) -> None:
    for _, reading, decision in decisions(policy, history):
        if sum(decision.wanted.values()) == policy.total:
            continue
        for modality, one in reading.items():
            if modality in policy.limits:
                assert decision.wanted[modality] >= needed(policy.limits[modality], one)


@given(policies(), histories, st.sampled_from(MODALITIES), st.integers(0, 10**6), st.floats(0, 1e6))
def test_more_work_never_wants_fewer(policy, history, modality, jobs: int, seconds: float) -> None:
    *_, (now, reading, last) = decisions(policy, history)
    for one in ({}, dict(reading)):
        low = one.get(modality, Reading(0, 0.0))
        high = Reading(low.jobs + jobs, low.oldest_seconds + seconds)
        few = decide(policy, last.state, {**one, modality: low}, now + 1)
        many = decide(policy, last.state, {**one, modality: high}, now + 1)
        assert many.wanted.get(modality, 0) >= few.wanted.get(modality, 0)


@given(policies(), histories)
def test_wanted_goes_down_only_after_a_quiet_time(policy: Policy, history) -> None:
    """No flapping: within a quiet time of a reading nothing takes away what it asked for."""
    asked: list[tuple[float, dict[Modality, int]]] = []
    for now, reading, decision in decisions(policy, history):
        asked.append(
            (now, {key: needed(policy.limits[key], reading[key])
                   for key in policy.limits if key in reading})
        )  # fmt: skip
        recent = [needs for second, needs in asked if now - second < policy.quiet_seconds]
        for modality in policy.limits:
            remembered = decision.state[modality][0][1]
            assert remembered >= max((needs.get(modality, 0) for needs in recent), default=0)


@given(policies(), observations, st.lists(st.floats(0.0, 5000.0), max_size=10))
def test_the_same_reading_wants_the_same_for_ever(policy, reading, steps) -> None:
    history = [(0.0, reading), *((step, reading) for step in steps)]
    first, *others = [decision.wanted for _, _, decision in decisions(policy, history)]
    assert all(wanted == first for wanted in others)


@given(policies(), histories, st.floats(0.0, 1e7))
def test_a_gateway_that_does_not_answer_changes_nothing(policy, history, seconds: float) -> None:
    *_, (now, _, last) = decisions(policy, history)
    # What was remembered of higher needs may end meanwhile; the newest reading is what stays.
    settled = decide(policy, last.state, {}, now)
    for later in (now + seconds, now + seconds + 1):
        settled = decide(policy, settled.state, {}, later)
        assert settled.wanted == last.wanted


@given(policies(), st.dictionaries(st.sampled_from(MODALITIES), st.integers(0, 30)))
def test_a_fleet_that_begins_anew_keeps_what_it_finds(policy: Policy, running) -> None:
    state = adopted(policy, running, 100.0)
    empty = {modality: Reading(0, 0.0) for modality in policy.limits}
    if policy.quiet_seconds > 1 and sum(needs[0][1] for needs in state.values()) <= policy.total:
        decision = decide(policy, state, empty, 101.0)
        for modality, limits in policy.limits.items():
            kept = min(max(running.get(modality, 0), limits.floor), limits.ceiling)
            assert decision.wanted[modality] == kept


def test_depth_and_age_both_count_and_idle_graders_do_not_help() -> None:
    limits = Limits(0, 8, jobs_per_grader=20, seconds_per_grader=60.0)
    assert needed(limits, Reading(0, 0.0)) == 0
    assert needed(limits, Reading(1, 0.0)) == 1
    assert needed(limits, Reading(41, 0.0)) == 3
    assert needed(limits, Reading(41, 241.0)) == 5
    assert needed(limits, Reading(2, 3600.0)) == 2  # no more graders than jobs
    assert needed(limits, Reading(10**9, 0.0)) == 8


def test_what_is_short_is_shared_evenly_above_the_floors() -> None:
    limits = {
        Modality.IMAGE: Limits(1, 8, 1, 60.0),
        Modality.VIDEO: Limits(0, 8, 1, 60.0),
        Modality.AUDIO: Limits(0, 8, 1, 60.0),
    }
    policy = Policy(limits, 5, 600.0)
    crowd = {modality: Reading(100, 0.0) for modality in limits}
    wanted = decide(policy, {}, crowd, 0.0).wanted
    assert wanted == {Modality.AUDIO: 2, Modality.IMAGE: 2, Modality.VIDEO: 1}
    one = {**crowd, Modality.VIDEO: Reading(1, 0.0), Modality.AUDIO: Reading(0, 0.0)}
    assert decide(policy, {}, one, 0.0).wanted == {
        Modality.AUDIO: 0,
        Modality.IMAGE: 4,
        Modality.VIDEO: 1,
    }


PACE = Pace(first_seconds=1.0, longest_seconds=300.0, steady_seconds=60.0)


@given(st.lists(st.floats(0.0, 59.0), min_size=1, max_size=60))
def test_graders_that_end_at_once_are_started_ever_more_rarely(lives: list[float]) -> None:
    cooldown, now = Cooldown(), 0.0
    starts = []
    for ran in lives:
        now = max(now, cooldown.not_before)
        assert cooldown.startable(5, now) == (5 if cooldown.failures == 0 else 1)
        starts.append(now)
        cooldown = cooldown.after_start(PACE, now)
        now += ran
        cooldown = cooldown.after_end(ran, PACE, now)
        assert cooldown.startable(5, now) == 0
    for number, (before, after) in enumerate(pairwise(starts)):
        assert after - before > min(300.0, 2.0**number) - 0.001  # as exact as floats are


def test_a_grader_that_stays_ends_the_waits() -> None:
    failed = Cooldown().after_end(2.0, PACE, 10.0).after_end(2.0, PACE, 20.0)
    assert failed.failures == 2
    assert failed.not_before == 22.0
    # One that was there before says nothing about those that fail now.
    assert failed.after_running([5.0], PACE, 100.0) == failed
    assert failed.after_running([22.0], PACE, 81.0) == failed
    assert failed.after_running([22.0], PACE, 82.0) == Cooldown()


def test_an_end_after_a_long_life_is_no_failure() -> None:
    assert Cooldown().after_end(60.0, PACE, 1000.0).startable(3, 1000.0) == 3
