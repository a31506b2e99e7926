"""Which processes make an embedded platform, and how they find one another."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from general_level.errors import Unavailable
from services.grader.settings import network_settings
from services.grader.weights.folder import available
from services.grader.weights.manifest import load_manifest
from services.kit.catalogues import open_catalogue
from services.platform.home import Home, module_name
from services.platform.processes import ProcessSpec, Supervisor

START_SECONDS_MAX: Final = 60.0
_POLL_SECONDS: Final = 0.1


class PlatformNotReady(Unavailable):
    """The platform did not come up in time; its log files say why."""

    reason = "PLATFORM_NOT_READY"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports on the loopback interface; a metrics port is None for none, 0 for any free one."""

    public: int = 50051
    internal: int = 50052
    gateway_metrics: int | None = 9464
    ranker_metrics: int | None = 9465
    #: The first grader's; the next ones follow.
    grader_metrics: int | None = 9466
    host: str = "127.0.0.1"
    #: The pages; None for none.
    web: int | None = None


def specs(home: Home, ports: Ports) -> list[ProcessSpec]:
    """Gateway, ranker, and a grader for each modality that has sealed keys."""
    public = home.sealed / "public"
    internal = f"127.0.0.1:{ports.internal}"
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    found = [
        ProcessSpec(
            "gateway",
            "services.gateway",
            ("serve",),
            {
                "GATEWAY_DATABASE_URL": home.database_url,
                "GATEWAY_OBJECTS_URL": home.objects_url,
                "GATEWAY_CATALOGUE": home.catalogue_spec,
                "GATEWAY_UNGRADED_METRICS": ",".join(_waiting(home.catalogue_spec)),
                "GATEWAY_PUBLIC_ADDRESS": f"{ports.host}:{ports.public}",
                "GATEWAY_INTERNAL_ADDRESS": internal,
                "GATEWAY_WEB_ADDRESS": f"{ports.host}:{ports.web}" if ports.web else "",
                "GATEWAY_METRICS_PORT": _port(ports.gateway_metrics),
                "GATEWAY_TRUSTED_KEYS": str(home.trusted_keys),
                "GATEWAY_PUBLIC_FOLDER": str(public) if public.exists() else "",
            },
            stop_wave=2,
        ),
        ProcessSpec(
            "ranker",
            "services.ranker",
            ("serve",),
            {
                **threads,
                "RANKER_GATEWAY": internal,
                "RANKER_TOKEN_FILE": str(home.token_file("ranker")),
                "RANKER_TRUSTED_KEYS": str(home.trusted_keys),
                "RANKER_CATALOGUE": home.catalogue_spec,
                "RANKER_CHECKPOINT": str(home.folder / "ranker.checkpoint"),
                "RANKER_METRICS_PORT": _port(ports.ranker_metrics),
            },
            stop_wave=1,
        ),
    ]
    for number, modality in enumerate(home.modalities()):
        name = module_name(modality)
        found.append(
            ProcessSpec(
                f"grader-{name}",
                "services.grader",
                ("serve", "--modality", modality.value),
                {
                    **threads,
                    "GRADER_GATEWAY": internal,
                    "GRADER_ID": f"grader-{name}",
                    "GRADER_TOKEN_FILE": str(home.token_file(name)),
                    **_grader_catalogue(home.catalogue_spec),
                    "GRADER_KEYS": str(home.key_bundle(modality)),
                    "GRADER_IDENTITY": str(home.identity),
                    "GRADER_SIGNING_KEY": str(home.signing_key),
                    # Port 0 is any free one for each of them.
                    "GRADER_METRICS_PORT": _port(
                        ports.grader_metrics and ports.grader_metrics + number
                    ),
                    "GRADER_ISOLATION": os.environ.get("GRADER_ISOLATION", "best-effort"),
                },
                stop_wave=0,
            )
        )
    return found


def _waiting(catalogue_spec: str) -> list[str]:
    """The metrics that the graders will not serve: ``GRADER_WEIGHTS`` has no weights for them.

    Raises WeightsInvalid where the folder cannot be used, SettingInvalid for the settings.
    """
    folder = network_settings(os.environ).open_folder()
    known = open_catalogue(catalogue_spec).metrics
    return sorted(known.keys() & available(load_manifest(), folder).waiting.keys())


def _require_free(ports: Ports) -> None:
    wanted = (ports.public, ports.internal, ports.web, ports.gateway_metrics, ports.ranker_metrics)
    for port in wanted:
        if not port:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ports.host, port))
            except OSError as error:
                raise PlatformNotReady(
                    f"Port {port} is in use; choose another with --port.", port=port
                ) from error


def _port(port: int | None) -> str:
    """As a setting; an empty one is as good as none."""
    return "" if port is None else str(port)


def _grader_catalogue(spec: str) -> dict[str, str]:
    return {"GRADER_CATALOGUE_FOLDER" if Path(spec).is_dir() else "GRADER_CATALOGUE": spec}


def start(home: Home, ports: Ports) -> Supervisor:
    """Starts all processes and waits until the gateway serves; PlatformNotReady if it does not.

    A port in use is refused first: whoever answers there is not this platform.
    """
    _require_free(ports)
    supervisor = Supervisor(specs(home, ports), home.logs)
    try:
        wait_serving(f"127.0.0.1:{ports.public}")
    except BaseException:
        supervisor.stop()
        raise
    return supervisor


def wait_serving(target: str, seconds: float = START_SECONDS_MAX) -> None:
    """Returns once the health service of ``target`` says SERVING."""
    deadline = time.monotonic() + seconds
    with grpc.insecure_channel(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < deadline:
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
            except grpc.RpcError:
                time.sleep(_POLL_SECONDS)
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(_POLL_SECONDS)
    raise PlatformNotReady(target=target)
