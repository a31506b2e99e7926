"""Every object is what Kubernetes' own schemas say, without a field that they do not know."""

from __future__ import annotations

import copy
import functools
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate import utils

from tests.deploy.rendering import (
    COMPOSED,
    K8S,
    OVERLAYS,
    SETS,
    Object,
    kustomization_of,
    named,
    objects_of,
    of_kind,
    render,
)

#: The oldest that the manifests are meant for, the one they are used on, and the newest there is.
VERSIONS = ("1.32", "1.36", kubernetes_validate.latest_version())
#: API groups of operators; tests/deploy/test_custom_resources.py looks at these.
CUSTOM = {"keda.sh", "cert-manager.io", "monitoring.coreos.com"}


@pytest.fixture(autouse=True)
def schemas_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "schema_contents", _schema_contents)


_schema_contents = functools.cache(utils.schema_contents)


def is_custom(found: Object) -> bool:
    return found["apiVersion"].split("/")[0] in CUSTOM


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SETS)
def test_builtin_objects(name: str, version: str) -> None:
    builtin = [found for found in objects_of(name) if not is_custom(found)]
    assert len(builtin) >= 38
    for found in builtin:
        kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sample", ["loader", "operations"])
def test_the_pods_of_the_samples(sample: str, version: str) -> None:
    for found in render(K8S / "samples" / sample):
        kubernetes_validate.validate(found, version, strict=True)


def change(found: Object, *path: str | int, value: object) -> Object:
    """A copy with one value at a path."""
    changed = copy.deepcopy(found)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replica"), 3),
        (("spec", "template", "spec", "containers", 0, "readOnly"), True),
        (("spec", "template", "spec", "containers", 0, "livenessProbe", "grpc", "port"), "public"),
        (("spec", "template", "spec", "terminationGracePeriodSeconds"), "60"),
    ],
)
def test_what_is_wrong_is_refused(path: tuple[str | int, ...], value: object) -> None:
    gateway = named(objects_of("dev"), "Deployment", "gateway")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(change(gateway, *path, value=value), "1.36", strict=True)


@pytest.mark.parametrize("name", SETS)
def test_no_object_is_there_twice(name: str) -> None:
    keys = [(found["kind"], found["metadata"]["name"]) for found in objects_of(name)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", SETS)
def test_everything_lies_in_the_one_namespace(name: str) -> None:
    for found in objects_of(name):
        if found["kind"] not in {"Namespace", "RuntimeClass"}:
            assert found["metadata"]["namespace"] == "general-level", found["metadata"]["name"]
    assert len(of_kind(objects_of(name), "Namespace")) == 1


def test_every_component_is_in_some_set() -> None:
    used = {name for components in COMPOSED.values() for name in components}
    for overlay in OVERLAYS:
        components = kustomization_of(K8S / "overlays" / overlay)["components"]
        used |= {path.rpartition("/")[2] for path in components}
    assert used == {folder.name for folder in (K8S / "components").iterdir()}
