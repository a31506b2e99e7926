"""Why one file cannot be used, as a finding's code."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.submission.codes import Code
from services.grader.decode.limits import MAX_NUMBER_MAGNITUDE

#: The arrays of one file.
Content = dict[str, NDArray[Any]]

#: Numbers of an array that are looked at together, so that the check needs little memory.
_CHECKED_AT_ONCE: Final = 1024 * 1024


class Unusable(Exception):
    """A file is not what it should be; ``code`` says in which way."""

    def __init__(self, code: Code) -> None:
        self.code = code
        super().__init__(code.value)


def check(condition: object, code: Code = Code.MEDIA_UNREADABLE) -> None:
    """Unusable unless the condition holds."""
    if not condition:
        raise Unusable(code)


def finite(numbers: NDArray[Any]) -> NDArray[Any]:
    """``numbers`` itself; Unusable where one is NaN, infinite or implausibly large."""
    if numbers.dtype.kind == "f" and numbers.size:
        flat = numbers.reshape(-1)
        for start in range(0, len(flat), _CHECKED_AT_ONCE):
            part = flat[start : start + _CHECKED_AT_ONCE]
            # A NaN compares as false.
            check((np.abs(part) <= MAX_NUMBER_MAGNITUDE).all(), Code.MEDIA_NOT_FINITE)
    return numbers


def guarded(read: Callable[[], Content]) -> Content:
    """What ``read`` returns; Unusable for whatever goes wrong in it.

    A library's own exceptions about a damaged file are of every kind, and a file that needs more
    memory than the box has is too large for it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except Unusable:
        raise
    except MemoryError:
        raise Unusable(Code.MEDIA_TOO_LARGE) from None
    except Exception:
        raise Unusable(Code.MEDIA_UNREADABLE) from None
