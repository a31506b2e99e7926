"""Faults on purpose, so that clients can test what they do about them."""

from __future__ import annotations

import threading

from general_level.errors import Unavailable


class Faults:
    """What shall go wrong next; every fault happens once and is then used up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unavailable_calls = 0
        self._upload_breaks: list[int] = []

    def add_unavailable(self, calls: int) -> None:
        with self._lock:
            self._unavailable_calls += calls

    def add_upload_break(self, after_bytes: int) -> None:
        with self._lock:
            self._upload_breaks.append(after_bytes)

    def clear(self) -> None:
        with self._lock:
            self._unavailable_calls = 0
            self._upload_breaks.clear()

    def at_call(self) -> None:
        """Unavailable while calls shall fail."""
        with self._lock:
            if self._unavailable_calls > 0:
                self._unavailable_calls -= 1
                raise Unavailable("(on purpose)")

    def next_upload_break(self) -> int | None:
        """After how many bytes the upload that begins now shall break; None: it shall not."""
        with self._lock:
            return self._upload_breaks.pop(0) if self._upload_breaks else None
