"""Who can open sealed keys: age X25519 identities (https://age-encryption.org/v1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Self

import pyrage

from services.grader.private_files import KeyUnavailable, read_private_file


class Identity:
    """An age X25519 identity (the private half) that shows itself to nobody."""

    __slots__ = ("_identity", "recipient")

    def __init__(self, identity: pyrage.x25519.Identity) -> None:
        self._identity = identity
        #: The public half, ``age1…``.
        self.recipient: str = str(identity.to_public())

    @classmethod
    def generate(cls) -> Self:
        """A new identity from the operating system's randomness."""
        return cls(pyrage.x25519.Identity.generate())

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Reads a file as ``keygen`` or age-keygen writes it: comments, and one secret line.

        Raises KeyUnavailable as `read_private_file` does, and with ``why="not-a-key"``.
        """
        return cls.from_text(read_private_file(path, what="identity").decode("ascii", "replace"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The one identity of a text; KeyUnavailable with ``why="not-a-key"``."""
        lines = [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]
        try:
            (line,) = lines
            return cls(pyrage.x25519.Identity.from_str(line))
        except (ValueError, pyrage.IdentityError):
            raise KeyUnavailable(
                "It is not one age X25519 identity.", what="identity", why="not-a-key"
            ) from None

    def to_text(self) -> str:
        """The secret line, for the file that ``keygen`` writes and for nothing else."""
        return str(self._identity)

    def decrypt(self, sealed: bytes) -> bytes:
        """The plain bytes; KeyUnavailable with ``why="wrong-identity-or-damaged"``."""
        try:
            plain: bytes = pyrage.decrypt(sealed, [self._identity])
        except (pyrage.DecryptError, ValueError, OSError):
            raise KeyUnavailable(
                "It is sealed to another identity, or damaged.",
                what="key",
                why="wrong-identity-or-damaged",
            ) from None
        return plain

    def __repr__(self) -> str:
        return f"Identity({self.recipient})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an identity does not leave its process")


def encrypt_to(recipients: Sequence[str], plain: bytes) -> bytes:
    """``plain`` as an age file that each of the recipients (``age1…``) can open.

    ValueError for a recipient that is none.
    """
    try:
        keys = [pyrage.x25519.Recipient.from_str(recipient) for recipient in recipients]
    except pyrage.RecipientError:
        raise ValueError("it is not an age X25519 recipient") from None
    if not keys:
        raise ValueError("a key is sealed to at least one recipient")
    sealed: bytes = pyrage.encrypt(plain, keys)
    return sealed
