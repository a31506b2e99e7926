"""The health port: live while the event loop answers, ready when told, nothing without address."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.kit.health import HealthServer
from tests.support import stalling_health

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NAME = "general_level.v1.GradingService"


@pytest.fixture
async def server() -> AsyncIterator[HealthServer]:
    server = HealthServer("127.0.0.1:0", [NAME])
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def stub(server: HealthServer) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)


async def status(stub: Any, name: str) -> int:
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
    return int(answer.status)


async def test_it_is_live_at_once_and_ready_when_told(server: HealthServer, stub: Any) -> None:
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="ready"))
    assert (await watch.read()).status == NOT_SERVING
    assert [await status(stub, name) for name in ("", "live")] == [SERVING, SERVING]
    assert [await status(stub, name) for name in ("ready", NAME)] == [NOT_SERVING, NOT_SERVING]

    server.set_ready(True)
    assert (await asyncio.wait_for(watch.read(), 10)).status == SERVING
    assert [await status(stub, name) for name in ("ready", NAME)] == [SERVING, SERVING]

    server.set_ready(False)
    assert (await asyncio.wait_for(watch.read(), 10)).status == NOT_SERVING
    assert [await status(stub, name) for name in ("", "live", "ready")] == [
        SERVING,
        SERVING,
        NOT_SERVING,
    ]
    watch.cancel()


async def test_it_has_nothing_but_health(server: HealthServer, stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await status(stub, "general_level.v1.SubmissionService")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{NAME}/LeaseJobs")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_without_an_address_nothing_listens() -> None:
    server = HealthServer(None)
    await server.start()
    server.set_ready(True)
    assert server.port is None
    await server.stop()


def test_a_loop_that_is_stuck_is_not_live() -> None:
    request = health_pb2.HealthCheckRequest(service="live")
    with subprocess.Popen(
        [sys.executable, "-m", stalling_health.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        target = f"127.0.0.1:{int(process.stdout.readline())}"
        with grpc.insecure_channel(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            assert stub.Check(request, timeout=10).status == SERVING
            process.send_signal(signal.SIGUSR1)
            assert process.stdout.readline() == "stalled\n"
            with pytest.raises(grpc.RpcError) as caught:
                stub.Check(request, timeout=0.3)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert stub.Check(request, timeout=10).status == SERVING
            process.send_signal(signal.SIGUSR1)
            process.stdin.close()
        assert process.wait(30) == 0
