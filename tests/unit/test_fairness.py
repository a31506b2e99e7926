"""The fairness rules: 2 per 24 hours and 4 per 7 days, to the instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from general_level.fairness import (
    WINDOWS,
    Hold,
    free_from,
    holds_within,
    next_slot_time,
    refusing_window,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DAY_WINDOW, WEEK_WINDOW = WINDOWS
INSTANT = timedelta(microseconds=1)


def holds(*ages_hours: float) -> list[Hold]:
    return [Hold(NOW - timedelta(hours=age), f"sub_{n}") for n, age in enumerate(ages_hours)]


def test_the_rules_are_two_in_a_day_and_four_in_a_week():
    assert [(w.limit, w.length) for w in WINDOWS] == [
        (2, timedelta(hours=24)),
        (4, timedelta(days=7)),
    ]


def test_nobody_waits_without_holds():
    assert next_slot_time([], NOW) == NOW
    assert refusing_window([], NOW) is None


def test_the_third_within_a_day_waits_for_the_oldest_of_the_two():
    held = holds(20, 3)
    assert next_slot_time(held, NOW) == NOW + timedelta(hours=4)
    assert refusing_window(held, NOW) is DAY_WINDOW


def test_the_fifth_within_a_week_waits_for_the_oldest_of_the_four():
    held = holds(160, 100, 60, 30)
    assert next_slot_time(held, NOW) == NOW + timedelta(hours=8)
    assert refusing_window(held, NOW) is WEEK_WINDOW


def test_where_both_are_full_the_later_one_decides():
    held = holds(100, 90, 20, 3)
    assert free_from(held, DAY_WINDOW, NOW) == NOW + timedelta(hours=4)
    assert next_slot_time(held, NOW) == NOW + timedelta(hours=68)
    assert refusing_window(held, NOW) is WEEK_WINDOW


def test_a_slot_is_free_exactly_at_its_instant_and_not_before():
    held = holds(0, 0)
    opens = next_slot_time(held, NOW)
    assert opens == NOW + timedelta(hours=24)
    assert refusing_window(held, opens - INSTANT) is DAY_WINDOW
    assert refusing_window(held, opens) is None
    assert len(holds_within(held, DAY_WINDOW, opens - INSTANT)) == 2
    assert holds_within(held, DAY_WINDOW, opens) == []


def test_more_holds_than_the_limit_wait_until_few_enough_are_left():
    assert next_slot_time(holds(5, 4, 3), NOW) == NOW + timedelta(hours=20)


held_times = st.lists(
    st.integers(0, 15 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)), max_size=9
)


@given(held_times)
def test_the_next_slot_is_the_first_instant_at_which_every_window_has_room(times):
    held = [Hold(time, str(number)) for number, time in enumerate(times)]

    def has_room(at: datetime) -> bool:
        return all(sum(time + w.length > at for time in times) < w.limit for w in WINDOWS)

    candidates = sorted({NOW, *(t + w.length for t in times for w in WINDOWS)})
    expected = next(at for at in candidates if at >= NOW and has_room(at))
    assert next_slot_time(held, NOW) == expected
    assert (refusing_window(held, NOW) is None) == (expected == NOW)


@given(st.lists(st.integers(0, 48 * 60), min_size=1, max_size=25))
def test_who_always_waits_for_the_next_slot_never_breaks_a_rule(waits_minutes):
    now, held = NOW, []
    for number, wait in enumerate(waits_minutes):
        now = next_slot_time(held, now + timedelta(minutes=wait))
        held.append(Hold(now, str(number)))
    for window in WINDOWS:
        for last in held:
            inside = [h for h in held if last.time - window.length < h.time <= last.time]
            assert len(inside) <= window.limit
