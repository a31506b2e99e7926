"""Pods as the manifests describe them: their labels, containers, environment, and files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from tests.deploy.rendering import Object, name_of, named, of_kind

KINDS: Final = ("Deployment", "Job", "Pod")
PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_REFERENCE: Final = re.compile(r"\$\(([A-Z0-9_]+)\)")
#: What stands for a value that only the cluster knows.
SECRET_VALUE: Final = "from-a-secret"
SERVICE_ADDRESS: Final = "192.0.2.1"  # RFC 5737, for examples


@dataclass(frozen=True)
class Workload:
    """A pod, or what makes pods."""

    object: Object

    @property
    def name(self) -> str:
        return name_of(self.object)

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def pod(self) -> Mapping[str, Any]:
        """The pod with ``metadata`` and ``spec``."""
        found: Mapping[str, Any]
        found = self.object if self.kind == "Pod" else self.object["spec"]["template"]
        return found

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.pod["spec"]
        return spec

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.pod["metadata"].get("labels", {})
        return labels

    @property
    def service(self) -> str:
        """What runs in it: gateway, ranker, grader, …"""
        return self.labels["app.kubernetes.io/name"]

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def container(self) -> Mapping[str, Any]:
        """The only container; each of ours has one."""
        (found,) = self.containers
        return found

    @property
    def volumes(self) -> dict[str, Mapping[str, Any]]:
        return {volume["name"]: volume for volume in self.spec.get("volumes", ())}

    @property
    def mounts(self) -> dict[str, Mapping[str, Any]]:
        """Mounts of the only container by their path."""
        return {mount["mountPath"]: mount for mount in self.container.get("volumeMounts", ())}

    @property
    def ports(self) -> dict[str, int]:
        """Ports of the only container by their name."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", ())}

    def mount_of(self, path: str) -> Mapping[str, Any]:
        """The innermost mount that holds a path; LookupError."""
        for parent in (PurePosixPath(path), *PurePosixPath(path).parents):
            if str(parent) in self.mounts:
                return self.mounts[str(parent)]
        raise LookupError(f"{self.name} mounts nothing at {path}")


def workloads(objects: Sequence[Object]) -> list[Workload]:
    """Everything that runs."""
    return [Workload(found) for found in of_kind(objects, *KINDS)]


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of Kubernetes takes these labels; an empty one takes all."""
    selector = selector or {}
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", ())
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key: str = expression["key"]
    operator: str = expression["operator"]
    if operator in {"In", "NotIn"}:
        values: list[str] = expression["values"]
        return (labels.get(key) in values) == (operator == "In")
    assert operator in {"Exists", "DoesNotExist"}
    return (key in labels) == (operator == "Exists")


def service_variables(objects: Sequence[Object]) -> dict[str, str]:
    """What kubelet adds to the environment of a pod with service links."""
    variables = {}
    for service in of_kind(objects, "Service"):
        if service["spec"].get("clusterIP") == "None":
            continue
        prefix = name_of(service).upper().replace("-", "_")
        port = service["spec"]["ports"][0]["port"]
        variables[f"{prefix}_SERVICE_HOST"] = SERVICE_ADDRESS
        variables[f"{prefix}_SERVICE_PORT"] = str(port)
        variables[f"{prefix}_PORT"] = f"tcp://{SERVICE_ADDRESS}:{port}"
    return variables


def environment(workload: Workload, objects: Sequence[Object]) -> dict[str, str]:
    """The environment of the only container, resolved as kubelet does; KeyError, ValueError."""
    variables = service_variables(objects) if workload.spec.get("enableServiceLinks", True) else {}
    for source in workload.container.get("envFrom", ()):
        config = named(objects, "ConfigMap", source["configMapRef"]["name"])
        variables.update(config["data"])
    for entry in workload.container.get("env", ()):
        variables[entry["name"]] = _value(entry, variables, objects)
    return variables


def _value(entry: Mapping[str, Any], known: Mapping[str, str], objects: Sequence[Object]) -> str:
    if "value" in entry:
        return _REFERENCE.sub(lambda found: known[found[1]], entry["value"])
    if "configMapKeyRef" in entry["valueFrom"]:
        reference = entry["valueFrom"]["configMapKeyRef"]
        config = named(objects, "ConfigMap", reference["name"])
        return str(config["data"][reference["key"]])
    if "secretKeyRef" in entry["valueFrom"]:
        return SECRET_VALUE
    raise KeyError(f"{entry['name']} comes from nowhere")


def quantity(text: str | int) -> float:
    """A quantity of Kubernetes as a number: bytes, cores, or cards."""
    factors = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti)?", str(text))
    assert found, text
    return float(found[1]) * factors.get(found[2], 1)
