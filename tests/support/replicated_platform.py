"""Two of everything as real processes: gateways and rankers on one PostgreSQL and one S3, graders.

Who calls a gateway comes through a balancer, each grader through one of its own that can be parted.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy.engine import make_url

from general_level.catalogue import Modality, Task
from services.gateway.storage.database import Database
from services.kit.health import READY
from services.platform.app import Ports, specs
from services.platform.home import Home
from services.platform.processes import ProcessSpec, Supervisor
from tests.support.platform import copy_tokens, free_ports, secrets_of
from tests.support.postgres_server import PostgresServer
from tests.support.s3_proxy import IllS3
from tests.support.s3_server import KEY, S3Server
from tests.support.stores import Stores
from tests.support.synthetic import write_benchmark
from tests.support.wait import eventually
from tests.support.wires import Wire, Wires

GATEWAYS: Final = ("gateway-1", "gateway-2")
RANKERS: Final = ("ranker-1", "ranker-2")
LEASE_SECONDS: Final = 3
#: The server asks for no password; this one is there to be looked for.
DATABASE_PASSWORD: Final = "zq5canary5password"


@dataclass(slots=True)
class ReplicatedPlatform:
    """A started platform; what ends is started again by its supervisor."""

    home: Home
    postgres: PostgresServer
    database_url: str
    s3: IllS3
    supervisor: Supervisor
    #: Where labs find a gateway.
    target: str
    #: By the names of the graders, which are their ids, too.
    wires: Mapping[str, Wire]
    #: The folder of each grader's temporary files.
    scratch: Mapping[str, Path]
    #: As the supervisor has them.
    specs: Mapping[str, ProcessSpec]
    _health: Mapping[str, str]
    #: The test's own eyes.
    database: Database

    @property
    def graders(self) -> tuple[str, ...]:
        return tuple(self.wires)

    def kill(self, name: str) -> None:
        """SIGKILL; ProcessLookupError where it is dead already and waits for its restart."""
        os.kill(self.supervisor.pids()[name], signal.SIGKILL)

    @property
    def logs(self) -> list[Path]:
        return [self.postgres.log, *(path for path in self.home.logs.iterdir() if path.is_file())]

    @property
    def secrets(self) -> dict[str, str]:
        """What nobody may find in a log, by what it is."""
        secret = {"password of the database": DATABASE_PASSWORD, "key of S3": KEY}
        return secrets_of(self.home) | secret

    def is_ready(self, name: str) -> bool:
        """Whether a process does its work, as a probe sees it."""
        with grpc.insecure_channel(self._health[name]) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(service=READY), timeout=5.0)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def until_ready(self) -> None:
        """Returns once every process does its work again."""
        for name in self._health:
            eventually(lambda: self.is_ready(name), 120, f"{name} is ready")  # noqa: B023


@contextmanager
def replicated_platform(
    folder: Path,
    postgres: PostgresServer,
    s3: S3Server,
    tasks: Sequence[Task],
    items: int,
    *,
    grader_modules: Sequence[str],
    canary: str,
) -> Iterator[ReplicatedPlatform]:
    """Seals a synthetic benchmark of tasks of one modality and runs everything over it.

    One grader of each module serves them.
    """
    write_benchmark(folder / "benchmark", tasks, items, canary=canary)
    home = Home(folder / "home", "general-bench")
    home.prepare()
    home.seal(folder / "benchmark", allow_unmatched=True)
    (modality,) = home.modalities()
    stores = Stores(postgres, s3)
    url = make_url(stores.rows_url(folder)).set(password=DATABASE_PASSWORD)
    database_url = url.render_as_string(hide_password=False)
    copy_tokens(home.database_url, database_url)
    with ExitStack() as stack:
        ill = stack.enter_context(IllS3(s3.endpoint))
        wires = stack.enter_context(Wires())
        environ = {
            **stores.environment(folder),
            **s3.environment(ill.endpoint),
            "GATEWAY_DATABASE_URL": database_url,
            "GATEWAY_LEASE_SECONDS": str(LEASE_SECONDS),
            # Else a slow store looks like a hanging one.
            "GATEWAY_OBJECTS_REQUEST_SECONDS": "10",
        }
        planned = _Plan(home, modality, folder, environ, wires)
        gateways = [planned.gateway(name) for name in GATEWAYS]
        rankers = [planned.ranker(name) for name in RANKERS]
        graders = [
            planned.grader(f"grader-{number}", module)
            for number, module in enumerate(grader_modules, start=1)
        ]
        processes = [*gateways, *rankers, *graders]
        supervisor = Supervisor(processes, home.logs)
        stack.callback(supervisor.stop)
        database = stack.enter_context(closing(Database(database_url)))
        platform = ReplicatedPlatform(
            home=home,
            postgres=postgres,
            database_url=database_url,
            s3=ill,
            supervisor=supervisor,
            target=wires.lay(*planned.public).target,
            wires=planned.wires,
            scratch=planned.scratch,
            specs={spec.name: spec for spec in processes},
            _health=planned.health,
            database=database,
        )
        platform.until_ready()
        yield platform


class _Plan:
    """The processes, derived from those of one machine; who calls a gateway gets a wire to both."""

    def __init__(
        self,
        home: Home,
        modality: Modality,
        folder: Path,
        environ: Mapping[str, str],
        wires: Wires,
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._laid = wires
        self.public = free_ports(len(GATEWAYS))
        self._internal = free_ports(len(GATEWAYS))
        ports = Ports(gateway_metrics=0, ranker_metrics=0, grader_metrics=0)
        self._specs = {spec.module: spec for spec in specs(home, ports)}
        self.wires: dict[str, Wire] = {}
        self.scratch: dict[str, Path] = {}
        self.health: dict[str, str] = {}

    def gateway(self, name: str) -> ProcessSpec:
        place = GATEWAYS.index(name)
        return self._spec(
            "services.gateway",
            name,
            "GATEWAY_",
            {
                **self._environ,
                "GATEWAY_PUBLIC_ADDRESS": f"127.0.0.1:{self.public[place]}",
                "GATEWAY_INTERNAL_ADDRESS": f"127.0.0.1:{self._internal[place]}",
            },
        )

    def ranker(self, name: str) -> ProcessSpec:
        wire = self._laid.lay(*self._internal)
        return self._spec("services.ranker", name, "RANKER_", {"RANKER_GATEWAY": wire.target})

    def grader(self, name: str, module: str) -> ProcessSpec:
        self.wires[name] = self._laid.lay(*self._internal)
        self.scratch[name] = self._folder / f"scratch-{name}"
        self.scratch[name].mkdir()
        changes = {
            "GRADER_GATEWAY": self.wires[name].target,
            "GRADER_ID": name,
            "TMPDIR": str(self.scratch[name]),
        }
        spec = self._spec("services.grader", name, "GRADER_", changes)
        return ProcessSpec(name, module, spec.arguments, spec.environ, spec.stop_wave)

    def _spec(self, module: str, name: str, prefix: str, changes: Mapping[str, str]) -> ProcessSpec:
        self.health[name] = f"127.0.0.1:{free_ports(1)[0]}"
        known = self._specs[module]
        environ = {**known.environ, **changes, f"{prefix}HEALTH_ADDRESS": self.health[name]}
        return ProcessSpec(name, module, known.arguments, environ, known.stop_wave)
