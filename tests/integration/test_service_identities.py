"""The internal port with certificates: who may call what, with which token, for how long."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import Connection, select

from general_level.errors import (
    CertificateNotPermitted,
    CertificateRequired,
    GeneralLevelError,
    NotAuthenticated,
    NotPermitted,
    Unavailable,
)
from general_level.v1 import (
    grading_pb2,
    grading_pb2_grpc,
    ranking_pb2,
    ranking_pb2_grpc,
    submission_pb2,
)
from general_level.wire import status_code
from services.gateway.leases import finish_submission
from services.gateway.states import State
from services.gateway.storage.tables import submissions
from services.grader.gateway import Gateway as GraderGateway
from services.kit import connection
from services.kit.clock import ManualClock
from services.kit.settings import Secret
from services.kit.tls import ClientTls
from services.ranker.app import Ranker
from services.ranker.settings import Settings as RankerSettings
from tests.support.certificates import GATEWAY, LOOPBACK, Authority
from tests.support.gateway import Running, answered, archive, running
from tests.support.grader_files import GraderFiles
from tests.support.queue_world import GraderKey

IMAGE = "spiffe://general-level/grader/image"
RANKER = "spiffe://general-level/ranker"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def gateway(authority: Authority, tmp_path: Path) -> AsyncIterator[Running]:
    files = authority.server(tmp_path, (LOOPBACK, GATEWAY), client_ca=authority.pem)
    async with running(tmp_path, internal_tls=files, health_address="127.0.0.1:0") as gateway:
        yield gateway


async def token(gateway: Running, kind: str) -> str:
    return await gateway.token(kind, **({"modality": "image"} if kind == "grader" else {}))


@asynccontextmanager
async def called(gateway: Running, tls: ClientTls | None, stub: Any) -> AsyncIterator[Any]:
    client = connection.Connection(gateway.internal_target, tls, (), stub)
    try:
        yield client.stub()
    finally:
        await client.close()


async def lease(
    gateway: Running, tls: ClientTls | None, given: str, modality: str = "image"
) -> Any:
    """The answer of LeaseJobs; an error of ours."""
    request = grading_pb2.LeaseJobsRequest(
        modality=modality, max_jobs=1, grader_id="grader", metric_ids=["accuracy"]
    )
    async with called(gateway, tls, grading_pb2_grpc.GradingServiceStub) as stub:
        metadata = (("authorization", f"Bearer {given}"),) if given else ()
        return await answered(stub.LeaseJobs(request, metadata=metadata, timeout=10))


async def first_of_ledger(gateway: Running, tls: ClientTls | None, given: str) -> Any:
    """The first message of WatchScores; an error of ours."""
    async with called(gateway, tls, ranking_pb2_grpc.RankingServiceStub) as stub:
        stream = stub.WatchScores(
            ranking_pb2.WatchScoresRequest(),
            metadata=(("authorization", f"Bearer {given}"),),
            timeout=10,
        )
        return await answered(stream.read())


async def test_certificate_and_token_of_one_service_get_in(
    gateway: Running, authority: Authority, tmp_path: Path
) -> None:
    grader = authority.client(tmp_path / "grader", IMAGE)
    assert not (await lease(gateway, grader, await token(gateway, "grader"))).leases
    ranker = authority.client(tmp_path / "ranker", RANKER)
    message = await first_of_ledger(gateway, ranker, await token(gateway, "ranker"))
    assert message.head_position == 0


@pytest.mark.parametrize(
    ("uris", "kind", "error"),
    [
        # A grader's token with the certificate of another modality, of the ranker, of nobody here.
        (["spiffe://general-level/grader/video"], "grader", CertificateNotPermitted),
        ([RANKER], "grader", CertificateNotPermitted),
        (["spiffe://elsewhere/grader/image"], "grader", CertificateNotPermitted),
        (["spiffe://general-level/grader"], "grader", CertificateNotPermitted),
        ([f"{IMAGE}/more"], "grader", CertificateNotPermitted),
        ([IMAGE], "ranker", NotPermitted),
        # Of no service at all, or of two.
        ([], "grader", CertificateRequired),
        ([IMAGE, RANKER], "grader", CertificateRequired),
    ],
)
async def test_another_services_certificate_does_not_lease(
    gateway: Running,
    authority: Authority,
    tmp_path: Path,
    uris: list[str],
    kind: str,
    error: type[GeneralLevelError],
) -> None:
    tls = authority.client(tmp_path / "client", *uris)
    with pytest.raises(error) as caught:
        await lease(gateway, tls, await token(gateway, kind))
    assert type(caught.value) is error
    assert isinstance(caught.value.__cause__, grpc.aio.AioRpcError)
    assert caught.value.__cause__.code() is status_code(caught.value)


async def test_reasons_are_stable() -> None:
    assert status_code(CertificateRequired()) is grpc.StatusCode.UNAUTHENTICATED
    assert CertificateRequired.reason == "CERTIFICATE_REQUIRED"
    assert status_code(CertificateNotPermitted()) is grpc.StatusCode.PERMISSION_DENIED
    assert CertificateNotPermitted.reason == "CERTIFICATE_NOT_PERMITTED"


async def test_a_name_of_another_kind_is_no_identity(
    gateway: Running, authority: Authority, tmp_path: Path
) -> None:
    tls = authority.client(tmp_path / "client", dns=IMAGE)
    with pytest.raises(CertificateRequired):
        await lease(gateway, tls, await token(gateway, "grader"))


async def test_every_call_of_grading_needs_the_certificate(
    gateway: Running, authority: Authority, tmp_path: Path
) -> None:
    tls = authority.client(tmp_path / "client", RANKER)
    metadata = (("authorization", f"Bearer {await token(gateway, 'grader')}"),)
    async with called(gateway, tls, grading_pb2_grpc.GradingServiceStub) as stub:
        methods = grading_pb2.DESCRIPTOR.services_by_name["GradingService"].methods
        assert len(methods) >= 6
        for method in methods:
            request = getattr(grading_pb2, method.input_type.name)()
            if request.DESCRIPTOR.fields_by_name.get("modality") is not None:
                request.modality = "image"
            call = getattr(stub, method.name)(request, metadata=metadata, timeout=10)
            with pytest.raises(CertificateNotPermitted):
                await answered(call.read() if method.server_streaming else call)


async def test_every_call_of_ranking_needs_the_certificate(
    gateway: Running, authority: Authority, tmp_path: Path
) -> None:
    tls = authority.client(tmp_path / "client", IMAGE)
    given = await token(gateway, "ranker")
    with pytest.raises(CertificateNotPermitted):
        await first_of_ledger(gateway, tls, given)
    async with called(gateway, tls, ranking_pb2_grpc.RankingServiceStub) as stub:
        request = ranking_pb2.PublishStandingsRequest()
        metadata = (("authorization", f"Bearer {given}"),)
        with pytest.raises(CertificateNotPermitted):
            await answered(stub.PublishStandings(request, metadata=metadata, timeout=10))


async def test_a_certificate_replaces_no_token(
    gateway: Running, authority: Authority, tmp_path: Path
) -> None:
    tls = authority.client(tmp_path / "client", IMAGE)
    for given in ("", "glt_nonsense"):
        with pytest.raises(NotAuthenticated) as caught:
            await lease(gateway, tls, given)
        assert type(caught.value) is NotAuthenticated
    # The right token of another modality, with the right certificate of one's own.
    with pytest.raises(CertificateNotPermitted):
        await lease(gateway, tls, await gateway.token("grader", modality="video"), "video")


async def test_nobody_gets_in_without_a_certificate_of_this_authority(
    gateway: Running, authority: Authority, tmp_path: Path
) -> None:
    given = await token(gateway, "grader")
    stranger = Authority().client(tmp_path / "stranger", IMAGE)
    stranger.ca.write_bytes(authority.pem)
    anonymous = ClientTls(stranger.ca)
    past = datetime.now(UTC) - timedelta(minutes=1)
    expired = authority.client(tmp_path / "expired", IMAGE, ends=past)
    for tls in (None, anonymous, stranger, expired):
        with pytest.raises(Unavailable):
            await lease(gateway, tls, given)


async def test_health_is_asked_in_plain_text_beside_it(gateway: Running) -> None:
    assert gateway.ports.health is not None
    stub = health_pb2_grpc.HealthStub(await gateway.channel(f"127.0.0.1:{gateway.ports.health}"))
    for name in ("", "live", "ready", "general_level.v1.GradingService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, name


async def test_a_call_that_lasts_ends_with_its_certificate(
    authority: Authority, tmp_path: Path
) -> None:
    clock = ManualClock(datetime.now(UTC))
    files = authority.server(tmp_path, client_ca=authority.pem)
    ends = clock.now() + timedelta(minutes=10)
    tls = authority.client(tmp_path / "ranker", RANKER, ends=ends)
    async with running(tmp_path, clock, internal_tls=files) as gateway:
        given = await token(gateway, "ranker")
        async with called(gateway, tls, ranking_pb2_grpc.RankingServiceStub) as stub:
            metadata = (("authorization", f"Bearer {given}"),)
            stream = stub.WatchScores(
                ranking_pb2.WatchScoresRequest(), metadata=metadata, timeout=60
            )
            assert (await answered(stream.read())).head_position == 0
            clock.advance(timedelta(minutes=10))
            with pytest.raises(CertificateRequired):
                await answered(stream.read())
            # The connection is still there, and no call of it is taken either.
            request = ranking_pb2.PublishStandingsRequest()
            with pytest.raises(CertificateRequired):
                await answered(stub.PublishStandings(request, metadata=metadata, timeout=10))


def replaced(tls: ClientTls, by: ClientTls) -> None:
    """What a renewal does: the same files with other content, one after the other."""
    assert tls.certificate is not None
    assert by.certificate is not None
    assert tls.private_key is not None
    assert by.private_key is not None
    tls.certificate.write_bytes(by.certificate.read_bytes())
    tls.private_key.write_bytes(by.private_key.read_bytes())
    tls.ca.write_bytes(by.ca.read_bytes())


async def graded(gateway: Running, submission_id: str) -> None:
    """The submission's grading is over, without a score; the ledger says so."""

    def finish(connection: Connection, now: datetime) -> None:
        row = connection.execute(
            select(submissions).where(submissions.c.submission_id == submission_id)
        ).one()
        assert finish_submission(connection, now, row)

    await gateway.move(submission_id, State.UPLOADING, State.CHECKING, State.QUEUED)
    await gateway.gateway.database.run_write(finish, gateway.gateway.clock.now())
    gateway.gateway.signals.notify("ledger")


