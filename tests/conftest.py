"""What every test has: real stores, and no output of another test's gateway.

The stores are started when the first test asks, once in each process of pytest.
"""

from __future__ import annotations

import os

# A platform's supervisor forks beside the gRPC threads of a test, and the child calls exec at once:
# gRPC's own handlers of a fork have nothing to save there, and sometimes end the child.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import threading
from collections.abc import Iterator

import pytest
import structlog

from tests.support.background import GATEWAY_THREAD
from tests.support.postgres_server import CannotStart, PostgresServer
from tests.support.s3_server import S3Server
from tests.support.stores import Stores, using


def _logger(*_arguments: object) -> structlog.PrintLogger | structlog.ReturnLogger:
    """Prints, except for the gateway of the contract tests, which outlives each of them."""
    if threading.current_thread().name == GATEWAY_THREAD:
        return structlog.ReturnLogger()
    return structlog.PrintLogger()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the tables that tests recorded, whichever process they ran in."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "table" and report.when == "call":
                terminalreporter.section(report.nodeid.rpartition("::")[2])
                terminalreporter.write_line(str(value))


@pytest.fixture(autouse=True)
def _quiet_gateway() -> None:
    structlog.configure(logger_factory=_logger)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except CannotStart as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rclone_server() -> Iterator[S3Server]:
    yield from _s3("rclone")


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    yield from _s3("moto")


def _s3(kind: str) -> Iterator[S3Server]:
    try:
        server = S3Server(kind)
    except CannotStart as reason:
        pytest.skip(f"no S3: {reason}")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def rows(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Runs a test on each database; for a module ``pytest.mark.usefixtures("rows")``."""
    postgres = None
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres_server")
    with using(Stores(postgres)) as chosen:
        yield chosen


@pytest.fixture(params=["one-machine", "replicas"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Runs a test over a SQLite file and a folder, then over PostgreSQL and S3."""
    chosen = Stores()
    if request.param == "replicas":
        chosen = Stores(
            request.getfixturevalue("postgres_server"), request.getfixturevalue("moto_server")
        )
    with using(chosen):
        yield chosen
