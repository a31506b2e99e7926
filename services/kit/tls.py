"""Certificates of our own connections: their files, read again when they change.

Whoever renews certificates (cert-manager, an operator) replaces files; no service is restarted. A
server asks for them at each handshake, a client at each call. What cannot be used, such as a
certificate whose key has not come yet, changes nothing: the former stay until the files agree.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from general_level.errors import GeneralLevelError
from general_level.wire import to_rfc3339
from services.kit.logging import get_logger
from services.kit.settings import Environment, SettingInvalid


class CertificateInvalid(GeneralLevelError):
    """A certificate, its private key or its authority cannot be used."""

    reason = "CERTIFICATE_INVALID"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. With ``client_ca`` the server takes only clients with a certificate of that CA."""

    certificate: Path
    private_key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files of a connection to the gateway; certificate and key only for mTLS.

    ``server_name`` is what the gateway's certificate is held against, where that is not the host
    of the address that is called.
    """

    ca: Path
    certificate: Path | None = None
    private_key: Path | None = None
    server_name: str | None = None


def server_files(env: Environment, prefix: str, *, client_ca: bool) -> TlsFiles | None:
    """``<prefix>CERTIFICATE``, ``…PRIVATE_KEY`` and with ``client_ca`` ``…CLIENT_CA``.

    All or none; SettingInvalid.
    """
    names = ("CERTIFICATE", "PRIVATE_KEY", *(("CLIENT_CA",) if client_ca else ()))
    paths = [path for name in names if (path := env.path(prefix + name)) is not None]
    if not paths:
        return None
    if len(paths) < len(names):
        first, *others = (env.full_name(prefix + name) for name in names)
        raise SettingInvalid(
            f"Set {'all of' if client_ca else 'both'} {', '.join((first, *others[:-1]))} and "
            f"{others[-1]}, or none.",
            variable=first,
            problem="incomplete",
        )
    return TlsFiles(*paths)


def client_files(env: Environment) -> ClientTls | None:
    """``TLS_CA``, ``TLS_CERTIFICATE``, ``TLS_PRIVATE_KEY``, ``TLS_SERVER_NAME``; SettingInvalid."""
    ca = env.path("TLS_CA")
    certificate, private_key = env.path("TLS_CERTIFICATE"), env.path("TLS_PRIVATE_KEY")
    if (certificate is None) != (private_key is None) or (certificate and ca is None):
        raise SettingInvalid(
            "Give the client's certificate and private key together, and the CA with them.",
            variable=env.full_name("TLS_CERTIFICATE"),
            problem="incomplete",
        )
    server_name = env.optional_text("TLS_SERVER_NAME")
    if ca is None:
        if server_name is not None:
            raise SettingInvalid(
                "A server's name is held against its certificate only with a CA.",
                variable=env.full_name("TLS_SERVER_NAME"),
                problem="incomplete",
            )
        return None
    return ClientTls(ca, certificate, private_key, server_name)


@dataclass(frozen=True, slots=True)
class Pems:
    """The files' content, PEM. ``ends`` is the first instant that a certificate is not valid."""

    certificate: bytes | None
    private_key: bytes | None
    ca: bytes | None
    ends: datetime | None

    def __repr__(self) -> str:
        return f"Pems(ends={self.ends})"


class PemFiles:
    """A certificate, its key and a CA, each of which may be left out; safe to use in any thread.

    Making one reads the files: CertificateInvalid where they cannot be used.
    """

    def __init__(self, certificate: Path | None, private_key: Path | None, ca: Path | None) -> None:
        self._paths = (certificate, private_key, ca)
        self._lock = threading.Lock()
        self._refused: dict[str, str] = {}
        self._seen = self._read()
        self.current = self._checked(self._seen)

    def newer(self) -> Pems | None:
        """What the files hold, if that is not what they held when this was last asked."""
        with self._lock:
            try:
                read = self._read()
                if read == self._seen:
                    return None
                self.current = self._checked(read)
            except CertificateInvalid as error:
                if error.metadata != self._refused:  # said once, not at every call
                    self._refused = error.metadata
                    get_logger().error(
                        "certificate not taken", reason=error.reason, **error.metadata
                    )
                return None
            self._seen, self._refused = read, {}
            return self.current

    def _read(self) -> tuple[bytes | None, ...]:
        # Their content and not their times: what is replaced within one tick has changed, too.
        found: list[bytes | None] = []
        for path in self._paths:
            try:
                found.append(path.read_bytes() if path is not None else None)
            except OSError as error:
                raise _invalid(path, type(error).__name__) from error
        return tuple(found)

    def _checked(self, read: tuple[bytes | None, ...]) -> Pems:
        chain, private_key, ca = read
        leaf: x509.Certificate | None = None
        for path, data in ((self._paths[0], chain), (self._paths[2], ca)):
            if data is not None:
                first = _first_certificate(path, data)
                leaf = first if data is chain else leaf
        if private_key is not None and leaf is not None:
            _require_pair(self._paths[1], private_key, leaf)
        ends = leaf.not_valid_after_utc if leaf is not None else None
        if ends is not None:
            said = {"file": str(self._paths[0]), "ends": to_rfc3339(ends)}
            get_logger().info("certificate read", **said)
            if ends <= datetime.now(UTC):
                get_logger().error("certificate has ended", **said)
        return Pems(chain, private_key, ca, ends)


def _invalid(path: Path | None, problem: str) -> CertificateInvalid:
    return CertificateInvalid(f"{path}: {problem}.", file=path, problem=problem)


def _first_certificate(path: Path | None, data: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError as error:
        raise _invalid(path, "no certificate") from error


def _require_pair(path: Path | None, private_key: bytes, leaf: x509.Certificate) -> None:
    try:
        public = load_pem_private_key(private_key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # Without the cause: its words may be about the key.
        raise _invalid(path, type(error).__name__) from None
    if public != leaf.public_key():
        raise _invalid(path, "not the certificate's key")


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Of a server that reads its files at every handshake; CertificateInvalid at the start."""
    pems = PemFiles(files.certificate, files.private_key, files.client_ca)

    def newer() -> grpc.ServerCertificateConfiguration | None:
        # Called by gRPC in a thread of its own. None keeps what was given before.
        found = pems.newer()
        return _configuration(found) if found is not None else None

    return grpc.dynamic_ssl_server_credentials(
        _configuration(pems.current),
        newer,  # type: ignore[arg-type]  # None is "no change"
        require_client_authentication=files.client_ca is not None,
    )


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    assert pems.private_key is not None
    assert pems.certificate is not None
    return grpc.ssl_server_certificate_configuration(
        [(pems.private_key, pems.certificate)], root_certificates=pems.ca
    )
