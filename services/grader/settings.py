"""Everything a grader is told, read once from the environment (``GRADER_…``)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from general_level.catalogue.model import Modality
from services.grader.decode.box import BoxLimits, Isolation
from services.grader.networks import CPU, NetworkSettings
from services.grader.scorer_protocol import ScorerConfig
from services.kit.settings import Environment, Secret, SettingInvalid
from services.kit.tls import ClientTls, client_files

PREFIX: Final = "GRADER_"

_MIB: Final = 1024 * 1024


def version() -> str:
    """The installed version of this project."""
    return metadata.version("general-level")


@dataclass(frozen=True, slots=True)
class GraderSettings:
    """One grader process. Names end in their unit; secrets do not print.

    ``bundle``, ``identity`` and ``signing_key`` are paths that the scorer process alone opens.
    ``pipeline_depth`` jobs are between the first byte read and the score; up to ``jobs`` are held,
    but never more work than ``prefetch_seconds`` at the present pace. ``networks`` says where
    weights lie and what runs them. ``health_address`` (``host:port``) is for probes; none without.
    """

    modality: Modality
    gateway: str
    token: Secret
    grader_id: str
    catalogue_name: str
    catalogue_folder: Path | None
    bundle: Path
    identity: Path
    signing_key: Path
    tls: ClientTls | None = None
    jobs: int = 16
    pipeline_depth: int = 3
    prefetch_seconds: float = 5.0
    poll_seconds: float = 20.0
    drain_seconds: float = 25.0
    score_seconds: float = 600.0
    self_test_seconds: float = 900.0
    boxes: int = 4
    isolation: Isolation = Isolation.REQUIRED
    box_limits: BoxLimits = BoxLimits()  # noqa: RUF009 - frozen
    scorer_memory_bytes: int = 8 * 1024 * _MIB
    image_digest: str = "unreleased"
    networks: NetworkSettings = NetworkSettings()  # noqa: RUF009 - frozen
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    health_address: str | None = None

    @property
    def scorer_config(self) -> ScorerConfig:
        """What the scorer process is given."""
        return ScorerConfig(
            catalogue_name=self.catalogue_name,
            catalogue_folder=self.catalogue_folder,
            bundle=self.bundle,
            identity=self.identity,
            signing_key=self.signing_key,
            memory_bytes=self.scorer_memory_bytes,
            image_digest=self.image_digest,
            device=CPU,
            networks=self.networks,
            version=version(),
        )

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str], modality: Modality | None = None
    ) -> GraderSettings:
        """Reads ``GRADER_…``; ``modality`` overrides ``GRADER_MODALITY``. SettingInvalid."""
        env = Environment(environ, PREFIX)
        words = tuple(member.value for member in Modality)
        token = env.secret("TOKEN")
        if token is None:
            raise _missing("TOKEN")
        return cls(
            modality=modality or Modality(env.choice("MODALITY", "", words)),
            gateway=env.text("GATEWAY", "127.0.0.1:50052"),
            token=token,
            grader_id=env.text("ID", socket.gethostname()),
            catalogue_name=env.text("CATALOGUE", "general-bench"),
            catalogue_folder=_absolute(env.path("CATALOGUE_FOLDER")),
            bundle=_required(env, "KEYS"),
            identity=_required(env, "IDENTITY"),
            signing_key=_required(env, "SIGNING_KEY"),
            tls=client_files(env),
            jobs=env.integer("JOBS", 16, low=1, high=256),
            pipeline_depth=env.integer("PIPELINE_DEPTH", 3, low=1, high=32),
            prefetch_seconds=env.number("PREFETCH_SECONDS", 5.0, low=0.0, high=600.0),
            poll_seconds=env.number("POLL_SECONDS", 20.0, low=0.0, high=60.0),
            drain_seconds=env.number("DRAIN_SECONDS", 25.0, low=0.0, high=3600.0),
            score_seconds=env.number("SCORE_SECONDS", 600.0, low=1.0, high=86_400.0),
            self_test_seconds=env.number("SELF_TEST_SECONDS", 900.0, low=1.0, high=86_400.0),
            boxes=env.integer("BOXES", 4, low=1, high=64),
            isolation=Isolation(env.choice("ISOLATION", "required", tuple(Isolation))),
            box_limits=BoxLimits(
                memory_bytes=env.integer("BOX_MEMORY_MIB", 2048, low=256, high=65_536) * _MIB,
                cpu_seconds=env.integer("BOX_CPU_SECONDS", 3600, low=1, high=86_400),
                decode_seconds=env.number("BOX_DECODE_SECONDS", 300.0, low=1.0, high=3600.0),
                parts_bytes=env.integer("BOX_PARTS_MIB", 32_768, low=64, high=2**20) * _MIB,
            ),
            scorer_memory_bytes=env.integer("SCORER_MEMORY_MIB", 8192, low=512, high=2**20) * _MIB,
            image_digest=env.text("IMAGE_DIGEST", "unreleased"),
            networks=network_settings(environ),
            metrics_host=env.text("METRICS_HOST", "127.0.0.1"),
            metrics_port=(
                env.integer("METRICS_PORT", 0, low=0, high=65_535)
                if environ.get(PREFIX + "METRICS_PORT")
                else None
            ),
            health_address=env.optional_text("HEALTH_ADDRESS"),
        )


def network_settings(environ: Mapping[str, str]) -> NetworkSettings:
    """The part of ``GRADER_…`` that says where weights lie and what runs them. SettingInvalid."""
    env = Environment(environ, PREFIX)
    return NetworkSettings(
        weights=_absolute(env.path("WEIGHTS")),
        pins=_absolute(env.path("WEIGHTS_PINS")),
        device=env.text("DEVICE", CPU),
        threads=env.integer("THREADS", 1, low=1, high=256),
    )


def _missing(name: str) -> SettingInvalid:
    return SettingInvalid(f"Set {PREFIX + name}.", variable=PREFIX + name, problem="missing")


def _absolute(path: Path | None) -> Path | None:
    # The scorer starts in another folder than the worker.
    return path.absolute() if path is not None else None


def _required(env: Environment, name: str) -> Path:
    path = _absolute(env.path(name))
    if path is None:
        raise _missing(name)
    return path
