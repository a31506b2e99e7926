"""Operations over gRPC: who may call, what the real command does with a real gateway process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from sqlalchemy import update

from general_level.catalogue import load
from general_level.client import Client
from general_level.errors import (
    AlreadyExists,
    CertificateNotPermitted,
    CertificateRequired,
    GeneralLevelError,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    UnknownTask,
)
from general_level.identifiers import new_id, new_request_id
from general_level.v1 import (
    grading_pb2,
    grading_pb2_grpc,
    operations_pb2_grpc,
    ranking_pb2,
    ranking_pb2_grpc,
)
from general_level.v1 import operations_pb2 as pb
from services.gateway import identity
from services.gateway.storage.tables import jobs
from services.kit.clock import SystemClock
from services.kit.connection import Connection
from services.kit.history import HistoryInvalid
from services.kit.tls import ClientTls
from services.operations.__main__ import main as operations
from tests.support import histories
from tests.support.certificates import GATEWAY, LOOPBACK, Authority
from tests.support.gateway import (
    START,
    Running,
    answered,
    archive,
    open_database,
    running,
)
from tests.support.gateway_process import GatewayProcess
from tests.support.stores import Stores
from tests.support.wait import eventually

ROOT = Path(__file__).parents[2]
OPERATOR = "spiffe://general-level/operator"
METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["OperationsService"].methods]
OWNERS: dict[str, dict[str, str]] = {
    "grader": {"modality": "image"},
    "ranker": {},
    "operator": {"label": "Ada"},
}


def request_for(method: str) -> Any:
    """A request of this method that does nothing but be permitted or not."""
    kind = pb.DESCRIPTOR.services_by_name["OperationsService"].methods_by_name[method].input_type
    return getattr(pb, kind.name)()


class Operator:
    """Calls over one connection."""

    def __init__(self, connection: Connection, token: str) -> None:
        self._connection = connection
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def call(self, method: str, request: Any) -> Any:
        call = getattr(self._connection.stub(), method)
        return await answered(call(request, metadata=self._metadata, timeout=60))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as gateway:
        yield gateway


def connect(gateway: Running, tls: ClientTls | None = None) -> Connection:
    return Connection(gateway.internal_target, tls, (), operations_pb2_grpc.OperationsServiceStub)


@pytest.fixture
async def operator(gateway: Running) -> AsyncIterator[Operator]:
    connection = connect(gateway)
    yield Operator(connection, await gateway.token("operator", label="Ada"))
    await connection.close()


@pytest.mark.parametrize("method", METHODS)
async def test_only_an_operators_token_gets_in(gateway: Running, method: str) -> None:
    connection = connect(gateway)
    lab = await gateway.new_lab()
    tokens = {kind: await gateway.token(kind, **owner) for kind, owner in OWNERS.items()}
    assert lab.token
    refused = {"": NotAuthenticated, "glt_nonsense": NotAuthenticated, lab.token: NotPermitted}
    refused |= {tokens["grader"]: NotPermitted, tokens["ranker"]: NotPermitted}
    try:
        for given, error in refused.items():
            with pytest.raises(error) as caught:
                await Operator(connection, given).call(method, request_for(method))
            assert type(caught.value) is error
        # An empty request may be none, but it is looked at.
        with suppress(InvalidRequest):
            await Operator(connection, tokens["operator"]).call(method, request_for(method))
    finally:
        await connection.close()


@pytest.mark.parametrize("method", ["GetRejudgedScores", "PublishPreview"])
async def test_previews_are_the_rankers_alone(gateway: Running, method: str) -> None:
    connection = Connection(gateway.internal_target, None, (), ranking_pb2_grpc.RankingServiceStub)
    try:
        for kind in ("grader", "operator"):
            caller = Operator(connection, await gateway.token(kind, **OWNERS[kind]))
            with pytest.raises(NotPermitted):
                await caller.call(method, getattr(ranking_pb2, f"{method}Request")())
        with pytest.raises(NotAuthenticated):
            await Operator(connection, "").call(method, getattr(ranking_pb2, f"{method}Request")())
    finally:
        await connection.close()


async def test_the_public_port_has_no_operations(gateway: Running) -> None:
    token = await gateway.token("operator", label="Ada")
    connection = Connection(gateway.target, None, (), operations_pb2_grpc.OperationsServiceStub)
    with pytest.raises(GeneralLevelError) as caught:
        await Operator(connection, token).call("GetQueueStatus", pb.GetQueueStatusRequest())
    assert caught.value.metadata["status"] == "UNIMPLEMENTED"
    await connection.close()


async def test_with_certificates_it_must_be_an_operators(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.server(tmp_path, (LOOPBACK, GATEWAY), client_ca=authority.pem)
    async with running(tmp_path, internal_tls=files) as gateway:
        token = await gateway.token("operator", label="Ada")
        tries: list[tuple[list[str], type[GeneralLevelError] | None]] = [
            (["spiffe://general-level/grader/image"], CertificateNotPermitted),
            (["spiffe://general-level/ranker"], CertificateNotPermitted),
            ([], CertificateRequired),
            ([OPERATOR], None),
        ]
        for number, (uris, error) in enumerate(tries):
            connection = connect(gateway, authority.client(tmp_path / f"c{number}", *uris))
            operator = Operator(connection, token)
            if error is None:
                request = pb.PauseModalityRequest(
                    request_id=new_request_id(), modality="image", reason="why"
                )
                await operator.call("PauseModality", request)
                log = await operator.call("ListAuditEntries", pb.ListAuditEntriesRequest())
                assert [entry.certificate for entry in log.entries] == [OPERATOR]
                # An operator's certificate opens nothing else.
                other = Connection(
                    gateway.internal_target,
                    authority.client(tmp_path / "other", OPERATOR),
                    (),
                    grading_pb2_grpc.GradingServiceStub,
                )
                grader = await gateway.token("grader", modality="image")
                with pytest.raises(CertificateNotPermitted):
                    await answered(
                        other.stub().LeaseJobs(
                            grading_pb2.LeaseJobsRequest(modality="image"),
                            metadata=(("authorization", f"Bearer {grader}"),),
                            timeout=60,
                        )
                    )
                await other.close()
            else:
                for method in METHODS:
                    with pytest.raises(error):
                        await operator.call(method, request_for(method))
            await connection.close()


async def test_refusals_are_in_the_log_and_a_request_is_done_once(operator: Operator) -> None:
    request = pb.PauseModalityRequest(
        request_id=new_request_id().upper(), modality="image", reason="a new scorer"
    )
    first = await operator.call("PauseModality", request)
    request.request_id = request.request_id.lower()
    assert await operator.call("PauseModality", request) == first
    request.reason = "another"
    with pytest.raises(AlreadyExists):
        await operator.call("PauseModality", request)
    log = await operator.call("ListAuditEntries", pb.ListAuditEntriesRequest())
    assert [(entry.operator, entry.action, entry.outcome) for entry in log.entries] == [
        ("Ada", "PauseModality", "ALREADY_EXISTS"),
        ("Ada", "PauseModality", "DONE"),
    ]
    page = await operator.call("ListAuditEntries", pb.ListAuditEntriesRequest(page_size=1))
    rest = await operator.call(
        "ListAuditEntries",
        pb.ListAuditEntriesRequest(page_size=1, page_token=page.next_page_token),
    )
    assert [*page.entries, *rest.entries] == list(log.entries)
    assert not rest.next_page_token


@pytest.mark.parametrize(
    ("method", "request_", "error"),
    [
        ("PauseModality", pb.PauseModalityRequest(modality="image", reason="why"), InvalidRequest),
        ("PauseModality", pb.PauseModalityRequest(modality="smell", reason="w"), InvalidRequest),
        ("PauseModality", pb.PauseModalityRequest(modality="image"), InvalidRequest),
        (
            "PauseModality",
            pb.PauseModalityRequest(modality="image", reason="a\nline"),
            InvalidRequest,
        ),
        ("ResumeModality", pb.ResumeModalityRequest(modality="smell"), InvalidRequest),
        ("RequeueDeadLetters", pb.RequeueDeadLettersRequest(), InvalidRequest),
        (
            "RequeueDeadLetters",
            pb.RequeueDeadLettersRequest(task_id="image-c-001", modality="image"),
            InvalidRequest,
        ),
        ("RequeueDeadLetters", pb.RequeueDeadLettersRequest(task_id="none"), UnknownTask),
        ("ListDeadLetters", pb.ListDeadLettersRequest(page_size=-1), InvalidRequest),
        ("StartRejudgement", pb.StartRejudgementRequest(task_id="image-c-001"), InvalidRequest),
        (
            "StartRejudgement",
            pb.StartRejudgementRequest(task_id="none", reason="why"),
            UnknownTask,
        ),
        (
            "StartRejudgement",
            pb.StartRejudgementRequest(
                request_id=new_request_id(), task_id="image-c-001", reason="why"
            ),
            NotFound,
        ),
        ("GetRejudgement", pb.GetRejudgementRequest(rejudgement_id="x"), InvalidRequest),
        (
            "ApplyRejudgement",
            pb.ApplyRejudgementRequest(
                request_id=new_request_id(), rejudgement_id=new_id("rej", START)
            ),
            NotFound,
        ),
        (
            "CancelRejudgement",
            pb.CancelRejudgementRequest(
                request_id=new_request_id(), rejudgement_id=new_id("rej", START)
            ),
            NotFound,
        ),
        ("ImportHistory", pb.ImportHistoryRequest(document=b"{}"), HistoryInvalid),
        ("ImportHistory", pb.ImportHistoryRequest(document=histories.history()), InvalidRequest),
        ("RemoveHistory", pb.RemoveHistoryRequest(history_id="a/b"), InvalidRequest),
        (
            "RemoveHistory",
            pb.RemoveHistoryRequest(request_id=new_request_id(), history_id="none"),
            NotFound,
        ),
        ("ListDeadLetters", pb.ListDeadLettersRequest(page_token="x y"), InvalidRequest),
        ("ListAuditEntries", pb.ListAuditEntriesRequest(page_size=501), InvalidRequest),
        ("ListAuditEntries", pb.ListAuditEntriesRequest(page_token="eHg="), InvalidRequest),
    ],
)
async def test_a_request_that_cannot_be_right_says_why(
    operator: Operator, method: str, request_: Any, error: type[GeneralLevelError]
) -> None:
    with pytest.raises(error):
        await operator.call(method, request_)


class Commands:
    """The command, its settings from the environment."""

    def __init__(self, target: str, token_file: Path) -> None:
        self._environ = {
            "OPERATIONS_GATEWAY": target,
            "OPERATIONS_TOKEN_FILE": str(token_file),
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        """What it prints: its result, or with a ``code`` what is wrong."""
        done = CliRunner().invoke(operations, list(arguments), env=self._environ)
        assert done.exit_code == code, done.output
        return done.stderr if code else done.stdout

    def run_process(self, *arguments: str) -> str:
        """The same in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "services.operations", *arguments],
            cwd=ROOT, env={**os.environ, **self._environ},
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json"))


