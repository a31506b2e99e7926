"""A real Prometheus over the real services at work: every panel shows something, every rule runs.

One platform of processes does at least one of each event that can be caused quickly: a submission
that is published with findings of the checker and of the grader, one that is refused, a create that
is refused, leases that are lost until their job is a dead letter, a gateway with a certificate.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from general_level.catalogue import Catalogue, load
from general_level.client import Client
from general_level.client.models import SubmissionState
from general_level.errors import SubmissionPending
from general_level.v1 import grading_pb2, grading_pb2_grpc
from general_level.wire import to_duration
from tests.deploy.rendering import K8S, ROOT
from tests.deploy.test_dashboards import expressions
from tests.support.certificates import Authority
from tests.support.platform import Platform, running_platform
from tests.support.prometheus import Prometheus, require_prometheus, running_prometheus
from tests.support.synthetic import scored_tasks, write_archive
from tests.support.wait import eventually
from tools.telemetry_registries import all_series

pytestmark = pytest.mark.slow

ITEMS: Final = 4
BOARD: Final = "D-L-1"
LIMIT_SECONDS: Final = 60.0
#: Series that say something only where the service has what they tell of.
ONLY_WITH_TLS: Final = {
    "grader_certificate_expiry_timestamp_seconds",
    "ranker_certificate_expiry_timestamp_seconds",
}
#: A fleet needs an engine of containers; it has tests of its own.
NOT_RUN: Final = "fleet_"
#: What happened and which series must say so; each was caused on purpose.
HAPPENED: Final = (
    'max(gateway_submissions{state="published"})',
    'max(gateway_submissions{state="rejected"})',
    'max(gateway_submissions{state="failed"})',
    'sum(gateway_submission_state_seconds_count{state="checking"})',
    'sum(gateway_submission_state_seconds_count{state="ranking", modality="language"})',
    'sum(gateway_create_refusals_total{reason="SUBMISSION_PENDING"})',
    'sum(gateway_check_findings_total{code="GL152"})',
    'sum(gateway_check_findings_total{code="GL101"})',
    'sum(grader_findings_total{code="GL152"})',
    'sum(gateway_leases_granted_total{modality="language"})',
    'sum(gateway_leases_renewed_total{modality="language"})',
    'sum(gateway_leases_released_total{modality="language"})',
    'sum(gateway_leases_lost_total{modality="language", cause="lease-expired"})',
    'sum(gateway_job_attempts_total{modality="language", outcome="lease-expired"})',
    'sum(gateway_job_attempts_total{modality="language", outcome="scored"})',
    'max(gateway_dead_letter_jobs{modality="language"})',
    'sum(gateway_job_wait_seconds_count{modality="language"})',
    "sum(gateway_upload_bytes_total)",
    "max(gateway_ledger_position)",
    "max(gateway_publication_timestamp_seconds)",
    'sum(grader_jobs_total{modality="language", outcome="scored"})',
    'sum(grader_metric_job_seconds_count{modality="language", family="text"})',
    "sum(ranker_publications_total)",
    "sum(ranker_models)",
    "sum(ranker_models_by_level)",
)


@contextmanager
def gateway_with_tls(folder: Path) -> Iterator[int]:
    """A gateway of its own over an empty store, whose public port has a certificate; its port of
    telemetry."""
    folder.mkdir()
    (folder / "objects").mkdir()
    files = Authority().server(folder)
    environ = {
        **os.environ,
        "GATEWAY_DATABASE_URL": f"sqlite:///{folder / 'gateway.db'}",
        "GATEWAY_OBJECTS_URL": f"file://{folder / 'objects'}",
        "GATEWAY_PUBLIC_ADDRESS": "127.0.0.1:0",
        "GATEWAY_INTERNAL_ADDRESS": "127.0.0.1:0",
        "GATEWAY_METRICS_PORT": "0",
        "GATEWAY_TLS_CERTIFICATE": str(files.certificate),
        "GATEWAY_TLS_PRIVATE_KEY": str(files.private_key),
        "GATEWAY_DRAIN_SECONDS": "1",
    }
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway", "serve"],
            cwd=ROOT, env=environ, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield metrics_port(folder / "gateway.log")
    finally:
        process.terminate()
        process.wait(60)


def metrics_port(log: Path) -> int:
    """The port that a service logged."""

    def read() -> int:
        for line in log.read_text().splitlines():
            if line.startswith("{") and (said := json.loads(line))["event"] == "telemetry":
                return int(said["port"])
        return 0

    return eventually(read, LIMIT_SECONDS, f"the port of telemetry in {log.name}")


def targets_of(platform: Platform) -> dict[str, list[int]]:
    graders = [name for name in platform.supervisor.pids() if name.startswith("grader")]
    return {
        "gateway": [platform.ports.gateway_metrics or 0],
        "ranker": [platform.ports.ranker_metrics or 0],
        "grader": [metrics_port(platform.supervisor.log_of(name)) for name in graders],
    }


def publish_with_findings(platform: Platform, folder: Path, catalogue: Catalogue) -> None:
    """An archive that checker and grader read and say something of."""
    tasks = scored_tasks(catalogue, BOARD)
    made = write_archive(folder, "Told", BOARD, tasks, ITEMS)
    with zipfile.ZipFile(made) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, b"\xef\xbb\xbf" + content)
    with platform.new_lab() as lab:
        final = list(lab.watch(lab.submit(made).submission_id))[-1]
        assert final.state is SubmissionState.PUBLISHED


def reject(platform: Platform, folder: Path) -> None:
    """A file that is no archive."""
    path = folder / f"Broken-{BOARD}.zip"
    path.write_bytes(b"no archive")
    with platform.new_lab() as lab:
        final = list(lab.watch(lab.submit(path).submission_id))[-1]
        assert final.state is SubmissionState.REJECTED


def bury(platform: Platform, lab: Client, folder: Path, catalogue: Catalogue) -> None:
    """A job whose leases nobody keeps alive, until it is a dead letter; its lab waits meanwhile."""
    archive = write_archive(folder, "Lost", BOARD, scored_tasks(catalogue, BOARD), ITEMS)
    submission = lab.submit(archive)
    with pytest.raises(SubmissionPending):
        lab.submit(archive)
    token = platform.home.token_file("language").read_text()
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(f"127.0.0.1:{platform.ports.internal}") as channel:
        stub: Any = grading_pb2_grpc.GradingServiceStub(channel)
        request = grading_pb2.LeaseJobsRequest(
            modality="language", max_jobs=1, wait=to_duration(timedelta(seconds=1)),
            grader_id="silent", metric_ids=list(catalogue.metrics),
        )  # fmt: skip

        def buried() -> bool:
            if lab.get(submission.submission_id).state is SubmissionState.FAILED:
                return True
            leases = stub.LeaseJobs(request, metadata=metadata).leases
            # A lease may be lost before it is given back: then the next one is.
            if not count(platform, "gateway_leases_released_total", modality="language"):
                refs = [
                    grading_pb2.LeaseRef(job_id=one.job_id, lease_token=one.lease_token)
                    for one in leases
                ]
                given = grading_pb2.ReleaseJobsRequest(leases=refs)
                stub.ReleaseJobs(given, metadata=metadata)
            return False

        eventually(buried, LIMIT_SECONDS, "the job is buried")


def count(platform: Platform, series: str, **labels: str) -> float:
    """What the platform's gateway tells of a series now."""
    for family in text_string_to_metric_families(page(platform.ports.gateway_metrics or 0)):
        for sample in family.samples:
            if sample.name == series and sample.labels == labels:
                return sample.value
    raise AssertionError(series)


