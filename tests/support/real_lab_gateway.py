"""The real platform as the contract tests want it: everything real except the clock.

The gateway runs in a thread of this process with a clock that only moves when told to; ranker and
grader are processes of their own. It is started once for many tests, which use labs of their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from general_level.catalogue import load
from services.gateway import agreement, identity
from services.gateway.app import Gateway
from services.gateway.settings import Settings
from services.gateway.states import FINAL
from services.gateway.storage.tables import submissions
from services.kit.clock import ManualClock
from services.platform.app import Ports, specs
from services.platform.home import Home
from services.platform.processes import Supervisor
from tests.support.background import GATEWAY_THREAD
from tests.support.platform import copy_tokens, free_ports
from tests.support.stores import Stores
from tests.support.synthetic import scored_tasks, write_archive, write_benchmark
from tests.support.wait import eventually

BOARD = "C-audio-comprehension"
UNPUBLISHED_BOARD = "B-3d"
ITEMS = 3


@dataclass
class RealLabGateway:
    """Fulfils the `LabGateway` of the contract tests."""

    gateway: Gateway
    clock: ManualClock
    loop: asyncio.AbstractEventLoop
    target: str
    #: Where its pages are, ``http://…``.
    pages: str
    folder: Path
    board: str = BOARD
    unpublished_board: str = UNPUBLISHED_BOARD
    labs: int = 0

    def new_lab(self, accept: bool = True) -> str:
        self.labs += 1
        now = self.clock.now()
        with self.gateway.database.write() as connection:
            lab_id = identity.create_lab(connection, now, f"lab {self.labs}")
            token = identity.create_token(connection, now, "lab", lab_id=lab_id)
            if accept:
                agreement.accept(connection, now, lab_id, agreement.VERSION)
        return token.reveal()

    def advance(self, step: timedelta) -> None:
        self.clock.advance(step)
        asyncio.run_coroutine_threadsafe(self.gateway.maintenance.round(), self.loop).result(30)

    def good_archive(self, board: str) -> Path:
        path = self.folder / f"Model-{board}.zip"
        if not path.exists():
            write_archive(self.folder, "Model", board, scored_tasks(load(), board), ITEMS)
        return path

    def finish(self, submission_id: str) -> None:
        def state() -> bool:
            with self.gateway.database.read() as connection:
                query = submissions.select().where(submissions.c.submission_id == submission_id)
                return connection.execute(query).one().state in FINAL

        eventually(state, 60, f"{submission_id} is finished")


@contextmanager
def real_lab_gateway(folder: Path, stores: Stores | None = None) -> Iterator[RealLabGateway]:
    """Seals a small benchmark and starts all three services over it."""
    tasks = scored_tasks(load(), BOARD)
    write_benchmark(folder / "benchmark", tasks, ITEMS)
    home = Home(folder / "home", "general-bench")
    home.prepare()
    home.seal(folder / "benchmark", allow_unmatched=True)
    by_name = {s.name: s for s in specs(home, Ports(*free_ports(4), grader_metrics=0))}
    clock = ManualClock(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    environ = dict(by_name.pop("gateway").environ) | {"GATEWAY_WEB_ADDRESS": "127.0.0.1:0"}
    if stores is not None:
        environ |= stores.environment(folder)
        copy_tokens(home.database_url, environ["GATEWAY_DATABASE_URL"])
    gateway = Gateway(Settings.from_env(environ), clock)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=GATEWAY_THREAD, daemon=True)
    thread.start()
    ports = asyncio.run_coroutine_threadsafe(gateway.start(), loop).result(60)
    supervisor = Supervisor(list(by_name.values()), home.logs)
    archives = folder / "archives"
    archives.mkdir()
    try:
        target, pages = f"127.0.0.1:{ports.public}", f"http://127.0.0.1:{ports.web}"
        yield RealLabGateway(gateway, clock, loop, target, pages, archives)
    finally:
        supervisor.stop()
        asyncio.run_coroutine_threadsafe(gateway.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
