"""Real certificates for tests: an authority, and what it signs, as the PEM files of services.

authority = Authority()
server = authority.server(folder)                                  # for 127.0.0.1
grader = authority.client(folder, "spiffe://general-level/grader/image")
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.kit.tls import ClientTls, TlsFiles

LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
GATEWAY = x509.DNSName("gateway-internal")


class Authority:
    """Signs for whoever asks; ``pem`` is what others trust."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("authority")
        self.pem = _pem(
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def signed(
        self,
        names: Sequence[x509.GeneralName] = (),
        *,
        usage: x509.ObjectIdentifier | None = None,
        ends: datetime | None = None,
    ) -> tuple[bytes, bytes]:
        """A new certificate and its key, PEM; ``ends`` in an hour if not said."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _builder(_name("service"), self._name, key.public_key(), ends)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usage is not None:
            made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return _pem(made.sign(self._key, hashes.SHA256())), private

    def server(
        self,
        folder: Path,
        names: Sequence[x509.GeneralName] = (LOOPBACK,),
        *,
        client_ca: bytes | None = None,
    ) -> TlsFiles:
        """Files of a server; with ``client_ca`` it asks its clients for certificates of that."""
        pair = self.signed(names, usage=ExtendedKeyUsageOID.SERVER_AUTH)
        return TlsFiles(
            _write(folder / "server.crt", pair[0]),
            _write(folder / "server.key", pair[1]),
            _write(folder / "clients.crt", client_ca) if client_ca is not None else None,
        )

    def client(
        self,
        folder: Path,
        *uris: str,
        server_name: str | None = None,
        ends: datetime | None = None,
        dns: str = "",
    ) -> ClientTls:
        """Files of a client whose certificate names ``uris``; it trusts this authority."""
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        pair = self.signed(
            [*names, x509.DNSName(dns)] if dns else names,
            usage=ExtendedKeyUsageOID.CLIENT_AUTH,
            ends=ends,
        )
        folder.mkdir(exist_ok=True)
        return ClientTls(
            _write(folder / "ca.crt", self.pem),
            _write(folder / "tls.crt", pair[0]),
            _write(folder / "tls.key", pair[1]),
            server_name,
        )


def serial(pem: bytes) -> int:
    """What tells a certificate from the others of its authority."""
    return x509.load_pem_x509_certificate(pem).serial_number


def served_serial(port: int, ca: bytes, client: ClientTls | None = None) -> int:
    """The serial number of the certificate that a port of the loopback interface shows now."""
    context = ssl.create_default_context(cadata=ca.decode())
    if client is not None:
        assert client.certificate is not None
        context.load_cert_chain(client.certificate, client.private_key)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    ends: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    ends = ends or now + timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends) - timedelta(hours=1))
        .not_valid_after(ends)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