def check_labels(text: str) -> set[str]:
    """Every sample has the labels and values that the code knows of; the families' names."""
    seen = set()
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        known = all_series()[name]
        for sample in family.samples:
            seen.add(name)
            labels = {label: value for label, value in sample.labels.items() if label != "le"}
            assert set(labels) == set(known.labels), sample
            for label, value in labels.items():
                assert value in known.labels[label], sample
    return seen


def ready(prometheus: Prometheus, targets: dict[str, list[int]]) -> bool:
    """Whether all are scraped, twice at least, and all graders take jobs."""
    everything = sum(len(ports) for ports in targets.values())
    scraped = prometheus.value("sum(count_over_time(up[5m]) > bool 1) or vector(0)") == everything
    up = prometheus.value("sum(up) or vector(0)") == everything
    graders = prometheus.value("sum(grader_ready) or vector(0)") == len(targets["grader"])
    return scraped and up and graders


@pytest.mark.timeout(400)
def test_every_panel_shows_something_and_every_rule_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_prometheus()
    monkeypatch.setenv("GATEWAY_LEASE_SECONDS", "3")
    catalogue = load()
    tasks = scored_tasks(catalogue, BOARD)
    rules = yaml.safe_load((K8S / "components" / "monitoring" / "rules.yaml").read_text())["spec"]
    with (
        running_platform(tmp_path, tasks, ITEMS) as platform,
        gateway_with_tls(tmp_path / "second") as second,
    ):
        targets = targets_of(platform)
        targets["gateway"].append(second)
        with running_prometheus(tmp_path / "prometheus", targets, rules) as prometheus:
            eventually(lambda: ready(prometheus, targets), LIMIT_SECONDS, "all are scraped")
            work(platform, tmp_path, catalogue)
            for expression in HAPPENED:
                eventually(
                    lambda wanted=expression: prometheus.value(wanted) > 0,
                    LIMIT_SECONDS, expression,
                )  # fmt: skip
            eventually(
                lambda: set(prometheus.rules().values()) == {"ok"}, LIMIT_SECONDS, "rules are run"
            )
            assert len(prometheus.rules()) == sum(len(group["rules"]) for group in rules["groups"])
            empty = empty_panels(prometheus)
            assert empty == [], empty
            seen = set().union(*(check_labels(page(port)) for ports in targets.values()
                                 for port in ports))  # fmt: skip
            absent = {name for name in set(all_series()) - seen if not name.startswith(NOT_RUN)}
            assert absent == ONLY_WITH_TLS
            for ports in targets.values():
                for port in ports:
                    check_silent(platform, page(port))