@pytest.fixture
def process(tmp_path: Path, stores: Stores) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path)
    process.start()
    yield process
    process.stop()


def token_file(folder: Path, kind: str, **owner: str) -> Path:
    path = folder / f"{kind}.token"
    with open_database(folder) as database, database.write() as connection:
        made = identity.create_token(connection, SystemClock().now(), kind, **owner)
    path.write_text(made.reveal())
    return path


class Grader:
    """A grader's calls, as an honest one makes them."""

    def __init__(self, target: str, token: Path) -> None:
        self._channel = grpc.insecure_channel(target)
        self._stub = grading_pb2_grpc.GradingServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token.read_text()}"),)

    def lease(self, modality: str = "language") -> list[grading_pb2.JobLease]:
        request = grading_pb2.LeaseJobsRequest(
            modality=modality, max_jobs=5, grader_id="grader", metric_ids=list(load().metrics)
        )
        answer = self._stub.LeaseJobs(request, metadata=self._metadata, timeout=60)
        return list(answer.leases)

    def fail(self, lease: grading_pb2.JobLease) -> None:
        request = grading_pb2.FailJobRequest(
            lease=grading_pb2.LeaseRef(job_id=lease.job_id, lease_token=lease.lease_token),
            fault=grading_pb2.JOB_FAULT_OUT_OF_MEMORY,
        )
        self._stub.FailJob(request, metadata=self._metadata, timeout=60)

    def close(self) -> None:
        self._channel.close()


