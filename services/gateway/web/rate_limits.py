"""How often one reader may ask, by the generic cell rate algorithm: one instant for each reader.

A gateway counts for itself; several of them allow as many times more. The tables are bounded, so
that whoever comes from many addresses fills a table and not the memory. (PyPI's ``limits`` keeps
every key until it expires, and looks through all of them from a thread a hundred times a second.)
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from general_level.errors import ResourceExhausted

#: Readers that a limit remembers; of more, those that asked longest ago are forgotten.
REMEMBERED_MAX: Final = 50_000
#: Bits of an IPv6 address by which readers are told apart: a household has one such network.
IPV6_BITS: Final = 64
#: Characters of a key; it may hold what a header said.
KEY_CHARACTERS_MAX: Final = 64
#: All requests of an address, its pictures and styles among them; a page needs about five.
REQUESTS_AT_ONCE: Final = 400
REQUESTS_PER_SECOND: Final = 40.0
#: Pages of an address that are made for it alone: a search, a filter, a comparison.
SEARCHES_AT_ONCE: Final = 60
SEARCHES_PER_SECOND: Final = 1.0
#: Pages and pictures at plain addresses that an address is the first to read since they changed.
RENDERS_AT_ONCE: Final = 200
RENDERS_PER_SECOND: Final = 5.0
#: Attempts of an address to sign in, right or wrong.
SIGN_INS_AT_ONCE: Final = 20
SIGN_INS_PER_SECOND: Final = 1 / 30
#: Event streams that an address may hold; a browser opens six connections to one site.
STREAMS_AT_ONCE: Final = 20


class TooManyRequests(ResourceExhausted):
    """There were too many requests from your address."""

    reason = "TOO_MANY_REQUESTS"


@dataclass(frozen=True, slots=True)
class Rate:
    """``at_once`` requests together, and ``per_second`` in the long run."""

    at_once: int
    per_second: float


class RateLimit:
    """One limit. ``refused`` is told of each refusal, ``clock`` tells seconds that only grow."""

    def __init__(
        self,
        rate: Rate,
        refused: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        remembered_max: int = REMEMBERED_MAX,
    ) -> None:
        self._step = 1 / rate.per_second
        self._ahead = self._step * (rate.at_once - 1)
        self._refused = refused
        self._clock = clock
        self._most = remembered_max
        #: When each key's debt is paid; whoever has none may ask at once.
        self._paid: OrderedDict[str, float] = OrderedDict()

    def check(self, key: str) -> None:
        """Counts a request of an address or of any other key.

        Raises TooManyRequests, with ``retry_after_seconds``, where it comes too soon. A refused
        request counts nothing.
        """
        key = reader_of(key)
        now = self._clock()
        paid = max(self._paid.get(key, now), now)
        wait = paid - self._ahead - now
        # A billionth of a second is the rounding of sums and no request.
        if wait > 1e-9:
            self._refused()
            seconds = math.ceil(wait)
            raise TooManyRequests(
                f"Try again in {seconds} s.",
                retry_after_seconds=seconds,
            )
        self._paid[key] = paid + self._step
        self._paid.move_to_end(key)
        if len(self._paid) > self._most:
            self._paid.popitem(last=False)

    @property
    def remembered(self) -> int:
        """Keys in memory."""
        return len(self._paid)


def reader_of(address: str) -> str:
    """By what readers are told apart: the address, of IPv6 its network; other keys as they are."""
    if ":" not in address:
        return address[:KEY_CHARACTERS_MAX]
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:KEY_CHARACTERS_MAX]
    mapped = getattr(parsed, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    return str(ip_network((parsed, IPV6_BITS), strict=False))
