"""Runs the services of a compose file on an engine, as ``docker compose`` would.

Every key of a service is translated or refused, so that nothing of the file goes untested unseen.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from docker import DockerClient
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import LogConfig, Ulimit

_VARIABLE: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")
_UNIT: Final = {"m": 2**20, "g": 2**30}
_NANO: Final = 1_000_000_000
#: What the caller does in its own way: order, restarts after a crash, scale, health of an image.
_ORDER: Final = {"depends_on", "profiles", "restart", "healthcheck", "stop_grace_period"}

Service = dict[str, Any]


def read_compose(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables replaced, by their defaults where they are not given."""
    text = _VARIABLE.sub(
        lambda found: variables.get(found[1], found[2]), path.read_text(encoding="utf-8")
    )
    read: dict[str, Any] = yaml.safe_load(text)
    return read


def size_bytes(text: str) -> int:
    """``6g``, ``64m`` in bytes."""
    return int(text[:-1]) * _UNIT[text[-1]]


class Composed:
    """The networks and volumes of a file on an engine, and the containers that were started.

    ``stop`` removes all of it.
    """

    def __init__(self, client: DockerClient, file: Mapping[str, Any]) -> None:
        self._client = client
        self.services: Mapping[str, Service] = file["services"]
        self._project: str = file["name"]
        self._started: list[Container] = []
        self._networks: dict[str, Network] = {
            name: client.networks.create(
                f"{self._project}_{name}", internal=(options or {}).get("internal", False)
            )
            for name, options in file["networks"].items()
        }
        self._volumes = {
            name: client.volumes.create(f"{self._project}_{name}") for name in file["volumes"]
        }

    def stop(self) -> None:
        for container in reversed(self._started):
            container.remove(force=True, v=True)
        for network in self._networks.values():
            network.remove()
        for volume in self._volumes.values():
            volume.remove(force=True)

    def start(
        self,
        service: str,
        *,
        name: str = "",
        command: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
        mounts: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Container:
        """Starts a container of a service, with what a test changes of it.

        ``mounts`` are folders of this machine by the path that they have in the container.
        """
        options, networks = self._options(service)
        options["environment"] |= dict(environment or {})
        options["volumes"] += [f"{here}:{there}:ro" for there, here in (mounts or {}).items()]
        if command is not None:
            options["command"] = command
        options |= changes
        container = self._client.containers.create(
            name=name or service, hostname=name or service,
            network=self._networks[networks[0]].name,
            networking_config={
                self._networks[networks[0]].name: self._client.api.create_endpoint_config(
                    aliases=[service]
                )
            },
            **options,
        )  # fmt: skip
        self._started.append(container)
        for network in networks[1:]:
            self._networks[network].connect(container, aliases=[service])
        container.start()
        return container

    def run(self, service: str, **changes: Any) -> str:
        """Runs a container to its end; what it printed. AssertionError where it failed."""
        container = self.start(service, **changes)
        code = container.wait()["StatusCode"]
        printed = container.logs().decode(errors="replace")
        assert code == 0, f"{service} ended with {code}:\n{printed}"
        return printed

    def read(self, container: Container, path: str) -> str:
        """A file of a container, also of one that has ended."""
        pieces, _ = container.get_archive(path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            file = archive.extractfile(archive.getmembers()[0])
            assert file is not None
            return file.read().decode()

    def _options(self, service: str) -> tuple[dict[str, Any], list[str]]:
        said = {key: value for key, value in self.services[service].items() if key not in _ORDER}
        networks: list[str] = said.pop("networks")
        options: dict[str, Any] = {"detach": True, "environment": {}, "volumes": []}
        for key, value in said.items():
            options |= _TRANSLATED[key](self, value)
        return options, networks

    def _named(self, mount: str) -> str:
        volume, _, rest = mount.partition(":")
        return f"{self._volumes[volume].name}:{rest}"


def _ports(_: Composed, ports: list[str]) -> dict[str, Any]:
    split = [port.split(":") for port in ports]
    return {"ports": {inside: (host, int(outside)) for host, outside, inside in split}}


def _tmpfs(_: Composed, mounts: list[str]) -> dict[str, Any]:
    return {"tmpfs": dict(mount.split(":", 1) for mount in mounts)}


def _as(key: str, convert: Callable[[Any], Any] = lambda value: value) -> Any:
    return lambda _, value: {key: convert(value)}


_TRANSLATED: Final[Mapping[str, Callable[[Composed, Any], dict[str, Any]]]] = {
    "image": _as("image"),
    "command": _as("command"),
    "environment": _as("environment", lambda said: {k: str(v) for k, v in said.items()}),
    "user": _as("user"),
    "read_only": _as("read_only"),
    "init": _as("init"),
    "cap_drop": _as("cap_drop"),
    "security_opt": _as("security_opt"),
    "pids_limit": _as("pids_limit"),
    "mem_limit": _as("mem_limit"),
    "memswap_limit": _as("memswap_limit"),
    "shm_size": _as("shm_size"),
    "cpus": _as("nano_cpus", lambda cpus: int(cpus * _NANO)),
    "ulimits": _as(
        "ulimits", lambda said: [Ulimit(name=k, soft=v, hard=v) for k, v in said.items()]
    ),
    "logging": _as(
        "log_config", lambda said: LogConfig(type=said["driver"], config=said["options"])
    ),
    "tmpfs": _tmpfs,
    "ports": _ports,
    "volumes": lambda composed, mounts: {"volumes": [composed._named(one) for one in mounts]},
}
