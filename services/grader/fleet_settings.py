"""Everything a fleet is told, read once from the environment (``FLEET_…``).

What differs between modalities may be told for one: ``FLEET_CEILING`` is for all that
``FLEET_CEILING_VIDEO`` is not for. ``FLEET_GRADER_BOXES`` is ``GRADER_BOXES`` of each grader.
Secrets are files of the engine's machine; the environment holds where they are and never a secret.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from general_level.catalogue.model import Modality
from services.grader.fleet_plans import (
    GraderPlan,
    grader_drain_seconds,
    grader_environment,
    grader_plan,
    invalid,
    own_name,
)
from services.grader.fleet_policy import Limits, Pace, Policy
from services.kit.settings import Environment

PREFIX: Final = "FLEET_"
#: A grader gives its leases back after its drain, by a call of at most 15 s.
_LEAVING_SECONDS: Final = 15
_SPARE_SECONDS: Final = 15
#: A job of text takes less than a tenth of one with media.
_JOBS_PER_GRADER: Final = {Modality.LANGUAGE: 200}


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """One fleet. ``engine`` is a URL as DOCKER_HOST has it; ``network`` an internal one, or none.

    ``telemetry_urls`` are gateways, the first that answers is believed. ``seccomp`` is a profile's
    content, the engine's default if None. ``leave`` keeps the graders at work at the end.
    """

    name: str
    engine: str
    network: str
    telemetry_urls: tuple[str, ...]
    plans: Mapping[Modality, GraderPlan]
    policy: Policy
    pace: Pace
    drain_seconds: int
    interval_seconds: float
    engine_seconds: int
    seccomp: str | None
    leave: bool
    metrics_port: int | None
    metrics_host: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> FleetSettings:
        """Reads ``FLEET_…``; SettingInvalid names the variable that cannot be used."""
        env = Environment(environ, PREFIX)
        modalities = _modalities(env)
        grader_environ = grader_environment(env, environ)
        plans = {modality: grader_plan(env, modality, grader_environ) for modality in modalities}
        policy = Policy(
            {modality: _limits(env, modality) for modality in modalities},
            env.integer("TOTAL", 8, low=1, high=1000),
            env.number("QUIET_SECONDS", 600.0, low=0.0, high=86_400.0),
        )
        floors = sum(limits.floor for limits in policy.limits.values())
        if floors > policy.total:
            raise invalid(env, "TOTAL", f"must be at least the sum of the floors, {floors}.")
        return cls(
            name=_name(env),
            engine=env.text("ENGINE", "unix:///var/run/docker.sock"),
            network=env.text("NETWORK", "general-level-graders"),
            telemetry_urls=_urls(env),
            plans=plans,
            policy=policy,
            pace=Pace(
                first_seconds=env.number("RESTART_SECONDS", 1.0, low=0.1, high=3600.0),
                longest_seconds=env.number("RESTART_SECONDS_MAX", 300.0, low=0.1, high=86_400.0),
                steady_seconds=env.number("STEADY_SECONDS", 60.0, low=0.1, high=86_400.0),
            ),
            drain_seconds=_drain_seconds(env, grader_environ),
            interval_seconds=env.number("INTERVAL_SECONDS", 5.0, low=0.1, high=600.0),
            engine_seconds=env.integer("ENGINE_SECONDS", 30, low=1, high=600),
            seccomp=_seccomp(env),
            leave=env.choice("AT_END", "drain", ("drain", "leave")) == "leave",
            metrics_port=env.port("METRICS_PORT"),
            metrics_host=env.text("METRICS_HOST", "127.0.0.1"),
        )


def _name(env: Environment) -> str:
    name = env.text("NAME", "general-level")
    if not (name.replace("-", "").isalnum() and name.isascii() and name[0].isalnum()):
        raise invalid(env, "NAME", "must be of letters, digits and hyphens.")
    return name


def _modalities(env: Environment) -> tuple[Modality, ...]:
    words = env.words("MODALITIES") or tuple(Modality)
    try:
        return tuple(dict.fromkeys(Modality(word) for word in words))
    except ValueError:
        raise invalid(
            env, "MODALITIES", f"must be words of {', '.join(Modality)}, with commas."
        ) from None


def _urls(env: Environment) -> tuple[str, ...]:
    urls = env.words("GATEWAY_TELEMETRY") or ("http://127.0.0.1:9464/metrics",)
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or parts.username is not None:
            raise invalid(env, "GATEWAY_TELEMETRY", "must be URLs of http://host:port/metrics.")
    return urls


def _limits(env: Environment, modality: Modality) -> Limits:
    def own(name: str) -> str:
        return own_name(env, name, modality)

    ceiling = env.integer(own("CEILING"), 2, low=1, high=1000)
    floor = env.integer(own("FLOOR"), 1, low=0, high=1000)
    if floor > ceiling:
        raise invalid(env, own("FLOOR"), f"must not be above the ceiling, {ceiling}.")
    jobs = _JOBS_PER_GRADER.get(modality, 20)
    return Limits(
        floor=floor,
        ceiling=ceiling,
        jobs_per_grader=env.integer(own("JOBS_PER_GRADER"), jobs, low=1, high=1_000_000),
        seconds_per_grader=env.number(own("SECONDS_PER_GRADER"), 60.0, low=1.0, high=86_400.0),
    )


def _drain_seconds(env: Environment, told: Mapping[str, str]) -> int:
    least = math.ceil(grader_drain_seconds(told)) + _LEAVING_SECONDS
    seconds = env.integer("DRAIN_SECONDS", least + _SPARE_SECONDS, low=1, high=7200)
    if seconds < least:
        raise invalid(
            env, "DRAIN_SECONDS", f"must be at least {least}: what a grader's own drain takes."
        )
    return seconds


def _seccomp(env: Environment) -> str | None:
    path: Path | None = env.path("SECCOMP")
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(env, "SECCOMP", "names a file that cannot be read.") from error
