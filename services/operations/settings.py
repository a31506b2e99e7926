"""What an operator sets for the commands, read from ``OPERATIONS_*``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.kit.settings import Environment, Secret, SettingInvalid
from services.kit.tls import ClientTls, client_files


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the commands; a docstring under each says what it means."""

    gateway: str
    """The gateway's internal address, ``host:port``."""

    token: Secret
    """A token of kind operator, from ``OPERATIONS_TOKEN`` or the file in
    ``OPERATIONS_TOKEN_FILE``."""

    tls: ClientTls | None
    """The CA that signed the gateway's certificate, plain text without it; and the operator's own
    certificate, where the gateway asks for one."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads ``OPERATIONS_*``; SettingInvalid names the variable that cannot be used."""
        env = Environment(environ, "OPERATIONS_")
        token = env.secret("TOKEN")
        if token is None:
            raise SettingInvalid(
                "Set OPERATIONS_TOKEN_FILE.", variable="OPERATIONS_TOKEN_FILE", problem="missing"
            )
        return cls(
            gateway=env.text("GATEWAY", "127.0.0.1:50052"), token=token, tls=client_files(env)
        )
