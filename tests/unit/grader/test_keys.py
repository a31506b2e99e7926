"""Sealed keys: what the identity opens, and what anything else gets."""

from __future__ import annotations

import json
import os
import pickle
import stat
import zipfile
from pathlib import Path

import pytest

from general_level.commitments import PublishedCommitment, verify_commitment
from services.grader.identities import Identity, encrypt_to
from services.grader.keys import (
    AnswerKey,
    KeyBundle,
    KeyItem,
    KeyUnavailable,
    ManifestEntry,
    seal_answers,
    write_bundle,
)
from services.grader.private_files import (
    MAX_SECRET_BYTES,
    is_private,
    read_private_file,
    write_private_file,
)

CANARY = "canary-7f3a"
SALT = "00112233445566778899aabbccddeeff" * 2
ITEMS = (
    KeyItem("1", [f"{CANARY} one", "another"]),
    KeyItem("2", [5.0]),
    KeyItem("3", [[f"{CANARY} label"]]),
)
IDENTITY = Identity.generate()


def sealed(identity: Identity = IDENTITY, **changes: object) -> tuple[ManifestEntry, bytes]:
    arguments: dict[str, object] = {
        "recipients": [identity.recipient],
        "salt": SALT,
        "task_id": "image-c-003",
        "catalogue_id": "bench",
        "key_version": "1",
        "items": ITEMS,
        "media": {"out/1.png": CANARY.encode()},
    }
    return seal_answers(**(arguments | changes))  # type: ignore[arg-type]


def bundle_of(path: Path, *members: tuple[ManifestEntry, bytes]) -> Path:
    write_bundle(path, modality="image", catalogue_id="bench", key_version="1", members=members)
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    second = sealed(task_id="image-c-004", items=ITEMS[:1], media={})
    return bundle_of(tmp_path / "image.keys", sealed(), second)


def why(caught: pytest.ExceptionInfo[KeyUnavailable]) -> str:
    assert CANARY not in f"{caught.value!s} {caught.value!r} {caught.value.metadata}"
    assert caught.value.__cause__ is None
    return caught.value.metadata["why"]


