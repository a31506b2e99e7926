"""Every service reads its metrics port alike: none, any free one, or the one that is named."""

from __future__ import annotations

import io
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.gateway.settings import Settings as GatewaySettings
from services.grader.settings import GraderSettings
from services.kit.logging import configure_logging
from services.kit.telemetry import MetricsServer
from services.ranker.settings import Settings as RankerSettings
from tests.support.queue_world import GraderKey


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging("test", stream=stream)
    yield stream
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Gauge("answer", "For the test.", registry=made).set(42)
    return made


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


def test_no_port_serves_nothing(logged: io.StringIO) -> None:
    server = MetricsServer(registry(), None, "127.0.0.1")
    assert server.port is None
    assert json.loads(logged.getvalue())["port"] is None
    server.close()


def test_port_0_is_a_free_one_and_is_logged(logged: io.StringIO) -> None:
    server = MetricsServer(registry(), 0, "127.0.0.1")
    try:
        port = json.loads(logged.getvalue())["port"]
        assert port == server.port
        assert port > 0
        assert "answer 42.0" in page(port)
    finally:
        server.close()
    with pytest.raises(urllib.error.URLError):
        page(port)


def test_a_port_that_is_named_is_that_one() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = MetricsServer(registry(), port, "127.0.0.1")
    assert server.port == port
    server.close()


NEEDED: Mapping[str, Mapping[str, str]] = {
    "GATEWAY": {"DATABASE_URL": "sqlite:////gateway.db", "OBJECTS_URL": "file:///objects"},
    "RANKER": {"TOKEN": "secret"},
    "GRADER": {
        "MODALITY": "image", "TOKEN": "secret", "KEYS": "/k", "IDENTITY": "/i",
        "SIGNING_KEY": "/s",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("prefix", "read"),
    [
        ("GATEWAY", GatewaySettings.from_env),
        ("RANKER", RankerSettings.from_env),
        ("GRADER", GraderSettings.from_env),
    ],
)
@pytest.mark.parametrize(("text", "port"), [(None, None), ("", None), ("0", 0), ("9000", 9000)])
def test_the_setting_means_the_same_everywhere(
    tmp_path: Any, prefix: str, read: Callable[[Mapping[str, str]], Any], text: str | None,
    port: int | None,
) -> None:  # fmt: skip
    keys = tmp_path / "keys.txt"
    keys.write_text(GraderKey().public.hex())
    environ = {f"{prefix}_{name}": value for name, value in NEEDED[prefix].items()}
    environ["RANKER_TRUSTED_KEYS"] = str(keys)
    if text is not None:
        environ[f"{prefix}_METRICS_PORT"] = text
    assert read(environ).metrics_port == port
