"""A gateway in a process of its own, for tests that kill it or take its disk away."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from services.gateway import identity
from services.gateway.agreement import VERSION, accept
from services.kit.clock import SystemClock
from tests.support.gateway import open_database
from tests.support.stores import stores

_ROOT = Path(__file__).parents[2]
_UNLIMITED = resource.RLIM_INFINITY


class GatewayProcess:
    """``python -m services.gateway serve`` over a folder. Stop it with ``stop`` or ``kill``."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.internal_port = 0

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it serves; the port stays the same over restarts."""
        environ = {
            **os.environ,
            **stores().environment(self.folder),
            "GATEWAY_PUBLIC_ADDRESS": f"127.0.0.1:{self.port}",
            "GATEWAY_INTERNAL_ADDRESS": "127.0.0.1:0",
            "GATEWAY_METRICS_PORT": "0",
            "GATEWAY_DRAIN_SECONDS": "1",
            **self._settings,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway", "serve"],
            cwd=_ROOT,
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if line.startswith("{") and (event := json.loads(line))["event"] == "gateway serves":
                self.port = event["public_port"]
                self.internal_port = event["internal_port"]
                # What it says later is read, too: else it would wait for a reader.
                self._reader = threading.Thread(target=self._process.stderr.read)
                self._reader.start()
                return
        raise AssertionError("the gateway did not start:\n" + "".join(said))

    def limit_files_to(self, size_bytes: int = _UNLIMITED) -> None:
        """No file may grow past this size: to a writer it is a disk that is full."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size_bytes, _UNLIMITED))

    def kill(self) -> None:
        """As a machine that loses its power."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Drains; returns the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status = self._process.wait(timeout=60)
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process = None
        return status

    def new_lab(self, name: str = "Example Lab") -> str:
        """The token of a new lab that has accepted the agreement."""
        now = SystemClock().now()
        with open_database(self.folder) as database, database.write() as connection:
            lab_id = identity.create_lab(connection, now, name)
            accept(connection, now, lab_id, VERSION)
            return identity.create_token(connection, now, "lab", lab_id=lab_id).reveal()
