"""A signal wakes who waits, is not missed between reading and waiting, and leaves nothing."""

from __future__ import annotations

import asyncio

import pytest

from services.gateway.signals import Signals


@pytest.fixture
def signals():
    return Signals()


async def test_all_that_wait_for_a_topic_wake(signals):
    waits = [
        asyncio.create_task(signals.wait(signals.subscribe("jobs/image"), 10)) for _ in range(3)
    ]
    await asyncio.sleep(0)
    signals.notify("jobs/image")
    assert await asyncio.gather(*waits) == [True, True, True]
    assert signals.waiting("jobs/image") == 0


async def test_a_signal_between_subscribing_and_waiting_is_not_missed(signals):
    waiter = signals.subscribe("ledger")
    signals.notify("ledger")
    assert await signals.wait(waiter, 0.001) is True


async def test_another_topic_wakes_nobody(signals):
    waiter = signals.subscribe("jobs/image")
    signals.notify("jobs/video")
    assert await signals.wait(waiter, 0.001) is False
    assert signals.waiting("jobs/image") == 0


async def test_any_of_several_topics_wakes_and_all_are_left(signals):
    waiter = signals.subscribe("jobs/image", "jobs/video")
    assert signals.waiting("jobs/image") == signals.waiting("jobs/video") == 1
    signals.notify("jobs/video")
    assert await signals.wait(waiter, 10) is True
    assert signals.waiting("jobs/image") == signals.waiting("jobs/video") == 0


async def test_a_waiter_that_gives_up_or_is_cancelled_leaves_nothing(signals):
    signals.subscribe("ledger").cancel()
    wait = asyncio.create_task(signals.wait(signals.subscribe("ledger"), 10))
    await asyncio.sleep(0)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    await asyncio.sleep(0)
    assert signals.waiting("ledger") == 0


async def test_one_topic_keeps_its_waiters_when_one_of_them_leaves(signals):
    stays, leaves = signals.subscribe("ledger"), signals.subscribe("ledger")
    leaves.cancel()
    await asyncio.sleep(0)
    assert signals.waiting("ledger") == 1
    signals.notify("ledger")
    assert await signals.wait(stays, 10) is True


async def test_a_signal_without_waiters_is_forgotten(signals):
    signals.notify("ledger")
    assert await signals.wait(signals.subscribe("ledger"), 0.001) is False
