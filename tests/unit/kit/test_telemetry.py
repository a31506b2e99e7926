"""Series are closed sets from the start; every service reads its metrics port alike: none, any
free one, or the one that is named."""

from __future__ import annotations

import io
import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.gateway.settings import Settings as GatewaySettings
from services.grader.settings import GraderSettings
from services.kit.logging import configure_logging
from services.kit.telemetry import Certificates, Disks, MetricsServer, Registry
from services.ranker.settings import Settings as RankerSettings
from tests.support.certificates import Authority
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


def test_every_series_is_there_from_the_start_and_no_other() -> None:
    made = Registry()
    jobs = made.counter("jobs_total", "For the test.", modality=("image", "3d"), state=("a", "b"))
    made.gauge("age_seconds", "For the test.")
    made.histogram("wait_seconds", "For the test.", (1.0, 2.0), modality=("image",))
    jobs.labels("3d", "b").inc()
    found = {
        sample.name: {**sample.labels, "": sample.value}
        for family in made.collect()
        for sample in family.samples
        if family.name in {"jobs", "age_seconds"}
        and (not sample.labels or tuple(sample.labels.values()) == ("3d", "b"))
    }
    assert found == {
        "jobs_total": {"modality": "3d", "state": "b", "": 1.0},
        "age_seconds": {"": 0.0},
    }
    for modality, state in (("image", "a"), ("image", "b"), ("3d", "a")):
        labels = {"modality": modality, "state": state}
        assert made.get_sample_value("jobs_total", labels) == 0
    assert made.get_sample_value("wait_seconds_bucket", {"modality": "image", "le": "2.0"}) == 0
    assert made.names == ["jobs_total", "age_seconds", "wait_seconds"]
    names = {sample.name for family in made.collect() for sample in family.samples}
    assert not [name for name in names if name.endswith("_created")]
    assert "process_resident_memory_bytes" in names


def test_a_registry_tells_the_disks_that_are_there(tmp_path: Path) -> None:
    made = Registry()
    made.register(Disks("gateway", {"objects": tmp_path, "database": tmp_path / "not" / "there"}))
    usage = shutil.disk_usage(tmp_path)
    assert made.get_sample_value("gateway_disk_size_bytes", {"place": "objects"}) == usage.total
    free = made.get_sample_value("gateway_disk_free_bytes", {"place": "objects"})
    assert free is not None
    assert 0 < free <= usage.total
    assert made.get_sample_value("gateway_disk_free_bytes", {"place": "database"}) is None


def test_a_registry_tells_when_certificates_end_as_their_files_say(tmp_path: Path) -> None:
    authority, made = Authority(), Registry()
    files = {"public": tmp_path / "a.crt", "internal": tmp_path / "b.crt"}
    made.register(Certificates("gateway", {**files, "client": None}))

    def ends(use: str) -> float | None:
        return made.get_sample_value(
            "gateway_certificate_expiry_timestamp_seconds", {"use": use}
        )  # fmt: skip

    assert [ends(use) for use in (*files, "client")] == [None, None, None]
    first, second = (
        datetime(2030, 1, day, tzinfo=UTC) for day in (1, 2)
    )  # fmt: skip
    files["public"].write_bytes(authority.signed(ends=first)[0])
    files["internal"].write_bytes(b"being written")
    assert [ends(use) for use in files] == [first.timestamp(), None]
    files["public"].write_bytes(authority.signed(ends=second)[0])
    assert ends("public") == second.timestamp()
