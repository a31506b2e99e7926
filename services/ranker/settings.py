"""What an operator sets for a ranker, read once from ``RANKER_*``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from general_level.trusted_keys import read_trusted_keys
from services.kit.settings import Environment, Secret, SettingInvalid
from services.kit.tls import ClientTls, client_files
from services.ranker.formulas.conventions import Convention
from services.ranker.verifying import processors


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a ranker; a docstring under each says what it means."""

    gateway: str
    """The gateway's internal address, ``host:port``."""

    token: Secret
    """A token of kind ranker, from ``RANKER_TOKEN`` or the file in ``RANKER_TOKEN_FILE``."""

    trusted_keys: tuple[bytes, ...]
    """Raw Ed25519 public keys of the graders whose statements count."""

    catalogue: str
    """A shipped catalogue's name, or a folder of the same format."""

    references: str | None
    """The id of the reference list; the catalogue's default if not set."""

    convention: Convention
    """How raw values become scores; ``general-level`` outside of comparisons with print."""

    metrics_port: int | None
    """Prometheus port; 0 is any free one, which is logged. No metrics are served without it."""

    metrics_host: str
    """The interface of the Prometheus port."""

    tls: ClientTls | None
    """The CA that signed the gateway's certificate, plain text without it; and this ranker's own
    certificate, where the gateway asks for one."""

    health_address: str | None
    """``host:port`` of a health service for probes; none without it."""

    checkpoint: Path | None = None
    """A file on a volume of the ranker's own that says what was verified; none without it."""

    checkpoint_key: Secret | None = None
    """Authenticates that file, from ``RANKER_CHECKPOINT_KEY`` or ``…_KEY_FILE``."""

    verifiers: int = 1
    """Processes that verify statements together while the ranker catches up."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads ``RANKER_*``; SettingInvalid names the variable that cannot be used."""
        env = Environment(environ, "RANKER_")
        token = env.secret("TOKEN")
        if token is None:
            raise SettingInvalid("Set RANKER_TOKEN.", variable="RANKER_TOKEN", problem="missing")
        keys = env.path("TRUSTED_KEYS")
        if keys is None:
            raise SettingInvalid(
                "Set RANKER_TRUSTED_KEYS.", variable="RANKER_TRUSTED_KEYS", problem="missing"
            )
        names = tuple(str(convention) for convention in Convention)
        convention = env.choice("CONVENTION", str(Convention.GENERAL_LEVEL), names)
        return cls(
            gateway=env.text("GATEWAY", "127.0.0.1:50052"),
            token=token,
            trusted_keys=read_trusted_keys(keys),
            catalogue=env.text("CATALOGUE", "general-bench"),
            # An empty value means the default, as an unset one does.
            references=environ.get("RANKER_REFERENCES") or None,
            convention=Convention(convention),
            metrics_port=env.port("METRICS_PORT"),
            metrics_host=env.text("METRICS_HOST", "127.0.0.1"),
            tls=client_files(env),
            health_address=env.optional_text("HEALTH_ADDRESS"),
            checkpoint=env.path("CHECKPOINT"),
            checkpoint_key=env.secret("CHECKPOINT_KEY"),
            verifiers=env.integer("VERIFIERS", min(4, processors()), low=1, high=64),
        )
