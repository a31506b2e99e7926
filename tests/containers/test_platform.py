"""The platform in hardened containers: from a submission to a board, attacks, and faults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

import pytest
from docker.models.containers import Container

from general_level.client.models import SubmissionState, TaskOutcome
from general_level.receipts import verify_receipt
from general_level.trusted_keys import read_trusted_keys
from tests.containers.platform import (
    BOARD,
    COMPOSE,
    ContainerPlatform,
    answered,
    followed,
    logged_events,
    said,
    wait_ready,
)
from tests.support.compose import Composed, read_compose
from tests.support.docker_engine import CannotStart, DockerEngine
from tests.support.wait import eventually
from tools.images import Build

_PROBES = Path(__file__).with_name("probes.py")


def test_a_submission_is_graded_ranked_and_on_the_board(
    platform: ContainerPlatform, tmp_path: Path
) -> None:
    with platform.lab() as client:
        archive = answered(client, tmp_path)
        submission = client.submit(archive)
        ended = followed(client, submission.submission_id)
        assert ended.state is SubmissionState.PUBLISHED
        results = client.results(submission.submission_id)
        assert results
        assert {one.outcome for one in results} == {TaskOutcome.SCORED}
        standings = eventually(lambda: client.standings(BOARD).standings, 60, "the board")
        assert [row.submission_id for row in standings] == [submission.submission_id]
        page = f"{platform.web}/boards/{BOARD}"
        eventually(lambda: f"/models/{submission.submission_id}" in read(page), 60, "the page")
        receipt = client.receipt(submission.submission_id)
        keys = tmp_path / "trusted-keys.txt"
        keys.write_text(platform.composed.read(platform.seed, "/seed/lab/trusted-keys.txt"))
        report = verify_receipt(receipt, archive=archive, trusted_keys=read_trusted_keys(keys))
        assert len(report.statements) == len(results)
        images = {statement.grader.image_digest for statement in report.statements}
        assert images == {"general-level/grader-language:0.1.0"}


def read(address: str) -> str:
    with urlopen(address, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


_LISTEN = """
import socket, time
with socket.create_server(("0.0.0.0", 50052)):
    print("listening", flush=True)
    time.sleep(3600)
"""


@pytest.fixture(scope="module")
def probed(docker_engine: DockerEngine, images: Sequence[str], build: Build) -> dict[str, str]:
    """What came of each attempt, made in a container that is a grader's but for its program.

    On an engine that keeps networks apart, as an operator's does. What listens in the gateway's
    place is on all of the gateway's networks.
    """
    name = build.name("grader-language")
    try:
        isolating = DockerEngine(own_network=True)
    except CannotStart as reason:
        pytest.skip(f"no engine with networks of its own: {reason}")
    try:
        isolating.client.images.load(docker_engine.client.images.get(name).save(named=True))
        composed = Composed(isolating.client, read_compose(COMPOSE, {}))
        listener = composed.start(
            "gateway", image=name, command=["python", "-c", _LISTEN], ports={}
        )
        eventually(lambda: b"listening" in listener.logs(), 60, "the listener")
        listener.reload()
        networks = listener.attrs["NetworkSettings"]["Networks"]
        printed = composed.run(
            "grader-language",
            name="probe",
            command=["python", "-c", _PROBES.read_text(),
                     networks["general-level_stores"]["IPAddress"],
                     networks["general-level_edge"]["IPAddress"]],
        )  # fmt: skip
    finally:
        isolating.stop()
    found: dict[str, str] = json.loads(printed)
    return found


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [
        ("uid", "65532"),
        ("capabilities", "0"),
        ("no new privileges", "1"),
        ("seccomp", "2"),
        ("write to the root file system", "EROFS"),
        ("write to its keys", "EROFS"),
        ("write to its own code", "EROFS"),
        ("run a program from /tmp", "EACCES"),
        ("become root", "EPERM"),
        ("make a device", "EPERM"),
        ("mount", "EPERM"),
        ("read the engine's memory", "ENOENT"),
        ("open a raw socket", "EPERM"),
        ("resolve a public name", "refused"),
        ("resolve the database", "refused"),
        ("reach the network of the database", "refused"),
        ("reach the network with a way out", "refused"),
        ("reach the gateway", "reached"),
        ("fork without end", "EAGAIN"),
        ("run a shell", "ENOENT"),
    ],
)
def test_attempts_from_inside_a_grader_are_refused(
    probed: dict[str, str], attempt: str, outcome: str
) -> None:
    assert probed[attempt] == outcome


def test_every_probe_is_judged(probed: dict[str, str]) -> None:
    (marker,) = test_attempts_from_inside_a_grader_are_refused.pytestmark  # type: ignore[attr-defined]
    assert {attempt for attempt, _ in marker.args[1]} == set(probed)


_OUTGROW = """
import sys
with open("/proc/1/oom_score_adj", "w") as score:
    score.write("1000")  # the engine's kernel takes the grader first
