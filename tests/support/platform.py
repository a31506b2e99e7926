"""A whole platform of real processes on free ports, for tests from end to end."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from general_level.catalogue import Catalogue, Task
from general_level.client import Client
from services.gateway.storage.database import Database
from services.gateway.storage.tables import tokens
from services.platform.app import Ports, start
from services.platform.home import Home
from services.platform.processes import Supervisor
from tests.support.synthetic import write_benchmark


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def copy_tokens(source_url: str, target_url: str) -> None:
    """Makes the services' tokens, which a home registers in its own database, known in another."""
    with closing(Database(source_url)) as source, source.read() as connection:
        rows = [dict(row) for row in connection.execute(tokens.select()).mappings()]
    with closing(Database(target_url)) as target, target.write() as connection:
        connection.execute(tokens.insert(), rows)


def secrets_of(home: Home) -> dict[str, str]:
    """What nobody may find in a log, by the name of its file."""
    found = {path.name: path.read_text() for path in home.secrets.iterdir() if path.is_file()}
    return {
        # The longest line of a PEM file is the key; the others are the same in all.
        name: max(text.splitlines(), key=len)
        for name, text in found.items()
        if not name.endswith(".pub")
    }


@dataclass(slots=True)
class Platform:
    """A started platform. ``kill`` is SIGKILL; the supervisor starts the process again."""

    home: Home
    ports: Ports
    supervisor: Supervisor
    _labs: int = field(default=0)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.ports.public}"

    @property
    def catalogue(self) -> Catalogue:
        return self.home.catalogue()

    def new_lab(self) -> Client:
        """A client of a fresh lab that accepted the agreement."""
        self._labs += 1
        client = Client(self.target, self.home.new_lab(f"lab {self._labs}"), insecure=True)
        client.accept_agreement(client.agreement().version)
        return client

    def kill(self, name: str) -> None:
        os.kill(self.supervisor.pids()[name], signal.SIGKILL)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Reads the database from outside, as an auditor."""
        with sqlite3.connect(f"file:{self.home.folder / 'gateway.db'}?mode=ro", uri=True) as found:
            return list(found.execute(query))


@contextmanager
def running_platform(
    folder: Path,
    tasks: Sequence[Task],
    items: int,
    *,
    catalogue: str = "general-bench",
    canary: str = "",
    place: Path | None = None,
    pages: bool = False,
) -> Iterator[Platform]:
    """Seals a synthetic benchmark of these tasks and runs everything over it.

    Its home is at ``place``, or else in the folder. With ``pages`` there are pages as well.
    """
    benchmark = folder / "benchmark"
    write_benchmark(benchmark, tasks, items, canary=canary)
    home = Home(place or folder / "home", catalogue)
    home.prepare()
    home.seal(benchmark, allow_unmatched=True)
    ports = Ports(*free_ports(4), grader_metrics=0)
    if pages:
        ports = replace(ports, web=free_ports(1)[0])
    supervisor = start(home, ports)
    try:
        yield Platform(home, ports, supervisor)
    finally:
        supervisor.stop()