def end_backoff(folder: Path) -> None:
    """What the passing of time does to jobs that wait after a failed attempt."""
    with open_database(folder) as database, database.write() as connection:
        connection.execute(update(jobs).values(available_time=START))


@pytest.mark.slow
def test_the_command_pauses_requeues_and_lists_what_was_done(
    process: GatewayProcess, tmp_path: Path
) -> None:
    """A job dies of our fault; its submission is refunded, taken back, and graded again."""
    internal = f"127.0.0.1:{process.internal_port}"
    commands = Commands(internal, token_file(tmp_path, "operator", label="Ada"))
    grader = Grader(internal, token_file(tmp_path, "grader", modality="language"))
    client = Client(process.target, process.new_lab(), insecure=True)
    what = archive()
    (tmp_path / what.name).write_bytes(what.data)
    with client:
        submission_id = client.submit(tmp_path / what.name).submission_id
        paused = commands.run("pause", "language", "--reason", "a new scorer")
        assert "by Ada: a new scorer" in paused
        eventually(lambda: client.get(submission_id).state == "QUEUED", 60)
        assert grader.lease() == []
        assert client.get(submission_id).progress.paused_modalities == ("language",)
        table = commands.run_process("queue")
        assert "1 QUEUED" in table
        assert "by Ada: a new scorer" in table
        done = commands.json("resume", "language")
        assert done == {"extended_submissions": 1}

        for attempt in range(1, 5):
            (leased,) = grader.lease()
            assert leased.attempt == attempt
            grader.fail(leased)
            end_backoff(tmp_path)
        assert client.get(submission_id).state == "FAILED"
        (letter,) = commands.json("dead-letters", "list")["dead_letters"]
        assert letter["fault"] == "out-of-memory"
        assert letter["obstacle"] == ""
        assert letter["job_id"] in commands.run("dead-letters", "list", "--modality", "language")

        look = commands.json("dead-letters", "requeue", letter["job_id"], "--dry-run")
        assert [one["requeued_jobs"] for one in look["dead_letters"]] == [1]
        commands.run("dead-letters", "requeue", letter["job_id"], code=2)
        assert client.get(submission_id).state == "FAILED"
        request = ("--request-id", new_request_id(), "--yes")
        table = commands.run("dead-letters", "requeue", letter["job_id"], *request)
        assert submission_id in table
        assert commands.run("dead-letters", "requeue", letter["job_id"], *request) == table
        assert client.get(submission_id).state == "QUEUED"
        assert client.get(submission_id).quota_status == "REFUNDED"
        (again,) = grader.lease()
        assert (again.job_id, again.attempt) == (letter["job_id"], 1)

    log = commands.json("audit")["entries"]
    assert [(entry["action"], entry["operator"], entry["outcome"]) for entry in log] == [
        ("RequeueDeadLetters", "Ada", "DONE"),
        ("ResumeModality", "Ada", "DONE"),
        ("PauseModality", "Ada", "DONE"),
    ]
    assert submission_id in log[0]["result"]
    assert "PauseModality" in commands.run("audit", "--action", "PauseModality")
    grader.close()


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("glt_nonsense")
    commands = Commands("127.0.0.1:1", tmp_path / "token")
    said = commands.run("queue", code=5)
    assert said.count("\n") == 1
    assert "UNAVAILABLE" in said
    assert "127.0.0.1:1" in said
    missing = Commands("127.0.0.1:1", tmp_path / "missing").run("queue", code=2)
    assert "OPERATIONS_TOKEN_FILE" in missing


@pytest.mark.parametrize("kind", ["grader", "ranker"])
async def test_another_tokens_holder_is_told_so(
    gateway: Running, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "token"
    path.write_text(await gateway.token(kind, **OWNERS[kind]))
    commands = Commands(gateway.internal_target, path)
    said = await asyncio.to_thread(commands.run, "resume", "image", code=4)
    assert "NOT_PERMITTED" in said
    assert path.read_text() not in said
