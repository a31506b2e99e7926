"""A grader's secrets and a small sealed key, made afresh for a test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from general_level.catalogue.model import Modality
from services.grader.identities import Identity
from services.grader.keys import KeyBundle, KeyItem, seal_answers, write_bundle
from services.grader.private_files import write_private_file
from services.grader.settings import GraderSettings
from services.grader.statements import SigningKey
from services.kit.settings import Secret
from tests.support.fake_grading import TOKEN

KEY_VERSION = "2026-01"


@dataclass(frozen=True)
class GraderFiles:
    """Where they lie, and the public half of the signing key."""

    folder: Path
    public_key: bytes

    @property
    def bundle(self) -> Path:
        return self.folder / "image.keys"

    @property
    def identity(self) -> Path:
        return self.folder / "identity"

    @property
    def signing_key(self) -> Path:
        return self.folder / "signing.pem"

    def settings(self, gateway: str, **changes: Any) -> GraderSettings:
        """Settings of an image grader that suit a test."""
        values: dict[str, Any] = {
            "modality": Modality.IMAGE,
            "gateway": gateway,
            "token": Secret(TOKEN),
            "grader_id": "grader-of-the-tests",
            "catalogue_name": "general-bench",
            "catalogue_folder": None,
            "bundle": self.bundle,
            "identity": self.identity,
            "signing_key": self.signing_key,
            "poll_seconds": 1.0,
            "drain_seconds": 5.0,
            **changes,
        }
        return GraderSettings(**values)


def make_files(
    folder: Path,
    keys: Mapping[str, Mapping[str, Sequence[Any]]],
    media: Mapping[str, Mapping[str, bytes]] | None = None,
) -> GraderFiles:
    """Seals ``keys`` (task id to item id to references) and makes the secrets to open them.

    ``media`` are the files of tasks by path.
    """
    identity, signing_key = Identity.generate(), SigningKey.generate()
    files = GraderFiles(folder, signing_key.public_key)
    write_private_file(files.identity, identity.to_text().encode())
    write_private_file(files.signing_key, signing_key.to_pem())
    members = [
        seal_answers(
            recipients=[identity.recipient],
            salt="5a" * 32,
            task_id=task_id,
            catalogue_id="general-bench",
            key_version=KEY_VERSION,
            items=[KeyItem(id=item, references=list(given)) for item, given in items.items()],
            media=(media or {}).get(task_id, {}),
        )
        for task_id, items in keys.items()
    ]
    write_bundle(
        files.bundle,
        modality="image",
        catalogue_id="general-bench",
        key_version=KEY_VERSION,
        members=members,
    )
    assert KeyBundle.open(files.bundle, identity).task_ids == tuple(keys)
    return files


def prediction_json(answers: Mapping[str, Any]) -> bytes:
    """A lab's prediction.json."""
    rows = [{"id": item, "prediction": answer} for item, answer in answers.items()]
    return json.dumps(rows).encode()
