"""Ids that sort by time, and the request ids that make a create idempotent.

An id looks like ``sub_01k9x3v6q8h2m4n7p0r5s1t6wy``: a word for the kind of thing, then 10
characters of milliseconds since 1970 and 16 characters of randomness, both in Crockford's base 32
(lower case, no i, l, o, u). Ids of one kind therefore sort by the time when they were made.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

RandomBytes = Callable[[int], bytes]
"""Gives this many random bytes; :func:`secrets.token_bytes` outside of tests."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS: Final = 10  # 50 bits of milliseconds: enough for 35,000 years
_RANDOM_BYTES: Final = 10
_RANDOM_CHARS: Final = 16
_PREFIX: Final = re.compile(r"[a-z][a-z0-9]{0,15}")
_ID: Final = re.compile(rf"[a-z][a-z0-9]{{0,15}}_[{_ALPHABET}]{{{_TIME_CHARS + _RANDOM_CHARS}}}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_id(prefix: str, now: datetime, random: RandomBytes = secrets.token_bytes) -> str:
    """A new id of the kind ``prefix`` (lower-case letters and digits), made at ``now`` (aware).

    Raises ValueError for another prefix, for a naive time and for a time before 1970.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"not a prefix of an id: {prefix!r}")
    if now.tzinfo is None:
        raise ValueError("an id needs a time with its zone")
    milliseconds = round((now - _EPOCH).total_seconds() * 1000)
    if milliseconds < 0:
        raise ValueError("an id needs a time after 1970")
    number = int.from_bytes(random(_RANDOM_BYTES), "big")
    return f"{prefix}_{_base32(milliseconds, _TIME_CHARS)}{_base32(number, _RANDOM_CHARS)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether ``text`` has the form of an id of this kind."""
    return text.startswith(f"{prefix}_") and _ID.fullmatch(text) is not None


def new_request_id(random: RandomBytes = secrets.token_bytes) -> str:
    """A random UUID (version 4) that names one intended create, however often it is sent."""
    return str(uuid.UUID(bytes=random(16), version=4))


def is_request_id(text: str) -> bool:
    """Whether ``text`` is a UUID in its usual form of 36 characters, in either case."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _base32(number: int, chars: int) -> str:
    digits = []
    for _ in range(chars):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
