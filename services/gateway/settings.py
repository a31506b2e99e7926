"""What an operator sets for a gateway, read once from ``GATEWAY_*``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from services.gateway.storage.postgres import Limits
from services.kit.objects import S3Options
from services.kit.settings import Environment, SettingInvalid
from services.kit.tls import TlsFiles, server_files


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a gateway; a docstring under each says what it means."""

    database_url: str = field(repr=False)
    """``sqlite:////absolute/file.db`` or ``postgresql://user:password@host:5432/name``."""

    database: Limits
    """What this gateway asks of its PostgreSQL."""

    objects_url: str
    """Where archives are kept: ``file:///absolute/folder`` or ``s3://bucket/prefix``."""

    s3: S3Options
    """How an S3-compatible store is reached."""

    catalogue: str
    """A shipped catalogue's name, or a folder of the same format."""

    ungraded_metrics: tuple[str, ...]
    """Metrics that no grader of this installation serves, such as those without their weights: a
    task of theirs is unscored, instead of waiting for a grader that never comes."""

    public_address: str
    """``host:port`` for labs and readers; port 0 picks a free one."""

    internal_address: str
    """``host:port`` for graders and the ranker. Never expose it to the internet."""

    web_address: str | None
    """``host:port`` of the pages that everyone reads; port 0 picks a free one. No pages without."""

    web_url: str | None
    """The pages' public base address, such as ``https://board.example.org``, without a path: with
    https, cookies are for https only. Without it the name by which a reader calls is taken."""

    web_trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    """Networks of the proxies in front of the pages: what they say in ``X-Forwarded-For`` about a
    reader's address is believed, by which requests are limited. Of others it is ignored."""

    metrics_port: int | None
    """Prometheus port; 0 is any free one, which is logged. No metrics are served without it."""

    metrics_host: str
    """The interface of the Prometheus port."""

    trusted_keys: Path | None
    """File of the graders' Ed25519 public keys, hex, one a line. Without it no score is taken."""

    public_folder: Path | None
    """What sealing published: ``boards/``, ``ids.json``, ``commitments.json``."""

    tls: TlsFiles | None
    """Certificate and key of the public port; plain text without them."""

    internal_tls: TlsFiles | None
    """The same of the internal port, and the authority of its clients' certificates: with them a
    call needs a certificate of the service that makes it, besides its token."""

    health_address: str | None
    """``host:port`` of a health service in plain text, for probes that speak no TLS."""

    lease: timedelta
    """A grader that shows no life for this long loses its job (1 to 600 s)."""

    job_duration: timedelta
    """The longest that one attempt at a job may take (10 s to 24 h)."""

    checkers: int
    """Archives that are checked at once, each in a child process (1 to 16)."""

    snapshots_kept: int
    """Snapshots of each board that are kept, the newest ones (1 to 1,000,000)."""

    archives_kept: timedelta | None
    """How long the archive of a published or failed submission is kept after its end (7 to 36,500
    days); for ever without it. Without an archive nothing is rejudged or requeued."""

    drain: timedelta
    """How long running calls get when the gateway stops (0 to 300 s)."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Reads ``GATEWAY_*``; SettingInvalid names the variable that cannot be used."""
        env = Environment(environ, "GATEWAY_")
        return cls(
            database_url=_database_url(env),
            database=Limits(
                connections=env.integer("DATABASE_CONNECTIONS", 8, low=1, high=100),
                connect_seconds=env.integer("DATABASE_CONNECT_SECONDS", 5, low=2, high=60),
                statement_seconds=env.integer("DATABASE_STATEMENT_SECONDS", 30, low=1, high=600),
                lock_seconds=env.integer("DATABASE_LOCK_SECONDS", 10, low=1, high=600),
                idle_seconds=env.integer("DATABASE_IDLE_SECONDS", 60, low=1, high=600),
            ),
            objects_url=env.text("OBJECTS_URL"),
            s3=_s3(env),
            catalogue=env.text("CATALOGUE", "general-bench"),
            ungraded_metrics=env.words("UNGRADED_METRICS"),
            public_address=env.text("PUBLIC_ADDRESS", "127.0.0.1:50051"),
            internal_address=env.text("INTERNAL_ADDRESS", "127.0.0.1:50052"),
            web_address=env.optional_text("WEB_ADDRESS"),
            web_url=env.optional_text("WEB_URL"),
            web_trusted_proxies=_networks(env, "WEB_TRUSTED_PROXIES"),
            metrics_port=env.port("METRICS_PORT"),
            metrics_host=env.text("METRICS_HOST", "127.0.0.1"),
            trusted_keys=env.path("TRUSTED_KEYS"),
            public_folder=env.path("PUBLIC_FOLDER"),
            tls=server_files(env, "TLS_", client_ca=False),
            internal_tls=server_files(env, "INTERNAL_TLS_", client_ca=True),
            health_address=env.optional_text("HEALTH_ADDRESS"),
            lease=timedelta(seconds=env.number("LEASE_SECONDS", 30, low=1, high=600)),
            job_duration=timedelta(seconds=env.number("JOB_SECONDS", 1800, low=10, high=86_400)),
            checkers=env.integer("CHECKERS", 2, low=1, high=16),
            snapshots_kept=env.integer("SNAPSHOTS_KEPT", 100, low=1, high=1_000_000),
            archives_kept=_days(env, "ARCHIVE_DAYS"),
            drain=timedelta(seconds=env.number("DRAIN_SECONDS", 10, low=0, high=300)),
        )


def _database_url(env: Environment) -> str:
    """``DATABASE_URL``, or the content of the file that ``DATABASE_URL_FILE`` names."""
    secret = env.secret("DATABASE_URL")
    # Without either, `text` says what is missing.
    return secret.reveal() if secret is not None else env.text("DATABASE_URL")


def _networks(env: Environment, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Networks in CIDR notation; an address alone is a network of one."""
    try:
        return tuple(ip_network(word) for word in env.words(name))
    except ValueError as error:
        raise SettingInvalid(
            f"{env.full_name(name)} must be networks such as 10.0.0.0/8, with commas between.",
            variable=env.full_name(name),
            problem="not a network",
        ) from error


def _days(env: Environment, name: str) -> timedelta | None:
    """A time in whole days; None if it is not set."""
    if env.optional_text(name) is None:
        return None
    return timedelta(days=env.integer(name, 0, low=7, high=36_500))


def _s3(env: Environment) -> S3Options:
    key_id, key = env.secret("OBJECTS_ACCESS_KEY_ID"), env.secret("OBJECTS_SECRET_ACCESS_KEY")
    if (key_id is None) != (key is None):
        raise SettingInvalid(
            "Set both GATEWAY_OBJECTS_ACCESS_KEY_ID and GATEWAY_OBJECTS_SECRET_ACCESS_KEY "
            "(or their _FILE), or neither.",
            variable="GATEWAY_OBJECTS_ACCESS_KEY_ID",
            problem="incomplete",
        )
    return S3Options(
        endpoint=env.text("OBJECTS_ENDPOINT", "") or None,
        region=env.text("OBJECTS_REGION", "") or None,
        access_key_id=key_id,
        secret_access_key=key,
        connect_seconds=env.number("OBJECTS_CONNECT_SECONDS", 5, low=0.1, high=60),
        request_seconds=env.number("OBJECTS_REQUEST_SECONDS", 30, low=0.1, high=600),
        retry_seconds=env.number("OBJECTS_RETRY_SECONDS", 60, low=0, high=300),
    )
