"""What a platform in containers needs before its first start, for a try: the sample benchmark.

The files lie where the containers' volumes are mounted: one folder for each service, so that none
sees what is another's. In each, they have the places that `deploy/k8s` gives them.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from general_level.catalogue import Modality
from services.gateway import identity
from services.gateway.storage.database import Database
from services.gateway.storage.migrate import upgrade
from services.kit.clock import SystemClock
from services.platform.home import import_published, module_name, run_module

CATALOGUE: Final = "sample"
LAB: Final = "Example Lab"


def seed(out: Path, database_url: str) -> None:
    """Makes keys, sealed answers and tokens below ``out`` that are not there yet.

    The results of the paper are imported into the database at the first time.

    ``out`` has a folder for each volume already: a volume brings its own. Tokens are kept in the
    database by their digests only, so they belong to one database: a new one needs new volumes.
    """
    recipients = [_grader_keys(out, modality) for modality in Modality]
    if not (out / "public" / "commitments.json").exists():
        _seal(out, recipients)
    database = Database(database_url)
    try:
        upgrade(database)
        import_published(database)
        for modality in Modality:
            token = out / module_name(modality) / "token" / "token"
            _token(database, token, "grader", modality=modality.value)
        _token(database, out / "ranker" / "token", "ranker")
        _lab_token(database, out / "lab" / "token")
    finally:
        database.close()


def _grader_keys(out: Path, modality: Modality) -> str:
    """Identity and signing key of one modality's graders; ``modality=recipient`` for sealing."""
    place = out / module_name(modality)
    private, recipient = place / "identity" / "identity", place / "recipient"
    signing, public = place / "signing-key" / "signing.pem", out / "trusted-keys"
    for folder in (private.parent, signing.parent):
        folder.mkdir(exist_ok=True)
    if not recipient.exists():
        private.unlink(missing_ok=True)
        recipient.write_text(_keygen("--out", str(private)))
    if not signing.exists():
        key = _keygen("--signing", "--out", str(signing))
        for keys in (public, out / "lab"):
            with (keys / "trusted-keys.txt").open("a") as file:
                file.write(f"{key}\n")
    return f"{modality.value}={recipient.read_text()}"


def _seal(out: Path, recipients: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        benchmark, sealed = Path(folder, "benchmark"), Path(folder, "sealed")
        run_module("samples", "build", "--out", str(benchmark))
        words = [word for recipient in recipients for word in ("--recipient", recipient)]
        run_module("services.grader", "seal", "--benchmark", str(benchmark), "--out", str(sealed),
                   "--catalogue", CATALOGUE, *words)  # fmt: skip
        for bundle in (sealed / "keys").iterdir():
            shutil.copy2(bundle, out / "keys" / bundle.stem / bundle.name)
        # Last, and its commitments last of all: they say that all is there.
        public = sealed / "public"
        names = sorted(public.iterdir(), key=lambda path: path.name == "commitments.json")
        for path in names:
            if path.is_dir():
                shutil.copytree(path, out / "public" / path.name, dirs_exist_ok=True)
            else:
                shutil.copy2(path, out / "public" / path.name)


def _token(database: Database, path: Path, kind: str, *, modality: str = "") -> None:
    if path.exists():
        return
    with database.write() as connection:
        now = SystemClock().now()
        token = identity.create_token(connection, now, kind, modality=modality, label="seed")
    _write(path, token.reveal())


def _lab_token(database: Database, path: Path) -> None:
    if path.exists():
        return
    with database.write() as connection:
        now = SystemClock().now()
        lab = identity.create_lab(connection, now, LAB)
        token = identity.create_token(connection, now, "lab", lab_id=lab, label="seed")
    _write(path, token.reveal())


def _write(path: Path, secret: str) -> None:
    """Aside and renamed: a service that waits for the file never reads half of it."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f".{path.name}")
    draft.touch(mode=0o600)
    draft.write_text(secret)
    draft.rename(path)


def _keygen(*arguments: str) -> str:
    return run_module("services.grader", "keygen", *arguments).splitlines()[-1]
