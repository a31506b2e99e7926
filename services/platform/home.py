"""The folder of an embedded platform: what lies where, and the secrets made on first use."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from general_level.catalogue import Catalogue, Modality
from general_level.errors import GeneralLevelError
from services.gateway import history, identity
from services.gateway.storage.database import Database
from services.gateway.storage.migrate import upgrade
from services.kit.catalogues import open_catalogue
from services.kit.clock import SystemClock
from services.operations.shipped import shipped_history


class CommandFailed(GeneralLevelError):
    """A command of the platform did not succeed."""

    reason = "COMMAND_FAILED"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths under one folder. ``catalogue_spec`` names the benchmark that it runs."""

    folder: Path
    catalogue_spec: str

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'gateway.db'}"

    @property
    def objects_url(self) -> str:
        return f"file://{self.folder / 'objects'}"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def identity(self) -> Path:
        """The graders' age identity; opens the sealed keys."""
        return self.secrets / "grader.age"

    @property
    def signing_key(self) -> Path:
        """The graders' Ed25519 key; signs the scores."""
        return self.secrets / "grader-signing.pem"

    @property
    def trusted_keys(self) -> Path:
        return self.folder / "trusted-keys.txt"

    @property
    def recipient(self) -> Path:
        """The public half of `identity`: what keys are sealed to."""
        return self.folder / "recipient.txt"

    @property
    def sealed(self) -> Path:
        return self.folder / "sealed"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def key_bundle(self, modality: Modality) -> Path:
        """The sealed answers of one modality."""
        return self.sealed / "keys" / f"{module_name(modality)}.keys"

    def token_file(self, name: str) -> Path:
        """Where the token of the ranker, of operators or of one modality's graders is kept."""
        return self.secrets / f"{name}.token"

    def catalogue(self) -> Catalogue:
        return open_catalogue(self.catalogue_spec)

    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that have a sealed key bundle."""
        return tuple(m for m in Modality if self.key_bundle(m).exists())

    def prepare(self) -> None:
        """Makes folders, keys and service tokens that are not there yet; keeps those that are.

        A new home is made beside its place and moved there whole: one that was cut short is not
        taken for a home. What is added to one that is there is complete before it has its name.
        """
        if self.folder.is_mount() or (self.folder.exists() and any(self.folder.iterdir())):
            self._complete()
            return
        draft = self.folder.with_name(f".{self.folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        Home(draft, self.catalogue_spec)._complete()
        draft.rename(self.folder)

    def _complete(self) -> None:
        # The database and the archives are nobody else's on this machine, either.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.folder / "objects"):
            folder.mkdir(exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)
        drafts = self.secrets / "drafts"
        shutil.rmtree(drafts, ignore_errors=True)
        drafts.mkdir(mode=0o700)
        if not self.identity.exists():
            draft = drafts / self.identity.name
            recipient = drafts / self.recipient.name
            recipient.write_text(_keygen("--out", str(draft)) + "\n")
            # The public half first: where the private one has its name, both are there.
            recipient.rename(self.recipient)
            draft.rename(self.identity)
        if not self.signing_key.exists():
            draft = drafts / self.signing_key.name
            public = _keygen("--signing", "--out", str(draft))
            # Added, never replaced: scores that an earlier key signed must keep verifying.
            with self.trusted_keys.open("a") as keys:
                keys.write(public + "\n")
            draft.with_name(f"{draft.name}.pub").rename(
                self.signing_key.with_name(f"{self.signing_key.name}.pub")
            )
            draft.rename(self.signing_key)
        database = Database(self.database_url)
        try:
            upgrade(database)
            import_published(database)
            for modality in Modality:
                name = module_name(modality)
                self._ensure_token(database, drafts, name, "grader", modality.value)
            for name in ("ranker", "operator"):
                self._ensure_token(database, drafts, name, name, "")
        finally:
            database.close()
        drafts.rmdir()

    def seal(self, benchmark: Path, *, allow_unmatched: bool = False) -> None:
        """Seals a benchmark in its own layout to this platform's graders, once.

        Sealing stops where something of the folder or of the catalogue has no match, unless
        ``allow_unmatched``; what it prints says what.
        """
        if self.sealed.exists():
            return
        run_module(
            "services.grader",
            "seal",
            "--benchmark",
            str(benchmark),
            "--out",
            str(self.sealed),
            "--recipient",
            self.recipient.read_text().strip(),
            "--catalogue",
            self.catalogue_spec,
            *(["--allow-unmatched"] if allow_unmatched else []),
        )

    def new_lab(self, name: str) -> str:
        """Registers a lab (or finds it) and makes a token for it."""
        database = Database(self.database_url)
        with database.write() as connection:
            now = SystemClock().now()
            known = {token.lab_name for token in identity.list_tokens(connection)}
            lab_id = (
                identity.find_lab(connection, name)
                if name in known
                else identity.create_lab(connection, now, name)
            )
            token = identity.create_token(connection, now, "lab", lab_id=lab_id, label="demo")
        database.close()
        return token.reveal()

    def _ensure_token(
        self, database: Database, drafts: Path, name: str, kind: str, modality: str
    ) -> None:
        path = self.token_file(name)
        if path.exists():
            return
        with database.write() as connection:
            token = identity.create_token(
                connection, SystemClock().now(), kind, modality=modality, label="embedded"
            )
        # Written aside and renamed: a half-written token is never read.
        draft = drafts / path.name
        draft.touch(mode=0o600)
        draft.write_text(token.reveal())
        draft.rename(path)


def import_published(database: Database) -> None:
    """Imports the results of the paper at the first start, so that the pages are not empty.

    Never again: an operator may have removed them.
    """
    with database.write() as connection:
        history.import_first(connection, SystemClock().now(), shipped_history())


def module_name(modality: Modality) -> str:
    """A modality as a name of files and images: ``three_d`` for ``3d``."""
    return "three_d" if modality is Modality.THREE_D else modality.value


def run_module(module: str, *arguments: str) -> str:
    """Runs ``python -m module`` to its end and returns its standard output, stripped.

    CommandFailed, with what it printed, if it ends with another code than 0.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise CommandFailed(
            f"python -m {module} {arguments[0] if arguments else ''}:\n{done.stdout}{done.stderr}",
            module=module,
            code=done.returncode,
        )
    return done.stdout.strip()


def _keygen(*arguments: str) -> str:
    return run_module("services.grader", "keygen", *arguments).splitlines()[-1]
