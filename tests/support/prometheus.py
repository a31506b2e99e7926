"""A real Prometheus that scrapes what a test started, once a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.wait import eventually

#: The kernel's number of the state of a socket that listens.
_LISTENS = "0A"


class Prometheus:
    """The HTTP API of a running server."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now; AssertionError where it cannot be read."""
        found = self._get("query", query=expression)
        return list(found["result"])

    def value(self, expression: str) -> float:
        """The one value of an expression, 0 where it gives none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else 0.0

    def rules(self) -> dict[str, str]:
        """The health of each alert rule: ``unknown`` before it was first evaluated."""
        groups = self._get("rules")["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    def _get(self, path: str, **parameters: str) -> Any:
        data = urllib.parse.urlencode(parameters).encode()
        request = f"{self._url}/{path}"
        try:
            # A query may be longer than an address: it is sent as a form.
            with urllib.request.urlopen(request, data or None, timeout=60) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        return found["data"]


def require_prometheus() -> None:
    """Skips the test where Prometheus is not installed."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (apt: prometheus): nothing scrapes the services")


@contextmanager
def running_prometheus(
    folder: Path, targets: Mapping[str, Sequence[int]], rules: Mapping[str, Any]
) -> Iterator[Prometheus]:
    """Scrapes the ports of each job; call `require_prometheus` first.

    ``rules`` are groups as in a rule file. Each target has the labels that the operator's monitors
    give it: ``namespace``, ``job``, ``pod``.
    """
    folder.mkdir()
    (folder / "rules.yaml").write_text(yaml.safe_dump(dict(rules)))
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{port}"],
                        "labels": {"namespace": "general-level", "pod": f"{job}-{number}"},
                    }
                    for number, port in enumerate(ports)
                ],
            }
            for job, ports in targets.items()
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(eventually(lambda: _port(process, folder), 60, "Prometheus' port"))
    finally:
        process.terminate()
        process.wait(60)


def _port(process: subprocess.Popen[bytes], folder: Path) -> int:
    """The port that the process listens on, as the kernel says; 0 before it does."""
    assert process.poll() is None, (folder / "log").read_text()
    sockets = set()
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(descriptor))
        except OSError:
            continue  # closed in the meantime
    for line in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *rest = line.split()
        if state == _LISTENS and f"socket:[{rest[5]}]" in sockets:
            return int(local.rpartition(":")[2], 16)
    return 0
