"""Certificates from files: what is refused, what is taken when it changes, what is kept."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.kit.connection import Connection
from services.kit.logging import configure_logging
from services.kit.server import Server
from services.kit.settings import Environment, SettingInvalid
from services.kit.tls import (
    CertificateInvalid,
    ClientTls,
    PemFiles,
    TlsFiles,
    client_files,
    server_files,
)
from tests.support.certificates import GATEWAY, LOOPBACK, Authority, serial, served_serial

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    out = io.StringIO()
    configure_logging("test", stream=out)
    yield out
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def events(log: io.StringIO, name: str) -> list[dict[str, str]]:
    return [
        event for event in map(json.loads, log.getvalue().splitlines()) if event["event"] == name
    ]


def pems(files: TlsFiles) -> PemFiles:
    return PemFiles(files.certificate, files.private_key, files.client_ca)


class TestFiles:
    def test_unchanged_files_are_no_news(self, authority: Authority, tmp_path: Path) -> None:
        files = authority.server(tmp_path)
        found = pems(files)
        assert found.current.certificate == files.certificate.read_bytes()
        assert found.newer() is None
        # Written again with the same content, as a sync does.
        files.certificate.write_bytes(files.certificate.read_bytes())
        assert found.newer() is None

    def test_a_renewal_is_taken_when_certificate_and_key_agree(
        self, authority: Authority, tmp_path: Path, log: io.StringIO
    ) -> None:
        files = authority.server(tmp_path)
        found, first = pems(files), files.certificate.read_bytes()
        certificate, private_key = authority.signed([LOOPBACK])
        files.certificate.write_bytes(certificate)
        assert found.newer() is None
        assert found.newer() is None
        assert found.current.certificate == first
        (refused,) = events(log, "certificate not taken")  # once, not at every call
        assert refused["problem"] == "not the certificate's key"
        files.private_key.write_bytes(private_key)
        taken = found.newer()
        assert taken is found.current
        assert (taken.certificate, taken.private_key) == (certificate, private_key)
        assert found.newer() is None

    def test_files_that_go_away_or_break_change_nothing(
        self, authority: Authority, tmp_path: Path, log: io.StringIO
    ) -> None:
        files = authority.server(tmp_path, client_ca=authority.pem)
        found, before = pems(files), files.certificate.read_bytes()
        assert files.client_ca is not None
        for path in (files.certificate, files.private_key, files.client_ca):
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
            assert found.newer() is None
            path.unlink()
            assert found.newer() is None
            path.write_bytes(content)
            assert found.newer() is None
        assert found.current.certificate == before
        problems = [event["problem"] for event in events(log, "certificate not taken")]
        assert problems.count("FileNotFoundError") == 3
        assert len(problems) == 6

    def test_a_new_authority_alone_is_news(self, authority: Authority, tmp_path: Path) -> None:
        files = authority.server(tmp_path, client_ca=authority.pem)
        found, other = pems(files), Authority()
        assert files.client_ca is not None
        files.client_ca.write_bytes(authority.pem + other.pem)
        taken = found.newer()
        assert taken is not None
        assert taken.ca == authority.pem + other.pem

    def test_the_end_of_a_certificate_is_told_and_no_key(
        self, authority: Authority, tmp_path: Path, log: io.StringIO
    ) -> None:
        files = authority.server(tmp_path)
        ends = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
        certificate, private_key = authority.signed([LOOPBACK], ends=ends)
        files.certificate.write_bytes(certificate)
        files.private_key.write_bytes(private_key)
        assert pems(files).current.ends == ends
        (event,) = events(log, "certificate read")
        assert event["ends"] == "2031-05-06T07:08:09Z"
        secret = private_key.decode().splitlines()[1]
        assert secret not in log.getvalue() + repr(pems(files).current)

    @pytest.mark.parametrize("broken", ["certificate", "private_key", "client_ca"])
    def test_a_start_with_unusable_files_names_the_file(
        self, authority: Authority, tmp_path: Path, broken: str
    ) -> None:
        files = authority.server(tmp_path, client_ca=authority.pem)
        path: Path = getattr(files, broken)
        path.write_bytes(b"-----BEGIN NONSENSE-----")
        with pytest.raises(CertificateInvalid) as caught:
            pems(files)
        assert caught.value.metadata["file"] == str(path)
        assert str(path) in str(caught.value)
        path.unlink()
        with pytest.raises(CertificateInvalid) as caught:
            pems(files)
        assert caught.value.metadata["problem"] == "FileNotFoundError"


async def health(stub: health_pb2_grpc.HealthStub) -> int:
    return int((await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)).status)


class TestServer:
    async def test_it_shows_the_certificate_of_the_day(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        files = authority.server(tmp_path)
        server = Server([])
        server.bind("127.0.0.1:0", files)
        await server.start()
        shown = [serial(files.certificate.read_bytes())]
        assert await asyncio.to_thread(served_serial, server.port, authority.pem) == shown[-1]
        for path, content in zip(
            (files.certificate, files.private_key), authority.signed([LOOPBACK]), strict=True
        ):
            path.write_bytes(content)
            shown.append(await asyncio.to_thread(served_serial, server.port, authority.pem))
        # Half of a renewal is none.
        assert shown[1] == shown[0]
        assert shown[2] == serial(files.certificate.read_bytes()) != shown[0]
        await server.stop(0)

    async def test_it_trusts_the_authority_of_the_day(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        files = authority.server(tmp_path, client_ca=authority.pem)
        server = Server([])
        server.bind("127.0.0.1:0", files)
        await server.start()
        target = f"127.0.0.1:{server.port}"
        other = Authority()
        stranger = other.client(tmp_path / "other")
        stranger.ca.write_bytes(authority.pem)
        assert files.client_ca is not None

        async def called(tls: ClientTls) -> int:
            connection = Connection(target, tls, (), health_pb2_grpc.HealthStub)
            try:
                return await health(connection.stub())
            finally:
                await connection.close()

        own = authority.client(tmp_path / "own")
        assert await called(own) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await called(stranger)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        files.client_ca.write_bytes(other.pem)
        assert await called(stranger) == SERVING
        with pytest.raises(grpc.aio.AioRpcError):
            await called(own)
        await server.stop(0)


class TestConnection:
    async def test_a_renewed_certificate_is_shown_without_a_restart(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        server = Server([])
        files = authority.server(tmp_path, client_ca=authority.pem)
        server.bind("127.0.0.1:0", files)
        await server.start()
        tls = authority.client(tmp_path / "client")
        connection = Connection(f"127.0.0.1:{server.port}", tls, (), health_pb2_grpc.HealthStub)
        first = connection.stub()
        assert await health(first) == SERVING
        watch = first.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == SERVING
        assert connection.stub() is first

        # From now on the server knows another authority, and the client has its certificate.
        other = Authority()
        assert files.client_ca is not None
        files.client_ca.write_bytes(other.pem)
        renewed = other.client(tmp_path / "renewed")
        for name in ("certificate", "private_key"):
            getattr(tls, name).write_bytes(getattr(renewed, name).read_bytes())
        second = connection.stub()
        assert second is not first
        assert await health(second) == SERVING
        # What had begun goes on where it began.
        await server.set_serving(False)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await connection.close()
        assert watch.done()
        await server.stop(0)

    async def test_the_server_has_to_be_the_one_that_is_named(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        server = Server([])
        server.bind("127.0.0.1:0", authority.server(tmp_path, [GATEWAY]))
        await server.start()
        target = f"127.0.0.1:{server.port}"
        named = authority.client(tmp_path / "client", server_name="gateway-internal")
        connection = Connection(target, named, (), health_pb2_grpc.HealthStub)
        assert await health(connection.stub()) == SERVING
        await connection.close()
        for name in (None, "another"):
            unnamed = authority.client(tmp_path / "client", server_name=name)
            connection = Connection(target, unnamed, (), health_pb2_grpc.HealthStub)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health(connection.stub())
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            await connection.close()
        await server.stop(0)

    async def test_unusable_files_stop_the_start(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        tls = authority.client(tmp_path / "client")
        tls.ca.write_bytes(b"")
        with pytest.raises(CertificateInvalid):
            Connection("127.0.0.1:1", tls, (), health_pb2_grpc.HealthStub)


class TestSettings:
    def test_a_server_has_all_or_none(self) -> None:
        whole = {"S_TLS_CERTIFICATE": "/c", "S_TLS_PRIVATE_KEY": "/k", "S_TLS_CLIENT_CA": "/ca"}

        def read(environ: dict[str, str]) -> TlsFiles | None:
            return server_files(Environment(environ, "S_"), "TLS_", client_ca=True)

        assert read({}) is None
        assert read(whole) == TlsFiles(Path("/c"), Path("/k"), Path("/ca"))
        for name in whole:
            with pytest.raises(SettingInvalid) as caught:
                read({key: value for key, value in whole.items() if key != name})
            assert caught.value.metadata["variable"] == "S_TLS_CERTIFICATE"

    @pytest.mark.parametrize(
        ("given", "variable"),
        [
            ({"TLS_CERTIFICATE": "/c", "TLS_CA": "/ca"}, "TLS_CERTIFICATE"),
            ({"TLS_PRIVATE_KEY": "/k", "TLS_CA": "/ca"}, "TLS_CERTIFICATE"),
            ({"TLS_CERTIFICATE": "/c", "TLS_PRIVATE_KEY": "/k"}, "TLS_CERTIFICATE"),
            ({"TLS_SERVER_NAME": "gateway-internal"}, "TLS_SERVER_NAME"),
        ],
    )
    def test_parts_of_a_client_are_refused(self, given: dict[str, str], variable: str) -> None:
        with pytest.raises(SettingInvalid) as caught:
            client_files(Environment({f"C_{key}": value for key, value in given.items()}, "C_"))
        assert caught.value.metadata["variable"] == f"C_{variable}"

    def test_a_client_may_trust_without_being_known(self) -> None:
        environ = {"C_TLS_CA": "/ca", "C_TLS_SERVER_NAME": "gateway-internal"}
        found = client_files(Environment(environ, "C_"))
        assert found == ClientTls(Path("/ca"), server_name="gateway-internal")
        assert client_files(Environment({}, "C_")) is None


def test_a_certificate_that_has_ended_is_said_at_the_start(
    authority: Authority, tmp_path: Path, log: io.StringIO
) -> None:
    files = authority.server(tmp_path)
    past = datetime.now(UTC) - timedelta(minutes=1)
    for path, content in zip(
        (files.certificate, files.private_key), authority.signed(ends=past), strict=True
    ):
        path.write_bytes(content)
    pems(files)
    assert events(log, "certificate has ended")