class TestBundle:
    def test_round_trip(self, bundle: Path) -> None:
        opened = KeyBundle.open(bundle, IDENTITY)
        assert opened.task_ids == ("image-c-003", "image-c-004")
        assert (opened.modality, opened.catalogue_id, opened.key_version) == ("image", "bench", "1")
        key = opened.read("image-c-003")
        assert key.ids == ("1", "2", "3")
        assert key.references == ([f"{CANARY} one", "another"], [5.0], [[f"{CANARY} label"]])
        assert isinstance(key.references[1][0], float)  # stays a float, though 5.0 is printed as 5
        assert key.media == {"out/1.png": CANARY.encode()}
        assert key.commitment == opened.entries["image-c-003"].commitment
        assert opened.read("image-c-004").media == {}

    def test_every_read_opens_anew(self, bundle: Path) -> None:
        opened = KeyBundle.open(bundle, IDENTITY)
        assert opened.read("image-c-003") is not opened.read("image-c-003")

    def test_several_recipients(self, tmp_path: Path) -> None:
        other = Identity.generate()
        both = sealed(recipients=[IDENTITY.recipient, other.recipient])
        path = bundle_of(tmp_path / "image.keys", both)
        for identity in (IDENTITY, other):
            assert KeyBundle.open(path, identity).read("image-c-003").ids == ("1", "2", "3")

    def test_only_its_owner_may_read_it(self, bundle: Path) -> None:
        assert bundle.stat().st_mode & 0o777 == 0o600

    def test_golden_commitment(self) -> None:
        assert (
            sealed()[0].commitment
            == "44e352f051b689fa550657d0d766e3db41ed19e04d155ee5fbbece53e605283d"
        )

    def test_another_identity(self, bundle: Path) -> None:
        with pytest.raises(KeyUnavailable) as caught:
            KeyBundle.open(bundle, Identity.generate()).read("image-c-003")
        assert why(caught) == "wrong-identity-or-damaged"
        assert caught.value.metadata["task_id"] == "image-c-003"

    def test_an_unknown_task(self, bundle: Path) -> None:
        with pytest.raises(KeyUnavailable) as caught:
            KeyBundle.open(bundle, IDENTITY).read("image-c-999")
        assert why(caught) == "unknown-task"

    def test_a_file_that_is_not_there(self, bundle: Path, tmp_path: Path) -> None:
        with pytest.raises(KeyUnavailable) as caught:
            KeyBundle.open(tmp_path / "absent.keys", IDENTITY)
        assert why(caught) == "unreadable"
        opened = KeyBundle.open(bundle, IDENTITY)
        bundle.unlink()
        with pytest.raises(KeyUnavailable) as caught:
            opened.read("image-c-003")
        assert why(caught) == "unreadable"

    def test_every_truncation_is_found(self, bundle: Path) -> None:
        whole = bundle.read_bytes()
        for length in range(0, len(whole), 7):
            bundle.write_bytes(whole[:length])
            with pytest.raises(KeyUnavailable) as caught:
                KeyBundle.open(bundle, IDENTITY).read("image-c-003")
            assert why(caught) == "damaged"

    def test_a_changed_byte_is_found_or_harmless(self, bundle: Path) -> None:
        whole = bundle.read_bytes()
        expected = KeyBundle.open(bundle, IDENTITY).read("image-c-003")
        refusals: list[str] = []
        for position in range(0, len(whole), 3):
            changed = bytearray(whole)
            changed[position] ^= 0x55
            bundle.write_bytes(changed)
            try:
                key = KeyBundle.open(bundle, IDENTITY).read("image-c-003")
            except KeyUnavailable as error:
                refusals.append(f"{error} {error.metadata}")
            else:  # dates and attributes of the ZIP, and the other task
                assert (key.items, key.commitment) == (expected.items, expected.commitment)
        assert len(refusals) > len(whole) // 3 // 2
        assert CANARY not in "".join(refusals)

    def test_a_manifest_that_names_another_commitment(self, tmp_path: Path) -> None:
        entry, content = sealed()
        for wrong in (
            ManifestEntry(entry.task_id, "0" * 64, entry.item_count),
            ManifestEntry(entry.task_id, entry.commitment, entry.item_count + 1),
        ):
            path = bundle_of(
                tmp_path / f"{wrong.item_count}{wrong.commitment[0]}.keys", (wrong, content)
            )
            with pytest.raises(KeyUnavailable) as caught:
                KeyBundle.open(path, IDENTITY).read("image-c-003")
            assert why(caught) == "commitment"

    def test_a_member_under_another_name(self, tmp_path: Path) -> None:
        entry, _ = sealed()
        _, other = sealed(task_id="image-c-004")
        path = bundle_of(tmp_path / "image.keys", (entry, other))
        with pytest.raises(KeyUnavailable) as caught:
            KeyBundle.open(path, IDENTITY).read("image-c-003")
        assert why(caught) == "commitment"

    @pytest.mark.parametrize("plain", [b"", b"{}", b"PK", CANARY.encode()])
    def test_a_member_with_another_content(self, tmp_path: Path, plain: bytes) -> None:
        entry, _ = sealed()
        other = encrypt_to([IDENTITY.recipient], plain)
        path = bundle_of(tmp_path / "image.keys", (entry, other))
        with pytest.raises(KeyUnavailable) as caught:
            KeyBundle.open(path, IDENTITY).read("image-c-003")
        assert why(caught) == "damaged"

    def test_a_manifest_that_does_not_fit_the_members(self, bundle: Path, tmp_path: Path) -> None:
        incomplete = tmp_path / "incomplete.keys"
        with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(incomplete, "w") as new:
            for name in old.namelist():
                if name != "image-c-004.age":
                    new.writestr(name, old.read(name))
        with pytest.raises(KeyUnavailable) as caught:
            KeyBundle.open(incomplete, IDENTITY)
        assert why(caught) == "damaged"

    def test_no_overwriting(self, bundle: Path) -> None:
        with pytest.raises(FileExistsError):
            bundle_of(bundle, sealed())


