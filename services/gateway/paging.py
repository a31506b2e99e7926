"""Pages of the operators' lists: their sizes, and tokens that say where the next one begins."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Final

from general_level.errors import InvalidRequest
from general_level.wire import from_rfc3339

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 500


def page_size(asked: int) -> int:
    """The size that was asked for, or the usual one; InvalidRequest."""
    size = asked or PAGE_SIZE_DEFAULT
    if not 0 < size <= PAGE_SIZE_MAX:
        raise InvalidRequest(f"page_size is 1 to {PAGE_SIZE_MAX}.", field="page_size")
    return size


def token(place: str) -> str:
    """A page token that says where the next page begins."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def _read(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise _bad_token() from error


def dead_letter_place(token: str) -> tuple[datetime, str]:
    """When the last dead letter of the page before ended, and its job; InvalidRequest."""
    try:
        time, job_id = _read(token).split(" ")
        return from_rfc3339(time), job_id
    except (ValueError, OverflowError) as error:
        raise _bad_token() from error


def audit_place(token: str) -> int:
    """The last entry of the page before; InvalidRequest."""
    place = _read(token)
    if not (place.isdecimal() and place.isascii() and len(place) < 19):
        raise _bad_token()
    return int(place)


def _bad_token() -> InvalidRequest:
    return InvalidRequest("Use next_page_token of the page before.", field="page_token")