held = []
while True:
    held.append(bytearray(16 << 20))
"""
_STAND_STILL = """
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if b"services.grader.scorer" in (process / "cmdline").read_bytes().split(bytes(1)):
        os.kill(int(process.name), signal.SIGSTOP)
        print("stopped")
"""
_LITTLE = "512m"


def test_a_grader_that_outgrows_its_memory_is_killed_and_another_does_its_job(
    platform: ContainerPlatform, tmp_path: Path
) -> None:
    with platform.new_lab("Second Lab") as client:
        archive = answered(client, tmp_path)
        platform.grader.stop()
        victim = platform.composed.start(
            "grader-language", name="victim", mem_limit=_LITTLE, memswap_limit=_LITTLE
        )
        wait_ready(victim)
        # It takes jobs and does not finish them, until its end comes.
        assert said(victim, ["python", "-c", _STAND_STILL]) == "stopped"
        submission_id = client.submit(archive).submission_id
        of_it = f"submission_id = '{submission_id}'"
        leased = f"SELECT 1 FROM jobs WHERE {of_it} AND grader_id = 'victim'"
        eventually(lambda: platform.rows(leased), 120, "a job of the victim")
        victim.exec_run(["python", "-c", _OUTGROW], detach=True)
        assert victim.wait()["StatusCode"] == 137
        victim.reload()
        assert victim.attrs["State"]["OOMKilled"]
        assert client.get(submission_id).state is SubmissionState.GRADING
        platform.grader.start()
        assert followed(client, submission_id).state is SubmissionState.PUBLISHED
        scores = platform.rows(f"SELECT task_id FROM score_ledger WHERE kind = 'score' AND {of_it}")
        assert len(scores) == len(set(scores)) == len(client.results(submission_id))
        assert platform.rows(f"SELECT max(attempt) FROM jobs WHERE {of_it}")[0][0] > 1


_WRONG = """
FROM {image}
USER 0
RUN ["python", "-c", "{change}"]
USER 65532:65532
"""
_CHANGE = (
    "import pathlib, py_compile; "
    "case = pathlib.Path('/opt/general-level/services/grader/golden/texts.py'); "
    "text = case.read_text(); assert '50.0,' in text; "
    "case.write_text(text.replace('50.0,', '51.0,')); "
    "py_compile.compile(str(case), doraise=True)"
)


@pytest.fixture
def wrong_image(build: Build, docker_engine: DockerEngine, tmp_path: Path) -> Iterator[str]:
    """The graders' image in which one known score is another."""
    name = "general-level/grader-language:wrong"
    text = _WRONG.format(image=build.name("grader-language"), change=_CHANGE)
    (tmp_path / "Dockerfile").write_text(text)
    build.run("build", "--network", "none", "--tag", name, tmp_path)
    yield name
    docker_engine.client.images.remove(name, force=True)


def test_a_grader_with_a_wrong_golden_score_does_not_serve(
    platform: ContainerPlatform, wrong_image: str
) -> None:
    grader = platform.composed.start("grader-language", name="wrong", image=wrong_image)
    assert grader.wait()["StatusCode"] == 1
    events = logged_events(grader)
    assert "self-test failed" in events
    assert "ready" not in events
    assert platform.rows("SELECT 1 FROM jobs WHERE grader_id = 'wrong'") == []


def test_no_secret_is_in_any_log(platform: ContainerPlatform) -> None:
    secrets = [
        platform.composed.read(platform.seed, f"/seed/{place}")
        for place in ("lab/token", "ranker/token", "language/token/token")
    ]
    containers: Sequence[Container] = (
        platform.seed, platform.gateway, platform.ranker, platform.grader,
    )  # fmt: skip
    for container in containers:
        text = container.logs().decode(errors="replace")
        assert text
        assert not [secret for secret in secrets if secret.strip() in text]


def test_services_drain_and_end_in_order(platform: ContainerPlatform) -> None:
    """The last test: what is told to stop ends by itself, with success."""
    for container in (platform.grader, platform.ranker, platform.gateway):
        container.stop(timeout=60)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0, container.name
