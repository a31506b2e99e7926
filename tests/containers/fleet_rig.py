"""A fleet on a real engine: images of little graders, a queue told by a gateway's own telemetry."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import socketserver
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from docker.models.containers import Container

from general_level.catalogue.model import Modality
from services.gateway.queue_telemetry import QueueTelemetry
from services.grader.fleet import Fleet
from services.grader.fleet_containers import FLEET_LABEL, MODALITY_LABEL, Engine
from services.grader.fleet_settings import FleetSettings
from services.grader.fleet_telemetry import Telemetry
from services.kit.telemetry import MetricsServer, Registry
from tests.support.docker_engine import BASE_IMAGE, DockerEngine

IMAGE = "fleet-tests:1"
NETWORK = "fleet-tests"

#: A grader as the fleet sees one. ``/srv/weights/<its id>`` holds how many jobs it has.
PROGRAM = """
import os, pathlib, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

kind = sys.argv[1]
if kind == "fails":
    sys.exit(3)
if kind == "eats":
    held = [bytearray(b"x" * 2**20) for _ in range(1024)]
if kind == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: (print("drained", flush=True), os._exit(0)))

class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        jobs = pathlib.Path("/srv/weights", os.environ["GRADER_ID"])
        held = jobs.read_text() if jobs.exists() else "0"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'grader_jobs_held{modality="image"} %s\\n' % held.encode())

    def log_message(self, *_):
        pass

print("ready", flush=True)
HTTPServer(("0.0.0.0", 9466), Metrics).serve_forever()
"""


def build_image(engine: DockerEngine) -> None:
    """The image IMAGE and the internal network NETWORK."""
    context = io.BytesIO()
    dockerfile = f"FROM {BASE_IMAGE}\nCOPY grader.py /grader.py\nUSER 65532:65532\n"
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in (("Dockerfile", dockerfile), ("grader.py", PROGRAM)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    engine.client.images.build(fileobj=context, custom_context=True, tag=IMAGE, rm=True)
    if not engine.client.networks.list(names=[NETWORK]):
        engine.client.networks.create(NETWORK, internal=True)


class Queue:
    """The queue as a gateway tells of it over HTTP; ``tell`` sets it."""

    def __init__(self) -> None:
        registry = Registry()
        self._telemetry = QueueTelemetry(registry)
        for modality in Modality:
            self.tell(modality, 0)
        self._server = MetricsServer(registry, 0, "127.0.0.1")
        self.url = f"http://127.0.0.1:{self._server.port}/metrics"

    def tell(self, modality: Modality, jobs: int, oldest_seconds: float = 0.0) -> None:
        self._telemetry.queue_jobs.labels(modality, "ready").set(jobs)
        self._telemetry.queue_jobs.labels(modality, "leased").set(0)
        self._telemetry.queue_oldest.labels(modality).set(oldest_seconds)

    def close(self) -> None:
        self._server.close()


class Rig:
    """One fleet of a name of its own, whose clock stands still until it is moved."""

    def __init__(self, engine: DockerEngine, folder: Path, queue: Queue, name: str) -> None:
        self._engine = engine
        self.queue = queue
        self.now = 1000.0
        self.jobs = folder / "jobs"
        self.jobs.mkdir(exist_ok=True)
        folder.chmod(0o755)
        secret = folder / "image.token"
        secret.write_text("hush-hush")
        self.environ = {
            "FLEET_NAME": name,
            "FLEET_ENGINE": engine.url,
            "FLEET_NETWORK": NETWORK,
            "FLEET_GATEWAY_TELEMETRY": queue.url,
            "FLEET_MODALITIES": "image",
            "FLEET_IMAGES": IMAGE,
            "FLEET_COMMAND": "python3 /grader.py serves",
            "FLEET_FLOOR": "1",
            "FLEET_CEILING": "3",
            "FLEET_JOBS_PER_GRADER": "10",
            "FLEET_MEMORY_MIB": "64",
            "FLEET_TMP_MIB": "16",
            "FLEET_PIDS": "32",
            "FLEET_CPUS": "0.5",
            "FLEET_WEIGHTS": str(self.jobs),
            **{
                f"FLEET_{file}": str(folder / "{modality}.token")
                for file in ("KEYS", "IDENTITY", "SIGNING_KEY", "TOKEN_FILE")
            },
        }

    def fleet(self, **environ: str) -> Fleet:
        """A fleet that begins now; its telemetry is ``self.telemetry``."""
        settings = FleetSettings.from_env({**self.environ, **environ})
        self.telemetry = Telemetry(settings.plans)
        return Fleet(settings, Engine(settings), self.telemetry, lambda: self.now)

    def graders(self, *, all: bool = False) -> list[Container]:
        """The containers of this fleet, the newest first."""
        labels = [f"{FLEET_LABEL}={self.environ['FLEET_NAME']}", MODALITY_LABEL]
        return self._engine.client.containers.list(
            all=all, filters={"label": labels}, ignore_removed=True
        )

    def count(self, series: str, **labels: str) -> float:
        """A number of the fleet's telemetry; of the modality image."""
        found = self.telemetry.registry.get_sample_value(series, {"modality": "image", **labels})
        assert found is not None, series
        return found

    def remove_all(self) -> None:
        for container in self.graders(all=True):
            container.remove(force=True)


@contextmanager
def started(
    engine: DockerEngine, folder: Path, name: str, environ: Mapping[str, str] | None = None
) -> Iterator[Rig]:
    """A rig that leaves no container behind."""
    queue = Queue()
    rig = Rig(engine, folder, queue, name)
    rig.environ.update(environ or {})
    try:
        yield rig
    finally:
        rig.remove_all()
        queue.close()


class _Relayed(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as target:
            target.connect(str(self.server.target))
            self.server.connections += [self.request, target]
            back = threading.Thread(target=_copy, args=(target, self.request), daemon=True)
            back.start()
            _copy(self.request, target)
            back.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    target: Path
    connections: list[socket.socket]

    def handle_error(self, *_: object) -> None:
        """Connections that are cut are what this is for."""


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source.makefile("rb", 0) as read:
        with target.makefile("wb", 0) as write:
            shutil.copyfileobj(read, write)
        target.shutdown(socket.SHUT_WR)


class SocketRelay:
    """A port of this machine that leads to a unix socket, until it is cut."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.port = 0
        self.mend()

    def mend(self) -> None:
        """Listens, on the port that it had."""
        self._server = _Server(("127.0.0.1", self.port), _Relayed)
        self._server.target, self._server.connections = self._target, []
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def cut(self) -> None:
        """Refuses connections and breaks those that there are."""
        self._server.shutdown()
        for one in self._server.connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
