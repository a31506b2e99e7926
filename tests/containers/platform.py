"""The services of deploy/compose.yaml as real containers, and what a lab does with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
from docker import DockerClient
from docker.models.containers import Container

from general_level.client import Client
from general_level.client.models import Submission
from samples.baselines import BASELINES
from samples.predict import predict
from services.platform.app import wait_serving
from tests.support.compose import Composed, read_compose
from tests.support.platform import free_ports
from tests.support.postgres_server import PostgresServer
from tests.support.wait import eventually

COMPOSE: Final = Path(__file__).parents[2] / "deploy" / "compose.yaml"
#: Where the gateway's container sees the socket of PostgreSQL, which runs beside the engine.
_SOCKET: Final = "/var/run/postgresql"
#: Short, so that the jobs of a killed grader are soon another's.
LEASE_SECONDS: Final = 3
#: Starting a grader loads libraries and grades the golden cases; the machine may be busy.
READY_SECONDS: Final = 180.0
#: A board of answers in words: the graders of language score it by themselves.
BOARD: Final = "C-text-comprehension"


class ContainerPlatform:
    """Gateway, ranker and a grader of language, started from the compose file. ``stop`` ends all.

    Two things differ: PostgreSQL is the tests' own, reached by its socket, and leases are short.
    """

    def __init__(self, client: DockerClient, postgres: PostgresServer) -> None:
        self._port, self._web_port = free_ports(2)
        ports = {"PORT": str(self._port), "WEB_PORT": str(self._web_port)}
        self.composed = Composed(client, read_compose(COMPOSE, ports))
        self.url = postgres.create("containers")
        self._sockets = Path(self.url.partition("host=")[2])
        # The server's folder is its user's alone; a container's user has to get to the socket.
        self._sockets.chmod(0o711)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def web(self) -> str:
        """The address of the pages."""
        return f"http://127.0.0.1:{self._web_port}"

    def start(self) -> None:
        database = f"postgresql://postgres@/containers?host={_SOCKET}"
        self._stores: dict[str, Any] = {
            "environment": {
                "GATEWAY_DATABASE_URL": database,
                "GATEWAY_LEASE_SECONDS": str(LEASE_SECONDS),
            },
            "mounts": {_SOCKET: str(self._sockets)},
        }
        self.composed.run("migration", **self._stores)
        self.seed = self.composed.start("seed", **self._stores)
        code = self.seed.wait()["StatusCode"]
        assert code == 0, self.seed.logs().decode(errors="replace")
        self.gateway = self.composed.start("gateway", **self._stores)
        self.ranker = self.composed.start("ranker")
        self.grader = self.composed.start("grader-language")
        wait_serving(self.target)
        wait_ready(self.grader)

    def stop(self) -> None:
        self.composed.stop()

    def lab(self) -> Client:
        """The seeded lab, which accepted the agreement."""
        client = Client(
            self.target, self.composed.read(self.seed, "/seed/lab/token"), insecure=True
        )
        client.accept_agreement(client.agreement().version)
        return client

    def new_lab(self, name: str) -> Client:
        """Another lab; an operator registers it in the gateway's container."""
        gateway = ["python", "-m", "services.gateway"]
        said(self.gateway, [*gateway, "labs", "create", name])
        token = said(self.gateway, [*gateway, "tokens", "create", "--lab", name])
        client = Client(self.target, token.split()[-1], insecure=True)
        client.accept_agreement(client.agreement().version)
        return client

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Reads the database from outside, as an auditor."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


def answered(client: Client, folder: Path) -> Path:
    """An archive: the board's inputs, answered by a baseline."""
    inputs = client.download_inputs(BOARD, folder)
    return predict(BASELINES["majority"], inputs, folder)


def followed(client: Client, submission_id: str) -> Submission:
    """The submission when it has ended."""
    *_, last = client.watch(submission_id)
    return last


def said(container: Container, command: Sequence[str]) -> str:
    """Runs a command in a container; its output. AssertionError where it failed."""
    code, output = container.exec_run(list(command))
    text: str = output.decode(errors="replace").strip()
    assert code == 0, text
    return text


def wait_ready(container: Container) -> None:
    """Returns when a grader's self-test has passed."""
    eventually(lambda: "ready" in logged_events(container), READY_SECONDS, f"{container.name} log")


def logged_events(container: Container) -> list[str]:
    """The events of a service's log."""
    container.reload()
    lines = container.logs().decode(errors="replace").splitlines()
    return [json.loads(line)["event"] for line in lines if line.startswith("{")]
