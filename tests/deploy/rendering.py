"""What kustomize makes of ``deploy/k8s``: the overlays, the samples, and sets put together here."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
K8S: Final = ROOT / "deploy" / "k8s"
RENDER_SECONDS_MAX: Final = 60

Object = dict[str, Any]

#: Components that no overlay has, on the smallest set that they can stand on.
COMPOSED: Final = {
    "autoscaled": ("embedded-store", "public-tls", "best-effort", "monitoring", "tracing", "hpa"),
}
OVERLAYS: Final = ("dev", "single-node", "production")
#: Everything that an operator may apply: the tests run over each of them.
SETS: Final = (*OVERLAYS, "site", *COMPOSED)


class Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a key that is said twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(
                None, None, f"said twice: {sorted(map(str, twice))}", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def documents(text: str) -> list[Any]:
    """All documents of a YAML text."""
    return list(yaml.load_all(text, Loader))


@functools.cache
def render(folder: Path) -> tuple[Object, ...]:
    """The objects that ``kubectl kustomize`` makes of a folder; skips where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: the manifests cannot be rendered")
    done = subprocess.run(
        ["kubectl", "kustomize", folder],
        capture_output=True, text=True, check=False, timeout=RENDER_SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return tuple(document for document in documents(done.stdout) if document)


@functools.cache
def objects_of(name: str) -> tuple[Object, ...]:
    """The objects of one of ``SETS``."""
    if name in COMPOSED:
        with tempfile.TemporaryDirectory() as folder:
            return render(compose(Path(folder), COMPOSED[name]))
    return render(K8S / ("samples/site" if name == "site" else f"overlays/{name}"))


def compose(folder: Path, components: Sequence[str]) -> Path:
    """Writes a kustomization of the base with these components, at the overlays' version."""
    base = os.path.relpath(K8S, folder.resolve())
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "general-level",
        "resources": [f"{base}/base"],
        "components": [f"{base}/components/{name}" for name in components],
        "images": kustomization_of(K8S / "overlays/dev")["images"],
        "configurations": ["image-fields.yaml"],
    }
    shutil.copy(K8S / "overlays/dev/image-fields.yaml", folder)
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


def kustomization_of(folder: Path) -> dict[str, Any]:
    """The kustomization file of a folder, as it is written."""
    (found,) = documents((folder / "kustomization.yaml").read_text())
    assert isinstance(found, dict)
    return found


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    """The objects of these kinds, in order."""
    return [found for found in objects if found["kind"] in kinds]


def name_of(found: Object) -> str:
    """The name of an object."""
    return str(found["metadata"]["name"])


def named(objects: Sequence[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    (found,) = [found for found in of_kind(objects, kind) if name_of(found) == name]
    return found
