"""The file of public keys whose signatures count: one Ed25519 key a line, 64 hex digits.

Empty lines and what follows ``#`` are ignored. Labs get the file from the operators, the gateway
and the ranker have it as a setting; a key is retired by adding its successor first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from general_level.errors import InvalidRequest

KEY_BYTES: Final = 32
#: More keys than any fleet rotates through; a longer file is a mistake.
KEYS_MAX: Final = 1_000


class TrustedKeysInvalid(InvalidRequest):
    """The file of trusted keys cannot be used."""

    reason = "TRUSTED_KEYS_INVALID"


def read_trusted_keys(path: Path) -> tuple[bytes, ...]:
    """The raw keys of the file in order, each once. Raises TrustedKeysInvalid with the line."""
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise TrustedKeysInvalid("It cannot be read.", file=path.name) from error
    keys: dict[bytes, None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            key = bytes.fromhex(word)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise TrustedKeysInvalid(
                f"Line {number} is not {2 * KEY_BYTES} hex digits.", file=path.name, line=number
            )
        keys[key] = None
    if not keys or len(keys) > KEYS_MAX:
        raise TrustedKeysInvalid(f"It holds {len(keys)} keys.", file=path.name)
    return tuple(keys)
