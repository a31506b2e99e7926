"""What no container of ours may lack, and what none may have.

The rules for pods are those of the profile "restricted" of Kubernetes' Pod Security Standards,
which the namespace enforces, and a few of our own on top.
"""

from __future__ import annotations

import copy
import re
import tomllib
from typing import Any, Final

import pytest

from tests.deploy.rendering import (
    K8S,
    ROOT,
    SETS,
    name_of,
    named,
    objects_of,
    of_kind,
    render,
)
from tests.deploy.workloads import PROBES, Workload, quantity, workloads

USER: Final = 65532
RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")
#: The volumes that "restricted" allows, less those that nothing here needs.
VOLUMES: Final = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
_PINNED: Final = re.compile(r"[^:@\s]+(:[0-9][\w.-]*|@sha256:[0-9a-f]{64})")
IMAGES: Final = re.compile(
    r"(registry\.lab\.example/)?general-level/"
    r"(gateway|ranker|grader-(language|(image|video|audio|3d)(-cuda)?))[:@].*"
)


def everything() -> list[tuple[str, Workload]]:
    """Each workload of each set, and the pods of the samples."""
    found = [(name, workload) for name in SETS for workload in workloads(objects_of(name))]
    for sample in ("loader", "operations"):
        pods = workloads(render(K8S / "samples" / sample))
        found += [("samples", workload) for workload in pods]
    return found


def faults(workload: Workload) -> list[str]:
    """Every rule that a workload breaks, in words."""
    spec, found = workload.spec, []
    pod = spec.get("securityContext", {})
    found += _not("runAsNonRoot", pod.get("runAsNonRoot"), True)
    for identity in ("runAsUser", "runAsGroup"):
        found += _not(identity, pod.get(identity), USER)
    profile = pod.get("seccompProfile", {}).get("type")
    found += _not("seccompProfile", profile in {"RuntimeDefault", "Localhost"}, True)
    for shared in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        found += _not(shared, spec.get(shared, False), False)
    found += _not("token", spec.get("automountServiceAccountToken"), False)
    found += _not("grace", "terminationGracePeriodSeconds" in spec or workload.kind == "Job", True)
    for volume in spec.get("volumes", ()):
        (kind,) = set(volume) - {"name"}
        found += _not(f"volume {kind}", kind in VOLUMES, True)
        if kind == "secret":
            found += _not("mode of a secret", volume["secret"].get("defaultMode"), 0o400)
        if kind == "emptyDir":
            found += _not("size of emptyDir", "sizeLimit" in volume["emptyDir"], True)
    for container in workload.containers:
        found += _container(container, probed=workload.kind == "Deployment")
    return found


def _container(container: Any, *, probed: bool) -> list[str]:
    found = []
    context = container.get("securityContext", {})
    found += _not("escalation", context.get("allowPrivilegeEscalation"), False)
    found += _not("root filesystem", context.get("readOnlyRootFilesystem"), True)
    found += _not("capabilities", context.get("capabilities"), {"drop": ["ALL"]})
    found += _not("privileged", context.get("privileged", False), False)
    for setting in ("runAsUser", "runAsNonRoot", "seccompProfile", "procMount"):
        found += _not(f"own {setting}", setting in context, False)
    found += _not("pinned image", bool(_PINNED.fullmatch(container["image"])), True)
    for port in container.get("ports", ()):
        found += _not("host port", "hostPort" in port, False)
    resources = container.get("resources", {})
    for resource in RESOURCES:
        for side in ("requests", "limits"):
            found += _not(f"{side} {resource}", resource in resources.get(side, {}), True)
    if all(resource in resources.get("requests", {}) for resource in RESOURCES):
        for resource, limit in resources.get("limits", {}).items():
            # What is not asked for is asked for up to its limit.
            requested = resources["requests"].get(resource, limit)
            found += _not(f"request {resource}", quantity(requested) <= quantity(limit), True)
    for probe in PROBES if probed else ():
        found += _not(probe, probe in container, True)
    # Every mount is read-only but those that a service writes to.
    for mount in container.get("volumeMounts", ()):
        written = mount["mountPath"] in {"/tmp", "/var/lib/general-level", "/claim"}
        found += _not(f"read-only {mount['mountPath']}", mount.get("readOnly", False), not written)
    return found


