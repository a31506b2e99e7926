"""Signs score statements as a grader does, with a key that lives as long as the test."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from general_level.dsse import encode_envelope, pre_authentication_encoding
from general_level.statements import PAYLOAD_TYPE, ScoreStatement, encode_statement


class Signer:
    """A fresh Ed25519 key. ``public_key`` is its raw public half, 32 bytes."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public_key: bytes = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def envelope(self, statement: ScoreStatement) -> bytes:
        """The signed statement: a DSSE envelope as JSON."""
        payload = encode_statement(statement)
        signature = self._key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        return encode_envelope(PAYLOAD_TYPE, payload, signature, self.public_key)
