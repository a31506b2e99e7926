"""Packages of npm for tests, at the versions of a lock file; nothing of a service needs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

INSTALL_SECONDS_MAX: Final = 100


def install_packages(source: Path, folder: Path) -> Path:
    """Installs what ``package.json`` and its lock in ``source`` name; the folder of the packages.

    Skips the test, with the reason, where there is no npm or no registry.
    """
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm is not installed, which brings what this test compares with")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"npm cannot install {source.name}'s packages: {done.stderr.strip()[-300:]}")
    return folder / "node_modules"
