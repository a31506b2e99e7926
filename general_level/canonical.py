"""Canonical JSON: one byte string for one value, so that a digest of it means something.

After RFC 8785 (JSON Canonicalization Scheme): UTF-8, no spaces, object keys sorted by UTF-16 code
units, the shortest escapes, and numbers as ECMAScript prints them (RFC 8785 section 3.2.2.3).
What would not survive a reader that holds numbers as IEEE 754 doubles is refused instead of
being rounded: NaN, the infinities, and integers beyond 2^53 - 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Final

#: The largest integer that every JSON reader keeps exact (RFC 8785 appendix D, RFC 7493).
MAX_EXACT_INTEGER: Final = 2**53 - 1

#: From this power of ten upward ECMAScript prints a number with an exponent.
_LARGE_EXPONENT: Final = 21
#: Down to this power of ten ECMAScript prints leading zeros instead of an exponent.
_SMALL_EXPONENT: Final = -6


def canonical_json(value: object) -> bytes:
    """The canonical form of None, bool, int, float, str, and lists, tuples and mappings of them.

    Equal values have equal forms: 5 and 5.0 are one JSON number, a tuple is a list. Raises
    ValueError for a number that is not finite or not exact, for a lone surrogate and for a value
    nested too deep, TypeError for any other type or a key that is no string. The messages say
    nothing of the values, which may be secret.
    """
    parts: list[str] = []
    try:
        _write(value, parts)
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise ValueError("a text has half of a surrogate pair") from None
    except RecursionError:
        raise ValueError("the value is nested too deep") from None


def _write(value: object, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(encode_basestring(value))
    elif value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, int):
        parts.append(_integer(value))
    elif isinstance(value, float):
        parts.append(_number(value))
    elif isinstance(value, (list, tuple)):
        separator = "["
        for element in value:
            parts.append(separator)
            _write(element, parts)
            separator = ","
        parts.append("]" if value else "[]")
    elif isinstance(value, Mapping):
        _write_object(value, parts)
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def _write_object(value: Mapping[object, object], parts: list[str]) -> None:
    keys: list[str] = []
    for key in value:
        if not isinstance(key, str):
            raise TypeError("the keys of a JSON object are strings")
        keys.append(key)
    separator = "{"
    for key in sorted(keys, key=_utf16):
        parts += (separator, encode_basestring(key), ":")
        _write(value[key], parts)
        separator = ","
    parts.append("}" if keys else "{}")


def _utf16(key: str) -> bytes:
    # Big-endian bytes compare as code units do; Python compares code points, which differ above
    # U+FFFF.
    return key.encode("utf-16-be")


def _integer(value: int) -> str:
    if abs(value) > MAX_EXACT_INTEGER:
        raise ValueError("an integer is beyond 2^53 - 1 and would not stay exact")
    return int.__repr__(value)


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262 section 6.1.6.1.20) of a finite double."""
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    if value == 0:
        return "0"  # also for -0
    # Python's repr has the same shortest digits and another layout of them.
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)  # the decimal point stands after so many digits
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if len(digits) <= point <= _LARGE_EXPONENT:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= _LARGE_EXPONENT:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _SMALL_EXPONENT < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"
