"""Clocks give aware UTC instants, and a manual one moves only when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.kit.clock import ManualClock, SystemClock

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def test_the_system_clock_is_aware_and_in_utc():
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_a_manual_clock_stands_still_until_it_is_moved():
    clock = ManualClock(START)
    assert clock.now() == clock.now() == START
    clock.advance(timedelta(microseconds=1))
    assert clock.now() == START + timedelta(microseconds=1)


def test_a_manual_clock_shows_utc_whatever_zone_it_was_given():
    clock = ManualClock(datetime(2026, 1, 5, 11, 0, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == START
    assert clock.now().utcoffset() == timedelta(0)


def test_a_manual_clock_refuses_a_naive_start_and_a_way_back():
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2026, 1, 5))  # noqa: DTZ001  what is refused
    with pytest.raises(ValueError, match="backwards"):
        ManualClock(START).advance(timedelta(seconds=-1))
