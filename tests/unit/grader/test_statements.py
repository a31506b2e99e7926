"""Signing scores: what the grader signs is what a lab verifies."""

from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from general_level.dsse import MAX_ENVELOPE_BYTES
from general_level.receipts import verify_envelope
from services.grader.private_files import KeyUnavailable, write_private_file
from services.grader.statements import GraderInfo, ScoreStatement, SigningKey, sign_score

# RFC 8032, section 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
EMPTY_SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(SEED))

FOLDER = "image/generation/Edge-to-Image Generation"
STATEMENT = ScoreStatement(
    submission_id="sub_1",
    task_id="image-g-001",
    catalogue_id="general-bench-2025-05",
    metric_id="fid",
    metric_version=1,
    value=23.25,
    standard_error=0.5,
    item_count=8,
    missing_count=0,
    key_version="1",
    key_commitment="c" * 64,
    grader=GraderInfo("sha256:" + "d" * 64, "cpu", "0.1.0"),
    scored_time=datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC),
    archive_sha256="a" * 64,
    members={f"{FOLDER}/prediction.json": "b" * 64, f"{FOLDER}/out/1.png": "e" * 64},
)


def test_the_published_vector_of_ed25519() -> None:
    assert KEY.public_key == PUBLIC
    assert KEY.sign(b"") == EMPTY_SIGNATURE


def test_what_is_signed_is_what_is_verified() -> None:
    assert verify_envelope(sign_score(KEY, STATEMENT), [PUBLIC]) == STATEMENT


def test_the_time_is_signed_in_utc_and_whole_seconds() -> None:
    precise = STATEMENT.scored_time.replace(microsecond=999_999)
    signed = sign_score(KEY, dataclasses.replace(STATEMENT, scored_time=precise))
    assert verify_envelope(signed, [PUBLIC]).scored_time == STATEMENT.scored_time


def test_very_many_members_are_signed_as_one_digest() -> None:
    media = {f"{FOLDER}/out/{number}.png": "e" * 64 for number in range(20_000)}
    members = {f"{FOLDER}/prediction.json": "b" * 64, **media}
    signed = sign_score(KEY, dataclasses.replace(STATEMENT, members=members))
    assert len(signed) <= MAX_ENVELOPE_BYTES
    assert set(verify_envelope(signed, [PUBLIC]).members) == {
        f"{FOLDER}/prediction.json",
        f"{FOLDER}/",
    }


@pytest.mark.parametrize(
    "members",
    [
        {f"{FOLDER}/out/1.png": "e" * 64},
        {"prediction.json": "e" * 64},
        {f"{FOLDER}/prediction.json": "b" * 64, "elsewhere/1.png": "e" * 64},
    ],
)
def test_the_members_are_those_of_one_task(members: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="members"):
        sign_score(KEY, dataclasses.replace(STATEMENT, members=members))


def test_a_prediction_file_below_is_a_member_like_any() -> None:
    members = {**STATEMENT.members, f"{FOLDER}/out/prediction.json": "f" * 64}
    signed = sign_score(KEY, dataclasses.replace(STATEMENT, members=members))
    assert verify_envelope(signed, [PUBLIC]).members == members


def test_the_key_file_keeps_the_key(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    write_private_file(path, KEY.to_pem())
    assert SigningKey.from_file(path).public_key == PUBLIC
    public = serialization.load_pem_public_key(KEY.public_pem())
    assert public.public_bytes_raw() == PUBLIC  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_refuses_a_key_file_that_others_can_touch(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.pem"
    write_private_file(path, KEY.to_pem())
    path.chmod(mode)
    with pytest.raises(KeyUnavailable) as caught:
        SigningKey.from_file(path)
    assert caught.value.metadata == {"what": "signing-key", "why": "mode"}


def test_refuses_what_is_no_signing_key() -> None:
    other = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for pem in (b"", b"nonsense", KEY.public_pem(), KEY.to_pem()[:60], other):
        with pytest.raises(KeyUnavailable) as caught:
            SigningKey.from_pem(pem)
        assert caught.value.metadata["why"] == "not-a-key"


def test_the_key_shows_itself_to_nobody() -> None:
    secret = KEY.to_pem().decode().splitlines()[1]
    for text in (repr(KEY), str(KEY), repr({"key": KEY})):
        assert secret not in text
        assert SEED.hex() not in text
    with pytest.raises(TypeError):
        pickle.dumps(KEY)
