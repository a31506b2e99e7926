"""How often a reader may ask, by whose address, and when a connection has stopped."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.web.connections import PROGRESS_BYTES_MIN, Peers, Progress
from services.gateway.web.rate_limits import Rate, RateLimit, TooManyRequests, reader_of
from services.gateway.web.telemetry import PAGES, kind_of


class Time:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def allowed(limit: RateLimit, key: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limit.check(key)
            count += 1
        except TooManyRequests:
            pass
    return count


def test_so_many_at_once_and_then_at_the_rate() -> None:
    time = Time()
    limit = RateLimit(Rate(5, 0.5), clock=time)
    assert allowed(limit, "a", 20) == 5
    # Another reader has a limit of its own.
    assert allowed(limit, "b", 20) == 5
    with pytest.raises(TooManyRequests) as refused:
        limit.check("a")
    assert refused.value.metadata["retry_after_seconds"] == "2"
    # Whoever comes back when it is told is not refused again.
    time.now += 2
    assert allowed(limit, "a", 20) == 1
    time.now += 1_000
    assert allowed(limit, "a", 20) == 5


@given(st.lists(st.floats(0, 10), max_size=60))
def test_no_pattern_of_requests_gets_more_than_the_rate(waits: list[float]) -> None:
    time = Time()
    limit = RateLimit(Rate(3, 0.5), clock=time)
    begun = time.now
    count = 0
    for wait in waits:
        time.now += wait
        count += allowed(limit, "a", 2)
        assert count <= 3 + 0.5 * (time.now - begun) + 1e-6


def test_what_it_remembers_is_bounded() -> None:
    limit = RateLimit(Rate(1, 1), clock=Time(), remembered_max=100)
    for number in range(1_000):
        limit.check(f"198.51.100.{number}")
    assert limit.remembered == 100
    refusals: list[int] = []
    limit = RateLimit(Rate(1, 1), lambda: refusals.append(1), Time())
    assert allowed(limit, "x" * 10_000, 3) == 1
    assert len(refusals) == 2


@pytest.mark.parametrize(
    ("address", "reader"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
        ("no:address", "no:address"),
        ("tok_01HZX", "tok_01HZX"),
    ],
)
def test_a_household_is_one_reader(address: str, reader: str) -> None:
    assert reader_of(address) == reader


def test_an_address_has_so_many_connections_and_a_proxy_any_number() -> None:
    refusals: list[int] = []
    peers = Peers([ip_network("10.0.0.0/8")], lambda: refusals.append(1), at_once=2)
    keys = [peers.enter("2001:db8::1"), peers.enter("2001:db8::2")]
    assert peers.enter("2001:db8::3") is None
    assert peers.enter("2001:db8:0:1::3") is not None
    assert all(peers.enter("10.1.2.3") for _ in range(10))
    assert keys[0] is not None
    peers.leave(keys[0])
    assert peers.enter("2001:db8::4") is not None
    assert len(refusals) == 1


def test_a_connection_that_moves_slowly_is_not_one_that_has_stopped() -> None:
    looks = 4
    still, slow, busy, quiet = (Progress(looks) for _ in range(4))
    for look in range(100):
        stopped = still.has_stopped(waits=True, unsent_bytes=9_000, received_bytes=0, answers=1)
        # The first look sees an answer, which is something that moved.
        assert stopped == (look >= looks)
        unsent = (100 - look) * PROGRESS_BYTES_MIN
        assert (
            not slow.has_stopped(waits=True, unsent_bytes=unsent, received_bytes=0, answers=0)
            or look < 1
        )
        assert not busy.has_stopped(waits=True, unsent_bytes=70, received_bytes=0, answers=look + 1)
        # A stream without news, a page that is read: nobody waits for the peer.
        assert not quiet.has_stopped(waits=False, unsent_bytes=0, received_bytes=0, answers=0)


def test_every_address_has_a_kind_of_page() -> None:
    for path, kind in (
        ("/", "home"),
        ("/boards/A-full.csv", "boards"),
        ("/boards/A-full/events", "events"),
        ("/wp-login.php", "other"),
        ("", "home"),
        ("//", "home"),
    ):
        assert kind_of(path) == kind
    assert len(set(PAGES)) == len(PAGES)
