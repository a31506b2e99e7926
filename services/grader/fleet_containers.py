"""The fleet's containers in a Docker engine: how one is made, found, asked to end and removed.

Every call acts on containers that carry this fleet's label, and on no other. The engine is asked
each time: what is there is what counts, whoever started it and whenever this process began.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, LogConfig, Mount, Ulimit
from requests.exceptions import RequestException

from general_level.catalogue.model import Modality
from general_level.errors import GeneralLevelError, Unavailable
from services.grader.fleet_plans import GraderPlan
from services.grader.fleet_settings import FleetSettings

FLEET_LABEL: Final = "general-level.fleet"
MODALITY_LABEL: Final = "general-level.modality"
#: A digest of all that a container was made of: another one means that its settings are old.
CONFIGURATION_LABEL: Final = "general-level.configuration"
DEVICE_LABEL: Final = "general-level.device"

#: As the states of graders are told here.
RUNNING: Final = "running"
ENDED: Final = "ended"
UNFINISHED: Final = "unfinished"  # made and never started: its fleet was killed between the two

#: JSON lines of one container, in four files.
_LOG_OPTIONS: Final = {"max-size": "16m", "max-file": "4"}
#: Names of neighbours are answered by the engine; all other questions end in the container itself,
#: where nobody answers. Engines before 26 ask for them outside even on an internal network.
_RESOLVER: Final = "127.0.0.1"
_EXPLANATION_MAX: Final = 300
_NANO: Final = 1_000_000_000


class EngineUnavailable(Unavailable):
    """The container engine does not answer, or not as it should."""

    reason = "FLEET_ENGINE_UNAVAILABLE"


class GraderNotStarted(GeneralLevelError):
    """A grader's container cannot be started.

    ``why`` is image-missing, network-missing, network-not-internal or refused; ``said`` is what
    the engine said of it.
    """

    reason = "FLEET_GRADER_NOT_STARTED"


@dataclass(frozen=True, slots=True)
class Grader:
    """One container of the fleet, as the engine shows it. ``address`` is in its network."""

    id: str
    name: str
    modality: Modality
    state: str
    configuration: str
    device: str | None
    address: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended: one of the telemetry's DEATHS but ``removed``, and its exit code."""

    reason: str
    exit_code: int


class Engine:
    """The engine of ``settings.engine``; connects when it is first needed, and again after it was
    away. All calls raise EngineUnavailable where it does not answer.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._client: docker.APIClient | None = None

    def close(self) -> None:
        """Drops the connection; the next call makes a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @contextlib.contextmanager
    def api(self) -> Iterator[docker.APIClient]:
        """The engine's calls. NotFound passes; all other trouble is EngineUnavailable."""
        try:
            if self._client is None:
                self._client = docker.APIClient(
                    base_url=self._settings.engine,
                    timeout=self._settings.engine_seconds,
                    version="auto",
                )
            yield self._client
        except NotFound:
            raise
        except (DockerException, RequestException, OSError) as error:
            self.close()
            raise EngineUnavailable(_said(error), problem=type(error).__name__) from error

    def graders(self) -> list[Grader]:
        """All containers of this fleet, the newest first."""
        with self.api() as api:
            listed = api.containers(
                all=True,
                filters={"label": [f"{FLEET_LABEL}={self._settings.name}", MODALITY_LABEL]},
            )
        return [grader for entry in listed if (grader := _grader(entry)) is not None]

    def configuration(self, plan: GraderPlan) -> tuple[str, dict[str, Any]]:
        """What a new container of this plan is made of, and its digest; GraderNotStarted.

        The image is the one that the name means now, by its id: every score names it, and a name
        that moves on makes the containers of the former one outdated.
        """
        with self.api() as api:
            try:
                image: dict[str, Any] = api.inspect_image(  # type: ignore[no-untyped-call]
                    plan.image
                )
            except NotFound as error:
                raise GraderNotStarted(
                    f"There is no image {plan.image}.", why="image-missing"
                ) from error
        digests: Sequence[str] = image.get("RepoDigests") or ()
        made_of = container_arguments(
            self._settings, plan, image["Id"], min(digests, default=image["Id"])
        )
        canonical = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:32], made_of

    def start(self, plan: GraderPlan, in_use: Sequence[str]) -> Grader:
        """Makes and starts one grader; GraderNotStarted.

        ``in_use`` are the cards of the other graders, with repetitions: the new one gets that
        which fewest have.
        """
        configuration, made_of = self.configuration(plan)
        name = f"{self._settings.name}-{plan.modality}-{secrets.token_hex(4)}"
        labels = {
            FLEET_LABEL: self._settings.name,
            MODALITY_LABEL: plan.modality.value,
            CONFIGURATION_LABEL: configuration,
        }
        device = min(plan.devices, key=in_use.count, default=None)
        if device is not None:
            labels[DEVICE_LABEL] = device
            made_of["host_config"]["device_requests"] = [
                DeviceRequest(device_ids=[device], capabilities=[["gpu"]])
            ]
        made_of["environment"]["GRADER_ID"] = name
        with self.api() as api:
            self._require_internal(api)
            made_of["host_config"] = api.create_host_config(**made_of["host_config"])
            try:
                made = api.create_container(name=name, hostname=name, labels=labels, **made_of)
                try:
                    api.start(made["Id"])
                except APIError:
                    api.remove_container(made["Id"], force=True, v=True)
                    raise
            except ImageNotFound as error:
                raise GraderNotStarted(_said(error), why="image-missing") from error
            except APIError as error:
                # Whatever the engine has against it: a mount that is not there, no such runtime.
                raise GraderNotStarted(why="refused", said=_said(error)) from error
        return Grader(made["Id"], name, plan.modality, RUNNING, configuration, device, None)

    def _require_internal(self, api: docker.APIClient) -> None:
        name = self._settings.network
        if name == "none":
            return
        try:
            network = api.inspect_network(name)
        except NotFound as error:
            raise GraderNotStarted(
                f"There is no network {name}: docker network create --internal {name}",
                why="network-missing",
            ) from error
        if not network["Internal"]:
            raise GraderNotStarted(
                f"The network {name} leads outside; graders only join an internal one.",
                why="network-not-internal",
            )

    def ending(self, grader: Grader) -> Ending | None:
        """How a container ended; None where it runs or is gone."""
        with self.api() as api:
            try:
                state = api.inspect_container(grader.id)["State"]
            except NotFound:
                return None
        if state["Running"]:
            return None
        code = int(state["ExitCode"])
        if state["OOMKilled"]:
            return Ending("oom", code)
        if code > 128:
            return Ending("signal", code)
        return Ending("error" if code else "finished", code)

    def signal(self, grader: Grader, name: str) -> None:
        """Sends SIGTERM or SIGKILL; nothing where it has ended."""
        with self.api() as api:
            try:
                api.kill(grader.id, name)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # it does not run any more
                    raise

    def remove(self, grader: Grader) -> None:
        """Removes a container that ended or never ran, with its log."""
        with self.api() as api:
            try:
                api.remove_container(grader.id, v=True, force=grader.state == UNFINISHED)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 409:  # its removal is on its way
                    raise


