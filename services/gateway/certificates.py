"""Which service a client's certificate is of, by its SPIFFE id.

The TLS handshake has proved that the internal authority signed the certificate and that the caller
holds its key; here is only what it says. An X.509 SVID (SPIFFE, "The X.509 SPIFFE Verifiable
Identity Document") has exactly one URI among its subject's alternative names. Names of other kinds,
such as DNS, are no identity, whatever they spell.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509

from general_level.errors import CertificateNotPermitted, CertificateRequired
from services.gateway.identity import Identity, RpcContext

TRUST_DOMAIN: Final = "spiffe://general-level"
#: gRPC's name for the leaf that the caller showed, PEM.
_PEM: Final = "x509_pem_cert"


def spiffe_id(kind: str, modality: str = "") -> str:
    """The id of the ranker or of operators, or of the graders of one modality."""
    return f"{TRUST_DOMAIN}/{kind}/{modality}" if modality else f"{TRUST_DOMAIN}/{kind}"


def require(context: RpcContext, identity: Identity, now: datetime) -> None:
    """The call's certificate must be of the same service as its token.

    Raises CertificateRequired where there is none with an identity that is still valid (a
    connection may outlive its certificate), CertificateNotPermitted for one of another service.
    """
    shown = context.auth_context().get(_PEM, ())
    if not shown:
        raise CertificateRequired
    found, ends = _read(shown[0])
    if now >= ends:
        raise CertificateRequired("It has ended; connect again with another.")
    wanted = spiffe_id(identity.kind, identity.modality)
    if found != wanted:
        raise CertificateNotPermitted(f"The token needs one of {wanted}.", needed=wanted)


def shown_id(context: RpcContext) -> str:
    """The SPIFFE id that the call's certificate names; empty where there is none, or no TLS."""
    shown = context.auth_context().get(_PEM, ())
    return _read(shown[0])[0] if shown else ""


@lru_cache(maxsize=1024)
def _read(pem: bytes) -> tuple[str, datetime]:
    """The SPIFFE id and the end of a certificate; CertificateRequired for one without an id."""
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        uris = []
    if len(uris) != 1:
        raise CertificateRequired("It names no service: it needs exactly one URI.")
    return uris[0], certificate.not_valid_after_utc
