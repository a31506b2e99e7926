"""The public port with a certificate: the labs' client trusts it, and plain text is refused."""

from __future__ import annotations

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from general_level.client import Client
from general_level.client.retry import RetryPolicy
from general_level.errors import Unavailable
from services.gateway import identity
from services.kit.tls import TlsFiles
from tests.support.gateway import Running, running


def _certificate(folder: Path) -> TlsFiles:
    """A self-signed certificate for the loopback address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(folder / "tls.crt", folder / "tls.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


async def test_a_lab_connects_with_the_authority_and_not_without_tls(tmp_path: Path) -> None:
    tls = _certificate(tmp_path)
    authority = tls.certificate.read_bytes()
    once = RetryPolicy(attempts=1, first_wait_seconds=0.01, longest_wait_seconds=0.01)

    async with running(tmp_path, tls=tls) as gateway:
        token = await gateway.token("lab", lab_id=await _lab(gateway))

        def trusted() -> int:
            with Client(gateway.target, token, root_certificates=authority) as client:
                return len(client.boards("A")) + len(client.quota().windows)

        def plain() -> None:
            with Client(gateway.target, insecure=True, retry=once, timeout_seconds=5) as client:
                client.boards("A")

        assert await asyncio.to_thread(trusted) == 4
        with pytest.raises(Unavailable):
            await asyncio.to_thread(plain)


async def _lab(gateway: Running) -> str:
    return await gateway.gateway.database.run_write(
        identity.create_lab, gateway.gateway.clock.now(), "Example Lab"
    )
