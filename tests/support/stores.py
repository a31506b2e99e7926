"""Where a test's gateway keeps its rows and objects: below the test's folder, or in real servers.

The fixtures `rows` and `stores` of ``tests/conftest.py`` choose; who opens a store asks here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.kit.objects import Objects
from tests.support.postgres_server import PostgresServer
from tests.support.s3_server import BUCKET, S3Server


@dataclass(frozen=True, slots=True)
class Stores:
    """None is what one machine has: a SQLite file, a folder."""

    postgres: PostgresServer | None = None
    s3: S3Server | None = None

    def rows_url(self, folder: Path) -> str:
        if self.postgres is not None:
            return self.postgres.of_folder(folder)
        return f"sqlite:///{folder / 'gateway.db'}"

    def objects_url(self, folder: Path) -> str:
        if self.s3 is not None:
            return f"s3://{BUCKET}/{hashlib.sha256(str(folder).encode()).hexdigest()[:20]}"
        return f"file://{folder / 'objects'}"

    def objects(self, folder: Path) -> Objects:
        return Objects(self.objects_url(folder), self.s3.options() if self.s3 else None)

    def stored(self, folder: Path) -> dict[str, bytes]:
        """All objects of a test's folder by key."""
        if self.s3 is not None:
            return self.s3.stored(self.objects_url(folder).removeprefix(f"s3://{BUCKET}/"))
        root = folder / "objects"
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    def environment(self, folder: Path) -> dict[str, str]:
        """The settings of a gateway with these stores."""
        return {
            "GATEWAY_DATABASE_URL": self.rows_url(folder),
            "GATEWAY_OBJECTS_URL": self.objects_url(folder),
            **(self.s3.environment() if self.s3 else {}),
        }


_chosen = [Stores()]


def stores() -> Stores:
    """Those of the test that runs."""
    return _chosen[-1]


@contextmanager
def using(chosen: Stores) -> Iterator[Stores]:
    """`stores` gives these while it lasts; databases that were taken meanwhile are given back."""
    postgres = chosen.postgres
    before = postgres.in_use() if postgres else set()
    _chosen.append(chosen)
    try:
        yield chosen
    finally:
        _chosen.pop()
        if postgres is not None:
            for folder in postgres.in_use() - before:
                postgres.reclaim(folder)