def container_arguments(
    settings: FleetSettings, plan: GraderPlan, image_id: str, image_digest: str
) -> dict[str, Any]:
    """All that every grader of a plan has in common, as the engine's client takes it."""
    security = ["no-new-privileges"]
    if settings.seccomp is not None:
        security.append(f"seccomp={settings.seccomp}")
    return {
        "image": image_id,
        "entrypoint": list(plan.command),
        "command": [],
        "environment": {**plan.environment, "GRADER_IMAGE_DIGEST": image_digest},
        "user": "65532:65532",
        "stop_signal": "SIGTERM",
        "host_config": {
            "network_mode": settings.network,
            "dns": [_RESOLVER] if settings.network != "none" else None,
            "read_only": True,
            "privileged": False,
            "cap_drop": ["ALL"],
            "security_opt": security,
            "pids_limit": plan.pids,
            "mem_limit": plan.memory_bytes,
            # As much as without swap: not one byte of a key is ever written to a disk.
            "memswap_limit": plan.memory_bytes,
            "nano_cpus": int(plan.cpus * _NANO),
            "ipc_mode": "private",
            "tmpfs": {
                "/tmp": f"rw,noexec,nosuid,nodev,mode=1777,size={plan.tmp_bytes}"  # noqa: S108 - in it
            },
            "ulimits": [Ulimit(name="core", soft=0, hard=0)],
            "log_config": LogConfig(type=LogConfig.types.JSON, config=_LOG_OPTIONS),
            "restart_policy": {"Name": "no", "MaximumRetryCount": 0},
            "runtime": plan.runtime,
            "mounts": [
                Mount(
                    mount.target,
                    mount.source,
                    type="bind" if mount.source.startswith("/") else "volume",
                    read_only=True,
                )
                for mount in plan.mounts
            ],
        },
    }


def _grader(entry: Mapping[str, Any]) -> Grader | None:
    labels = entry["Labels"]
    if entry["State"] == "removing" or labels[MODALITY_LABEL] not in tuple(Modality):
        return None
    state = {"created": UNFINISHED, "exited": ENDED, "dead": ENDED}.get(entry["State"], RUNNING)
    networks = entry.get("NetworkSettings", {}).get("Networks", {}).values()
    addresses = [network["IPAddress"] for network in networks if network.get("IPAddress")]
    return Grader(
        id=entry["Id"],
        name=entry["Names"][0].lstrip("/") if entry["Names"] else entry["Id"][:12],
        modality=Modality(labels[MODALITY_LABEL]),
        state=state,
        configuration=labels.get(CONFIGURATION_LABEL, ""),
        device=labels.get(DEVICE_LABEL),
        address=addresses[0] if addresses else None,
    )


def _said(error: Exception) -> str:
    """What the engine said, shortened. It knows names and paths, and no content of any file."""
    text = error.explanation if isinstance(error, APIError) else None
    return str(text or error)[:_EXPLANATION_MAX]
