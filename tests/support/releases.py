"""A later release of the platform: a copy of this one with more migrations, run as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.gateway.storage.revisions import code_revision

_ROOT = Path(__file__).parents[2]
_VERSIONS = Path("services/gateway/storage/versions")


@dataclass
class Release:
    """A copy of the code in a folder of its own; the processes of this test stay what they are."""

    folder: Path
    head: str

    @classmethod
    def after_this(cls, folder: Path) -> Release:
        """As this code, until it is given migrations."""
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / "services", folder / "services", ignore=ignored)
        (folder / "general_level").symlink_to(_ROOT / "general_level")
        return cls(folder, code_revision())

    def add(self, revision: str, declared: str, steps: str) -> None:
        """One more migration; ``steps`` is the body of its ``upgrade``."""
        body = "\n".join(f"    {line}" for line in steps.strip().splitlines())
        (self.folder / _VERSIONS / f"{revision}_later.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n\n"
            f'revision = "{revision}"\ndown_revision = "{self.head}"\n{declared}\n\n\n'
            f"def upgrade() -> None:\n{body}\n"
        )
        self.head = revision

    def command(self, *words: str) -> list[str]:
        """``python -m services.gateway`` and so on, to be run in ``folder``."""
        return [sys.executable, "-m", "services.gateway", *words]

    def environ(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of a process of this release."""
        return {**os.environ, "PYTHONPATH": str(self.folder), **given}

    def migrate(self, database_url: str) -> subprocess.CompletedProcess[str]:
        """What the migration Job runs."""
        return subprocess.run(
            self.command("migrate"),
            cwd=self.folder,
            env=self.environ({"GATEWAY_DATABASE_URL": database_url}),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
