"""Objects of KEDA, cert-manager and the Prometheus operator are what their schemas say.

The schemas come from npm (``@kubernetes-models``); without npm this is skipped.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.rendering import SETS, Object, name_of, named, objects_of
from tests.deploy.test_schemas import CUSTOM, change, is_custom
from tests.support.npm import install_packages

HERE: Final = Path(__file__).parent
#: API version → package, and how the names of its schemas begin.
_PACKAGES: Final = {
    "keda.sh/v1alpha1": ("keda", "ComGithubKedacoreKedaV2ApisKedaV1alpha1"),
    "cert-manager.io/v1": (
        "cert-manager",
        "ComGithubCertManagerCertManagerPkgApisCertmanagerV1",
    ),
    "monitoring.coreos.com/v1": (
        "prometheus-operator",
        "ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1",
    ),
}


def install(folder: Path) -> Path:
    """Installs the schemas into a folder; skips where there is no npm or no registry."""
    shutil.copy(HERE / "validate.mjs", folder)
    install_packages(HERE, folder)
    return folder / "node_modules" / "@kubernetes-models"


def problems(packages: Path, objects: Sequence[Object]) -> list[list[str]]:
    """What is wrong with each object."""
    schemas = {}
    for one in objects:
        package, prefix = _PACKAGES[one["apiVersion"]]
        schema = packages / package / "_schemas" / f"{prefix}{one['kind']}.js"
        schemas[f"{one['apiVersion']}/{one['kind']}"] = str(schema)
    done = subprocess.run(
        ["node", "validate.mjs"],
        cwd=packages.parents[1], input=json.dumps({"schemas": schemas, "objects": objects}),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def broken() -> list[tuple[Object, str]]:
    """Objects with one thing wrong each, and what is to be found."""
    objects = objects_of("production")
    scaled = named(objects, "ScaledObject", "grader-3d")
    certificate = named(objects, "Certificate", "ranker")
    monitor = named(objects, "ServiceMonitor", "gateway")
    without: Any = copy.deepcopy(certificate)
    del without["spec"]["secretName"]
    return [
        (change(scaled, "spec", "maxReplicas", value=3), "/spec/maxReplicas is unknown"),
        (change(scaled, "spec", "maxReplicaCount", value="3"), "/spec/maxReplicaCount"),
        (change(scaled, "spec", "triggers", 0, "metric", value="x"), "/spec/triggers/0/metric is"),
        (change(scaled, "spec", "fallback", "behavior", value="any"), "/spec/fallback/behavior"),
        (change(certificate, "spec", "privateKey", "size", value="256"), "/spec/privateKey/size"),
        (change(certificate, "spec", "dnsName", value="a"), "/spec/dnsName is unknown"),
        (without, "/spec"),
        (change(monitor, "spec", "endpoints", 0, "interval", value="often"), "/spec/endpoints/0/"),
    ]


@pytest.fixture
def packages() -> Iterator[Path]:
    """The installed schemas; they are large, so they do not stay behind as a test's files do."""
    with tempfile.TemporaryDirectory() as folder:
        yield install(Path(folder))


def test_custom_resources(packages: Path) -> None:
    """One test, so that the schemas are installed once."""
    objects = {
        (name, one["kind"], name_of(one)): one
        for name in SETS
        for one in objects_of(name)
        if is_custom(one)
    }
    assert {one["apiVersion"].split("/")[0] for one in objects.values()} == CUSTOM
    found = dict(zip(objects, problems(packages, list(objects.values())), strict=True))
    assert not {key: words for key, words in found.items() if words}
    wrong = broken()
    for words, (one, expected) in zip(
        problems(packages, [one for one, _ in wrong]), wrong, strict=True
    ):
        assert any(word.startswith(expected) for word in words), (expected, words, one["kind"])
