"""The worker against a real gRPC server, with real boxes and a real scorer that really die."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from general_level.receipts import verify_envelope
from services.grader import app, pipeline, worker
from services.grader.decode.box import (
    CHILD_MODULE,
    DECODERS_MODULE,
    MEDIA_DECODERS_MODULE,
    BoxLimits,
    IncomingMember,
    Isolation,
    SubprocessBox,
)
from services.grader.gateway import Gateway, Lease
from services.grader.scorer_process import SCORER_MODULE, ScorerProcess
from services.grader.settings import GraderSettings
from services.grader.telemetry import Telemetry
from services.grader.weights.folder import WeightsFolder, available
from services.grader.weights.manifest import load_manifest
from services.kit.logging import configure_logging
from services.kit.settings import Secret
from tests.support import crashing_scorer
from tests.support.fake_grading import TOKEN, FakeGrading, FakeJob
from tests.support.grader_files import KEY_VERSION, GraderFiles, make_files, prediction_json
from tests.support.platform import free_ports
from tests.support.processes import children
from tests.support.running_worker import Running, eventually, running

CANARY = "canary-kingfisher-4711"
TASKS = ("image-c-001", "image-c-002", "image-c-003", "image-c-005")
KEYS: dict[str, dict[str, list[Any]]] = {
    task: {"1": [CANARY], "2": ["dog"], "3": ["cow"], "4": ["hen"]} for task in TASKS
}
#: Two right, one wrong, one absent: accuracy 50.
ANSWERS = prediction_json({"1": CANARY, "2": "Dog", "3": "hen"})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> GraderFiles:
    return make_files(tmp_path_factory.mktemp("grader"), KEYS)


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGrading]:
    fake = FakeGrading()
    await fake.start()
    yield fake
    await fake.stop()


def with_crashing_scorer(
    settings: GraderSettings, telemetry: Telemetry, rng: random.Random
) -> worker.Worker:
    """As ``app.build``, but with a scorer in which some tasks always fail."""
    bench = app.catalogue.load()
    waiting = available(load_manifest(), WeightsFolder()).waiting
    metric_ids = pipeline.served_metrics(bench, "image", waiting)

    async def start_box(content: bool) -> SubprocessBox:
        return await SubprocessBox.start(
            settings.box_limits,
            settings.isolation,
            decoders_module=MEDIA_DECODERS_MODULE if content else DECODERS_MODULE,
        )

    scorer = ScorerProcess(
        settings.scorer_config, telemetry.scorer_started, module=crashing_scorer.__name__
    )
    boxes = pipeline.Boxes(start_box, settings.boxes)
    pipe = pipeline.Pipeline(bench, boxes, scorer, telemetry, settings.score_seconds)
    gateway = app.Gateway(settings, metric_ids)
    return worker.Worker(settings, gateway, pipe, metric_ids, telemetry, rng)


async def test_a_job_becomes_a_signed_score(gateway: FakeGrading, files: GraderFiles) -> None:
    async with running(files.settings(gateway.address)):
        job = gateway.add("image-c-001", ANSWERS)
        await eventually(lambda: job.ended)
    assert (job.scored.value, job.scored.item_count, job.scored.missing_count) == (50.0, 4, 1)
    assert job.scored.standard_error == 28.9  # 100 * 0.57735 / 2, in three digits
    statement = verify_envelope(job.scored.envelope, [files.public_key])
    assert statement.submission_id == "submission-1"
    assert statement.task_id == "image-c-001"
    assert statement.value == 50.0
    assert statement.key_version == KEY_VERSION
    assert statement.archive_sha256 == hashlib.sha256(b"submission-1").hexdigest()
    ((path, digest),) = statement.members.items()
    assert path.startswith("image/comprehension/")
    assert path.endswith("/prediction.json")
    assert digest == hashlib.sha256(ANSWERS).hexdigest()


async def test_a_malformed_file_is_refused_with_its_findings(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    async with running(files.settings(gateway.address)):
        job = gateway.add("image-c-001", b'[{"id": "1", "prediction": 3.5}, {"id": "1"}]')
        await eventually(lambda: job.ended)
    codes = {finding.code for finding in job.refused.findings}
    assert codes == {"GL160", "GL170"}
    assert all(not finding.message for finding in job.refused.findings)
    assert {finding.row for finding in job.refused.findings} == {0, 1}
    # Relative to the task's folder: the gateway names the whole path.
    assert {finding.path for finding in job.refused.findings} == {"prediction.json"}


async def test_an_id_that_the_key_does_not_have_is_reported_and_ignored(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    async with running(files.settings(gateway.address)):
        job = gateway.add("image-c-001", prediction_json({"1": CANARY, "99": CANARY}))
        await eventually(lambda: job.ended)
    assert (job.scored.value, job.scored.missing_count) == (25.0, 3)
    ((code, path, row, warning),) = [
        (f.code, f.path, f.row, f.warning) for f in job.scored.findings
    ]
    assert (code, path, row, warning) == ("GL164", "prediction.json", 1, True)


async def test_the_jobs_of_one_submission_share_a_box(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    jobs = [gateway.add(task, ANSWERS, submission_id="a") for task in TASKS]
    jobs += [gateway.add(task, ANSWERS, submission_id="b") for task in TASKS]
    async with running(files.settings(gateway.address)) as grader:
        await eventually(lambda: all(job.ended for job in jobs))
        # The gateway knows of an outcome before the worker has counted it.
        await grader.idle()
        # Two for the self-test, which has media, one for each submission.
        assert grader.value("grader_box_starts_total") == 4
        assert grader.value("grader_jobs_total", outcome="scored") == 8
        assert grader.value("grader_scorer_restarts_total") == 0
    assert {job.scored.value for job in jobs} == {50.0}


async def test_a_killed_scorer_costs_one_attempt(gateway: FakeGrading, files: GraderFiles) -> None:
    async with running(files.settings(gateway.address)) as grader:
        (scorer,) = children(SCORER_MODULE)
        os.kill(scorer, signal.SIGSTOP)
        labels = {"modality": "image", "stage": "decoding"}
        job = gateway.add("image-c-001", ANSWERS)
        # Decoded is handed to the scorer in the same step.
        read = grader.telemetry.registry.get_sample_value
        await eventually(lambda: read("grader_job_seconds_count", labels) == 1)
        os.kill(scorer, signal.SIGKILL)
        await eventually(lambda: job.ended)
        assert grader.value("grader_scorer_restarts_total") == 1
    assert job.faults == ["SCORER_CRASHED"]
    assert job.scored.value == 50.0


async def test_a_killed_box_costs_one_attempt(gateway: FakeGrading, files: GraderFiles) -> None:
    async with running(files.settings(gateway.address)):
        first = gateway.add("image-c-001", ANSWERS, submission_id="a")
        await eventually(lambda: first.ended)
        boxes = children(CHILD_MODULE)
        for box in boxes:
            os.kill(box, signal.SIGSTOP)
        second = gateway.add("image-c-002", ANSWERS, submission_id="a")
        await eventually(lambda: second.reads == 1)
        for box in boxes:
            os.kill(box, signal.SIGKILL)
        await eventually(lambda: second.ended)
    assert second.faults == ["DECODER_CRASHED"]
    assert second.scored.value == 50.0


async def test_a_poisonous_task_blocks_nothing(gateway: FakeGrading, files: GraderFiles) -> None:
    settings = files.settings(
        gateway.address, score_seconds=4.0, scorer_memory_bytes=2048 * 1024 * 1024
    )
    poison = {
        crashing_scorer.CRASHES: "SCORER_CRASHED",
        crashing_scorer.HANGS: "DEADLINE",
        crashing_scorer.EATS_MEMORY: "OUT_OF_MEMORY",
    }
    bad = {task: gateway.add(task, ANSWERS, submission_id=task) for task in poison}
    good = [gateway.add("image-c-005", ANSWERS, submission_id=f"good-{n}") for n in range(4)]
    async with running(settings, with_crashing_scorer):
        await eventually(lambda: all(job.ended for job in gateway.jobs), 100)
    assert [job.scored.value for job in good] == [50.0] * 4
    assert {task: set(job.faults) for task, job in bad.items()} == {
        task: {fault} for task, fault in poison.items()
    }
    assert children(crashing_scorer.__name__) == []


async def test_a_lost_lease_stops_the_work(gateway: FakeGrading, files: GraderFiles) -> None:
    gateway.lease_seconds = 1.5
    async with running(files.settings(gateway.address)) as grader:
        (scorer,) = children(SCORER_MODULE)
        os.kill(scorer, signal.SIGSTOP)
        job = gateway.add("image-c-001", ANSWERS)
        await eventually(lambda: job.reads == 1)
        gateway.take_away(job)
        await grader.idle()
        assert grader.value("grader_leases_lost_total") == 1
        # The scorer that was at it has been ended, and another takes the next job.
        assert scorer not in children(SCORER_MODULE)
        after = gateway.add("image-c-002", ANSWERS)
        await eventually(lambda: after.ended)
    assert job.outcomes == []
    assert gateway.stale_writes == 0
    assert after.scored.value == 50.0


async def test_heartbeats_keep_a_job_longer_than_its_lease(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    gateway.lease_seconds = 1.5
    async with running(files.settings(gateway.address)):
        (scorer,) = children(SCORER_MODULE)
        os.kill(scorer, signal.SIGSTOP)
        job = gateway.add("image-c-001", ANSWERS)
        await eventually(lambda: job.reads == 1)
        beats = gateway.beats
        await eventually(lambda: gateway.beats >= beats + 6)  # two leases long
        os.kill(scorer, signal.SIGCONT)
        await eventually(lambda: job.ended)
    assert (job.attempts, job.scored.value) == (1, 50.0)


async def test_drain_finishes_what_runs_and_releases_the_rest(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    settings = files.settings(gateway.address, pipeline_depth=1, jobs=4)
    async with running(settings) as grader:
        (scorer,) = children(SCORER_MODULE)
        os.kill(scorer, signal.SIGSTOP)
        jobs = [gateway.add(task, ANSWERS) for task in TASKS]
        await eventually(lambda: grader.value("grader_jobs_held") == 4 and jobs[0].reads == 1)
        grader.worker.drain()
        assert grader.value("grader_ready") == 0  # at once: nothing more is given to it
        await eventually(lambda: all(job.releases == 1 for job in jobs[1:]))
        os.kill(scorer, signal.SIGCONT)
        assert await asyncio.wait_for(asyncio.shield(grader.task), 60)
    assert jobs[0].scored.value == 50.0
    assert [job.outcomes for job in jobs[1:]] == [[], [], []]
    assert gateway.stale_writes == 0


async def test_drain_releases_what_takes_too_long(gateway: FakeGrading, files: GraderFiles) -> None:
    async with running(files.settings(gateway.address, drain_seconds=0.2)) as grader:
        (scorer,) = children(SCORER_MODULE)
        os.kill(scorer, signal.SIGSTOP)
        job = gateway.add("image-c-001", ANSWERS)
        await eventually(lambda: job.reads == 1)
        grader.worker.drain()
        assert await asyncio.wait_for(asyncio.shield(grader.task), 60)
    assert (job.releases, job.outcomes, job.faults) == (1, [], [])


async def test_a_score_survives_a_restart_of_the_gateway(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    async with running(files.settings(gateway.address)) as grader:
        (scorer,) = children(SCORER_MODULE)
        os.kill(scorer, signal.SIGSTOP)
        job = gateway.add("image-c-001", ANSWERS)
        await eventually(lambda: job.reads == 1)
        await gateway.stop()
        os.kill(scorer, signal.SIGCONT)
        await eventually(lambda: grader.value("grader_gateway_errors_total") >= 3)
        await gateway.start()
        await eventually(lambda: job.ended)
        later = gateway.add("image-c-002", ANSWERS)
        await eventually(lambda: later.ended)
    assert (job.attempts, len(job.outcomes)) == (1, 1)


async def test_predictions_that_break_off_are_read_again(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    async with running(files.settings(gateway.address)):
        gateway.broken_reads = 1
        job = gateway.add("image-c-001", ANSWERS)
        await eventually(lambda: job.reads == 1)
        await gateway.stop()
        await gateway.start()
        await eventually(lambda: job.ended)
    assert (job.reads, job.attempts, job.scored.value) == (2, 1, 50.0)


async def test_a_member_that_is_not_as_announced_is_a_fault_of_ours(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    async with running(files.settings(gateway.address)):
        gateway.lying_reads = 1
        job = gateway.add("image-c-001", ANSWERS)
        await eventually(lambda: job.ended)
    assert job.faults == ["INTERNAL"]
    assert job.scored.value == 50.0


async def test_a_task_without_a_key_is_a_fault_of_ours(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    async with running(files.settings(gateway.address)):
        job = gateway.add("image-c-008", ANSWERS)
        await eventually(lambda: job.ended)
    assert job.faults == ["KEY_UNAVAILABLE"] * 2


async def test_a_grader_with_a_wrong_token_waits_and_leases_nothing(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    gateway.add("image-c-001", ANSWERS)
    async with running(files.settings(gateway.address, token=Secret("wrong"))):
        await eventually(lambda: gateway.unauthenticated >= 2)
    assert gateway.jobs[0].attempts == 0


async def test_a_grader_that_cannot_open_its_keys_is_never_ready(
    gateway: FakeGrading, files: GraderFiles, tmp_path: Path
) -> None:
    foreign = make_files(tmp_path, KEYS)
    settings = replace(files.settings(gateway.address), identity=tmp_path / "absent")
    grader = Running(settings, app.build)
    assert await asyncio.wait_for(grader.task, 60) is False
    assert grader.value("grader_ready") == 0
    # A foreign identity opens the bundle's manifest but no key: the jobs say so.
    job = gateway.add("image-c-001", ANSWERS)
    async with running(replace(files.settings(gateway.address), identity=foreign.identity)):
        await eventually(lambda: job.ended)
    assert set(job.faults) == {"KEY_UNAVAILABLE"}


async def test_a_worker_whose_heartbeats_break_ends_with_an_error_and_says_so(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    class Broken(Gateway):
        """Its heartbeats break by something that no code foresees, after the first of a job."""

        beats = 0

        async def keep_alive(self, leases: Sequence[Lease]) -> set[tuple[str, str]]:
            self.beats += 1
            if self.beats > 1:
                raise RuntimeError(CANARY)
            return await super().keep_alive(leases)

        async def members(self, lease: Lease) -> AsyncIterator[IncomingMember]:
            """The job lasts until it is taken from the worker."""
            await asyncio.Event().wait()
            async for member in super().members(lease):
                yield member

    def build(settings: GraderSettings, telemetry: Telemetry, rng: random.Random) -> worker.Worker:
        made = app.build(settings, telemetry, rng)
        made._gateway = Broken(settings, made._metric_ids)
        return made

    gateway.lease_seconds = 0.3
    stream = io.StringIO()
    configure_logging("grader", stream=stream)
    try:
        async with running(files.settings(gateway.address, drain_seconds=0.0), build) as grader:
            gateway.add(TASKS[0], ANSWERS)
            assert await asyncio.wait_for(asyncio.shield(grader.task), 30) is False
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    (line,) = [
        event for event in map(json.loads, stream.getvalue().splitlines())
        if event["event"] == "companion ended"
    ]  # fmt: skip
    assert (line["level"], line["task"], line["error"]) == ("error", "heartbeats", "RuntimeError")
    assert CANARY not in stream.getvalue()


async def test_logs_follow_a_job_and_hold_no_answer(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    stream = io.StringIO()
    configure_logging("grader", stream=stream)
    try:
        async with running(files.settings(gateway.address)):
            good = gateway.add("image-c-001", ANSWERS)
            bad = gateway.add("image-c-002", ANSWERS + b"]" + CANARY.encode())
            await eventually(lambda: good.ended and bad.ended)
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
    log = stream.getvalue()
    for word in (good.job_id, bad.job_id, "submission-1", "image-c-001", '"attempt": 1'):
        assert word in log
    assert CANARY not in log
    assert TOKEN not in log
    assert CANARY.encode() not in good.outcomes[0].SerializeToString()
    assert CANARY.encode() not in bad.outcomes[0].SerializeToString()


async def test_two_hundred_small_jobs(gateway: FakeGrading, files: GraderFiles) -> None:
    jobs: list[FakeJob] = []
    async with running(files.settings(gateway.address)):
        for number in range(200):
            submission = f"submission-{number // 50}"
            jobs.append(gateway.add(TASKS[number % 4], ANSWERS, submission_id=submission))
        await eventually(lambda: all(job.ended for job in jobs), 60)
    assert {job.scored.value for job in jobs} == {50.0}
    assert {job.attempts for job in jobs} == {1}


@pytest.mark.slow
async def test_the_command_serves_and_drains_on_sigterm(
    gateway: FakeGrading, files: GraderFiles
) -> None:
    (port,) = free_ports(1)
    environment = {
        "GRADER_HEALTH_ADDRESS": f"127.0.0.1:{port}",
        "GRADER_GATEWAY": gateway.address,
        "GRADER_TOKEN": TOKEN,
        "GRADER_KEYS": str(files.bundle),
        "GRADER_IDENTITY": str(files.identity),
        "GRADER_SIGNING_KEY": str(files.signing_key),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.grader",
        "serve",
        "--modality",
        "image",
        env=environment,
        cwd=tempfile.gettempdir(),
        stderr=asyncio.subprocess.PIPE,
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service="ready")
        ready = health_pb2_grpc.HealthStub(channel).Watch(request, wait_for_ready=True)
        # Live, and not ready before its self-test.
        assert (await ready.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await ready.read()).status == health_pb2.HealthCheckResponse.SERVING
        ready.cancel()
    job = gateway.add("image-c-001", ANSWERS)
    await eventually(lambda: job.ended or process.returncode is not None)
    process.send_signal(signal.SIGTERM)
    _, log = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, log.decode()
    assert job.scored.value == 50.0


def test_the_defaults_require_every_wall(files: GraderFiles) -> None:
    assert files.settings("gateway:1").isolation is Isolation.REQUIRED
    assert files.settings("gateway:1").box_limits == BoxLimits()
