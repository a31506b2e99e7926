"""Receipts, envelopes, statements, commitments and canonical JSON, as a lab uses them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from general_level.canonical import canonical_json
from general_level.commitments import OPENING_FORMAT, PublishedCommitment, key_commitment
from general_level.dsse import (
    MAX_ENVELOPE_BYTES,
    encode_envelope,
    key_id,
    pre_authentication_encoding,
    strict_json,
)
from general_level.errors import ReceiptInvalid
from general_level.receipts import (
    GraderInfo,
    Receipt,
    ScoreStatement,
    SignedStatement,
    dump_receipt,
    load_commitments,
    load_receipt,
    verify_commitment,
    verify_envelope,
    verify_receipt,
)
from general_level.statements import (
    MAX_LISTED_MEMBERS,
    PAYLOAD_TYPE,
    digest_of_members,
    encode_statement,
    member_subjects,
)

# RFC 8032, section 7.1, test 1: a key that everyone knows.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = KEY.public_key().public_bytes_raw()
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()

FOLDER = "image/comprehension/Sports Image Classification"
PREDICTION = f"{FOLDER}/prediction.json"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


STATEMENT = ScoreStatement(
    submission_id="sub_1",
    task_id="image-c-003",
    catalogue_id="general-bench-2025-05",
    metric_id="accuracy",
    metric_version=1,
    value=87.5,
    standard_error=None,
    item_count=8,
    missing_count=1,
    key_version="1",
    key_commitment="c" * 64,
    grader=GraderInfo("sha256:" + "d" * 64, "cpu", "0.1.0"),
    scored_time=datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC),
    archive_sha256="a" * 64,
    members={PREDICTION: "b" * 64},
)


def sign(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    signature = KEY.sign(pre_authentication_encoding(payload_type, payload))
    return encode_envelope(payload_type, payload, signature, PUBLIC)


def envelope(**changes: object) -> bytes:
    return sign(encode_statement(dataclasses.replace(STATEMENT, **changes)))


class TestCanonicalJson:
    # RFC 8785, appendix B: doubles by their bits, and how they are printed.
    @pytest.mark.parametrize(
        ("bits", "printed"),
        [
            ("0000000000000000", "0"),
            ("8000000000000000", "0"),
            ("0000000000000001", "5e-324"),
            ("8000000000000001", "-5e-324"),
            ("7fefffffffffffff", "1.7976931348623157e+308"),
            ("4340000000000000", "9007199254740992"),
            ("4430000000000000", "295147905179352830000"),
            ("44b52d02c7e14af5", "9.999999999999997e+22"),
            ("44b52d02c7e14af6", "1e+23"),
            ("444b1ae4d6e2ef4f", "999999999999999900000"),
            ("444b1ae4d6e2ef50", "1e+21"),
            ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
            ("3eb0c6f7a0b5ed8d", "0.000001"),
            ("41b3de4355555553", "333333333.3333332"),
            ("becbf647612f3696", "-0.0000033333333333333333"),
            ("43143ff3c1cb0959", "1424953923781206.2"),
        ],
    )
    def test_numbers_as_ecmascript_prints_them(self, bits: str, printed: str) -> None:
        (value,) = struct.unpack(">d", bytes.fromhex(bits))
        assert canonical_json(value) == printed.encode()

    def test_keys_in_the_order_of_utf16(self) -> None:
        # RFC 8785, section 3.2.3: the last two are the other way round by code points.
        keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
        written = json.loads(canonical_json(dict.fromkeys(keys)), object_pairs_hook=list)
        expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
        assert [key for key, _ in written] == expected

    def test_strings_with_the_shortest_escapes(self) -> None:
        text = '\u20ac$\u000f\nA\'B"\\\\"/\u007f\u2028'
        expected = '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\u007f\u2028"'
        assert canonical_json(text) == expected.encode()

    def test_the_whole_form(self) -> None:
        value = {"b": [None, True, False, (), {}], "a": {"x": 1, "": -0.5}}
        assert canonical_json(value) == b'{"a":{"":-0.5,"x":1},"b":[null,true,false,[],{}]}'

    def test_equal_numbers_have_one_form(self) -> None:
        assert canonical_json([5, 5.0, -0.0]) == b"[5,5,0]"

    @pytest.mark.parametrize(
        "value",
        [float("nan"), float("inf"), [-float("inf")], 2**53, -(2**53), "\ud800", {"\ud800": 1}],
    )
    def test_refuses_what_would_not_survive(self, value: object) -> None:
        with pytest.raises(ValueError, match=r"number|integer|surrogate"):
            canonical_json(value)

    @pytest.mark.parametrize("value", [{1: 2}, {1, 2}, b"bytes", object()])
    def test_refuses_other_types(self, value: object) -> None:
        with pytest.raises(TypeError):
            canonical_json(value)

    def test_refuses_endless_nesting(self) -> None:
        value: list[object] = []
        for _ in range(100_000):
            value = [value]
        with pytest.raises(ValueError, match="deep"):
            canonical_json(value)


class TestEnvelope:
    def test_pae_of_the_specification(self) -> None:
        # https://github.com/secure-systems-lab/dsse, protocol.md, "Test Vectors".
        encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"

    def test_pae_counts_bytes(self) -> None:
        assert pre_authentication_encoding("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "

    def test_round_trip(self) -> None:
        assert verify_envelope(envelope(), [STRANGER, PUBLIC]) == STATEMENT
        assert verify_envelope(envelope(standard_error=1.5), [PUBLIC]).standard_error == 1.5

    def test_golden(self) -> None:
        # Ed25519 is deterministic, so the whole envelope of a known key is.
        assert sha256(encode_statement(STATEMENT)) == (
            "440bfdd69d976d42797da4a434f492131effc7ea62195aff553c38d93a94cc47"
        )
        assert sha256(envelope()) == (
            "8201d20bfb8a7f854358314ff4834da855d720f3c327eac8be6fbbbfa657ccac"
        )

    def test_key_id_is_the_digest_of_the_raw_key(self) -> None:
        assert json.loads(envelope())["signatures"][0]["keyid"] == sha256(PUBLIC) == key_id(PUBLIC)

    def test_every_changed_byte_is_found(self) -> None:
        original = envelope()
        for position in range(len(original)):
            changed = bytearray(original)
            changed[position] ^= 1
            with pytest.raises(ReceiptInvalid):
                verify_envelope(bytes(changed), [PUBLIC])

    def test_every_truncation_is_found(self) -> None:
        original = envelope()
        for length in range(len(original)):
            with pytest.raises(ReceiptInvalid):
                verify_envelope(original[:length], [PUBLIC])

    @pytest.mark.parametrize("trusted", [[], [STRANGER]])
    def test_only_trusted_keys_count(self, trusted: list[bytes]) -> None:
        with pytest.raises(ReceiptInvalid) as caught:
            verify_envelope(envelope(), trusted)
        assert caught.value.metadata["what"] == "signature"

    def test_the_key_id_is_a_hint_and_may_be_absent(self) -> None:
        parts = json.loads(envelope())
        del parts["signatures"][0]["keyid"]
        assert verify_envelope(json.dumps(parts).encode(), [STRANGER, PUBLIC]) == STATEMENT

    def test_a_signature_of_another_key_under_our_key_id(self) -> None:
        payload = encode_statement(STATEMENT)
        other = Ed25519PrivateKey.from_private_bytes(bytes(32))
        forged = other.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        with pytest.raises(ReceiptInvalid):
            verify_envelope(encode_envelope(PAYLOAD_TYPE, payload, forged, PUBLIC), [PUBLIC])

    def test_url_safe_base64_is_accepted(self) -> None:
        text = envelope().decode()
        parts = json.loads(text)
        signature = parts["signatures"][0]["sig"]
        parts["signatures"][0]["sig"] = signature.replace("+", "-").replace("/", "_")
        assert parts["signatures"][0]["sig"] != signature
        assert verify_envelope(json.dumps(parts).encode(), [PUBLIC]) == STATEMENT

    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            (sign(encode_statement(STATEMENT), "application/json"), "payload-type"),
            (sign(b"{}"), "statement"),
            (sign(b"[]"), "statement"),
            (sign(b"\xff"), "statement"),
            (b"{}", "envelope"),
            (b"[" * 60_000, "envelope"),
            (b" " * (MAX_ENVELOPE_BYTES + 1), "envelope"),
            (envelope()[:-1] + b',"more":1}', "envelope"),
            (envelope()[:-1] + b',"payload":""}', "envelope"),
        ],
    )
    def test_refuses_another_form(self, changed: bytes, what: str) -> None:
        with pytest.raises(ReceiptInvalid) as caught:
            verify_envelope(changed, [PUBLIC])
        assert caught.value.metadata["what"] == what

    def test_refuses_a_long_list_of_signatures(self) -> None:
        parts = json.loads(envelope())
        parts["signatures"] *= 5
        with pytest.raises(ReceiptInvalid):
            verify_envelope(json.dumps(parts).encode(), [PUBLIC])


class TestStatement:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('"value":87.5', '"value":NaN'),
            ('"value":87.5', '"value":1e999'),
            ('"value":87.5', '"value":"87.5"'),
            ('"value":87.5', '"value":87.5,"value":99'),
            ('"value":87.5', '"value":87.5,"bonus":1'),
            ('"standard_error":null', '"standard_error":-1'),
            ('"item_count":8', '"item_count":0'),
            ('"missing_count":1', '"missing_count":9'),
            ('"metric_version":1', '"metric_version":1.5'),
            ("urn:general-level:score:v1", "urn:general-level:score:v2"),
            ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"),
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
            ("2026-03-01T12:00:00Z", "2026-02-30T12:00:00Z"),
            ("a" * 64, "A" * 64),
            ("b" * 64, "b" * 63),
            ('"name":"archive"', '"name":"another"'),
            (f'"name":"{PREDICTION}"', '"name":"archive"'),
            ('"submission_id":"sub_1"', '"submission_id":""'),
        ],
    )
    def test_refuses_what_a_score_must_not_say(self, old: str, new: str) -> None:
        payload = encode_statement(STATEMENT).decode()
        assert old in payload
        with pytest.raises(ReceiptInvalid) as caught:
            verify_envelope(sign(payload.replace(old, new).encode()), [PUBLIC])
        assert caught.value.metadata["what"] == "statement"

    @pytest.mark.parametrize(
        "changes",
        [
            {"value": float("nan")},
            {"value": float("inf")},
            {"standard_error": float("inf")},
            {"members": {}},
            {"scored_time": datetime(2026, 3, 1)},  # noqa: DTZ001
            {"task_id": "t" * 257},
        ],
    )
    def test_cannot_be_made(self, changes: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            dataclasses.replace(STATEMENT, **changes)

    def test_few_members_are_listed(self) -> None:
        members = {PREDICTION: "1" * 64, f"{FOLDER}/a.png": "2" * 64}
        assert member_subjects(FOLDER, members) == members

    @pytest.mark.parametrize("path_chars", [1, 400])
    def test_a_statement_of_any_number_of_members_fits(self, path_chars: int) -> None:
        for count in (MAX_LISTED_MEMBERS - 1, MAX_LISTED_MEMBERS, 5_000):
            members = {f"{FOLDER}/{'x' * path_chars}{i}.png": "2" * 64 for i in range(count)}
            members[PREDICTION] = "1" * 64
            subjects = member_subjects(FOLDER, members)
            assert subjects[PREDICTION] == "1" * 64
            statement = verify_envelope(envelope(members=subjects), [PUBLIC])
            assert statement.members == subjects

    def test_golden_digest_of_members(self) -> None:
        listed = b'[["a/x","' + b"1" * 64 + b'"],["a/y","' + b"2" * 64 + b'"]]'
        assert digest_of_members({"a/y": "2" * 64, "a/x": "1" * 64}) == sha256(listed)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "Model-B-image.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(PREDICTION, json.dumps([{"id": "1", "prediction": "rowing"}]))
        for i in range(100):
            bundle.writestr(f"{MEDIA_FOLDER}/out/{i}.png", b"picture %d" % i)
        rows = [{"id": str(i), "prediction": f"out/{i}.png"} for i in range(100)]
        bundle.writestr(f"{MEDIA_FOLDER}/prediction.json", json.dumps(rows))
    return path


MEDIA_FOLDER = "image/generation/Edge-to-Image Generation"


def receipt_of(archive: Path, **changes: object) -> Receipt:
    """What the platform would sign for this archive; ``changes`` are of the first statement."""
    digest = sha256(archive.read_bytes())
    with zipfile.ZipFile(archive) as bundle:
        digests = {name: sha256(bundle.read(name)) for name in bundle.namelist()}
    media = {path: d for path, d in digests.items() if path.startswith(MEDIA_FOLDER)}
    members = {PREDICTION: digests[PREDICTION]}
    first = {"archive_sha256": digest, "members": members, **changes}
    second = envelope(
        task_id="image-g-001",
        archive_sha256=digest,
        members=member_subjects(MEDIA_FOLDER, media),
    )
    statements = (
        SignedStatement("image-c-003", envelope(**first)),
        SignedStatement("image-g-001", second),
    )
    return Receipt("sub_1", digest, statements, (PUBLIC,))


def superseding(archive: Path, **changes: object) -> Receipt:
    """A receipt with an earlier statement about its first task; ``changes`` are of that one."""
    receipt = receipt_of(archive)
    earlier = envelope(**{"archive_sha256": receipt.archive_sha256, "value": 1.0, **changes})
    return replace(receipt, superseded=(SignedStatement("image-c-003", earlier),))


COMMITMENTS = tuple(
    PublishedCommitment(task_id, "1", "c" * 64, 8, "image")
    for task_id in ("image-c-003", "image-g-001")
)


class TestReceipt:
    def test_a_true_receipt(self, archive: Path) -> None:
        receipt = receipt_of(archive)
        report = verify_receipt(
            receipt, archive=archive, trusted_keys=[PUBLIC], commitments=COMMITMENTS
        )
        assert report.submission_id == "sub_1"
        assert [score.task_id for score in report.statements] == ["image-c-003", "image-g-001"]
        assert report.key_ids == (key_id(PUBLIC),)
        assert report.archive_checked
        assert report.members_checked == 102  # two prediction.json and 100 pictures
        assert report.commitments_checked == 2

    def test_without_the_archive(self, archive: Path) -> None:
        report = verify_receipt(receipt_of(archive), archive=None, trusted_keys=[PUBLIC])
        assert not report.archive_checked
        assert (report.members_checked, report.commitments_checked) == (0, 0)

    def test_the_file_keeps_everything(self, archive: Path) -> None:
        receipt = receipt_of(archive)
        assert load_receipt(dump_receipt(receipt)) == receipt

    def test_superseded_statements_are_proved_beside_those_that_count(self, archive: Path) -> None:
        receipt = superseding(archive)
        report = verify_receipt(
            receipt, archive=archive, trusted_keys=[PUBLIC], commitments=COMMITMENTS
        )
        assert [score.task_id for score in report.superseded] == ["image-c-003"]
        assert len(report.statements) == 2
        assert report.commitments_checked == 3
        assert load_receipt(dump_receipt(receipt)) == receipt
        assert b"superseded" not in dump_receipt(receipt_of(archive))

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"submission_id": "sub_2"}, "submission"),
            ({"archive_sha256": "f" * 64}, "archive"),
            ({"task_id": "image-g-001"}, "task"),
        ],
    )
    def test_a_superseded_statement_of_something_else(
        self, archive: Path, changes: dict[str, object], what: str
    ) -> None:
        with pytest.raises(ReceiptInvalid) as caught:
            verify_receipt(superseding(archive, **changes), archive=None, trusted_keys=[PUBLIC])
        assert caught.value.metadata["what"] == what

    def test_a_superseded_statement_needs_a_later_one(self, archive: Path) -> None:
        receipt = replace(superseding(archive), statements=receipt_of(archive).statements[1:])
        with pytest.raises(ReceiptInvalid) as caught:
            verify_receipt(receipt, archive=None, trusted_keys=[PUBLIC])
        assert caught.value.metadata["what"] == "task"

    def test_an_archive_with_an_enclosing_folder(self, archive: Path, tmp_path: Path) -> None:
        enclosed = tmp_path / "enclosed.zip"
        with zipfile.ZipFile(archive) as old, zipfile.ZipFile(enclosed, "w") as new:
            for name in old.namelist():
                new.writestr(f"my model/{name}", old.read(name))
        digest = sha256(enclosed.read_bytes())
        members = verify_envelope(receipt_of(archive).statements[0].envelope, [PUBLIC]).members
        signed = SignedStatement("image-c-003", envelope(archive_sha256=digest, members=members))
        receipt = Receipt("sub_1", digest, (signed,), (PUBLIC,))
        report = verify_receipt(receipt, archive=enclosed, trusted_keys=[PUBLIC])
        assert report.members_checked == 1

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"submission_id": "sub_2"}, "submission"),
            ({"archive_sha256": "e" * 64}, "archive"),
            ({"task_id": "image-c-004"}, "task"),
            ({"task_id": "image-g-001"}, "task"),
            ({"members": {PREDICTION: "e" * 64}}, "member"),
            ({"members": {f"{FOLDER}/absent.json": "e" * 64}}, "member"),
            ({"members": {f"{MEDIA_FOLDER}/": "e" * 64}}, "member"),
            ({"members": {"image/generation/Absent/": "e" * 64}}, "member"),
            ({"key_commitment": "e" * 64}, "commitment"),
            ({"key_version": "2"}, "commitment"),
            ({"item_count": 9}, "commitment"),
        ],
    )
    def test_a_statement_that_does_not_fit(
        self, archive: Path, changes: dict[str, object], what: str
    ) -> None:
        with pytest.raises(ReceiptInvalid) as caught:
            verify_receipt(
                receipt_of(archive, **changes),
                archive=archive,
                trusted_keys=[PUBLIC],
                commitments=COMMITMENTS,
            )
        assert caught.value.metadata["what"] == what

    def test_one_task_twice(self, archive: Path) -> None:
        receipt = receipt_of(archive)
        twice = dataclasses.replace(receipt, statements=receipt.statements[:1] * 2)
        with pytest.raises(ReceiptInvalid) as caught:
            verify_receipt(twice, archive=None, trusted_keys=[PUBLIC])
        assert caught.value.metadata == {"what": "task", "task_id": "image-c-003"}

    def test_another_archive(self, archive: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.zip"
        other.write_bytes(archive.read_bytes() + b"\0")
        with pytest.raises(ReceiptInvalid) as caught:
            verify_receipt(receipt_of(archive), archive=other, trusted_keys=[PUBLIC])
        assert caught.value.metadata["what"] == "archive"

    def test_the_keys_inside_the_receipt_are_not_trusted(self, archive: Path) -> None:
        with pytest.raises(ReceiptInvalid) as caught:
            verify_receipt(receipt_of(archive), archive=None, trusted_keys=[STRANGER])
        assert caught.value.metadata == {"what": "signature", "task_id": "image-c-003"}

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"null",
            b"{}",
            b'{"submission_id":"s","submission_id":"s"}',
            b'{"submission_id":"s","archive_sha256":"x","statements":[],"grader_public_keys":[]}',
            b'{"submission_id":"s","archive_sha256":"%s","statements":[],"grader_public_keys":["a"]}'
            % (b"a" * 64),
            b'{"submission_id":"s","archive_sha256":"%s","statements":[1],"grader_public_keys":[]}'
            % (b"a" * 64),
            b'{"submission_id":"s","archive_sha256":"%s","statements":[],"grader_public_keys":[],'
            b'"note":""}' % (b"a" * 64),
        ],
    )
    def test_refuses_another_form(self, data: bytes) -> None:
        with pytest.raises(ReceiptInvalid) as caught:
            load_receipt(data)
        assert caught.value.metadata["what"] == "receipt"


SALT = "00112233445566778899aabbccddeeff" * 2
OPENED = {
    "format": OPENING_FORMAT,
    "task_id": "image-c-003",
    "catalogue_id": "general-bench-2025-05",
    "key_version": "1",
    "salt": SALT,
    "commitment": "686265758e0e71877543a0c87a9f6a23092028f822f734ab5a1ea24a0383abd7",
    "items": [
        {"id": "1", "references": ["rowing", "sculling"]},
        {"id": "2", "references": [2.5]},
        {"id": "3", "references": [["a", "b"]]},
    ],
    "media": {},
}
PUBLISHED = (PublishedCommitment("image-c-003", "1", str(OPENED["commitment"]), 3, "image"),)


class TestCommitment:
    def test_the_formula(self) -> None:
        answers = (
            b'{"catalogue_id":"general-bench-2025-05","items":[{"id":"1","references":'
            b'["rowing","sculling"]},{"id":"2","references":[2.5]},{"id":"3","references":'
            b'[["a","b"]]}],"key_version":"1","task_id":"image-c-003"}'
        )
        assert sha256(bytes.fromhex(SALT) + answers) == OPENED["commitment"]
        opened = verify_commitment(json.dumps(OPENED).encode(), PUBLISHED)
        assert opened.items[0].references == ["rowing", "sculling"]

    def test_files_are_part_of_it(self) -> None:
        arguments = {
            "salt": SALT,
            "task_id": "image-g-001",
            "catalogue_id": "general-bench-2025-05",
            "key_version": "1",
            "items": [("1", ["out/1.png"])],
        }
        with_file = key_commitment(**arguments, media={"out/1.png": "f" * 64})  # type: ignore[arg-type]
        assert with_file == "c1408bb3165281dd9861475e186d8db872ef985432aa2f4dd710a31952a58837"
        assert with_file != key_commitment(**arguments, media={"out/1.png": "e" * 64})  # type: ignore[arg-type]
        assert with_file != key_commitment(**arguments, media={})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"items": OPENED["items"][:2]}, "commitment"),  # type: ignore[index]
            ({"items": OPENED["items"][::-1]}, "commitment"),  # type: ignore[index]
            ({"salt": "ff" * 32}, "commitment"),
            ({"catalogue_id": "another"}, "commitment"),
            ({"commitment": "e" * 64}, "commitment"),
            ({"media": {"x.png": "e" * 64}}, "commitment"),
            ({"key_version": "2"}, "commitments"),
            ({"task_id": "image-c-004"}, "commitments"),
            ({"salt": "ff"}, "opening"),
            ({"format": "another"}, "opening"),
            ({"more": 1}, "opening"),
        ],
    )
    def test_an_opening_of_other_answers(self, changes: dict[str, object], what: str) -> None:
        with pytest.raises(ReceiptInvalid) as caught:
            verify_commitment(json.dumps(OPENED | changes).encode(), PUBLISHED)
        assert caught.value.metadata["what"] == what

    def test_the_published_list(self) -> None:
        entry = {
            "task_id": "image-c-003",
            "key_version": "1",
            "commitment": "c" * 64,
            "item_count": 8,
            "modality": "image",
        }
        assert load_commitments(json.dumps([entry]).encode()) == COMMITMENTS[:1]
        for wrong in ([entry, entry], [entry | {"commitment": "C" * 64}], [{}], entry, "x"):
            with pytest.raises(ReceiptInvalid):
                load_commitments(json.dumps(wrong).encode())


def test_strict_json_says_nothing_of_the_content() -> None:
    for data in (b'{"a": "SECRET"', b'["SECRET", NaN]', b'{"SECRET":1,"SECRET":2}', b"SECRET\xff"):
        with pytest.raises(ValueError, match=r"it|an object|a number") as caught:
            strict_json(data)
        assert "SECRET" not in str(caught.value)
        assert caught.value.__cause__ is None
