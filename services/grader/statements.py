"""Signing: the grader's Ed25519 key and the score statements that it signs.

The form of a statement is public, see `general_level.statements`; only the scorer process holds a
`SigningKey`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from general_level.dsse import encode_envelope, key_id, pre_authentication_encoding
from general_level.statements import (
    PAYLOAD_TYPE,
    GraderInfo,
    ScoreStatement,
    encode_statement,
    member_subjects,
)
from services.grader.private_files import KeyUnavailable, read_private_file

__all__ = ["GraderInfo", "ScoreStatement", "SigningKey", "sign_score"]

_WHAT = "signing-key"


class SigningKey:
    """An Ed25519 private key that shows itself to nobody: no repr, no pickle, no copy."""

    __slots__ = ("_key", "key_id", "public_key")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        #: Raw, 32 bytes.
        self.public_key: bytes = key.public_key().public_bytes_raw()
        #: SHA-256 of the public key, lower-case hex.
        self.key_id: str = key_id(self.public_key)

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_file(cls, path: Path) -> SigningKey:
        """Reads the PEM that ``keygen --signing`` wrote.

        Raises KeyUnavailable as `read_private_file` does, and with ``why="not-a-key"``.
        """
        return cls.from_pem(read_private_file(path, what=_WHAT))

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """An unencrypted PKCS #8 key in PEM; KeyUnavailable with ``why="not-a-key"``."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnavailable(
                "It is not an Ed25519 private key in PEM.", what=_WHAT, why="not-a-key"
            )
        return cls(key)

    def to_pem(self) -> bytes:
        """The private key as PEM, for the file that ``keygen`` writes and for nothing else."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def public_pem(self) -> bytes:
        """The public key as PEM (SubjectPublicKeyInfo)."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> bytes:
        """The signature of 64 bytes (RFC 8032)."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id[:16]}…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key does not leave its process")


def sign_score(signing_key: SigningKey, statement: ScoreStatement) -> bytes:
    """The statement in a signed DSSE envelope: canonical JSON, at most 64 KiB.

    ``statement.members`` may hold any number of members of one task folder, its prediction.json
    among them; very many are signed as one digest (`general_level.statements.member_subjects`).
    """
    folder = _task_folder(statement)
    members = member_subjects(folder, statement.members)
    payload = encode_statement(dataclasses.replace(statement, members=members))
    signature = signing_key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return encode_envelope(PAYLOAD_TYPE, payload, signature, signing_key.public_key)


def _task_folder(statement: ScoreStatement) -> str:
    """The folder whose prediction.json the statement names."""
    suffix = "/prediction.json"
    folders = [path.removesuffix(suffix) for path in statement.members if path.endswith(suffix)]
    # A member of a task may itself be called prediction.json, in a folder below.
    folder = min(folders, key=len, default="")
    if not folder or not all(path.startswith(f"{folder}/") for path in statement.members):
        raise ValueError("the members of a score are those of one task, with its prediction.json")
    return folder
