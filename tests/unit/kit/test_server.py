"""A server answers health and reflection, speaks TLS, bounds messages and hides what went wrong."""

from __future__ import annotations

import asyncio
import io
import json

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from general_level import errors
from general_level.v1 import catalogue_pb2, catalogue_pb2_grpc
from general_level.wire import from_rpc_error
from services.kit.logging import configure_logging
from services.kit.server import MESSAGE_BYTES_MAX, Server
from tests.support.certificates import Authority

NAME = "general_level.v1.CatalogueService"
SECRET = "canary-b7e0"


class Troubled(catalogue_pb2_grpc.CatalogueServiceServicer):
    """A service whose calls fail in the ways that calls fail."""

    async def ListBoards(self, request, context):
        raise KeyError(SECRET)

    async def GetCatalogue(self, request, context):
        raise errors.QuotaExceeded(
            "Wait.", next_slot_time="2026-01-05T09:00:00Z", text="ω" * 100_000, many="x" * 100_000
        )

    async def ListKeyCommitments(self, request, context):
        return catalogue_pb2.ListKeyCommitmentsResponse(
            commitments=[catalogue_pb2.KeyCommitment(commitment="x" * (MESSAGE_BYTES_MAX + 1))]
        )

    async def DownloadInputs(self, request, context):
        yield catalogue_pb2.DownloadInputsResponse(data=b"first")
        if request.board_id == "known":
            raise errors.NotFound("Gone.", board_id="known")
        raise RuntimeError(SECRET)


async def read_all(call) -> None:
    async for _message in call:
        pass


@pytest.fixture
def log():
    out = io.StringIO()
    configure_logging("test", stream=out)
    yield out
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
async def server(log):
    server = Server([NAME])
    catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(Troubled(), server.grpc)
    server.bind("127.0.0.1:0")
    await server.start()
    yield server
    await server.stop(0)


@pytest.fixture
async def channel(server):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return catalogue_pb2_grpc.CatalogueServiceStub(channel)


async def test_health_is_told_for_the_server_and_each_service(server, channel):
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", NAME):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    await server.set_serving(False)
    for name in ("", NAME):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_can_be_watched(server, channel):
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    await server.set_serving(False)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()


async def test_health_does_not_know_other_services(channel):
    health = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="none"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    async for answer in call:
        names = {service.name for service in answer.list_services_response.service}
    assert names == {
        NAME,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("streaming", [False, True])
async def test_an_unforeseen_error_is_internal_without_a_word_of_it(stub, log, streaming):
    if streaming:
        call = read_all(stub.DownloadInputs(catalogue_pb2.DownloadInputsRequest()))
    else:
        call = stub.ListBoards(catalogue_pb2.ListBoardsRequest())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    rebuilt = from_rpc_error(caught.value)
    assert rebuilt.reason == "INTERNAL"
    answered = f"{caught.value.details()} {caught.value.trailing_metadata()} {rebuilt.metadata}"
    assert SECRET not in answered
    # It is in our own log, with the method.
    event = next(e for e in map(json.loads, log.getvalue().splitlines()) if e["level"] == "error")
    assert event["method"].startswith(f"/{NAME}/")
    assert SECRET in event["exception"]


async def test_a_stream_that_fails_after_a_message_gives_the_message_and_the_reason(stub):
    call = stub.DownloadInputs(catalogue_pb2.DownloadInputsRequest(board_id="known"))
    assert (await call.read()).data == b"first"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    rebuilt = from_rpc_error(caught.value)
    assert isinstance(rebuilt, errors.NotFound)
    assert rebuilt.metadata == {"board_id": "known"}


async def test_an_error_whose_data_is_huge_still_arrives_with_its_reason(stub):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetCatalogue(catalogue_pb2.GetCatalogueRequest())
    rebuilt = from_rpc_error(caught.value)
    assert isinstance(rebuilt, errors.QuotaExceeded)
    assert rebuilt.metadata["next_slot_time"] == "2026-01-05T09:00:00Z"
    assert len(rebuilt.metadata["text"]) < 1_000


async def test_a_message_above_the_limit_is_refused_in_both_directions(server):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=options) as channel:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        too_long = catalogue_pb2.DownloadInputsRequest(board_id="x" * (MESSAGE_BYTES_MAX + 1))
        with pytest.raises(grpc.aio.AioRpcError) as received:
            await read_all(stub.DownloadInputs(too_long))
        assert received.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.aio.AioRpcError) as sent:
            await stub.ListKeyCommitments(catalogue_pb2.ListKeyCommitmentsRequest())
        assert sent.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_method_that_nobody_serves_is_unimplemented(channel):
    call = channel.unary_unary("/general_level.v1.NoService/NoMethod")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stopping_server_refuses_new_calls_and_lets_a_running_one_end():
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow(catalogue_pb2_grpc.CatalogueServiceServicer):
        async def ListBoards(self, request, context):
            entered.set()
            await leave.wait()
            return catalogue_pb2.ListBoardsResponse()

    server = Server([NAME])
    catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(Slow(), server.grpc)
    server.bind("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        running = asyncio.ensure_future(stub.ListBoards(catalogue_pb2.ListBoardsRequest()))
        await entered.wait()
        stopping = asyncio.create_task(server.stop(10))
        await asyncio.sleep(0)
        leave.set()
        assert await running == catalogue_pb2.ListBoardsResponse()
        await stopping
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.ListBoards(catalogue_pb2.ListBoardsRequest())


@pytest.fixture(scope="module")
def authority():
    return Authority()


async def health_over_tls(port: int, ca: bytes, pair: tuple[bytes, bytes] | None = None) -> int:
    key, chain = pair or (None, None)
    credentials = grpc.ssl_channel_credentials(ca, key, chain)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        return answer.status


async def test_tls_serves_those_who_trust_the_certificate_and_no_plain_text(authority, tmp_path):
    server = Server([NAME])
    server.bind("127.0.0.1:0", authority.server(tmp_path))
    await server.start()
    serving = health_pb2.HealthCheckResponse.SERVING
    assert await health_over_tls(server.port, authority.pem) == serving
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await server.stop(0)


async def test_with_a_client_ca_only_clients_with_a_certificate_get_in(authority, tmp_path):
    server = Server([NAME])
    files = authority.server(tmp_path, client_ca=authority.pem)
    server.bind("127.0.0.1:0", files)
    await server.start()
    client = authority.client(tmp_path / "client")
    own = (client.private_key.read_bytes(), client.certificate.read_bytes())
    serving = health_pb2.HealthCheckResponse.SERVING
    assert await health_over_tls(server.port, authority.pem, own) == serving
    # A server's certificate is none of a client, though the same authority signed it.
    wrong_use = (files.private_key.read_bytes(), files.certificate.read_bytes())
    for pair in (None, wrong_use):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_over_tls(server.port, authority.pem, pair)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await server.stop(0)


async def test_a_port_in_use_is_an_error_and_no_second_listener(server):
    with pytest.raises(RuntimeError):
        Server([NAME]).bind(f"127.0.0.1:{server.port}")
