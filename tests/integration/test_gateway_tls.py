"""The public port with a certificate: the labs' client trusts it, and plain text is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from general_level.client import Client
from general_level.client.retry import RetryPolicy
from general_level.errors import Unavailable
from services.gateway import identity
from tests.support.certificates import Authority, serial, served_serial
from tests.support.gateway import Running, running


async def test_a_lab_connects_with_the_authority_and_not_without_tls(tmp_path: Path) -> None:
    authority = Authority()
    tls = authority.server(tmp_path)
    once = RetryPolicy(attempts=1, first_wait_seconds=0.01, longest_wait_seconds=0.01)

    async with running(tmp_path, tls=tls) as gateway:
        token = await gateway.token("lab", lab_id=await _lab(gateway))

        def trusted() -> int:
            with Client(gateway.target, token, root_certificates=authority.pem) as client:
                return len(client.boards("A")) + len(client.quota().windows)

        def plain() -> None:
            with Client(gateway.target, insecure=True, retry=once, timeout_seconds=5) as client:
                client.boards("A")

        assert await asyncio.to_thread(trusted) == 4
        with pytest.raises(Unavailable):
            await asyncio.to_thread(plain)


async def test_a_renewed_certificate_is_served_and_open_connections_stay(tmp_path: Path) -> None:
    authority = Authority()
    tls = authority.server(tmp_path)
    async with running(tmp_path, tls=tls) as gateway:
        port = gateway.ports.public
        before = serial(tls.certificate.read_bytes())
        assert await asyncio.to_thread(served_serial, port, authority.pem) == before
        with Client(gateway.target, root_certificates=authority.pem) as client:
            boards = await asyncio.to_thread(client.boards, "A")
            authority.server(tmp_path)  # the same files, another certificate
            after = await asyncio.to_thread(served_serial, port, authority.pem)
            assert after == serial(tls.certificate.read_bytes()) != before
            assert await asyncio.to_thread(client.boards, "A") == boards


async def _lab(gateway: Running) -> str:
    return await gateway.gateway.database.run_write(
        identity.create_lab, gateway.gateway.clock.now(), "Example Lab"
    )
