"""Where traces go, as the operator says it by OpenTelemetry's own variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from services.kit.settings import Environment, SettingInvalid

_SAMPLERS: Final = ("always_on", "always_off", "traceidratio")


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Where spans go, by the variables that OpenTelemetry names."""

    endpoint: str
    """``http://host:4317`` or ``https://…`` of a collector that speaks OTLP over gRPC."""

    ratio: float
    """The share of submissions that are traced (0 to 1), the same ones in every service."""

    export_seconds: float
    """One export is given up after so long (1 to 60 s)."""

    queue_spans: int
    """Spans that wait for the collector, at most; what is more is dropped (64 to 65,536)."""

    batch_spans: int
    """Spans of one export, at most (1 to the queue's)."""

    delay_seconds: float
    """The longest that a span waits for others to be exported with it (0.05 to 60 s)."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> TracingSettings | None:
        """Reads ``OTEL_*``; None where no traces are wanted. SettingInvalid names the variable."""
        env = Environment(environ, "OTEL_")
        endpoint = env.optional_text("EXPORTER_OTLP_TRACES_ENDPOINT") or env.optional_text(
            "EXPORTER_OTLP_ENDPOINT"
        )
        disabled = env.text("SDK_DISABLED", "false").lower() == "true"
        exporter = env.choice("TRACES_EXPORTER", "otlp", ("otlp", "none"))
        if endpoint is None or disabled or exporter == "none":
            return None
        for name in ("EXPORTER_OTLP_PROTOCOL", "EXPORTER_OTLP_TRACES_PROTOCOL"):
            env.choice(name, "grpc", ("grpc",))
        _require_url(env, endpoint)
        _require_files(env)
        queue = env.integer("BSP_MAX_QUEUE_SIZE", 2048, low=64, high=65_536)
        return cls(
            endpoint=endpoint,
            ratio=_ratio(env),
            export_seconds=env.number("EXPORTER_OTLP_TIMEOUT", 10, low=1, high=60),
            queue_spans=queue,
            batch_spans=env.integer(
                "BSP_MAX_EXPORT_BATCH_SIZE", min(512, queue), low=1, high=queue
            ),
            delay_seconds=env.number("BSP_SCHEDULE_DELAY", 5000, low=50, high=60_000) / 1000,
        )


def _require_url(env: Environment, endpoint: str) -> None:
    found = urlsplit(endpoint)
    if found.scheme not in ("http", "https") or not found.netloc or found.username is not None:
        raise SettingInvalid(
            f"{env.full_name('EXPORTER_OTLP_ENDPOINT')} is http://host:port or https://host:port.",
            variable=env.full_name("EXPORTER_OTLP_ENDPOINT"),
            problem="no address",
        )


def _require_files(env: Environment) -> None:
    """The exporter reads them itself, and would go on without one that is not there."""
    for name in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
        for prefix in ("EXPORTER_OTLP_", "EXPORTER_OTLP_TRACES_"):
            path = env.path(prefix + name)
            if path is not None and not path.is_file():
                raise SettingInvalid(
                    f"The file of {env.full_name(prefix + name)} cannot be read.",
                    variable=env.full_name(prefix + name),
                    problem="no file",
                )


def _ratio(env: Environment) -> float:
    # Every service decides by the trace's id alone, whatever a parent says: whole traces are kept.
    known = (*_SAMPLERS, *(f"parentbased_{name}" for name in _SAMPLERS))
    name = env.choice("TRACES_SAMPLER", "always_on", known).removeprefix("parentbased_")
    share = env.number("TRACES_SAMPLER_ARG", 1, low=0, high=1)
    return {"always_on": 1.0, "always_off": 0.0}.get(name, share)
