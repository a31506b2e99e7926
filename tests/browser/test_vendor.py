"""Files of others that the pages send: byte for byte those of their packages, and in the list."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from tests.support.npm import install_packages

VENDOR: Final = Path("services/gateway/web/static/vendor")
#: Where each folder's files lie in its package.
SOURCES: Final = {
    "noble-hashes": ("@noble/hashes", {}),
    "tus-js-client": ("tus-js-client", {"tus.min.js": "dist"}),
}


def vendored() -> list[Path]:
    return sorted(path for path in VENDOR.rglob("*") if path.is_file() and path.name != "README.md")


def test_every_file_is_listed_with_its_digest() -> None:
    listed = (VENDOR / "README.md").read_text().split("```")[1].split()
    found = [
        word
        for path in vendored()
        for word in (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            str(path.relative_to(VENDOR)),
        )
    ]
    assert listed == found


def test_every_file_is_that_of_its_package(tmp_path: Path) -> None:
    packages = install_packages(Path(__file__).parent, tmp_path)
    for path in vendored():
        name, version = path.parent.name.rsplit("-", 1)
        package, places = SOURCES[name]
        said = json.loads((packages / package / "package.json").read_text())
        assert (said["version"], said["license"]) == (version, "MIT")
        source = packages / package / places.get(path.name, ".") / path.name
        assert source.read_bytes() == path.read_bytes(), path
