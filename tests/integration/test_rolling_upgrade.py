"""The schema changes under a running platform, by a later release, and no submission notices.

Real processes on PostgreSQL: two gateways, a ranker and a grader of this code, and a later release
that is a copy of it with more migrations.
"""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from general_level.catalogue import load
from general_level.client import Client, ModelMetadata
from general_level.client.models import SubmissionState
from services.gateway.storage.postgres import driver_url
from services.gateway.storage.revisions import code_revision
from services.platform.app import Ports, specs, wait_serving
from services.platform.home import Home
from services.platform.processes import ProcessSpec, Supervisor
from tests.support.platform import free_ports
from tests.support.postgres_server import PostgresServer
from tests.support.releases import Release
from tests.support.synthetic import scored_tasks, write_archive, write_benchmark
from tests.support.wait import eventually

pytestmark = pytest.mark.slow

BOARD = "D-L-1"
ITEMS = 6
#: What a later release adds: columns on the busiest tables, a table, an index.
EXPANSION = """
op.add_column("jobs", sa.Column("later", sa.String(20), nullable=True))
later = sa.Column("later", sa.BigInteger(), nullable=False, server_default="0")
op.add_column("submissions", later)
op.create_table("later", sa.Column("later_id", sa.BigInteger(), primary_key=True))
op.create_index("ix_later_submission", "timeline", ["state"])
"""


@dataclass(frozen=True)
class PostgresHome(Home):
    """A home whose rows are in a database of PostgreSQL."""

    url: str = ""

    @property
    def database_url(self) -> str:
        return self.url


@dataclass
class Pair:
    """Two gateways over one database, with what they need to grade and to publish."""

    home: PostgresHome
    supervisor: Supervisor
    targets: list[str]
    archive: Path
    submitted: list[str]
    stop: threading.Event

    def query(self, sql: str) -> list[tuple[object, ...]]:
        engine = create_engine(driver_url(self.home.url))
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(sql))]
        finally:
            engine.dispose()

    def submit(self, target: str) -> str:
        """One more submission of a lab of its own, to its publication; its id."""
        name = f"lab {len(self.submitted)} {target}"
        with Client(target, self.home.new_lab(name), insecure=True) as client:
            client.accept_agreement(client.agreement().version)
            metadata = ModelMetadata(name.replace(":", " "), organisation="Org")
            created = client.submit(self.archive, metadata=metadata)
            self.submitted.append(created.submission_id)
            final = list(client.watch(created.submission_id))[-1]
        assert final.state is SubmissionState.PUBLISHED
        return created.submission_id

    def submit_for_ever(self, target: str) -> None:
        while not self.stop.is_set():
            self.submit(target)

    def published(self) -> int:
        ((count,),) = self.query("SELECT count(*) FROM submissions WHERE state = 'published'")
        assert isinstance(count, int)
        return count


@pytest.fixture
def pair(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Pair]:
    tasks = scored_tasks(load(), BOARD)
    write_benchmark(tmp_path / "benchmark", tasks, ITEMS)
    folder = tmp_path / "home"
    (folder / "objects").mkdir(parents=True)
    url = postgres_server.create(f"rolling_{abs(hash(tmp_path))}")
    home = PostgresHome(folder, "general-bench", url)
    home.prepare()
    home.seal(tmp_path / "benchmark", allow_unmatched=True)
    first, internal, second, internal_2 = free_ports(4)
    ports = Ports(first, internal, None, None, None)
    processes = specs(home, ports)
    gateway = processes[0]
    addresses = {
        "GATEWAY_PUBLIC_ADDRESS": f"127.0.0.1:{second}",
        "GATEWAY_INTERNAL_ADDRESS": f"127.0.0.1:{internal_2}",
    }
    twin = replace(gateway, name="gateway-2", environ={**gateway.environ, **addresses})
    supervisor = Supervisor([*processes, twin], home.logs)
    archive = write_archive(tmp_path, "Model", BOARD, tasks, ITEMS)
    targets = [f"127.0.0.1:{port}" for port in (first, second)]
    try:
        for target in targets:
            wait_serving(target)
        yield Pair(home, supervisor, targets, archive, [], threading.Event())
    finally:
        supervisor.stop()


@contextmanager
def submitting(pair: Pair) -> Iterator[None]:
    """Labs submit to both gateways while it lasts."""
    failures: list[BaseException] = []

    def work(target: str) -> None:
        try:
            pair.submit_for_ever(target)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=[target]) for target in pair.targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        pair.stop.set()
        for thread in threads:
            thread.join()
    assert not failures


@pytest.mark.timeout(400)
def test_a_schema_is_expanded_and_contracted_under_a_running_platform(
    pair: Pair, tmp_path: Path
) -> None:
    later = Release.after_this(tmp_path / "later")
    later.add("9001", 'phase = "expand"', EXPANSION)
    with submitting(pair):
        eventually(lambda: pair.published() >= 1, 120, "a first one is published")
        done = later.migrate(pair.home.url)
        assert done.returncode == 0, done.stderr
        # Those that were at work then, and more, are published on the new schema by old gateways.
        before = pair.published()
        eventually(lambda: pair.published() >= before + 4, 120, "more are published")
    everything = set(pair.submitted)
    assert pair.published() == len(everything)
    assert pair.query("SELECT version_num FROM alembic_version") == [("9001",)]
    assert not any(pair.supervisor.restarts().values())
    _each_scored_once(pair, everything)

    # A gateway of before that is started again serves, too: a release can be taken back.
    old = pair.supervisor.pids()["gateway-2"]
    subprocess.run(["kill", "-KILL", str(old)], check=True)
    eventually(lambda: pair.supervisor.restarts()["gateway-2"] == 1, 60, "it is started again")
    wait_serving(pair.targets[1])
    pair.submit(pair.targets[1])
    log = pair.supervisor.log_of("gateway-2").read_text()
    assert "schema is newer than this version" in log

    # What they still use is not taken away while they run.
    later.add("9002", 'phase = "contract"\noldest_code = "9001"', 'op.drop_column("jobs", "fault")')
    refused = later.migrate(pair.home.url)
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1].startswith("SCHEMA_IN_USE: ")
    pair.submit(pair.targets[0])
    pair.supervisor.stop()
    done = later.migrate(pair.home.url)
    assert done.returncode == 0, done.stderr
    again = _start_old(pair)
    assert again.returncode == 1
    said = again.stderr.strip().splitlines()[-1]
    assert said.startswith("Error: SCHEMA_TOO_NEW: ")
    assert f"needs 9001 or later, and this is {code_revision()}" in said


def _each_scored_once(pair: Pair, submissions: set[str]) -> None:
    rows = pair.query("SELECT submission_id, task_id FROM score_ledger WHERE kind = 'score'")
    tasks = {task.id for task in scored_tasks(load(), BOARD)}
    assert Counter(rows) == Counter((one, task) for one in submissions for task in tasks)


def _start_old(pair: Pair) -> subprocess.CompletedProcess[str]:
    """The gateway of before, which has to end by itself."""
    (spec,) = [one for one in specs(pair.home, Ports(*free_ports(4))) if one.name == "gateway"]
    assert isinstance(spec, ProcessSpec)
    return subprocess.run(
        Release(Path(), "").command(*spec.arguments),
        env=Release(Path().absolute(), "").environ(spec.environ),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
