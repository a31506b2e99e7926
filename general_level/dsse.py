"""Signed envelopes: DSSE 1.0 with Ed25519, as strict JSON.

Source: https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md (version 1.0.0).
An envelope signs its payload together with the payload's type, so that bytes signed as one thing
can never be passed off as another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from general_level.canonical import canonical_json
from general_level.errors import ReceiptInvalid

MAX_ENVELOPE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 4  # of one envelope; ours have one
PUBLIC_KEY_BYTES: Final = 32  # Ed25519, raw (RFC 8032)
SIGNATURE_BYTES: Final = 64


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    sig: str
    keyid: str = ""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: list[_Signature]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a signature covers: PAE of protocol.md."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(public_key: bytes) -> str:
    """The id of an Ed25519 public key: SHA-256 of its 32 raw bytes, lower-case hex."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return hashlib.sha256(public_key).hexdigest()


def encode_envelope(
    payload_type: str, payload: bytes, signature: bytes, public_key: bytes
) -> bytes:
    """The JSON of an envelope with one signature; ValueError beyond 64 KiB."""
    envelope = canonical_json(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [
                {"keyid": key_id(public_key), "sig": base64.b64encode(signature).decode()}
            ],
        }
    )
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise ValueError(f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes")
    return envelope


def open_envelope(
    envelope: bytes, payload_type: str, trusted_keys: Sequence[bytes]
) -> tuple[bytes, str]:
    """The payload of an envelope that a trusted key signed, and that key's id.

    ``trusted_keys`` are raw Ed25519 public keys of 32 bytes. A signature's key id only selects
    among them. Raises ReceiptInvalid with ``what`` (envelope, payload-type, signature) otherwise.
    """
    if len(envelope) > MAX_ENVELOPE_BYTES:
        _refuse("envelope", f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes")
    try:
        parts = msgspec.convert(strict_json(envelope), _Envelope)
        payload = _base64(parts.payload)
        signatures = [(signature.keyid, _base64(signature.sig)) for signature in parts.signatures]
    except ValueError as error:
        raise ReceiptInvalid(f"The envelope cannot be read: {error}.", what="envelope") from None
    if parts.payload_type != payload_type:
        _refuse("payload-type", "the payload is of another type")
    if len(signatures) > MAX_SIGNATURES:
        _refuse("envelope", f"an envelope has at most {MAX_SIGNATURES} signatures")
    signed = pre_authentication_encoding(payload_type, payload)
    for public_key in trusted_keys:
        identity = key_id(public_key)
        for named, signature in signatures:
            if named in ("", identity) and _verifies(public_key, signature, signed):
                return payload, identity
    raise ReceiptInvalid("No trusted key signed it.", what="signature")


def strict_json(data: bytes) -> Any:
    """JSON that every reader reads alike: UTF-8, no key twice, every number finite.

    Raises ValueError, whose message says nothing of the content.
    """
    try:
        return json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (at character {error.pos})") from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _refuse(what: str, why: str) -> NoReturn:
    raise ReceiptInvalid(f"{why[0].upper()}{why[1:]}.", what=what)


def _verifies(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _base64(text: str) -> bytes:
    """Standard or URL-safe base64 (verifiers accept either), padded, and in its only spelling."""
    standard = text.replace("-", "+").replace("_", "/")
    try:
        data = base64.b64decode(standard, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a field is not base64") from None
    if base64.b64encode(data).decode() != standard:
        raise ValueError("a field is not base64 in its only spelling")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("an object has a key twice")
    return entries


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("a number is not finite")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number