def work(platform: Platform, folder: Path, catalogue: Catalogue) -> None:
    """Everything that is to happen, one after the other."""
    publish_with_findings(platform, folder, catalogue)
    reject(platform, folder)
    stopped = platform.supervisor.pids()["grader-language"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        with platform.new_lab() as lab:
            bury(platform, lab, folder, catalogue)
    finally:
        os.kill(stopped, signal.SIGCONT)


def empty_panels(prometheus: Prometheus) -> list[str]:
    """The panels' queries that still give no series when the time is up."""
    wanted = [
        (place, text.replace("$__rate_interval", "1m").replace("$modality", ".+"))
        for place, text in expressions()
    ]
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        wanted = [(place, text) for place, text in wanted if not prometheus.query(text)]
        if not wanted or time.monotonic() > deadline:
            return [f"{place}: {text}" for place, text in wanted]
        time.sleep(0.2)


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def check_silent(platform: Platform, text: str) -> None:
    """No id, name or secret of anybody is in what Prometheus reads."""
    names = [str(name) for (name,) in platform.rows("SELECT name FROM labs")]
    ids = [
        str(one)
        for table, column in (("submissions", "submission_id"), ("labs", "lab_id"),
                              ("jobs", "job_id"), ("jobs", "task_id"), ("tokens", "token_id"))
        for (one,) in platform.rows(f"SELECT {column} FROM {table}")
    ]  # fmt: skip
    secrets = [path.read_text().strip() for path in platform.home.secrets.glob("*.token")]
    assert len(ids) > 8
    assert len(secrets) > 5
    for word in (*names, *ids, *secrets, "Told", "Lost", "Broken"):
        assert word not in text, word