class TestSealing:
    @pytest.mark.parametrize("recipients", [[], ["age1nonsense"], [IDENTITY.to_text()]])
    def test_refuses_a_recipient_that_is_none(self, recipients: list[str]) -> None:
        with pytest.raises(ValueError, match="recipient") as caught:
            sealed(recipients=recipients)
        assert IDENTITY.to_text() not in str(caught.value)

    @pytest.mark.parametrize("salt", ["", "00", SALT.upper(), SALT + "00", "zz" * 32])
    def test_refuses_another_salt(self, salt: str) -> None:
        with pytest.raises(ValueError, match="salt"):
            sealed(salt=salt)

    def test_a_key_opens_for_everyone_when_it_is_retired(self, bundle: Path) -> None:
        key = KeyBundle.open(bundle, IDENTITY).read("image-c-003")
        published = PublishedCommitment("image-c-003", "1", key.commitment, 3, "image")
        opened = verify_commitment(key.opening(), [published])
        assert [item.references for item in opened.items] == list(key.references)
        assert json.loads(key.opening())["salt"] == SALT


class TestNothingShows:
    def test_reprs(self, bundle: Path) -> None:
        opened = KeyBundle.open(bundle, IDENTITY)
        key = opened.read("image-c-003")
        for value in (key, key.items, key.items[0], opened, IDENTITY, [IDENTITY], {"key": key}):
            for text in (repr(value), str(value), f"{value}"):
                assert CANARY not in text
                assert SALT not in text
                assert IDENTITY.to_text() not in text
        assert repr(key) == "AnswerKey(image-c-003, version 1, 3 items)"

    def test_nothing_leaves_the_process(self, bundle: Path) -> None:
        key: AnswerKey = KeyBundle.open(bundle, IDENTITY).read("image-c-003")
        for value in (key, IDENTITY):
            with pytest.raises(TypeError):
                pickle.dumps(value)


class TestPrivateFiles:
    def test_round_trip(self, tmp_path: Path) -> None:
        path = tmp_path / "identity"
        write_private_file(path, f"# made for a test\n{IDENTITY.to_text()}\n".encode())
        assert path.stat().st_mode & 0o777 == 0o600
        assert Identity.from_file(path).recipient == IDENTITY.recipient

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666, 0o777])
    def test_refuses_what_others_can_touch(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "identity"
        write_private_file(path, IDENTITY.to_text().encode())
        path.chmod(mode)
        with pytest.raises(KeyUnavailable) as caught:
            Identity.from_file(path)
        assert why(caught) == "mode"

    @pytest.mark.parametrize(
        ("mode", "owner", "group", "user", "private"),
        [
            (0o440, 0, 65532, 65532, True),  # as Kubernetes mounts it for fsGroup 65532
            (0o400, 0, 65532, 65532, True),
            (0o640, 0, 65532, 65532, True),
            (0o460, 0, 65532, 65532, False),  # the group may write
            (0o450, 0, 65532, 65532, False),
            (0o444, 0, 65532, 65532, False),  # others may read
            (0o440, 0, 1000, 65532, False),  # another group
            (0o440, 65532, 65532, 65532, False),  # not root's: anyone could have made it
            (0o440, 0, 65532, 0, False),  # root needs no group
        ],
    )
    def test_a_mounted_secret_is_read_through_the_group_only(
        self, mode: int, owner: int, group: int, user: int, private: bool
    ) -> None:
        status = os.stat_result((stat.S_IFREG | mode, 1, 1, 1, owner, group, 100, 0, 0, 0))
        assert is_private(status, user, {65532}) is private

    @pytest.mark.parametrize("mode", [0o600, 0o400])
    def test_accepts_what_only_its_owner_can_read(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "identity"
        write_private_file(path, IDENTITY.to_text().encode())
        path.chmod(mode)
        assert Identity.from_file(path).recipient == IDENTITY.recipient

    def test_refuses_to_overwrite(self, tmp_path: Path) -> None:
        path = tmp_path / "identity"
        write_private_file(path, b"first")
        with pytest.raises(FileExistsError):
            write_private_file(path, b"second")
        assert path.read_bytes() == b"first"

    def test_refuses_a_large_file(self, tmp_path: Path) -> None:
        path = tmp_path / "identity"
        write_private_file(path, b"x" * (MAX_SECRET_BYTES + 1))
        with pytest.raises(KeyUnavailable) as caught:
            read_private_file(path, what="identity")
        assert why(caught) == "too-large"

    @pytest.mark.parametrize(
        "text", ["", "# only a comment", "AGE-SECRET-KEY-1", f"{IDENTITY.to_text()}\n" * 2]
    )
    def test_refuses_what_is_no_identity(self, text: str) -> None:
        with pytest.raises(KeyUnavailable) as caught:
            Identity.from_text(text)
        assert why(caught) == "not-a-key"