async def test_a_grader_and_a_ranker_outlive_their_authority(
    gateway: Running, authority: Authority, tmp_path: Path
) -> None:
    """All is signed anew by another authority while all run, and nobody is restarted."""
    graders = authority.client(tmp_path / "grader", IMAGE, server_name="gateway-internal")
    grader = GraderGateway(
        GraderFiles(tmp_path, b"").settings(
            gateway.internal_target, token=Secret(await token(gateway, "grader")), tls=graders
        ),
        ["accuracy"],
    )
    rankers = authority.client(tmp_path / "ranker", RANKER)
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{GraderKey().public.hex()}\n")
    settings = RankerSettings.from_env(
        {
            "RANKER_GATEWAY": gateway.internal_target,
            "RANKER_TOKEN": await token(gateway, "ranker"),
            "RANKER_TRUSTED_KEYS": str(keys),
            "RANKER_TLS_CA": str(rankers.ca),
            "RANKER_TLS_CERTIFICATE": str(rankers.certificate),
            "RANKER_TLS_PRIVATE_KEY": str(rankers.private_key),
            "RANKER_HEALTH_ADDRESS": "127.0.0.1:0",
        }
    )
    ranker = Ranker(settings)
    await ranker.start()
    assert ranker.watcher is not None
    try:
        assert await grader.lease(1, 0.0) == []
        await asyncio.wait_for(ranker.watcher.ready.wait(), 30)

        other = Authority()
        served = gateway.gateway.settings.internal_tls
        assert served is not None
        assert served.client_ca is not None
        other.server(tmp_path, (LOOPBACK, GATEWAY), client_ca=other.pem)  # the same three files
        with pytest.raises(Unavailable):
            await lease(gateway, authority.client(tmp_path / "late", IMAGE), "any")
        replaced(graders, other.client(tmp_path / "new-grader", IMAGE))
        replaced(rankers, other.client(tmp_path / "new-ranker", RANKER))
        assert await grader.lease(1, 0.0) == []
        # The first comes over the stream of before, which ends with it; the second over the next.
        for _ in range(2):
            lab = await gateway.new_lab()
            submission = await lab.create(archive())
            await graded(gateway, submission.submission_id)
            await lab.when(submission.submission_id, submission_pb2.SUBMISSION_STATE_PUBLISHED)
        value = ranker.telemetry.registry.get_sample_value("ranker_reconnects_total")
        assert value == 1
    finally:
        await ranker.stop()
        await grader.close()


