"""When a call is sent again: only on Unavailable, after a wait that grows and is jittered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc

from general_level.errors import GeneralLevelError, Unavailable
from general_level.wire import from_rpc_error

_T = TypeVar("_T")

#: By then every sensible wait is at its longest; more would leave the range of a float.
_MAX_DOUBLINGS: Final = 60


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long.

    ``attempts`` is the number of calls in all, without progress between them. The wait before the
    n-th repetition is drawn evenly from [w/2, w] with w = ``first_wait_seconds`` · 2^(n-1), at
    most ``longest_wait_seconds``.
    """

    attempts: int = 6
    first_wait_seconds: float = 0.25
    longest_wait_seconds: float = 8.0

    def wait_seconds(self, failures: int, draw: float) -> float:
        """The wait after this many failures in a row (from 1); ``draw`` is evenly from [0, 1)."""
        doublings = min(failures - 1, _MAX_DOUBLINGS)
        longest = min(self.longest_wait_seconds, self.first_wait_seconds * 2.0**doublings)
        return float(longest * (0.5 + draw / 2))


class Patience:
    """Counts the failures in a row of one piece of work, and waits between them."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._sleep = sleep
        self._draw = draw
        self._failures = 0

    def progressed(self) -> None:
        """Something got further: the failures before it no longer count."""
        self._failures = 0

    def wait_or_raise(self, error: GeneralLevelError) -> None:
        """Waits before the next attempt; raises ``error`` when there have been enough."""
        self._failures += 1
        if self._failures >= self._policy.attempts:
            raise error
        self._sleep(self._policy.wait_seconds(self._failures, self._draw()))


@dataclass(frozen=True, slots=True)
class Retrying:
    """Makes calls with one policy, one way to sleep and one source of chance."""

    policy: RetryPolicy = RetryPolicy()
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random

    def patience(self) -> Patience:
        """A fresh count of failures."""
        return Patience(self.policy, sleep=self.sleep, draw=self.draw)

    def call(self, attempt: Callable[[], _T]) -> _T:
        """The answer of an idempotent call; raises the error of the last attempt."""
        patience = self.patience()
        while True:
            try:
                return attempt()
            except grpc.RpcError as error:
                rebuilt = from_rpc_error(error)
                if not isinstance(rebuilt, Unavailable):
                    raise rebuilt from error
                patience.wait_or_raise(rebuilt)
