"""Waiting for what other processes do, without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.05


def eventually(read: Callable[[], T], timeout_seconds: float = 30.0, what: str = "") -> T:
    """The first true value of ``read``; AssertionError with the last value after the time."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or read} was still {value!r} after {timeout_seconds} s")
        time.sleep(_POLL_SECONDS)