def _not(what: str, value: object, wanted: object) -> list[str]:
    return [] if value == wanted else [f"{what}: {value!r}"]


def test_no_workload_breaks_a_rule() -> None:
    broken = {
        f"{name}/{workload.name}": found
        for name, workload in everything()
        if (found := faults(workload))
    }
    assert not broken
    assert len(everything()) == 7 + 7 + 8 + 8 + 7 + 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("securityContext", "runAsUser"), 0),
        (("securityContext", "runAsNonRoot"), False),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}),
        (("automountServiceAccountToken",), True),
        (("hostNetwork",), True),
        (("volumes", 0), {"name": "tmp", "hostPath": {"path": "/"}}),
        (("volumes", 0), {"name": "tmp", "emptyDir": {}}),
        (("containers", 0, "image"), "general-level/gateway"),
        (("containers", 0, "image"), "general-level/gateway:latest"),
        (("containers", 0, "securityContext", "readOnlyRootFilesystem"), False),
        (("containers", 0, "securityContext", "capabilities", "add"), ["SYS_ADMIN"]),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
        (("containers", 0, "securityContext", "runAsUser"), 0),
        (("containers", 0, "resources", "limits"), {"cpu": 1, "memory": "1Gi"}),
        (("containers", 0, "resources", "requests", "memory"), "999Gi"),
        (("containers", 0, "startupProbe"), None),
        (("containers", 0, "volumeMounts", 1, "readOnly"), False),
        (("containers", 0, "ports", 0, "hostPort"), 50051),
    ],
)
def test_a_broken_rule_is_found(path: tuple[str | int, ...], value: object) -> None:
    broken = copy.deepcopy(named(objects_of("dev"), "Deployment", "ranker"))
    place: Any = broken["spec"]["template"]["spec"]
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert not faults(Workload(named(objects_of("dev"), "Deployment", "ranker")))
    assert len(faults(Workload(broken))) == 1


@pytest.mark.parametrize("name", SETS)
def test_images_are_ours_at_the_version_of_this_checkout(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for workload in workloads(objects_of(name)):
        image = workload.container["image"]
        assert IMAGES.fullmatch(image), image
        assert image.endswith(f":{version}") or "@sha256:" in image


@pytest.mark.parametrize("name", SETS)
def test_the_namespace_enforces_the_restricted_profile(name: str) -> None:
    (namespace,) = of_kind(objects_of(name), "Namespace")
    labels = namespace["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


@pytest.mark.parametrize("name", SETS)
def test_nothing_flows_by_default(name: str) -> None:
    policy = named(objects_of(name), "NetworkPolicy", "deny-all")
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("name", SETS)
def test_no_secret_and_no_right_in_the_cluster_is_in_the_manifests(name: str) -> None:
    kinds = {found["kind"] for found in objects_of(name)}
    assert not kinds & {"Secret", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


@pytest.mark.parametrize("name", SETS)
def test_what_keeps_state_is_applied_first(name: str) -> None:
    """The guide makes the namespace and the claims before anything runs, by this label."""
    labelled = [
        (found["kind"], name_of(found))
        for found in objects_of(name)
        if found["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "storage"
    ]
    stored = of_kind(objects_of(name), "Namespace", "PersistentVolumeClaim")
    assert labelled == [(found["kind"], name_of(found)) for found in stored]


@pytest.mark.parametrize("name", SETS)
def test_jobs_end_and_go(name: str) -> None:
    for job in of_kind(objects_of(name), "Job"):
        assert job["spec"]["activeDeadlineSeconds"] > 0
        assert job["spec"]["ttlSecondsAfterFinished"] > 0
        assert job["spec"]["backoffLimit"] > 0


def test_only_the_gateways_public_port_is_open_to_the_outside() -> None:
    for name in SETS:
        for service in of_kind(objects_of(name), "Service"):
            if service["spec"].get("type", "ClusterIP") != "ClusterIP":
                assert name_of(service) == "gateway"
                assert [port["targetPort"] for port in service["spec"]["ports"]] == ["public"]


def test_objects_of_an_overlay() -> None:
    """The number of objects of each overlay, as deploy/k8s/README.md has it."""
    readme = (K8S / "README.md").read_text()
    for name in ("dev", "single-node", "production"):
        row = re.search(rf"\| `{name}` \| (\d+) \|", readme)
        assert row
        assert int(row[1]) == len(objects_of(name))