@pytest.mark.parametrize("service", ["gateway", "grader", "ranker"])
def test_a_service_without_its_certificate_says_so_in_one_line(
    service: str, authority: Authority, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{GraderKey().public.hex()}\n")
    missing = str(tmp_path / "missing.pem")
    environ = {
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
        "GATEWAY_OBJECTS_URL": f"file://{tmp_path / 'objects'}",
        "GATEWAY_PUBLIC_ADDRESS": "127.0.0.1:0",
        "GATEWAY_INTERNAL_ADDRESS": "127.0.0.1:0",
        "GATEWAY_HEALTH_ADDRESS": "127.0.0.1:0",
        "GATEWAY_INTERNAL_TLS_CERTIFICATE": missing,
        "GATEWAY_INTERNAL_TLS_PRIVATE_KEY": missing,
        "GATEWAY_INTERNAL_TLS_CLIENT_CA": missing,
        "GRADER_MODALITY": "image",
        **dict.fromkeys(("GRADER_KEYS", "GRADER_IDENTITY", "GRADER_SIGNING_KEY"), "/not/opened"),
        "RANKER_TRUSTED_KEYS": str(keys),
        **{f"{name}_TOKEN": "a token" for name in ("GRADER", "RANKER")},
        **{f"{name}_TLS_CA": missing for name in ("GRADER", "RANKER")},
    }
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{service}", "serve"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    said = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1, ended.stderr
    assert "CERTIFICATE_INVALID" in said[0]
    assert missing in said[0]
