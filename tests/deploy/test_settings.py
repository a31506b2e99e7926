"""The environment of every container is what the services' settings read, and fits its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from obstore.store import S3Store

from services.gateway.app import INTERNAL, PUBLIC
from services.gateway.certificates import spiffe_id
from services.gateway.checking import CHILD_MEMORY_BYTES
from services.gateway.settings import Settings as GatewaySettings
from services.grader.decode.box import Isolation
from services.grader.gateway import CALL_SECONDS
from services.grader.networks import CPU
from services.grader.settings import GraderSettings
from services.kit.health import LIVE, READY
from services.kit.settings import SettingInvalid
from services.operations.settings import Settings as OperationsSettings
from services.ranker.settings import Settings as RankerSettings
from tests.deploy.operators import sample_secrets
from tests.deploy.rendering import K8S, SETS, named, objects_of, of_kind, render
from tests.deploy.workloads import (
    PROBES,
    Workload,
    environment,
    quantity,
    service_variables,
    workloads,
)

#: What a worker, a gateway or a ranker takes besides the processes that it limits.
OWN_BYTES: Final = 512 * 2**20
LOG_BYTES: Final = 256 * 2**20
SPARE_SECONDS: Final = 10

READERS: Final[Mapping[str, Callable[[Mapping[str, str]], object]]] = {
    "gateway": GatewaySettings.from_env,
    "ranker": RankerSettings.from_env,
    "grader": GraderSettings.from_env,
}


class Recorded(Mapping[str, str]):
    """An environment that knows which of its names were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_by_name = dict(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Files that settings read at once, in place of those of a pod."""
    token = tmp_path / "token"
    token.write_text("a token")
    keys = tmp_path / "trusted-keys.txt"
    trusted = named(sample_secrets(), "ConfigMap", "trusted-keys")
    keys.write_text(trusted["data"]["trusted-keys.txt"])
    return {
        "GRADER_TOKEN_FILE": str(token),
        "RANKER_TOKEN_FILE": str(token),
        "RANKER_TRUSTED_KEYS": str(keys),
    }


def variables(workload: Workload, name: str, files: Mapping[str, str]) -> Recorded:
    found = environment(workload, objects_of(name))
    return Recorded({key: files.get(key, value) for key, value in found.items()})


def serving(name: str, service: str) -> list[Workload]:
    found = [one for one in workloads(objects_of(name)) if one.service == service]
    assert found
    return found


def read(workload: Workload, name: str, files: Mapping[str, str]) -> object:
    return READERS[workload.service](variables(workload, name, files))


def gateway_settings(name: str, files: Mapping[str, str]) -> tuple[Workload, GatewaySettings]:
    (workload,) = serving(name, "gateway")
    settings = read(workload, name, files)
    assert isinstance(settings, GatewaySettings)
    return workload, settings


def grader_settings(
    name: str, files: Mapping[str, str]
) -> Iterator[tuple[Workload, GraderSettings]]:
    for workload in serving(name, "grader"):
        settings = read(workload, name, files)
        assert isinstance(settings, GraderSettings)
        yield workload, settings


@pytest.mark.parametrize("name", SETS)
def test_services_read_all_that_they_are_given(name: str, files: dict[str, str]) -> None:
    for service, reader in READERS.items():
        for workload in serving(name, service):
            given = variables(workload, name, files)
            reader(given)
            prefix = f"{service.upper()}_"
            named_so = {key for key in given if key.startswith(prefix)}
            assert named_so <= given.asked, workload.name
            # A misspelled prefix would go unnoticed.
            others = {
                entry["name"]
                for entry in workload.container["env"]
                if not entry["name"].startswith((prefix, "AWS_", "OTEL_"))
            }
            assert not others, workload.name


@pytest.mark.parametrize("name", SETS)
def test_without_a_setting_a_service_says_so(name: str, files: dict[str, str]) -> None:
    for service in READERS:
        for workload in serving(name, service):
            given = dict(variables(workload, name, files))
            given["GATEWAY_LEASE_SECONDS"] = given["GRADER_JOBS"] = "many"
            given["RANKER_METRICS_PORT"] = "tcp://192.0.2.1:9465"
            with pytest.raises(SettingInvalid):
                READERS[service](given)


@pytest.mark.parametrize("name", SETS)
def test_the_object_store_knows_its_settings(name: str) -> None:
    (workload,) = serving(name, "gateway")
    given = environment(workload, objects_of(name))
    config = {key.lower(): value for key, value in given.items() if key.startswith("AWS_")}
    S3Store("bucket", config=config)  # type: ignore[arg-type]  # the names are what is tested
    assert bool(config) == given["GATEWAY_OBJECTS_URL"].startswith("s3://")


@pytest.mark.parametrize("name", SETS)
def test_ports_are_those_that_services_listen_on(name: str, files: dict[str, str]) -> None:
    workload, gateway = gateway_settings(name, files)
    assert gateway.public_address == f"0.0.0.0:{workload.ports['public']}"
    assert gateway.internal_address == f"0.0.0.0:{workload.ports['internal']}"
    for service in READERS:
        for one in serving(name, service):
            given = environment(one, objects_of(name))
            prefix = service.upper()
            assert int(given[f"{prefix}_METRICS_PORT"]) == one.ports["metrics"]
            assert given[f"{prefix}_METRICS_HOST"] == "0.0.0.0"
            if service != "gateway":
                assert given[f"{prefix}_GATEWAY"].endswith(f":{workload.ports['internal']}")


@pytest.mark.parametrize("name", SETS)
def test_probes_ask_for_services_that_there_are(name: str, files: dict[str, str]) -> None:
    for service in READERS:
        for workload in serving(name, service):
            given = environment(workload, objects_of(name))
            served = {}
            if (address := given.get(f"{service.upper()}_HEALTH_ADDRESS")) is not None:
                assert address == f"0.0.0.0:{workload.ports['health']}"
                served[workload.ports["health"]] = {*LIVE, READY}
            if service == "gateway":
                settings = gateway_settings(name, files)[1]
                # Kubelet cannot ask through TLS.
                if settings.tls is None:
                    served[workload.ports["public"]] = {"", *PUBLIC}
                if settings.internal_tls is None:
                    served[workload.ports["internal"]] = {"", *INTERNAL}
            for probe in PROBES:
                action = workload.container[probe]["grpc"]
                assert action.get("service", "") in served[action["port"]], workload.name
            # What is not ready is not dead: only readiness may follow the work.
            for probe in ("startupProbe", "livenessProbe"):
                assert workload.container[probe]["grpc"].get("service", "") in LIVE
            if service != "gateway":
                assert workload.container["readinessProbe"]["grpc"]["service"] == READY


@pytest.mark.parametrize("name", SETS)
def test_both_sides_of_the_internal_port_agree_on_certificates(
    name: str, files: dict[str, str]
) -> None:
    objects = objects_of(name)
    secured = gateway_settings(name, files)[1].internal_tls is not None
    assert secured == (name in {"production", "site"})
    signed = {
        found["spec"]["secretName"]: found["spec"] for found in of_kind(objects, "Certificate")
    }
    clients = [("ranker", one, spiffe_id("ranker")) for one in serving(name, "ranker")]
    clients += [
        ("grader", one, spiffe_id("grader", settings.modality.value))
        for one, settings in grader_settings(name, files)
    ]
    for service, workload, identity in clients:
        settings = read(workload, name, files)
        assert isinstance(settings, GraderSettings | RankerSettings)
        assert (settings.tls is not None) == secured, service
        if settings.tls is None:
            continue
        assert settings.tls.certificate is not None
        volume = workload.mount_of(str(settings.tls.certificate))["name"]
        secret = workload.volumes[volume]["secret"]["secretName"]
        assert signed[secret]["uris"] == [identity]
        assert "client auth" in signed[secret]["usages"]
        # The name that the gateway's certificate has.
        assert signed["gateway-internal-tls"]["dnsNames"] == [settings.tls.server_name]


def test_the_operators_pod_has_the_certificate_that_its_token_needs(
    files: dict[str, str],
) -> None:
    (pod,) = workloads(render(K8S / "samples" / "operations"))
    given = Recorded(
        {
            **environment(pod, objects_of("production")),
            "OPERATIONS_TOKEN_FILE": files["RANKER_TOKEN_FILE"],
        }
    )
    settings = OperationsSettings.from_env(given)
    assert {key for key in given if key.startswith("OPERATIONS_")} <= given.asked
    assert settings.tls is not None
    assert settings.tls.certificate is not None
    volume = pod.mount_of(str(settings.tls.certificate))["name"]
    secret = pod.volumes[volume]["secret"]["secretName"]
    (spec,) = [
        found["spec"]
        for found in of_kind(objects_of("production"), "Certificate")
        if found["spec"]["secretName"] == secret
    ]
    assert spec["uris"] == [spiffe_id("operator")]


@pytest.mark.parametrize("name", SETS)
def test_pods_get_the_time_that_their_drain_takes(name: str, files: dict[str, str]) -> None:
    workload, gateway = gateway_settings(name, files)
    needed = gateway.drain.total_seconds()
    needed += workload.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert workload.spec["terminationGracePeriodSeconds"] >= needed + SPARE_SECONDS
    for one, grader in grader_settings(name, files):
        needed = grader.drain_seconds + CALL_SECONDS
        assert one.spec["terminationGracePeriodSeconds"] >= needed + SPARE_SECONDS


@pytest.mark.parametrize("name", SETS)
def test_memory_is_enough_for_what_the_settings_allow(name: str, files: dict[str, str]) -> None:
    workload, gateway = gateway_settings(name, files)
    needed = gateway.checkers * CHILD_MEMORY_BYTES + OWN_BYTES
    assert quantity(workload.container["resources"]["limits"]["memory"]) >= needed
    for one, grader in grader_settings(name, files):
        needed = grader.boxes * grader.box_limits.memory_bytes
        needed += grader.scorer_memory_bytes + OWN_BYTES
        assert quantity(one.container["resources"]["limits"]["memory"]) >= needed, one.name


@pytest.mark.parametrize("name", SETS)
def test_disk_is_enough_for_what_the_settings_allow(name: str, files: dict[str, str]) -> None:
    for one, grader in grader_settings(name, files):
        # A pod over its limit is thrown out; a job over its own is a fault of one attempt.
        spool = quantity(one.volumes["tmp"]["emptyDir"]["sizeLimit"])
        assert spool > grader.pipeline_depth * grader.box_limits.parts_bytes
        limit = quantity(one.container["resources"]["limits"]["ephemeral-storage"])
        assert limit >= spool + LOG_BYTES


@pytest.mark.parametrize("name", SETS)
def test_graders_grade_their_own_modality_with_their_own_keys(
    name: str, files: dict[str, str]
) -> None:
    for workload, grader in grader_settings(name, files):
        modality = grader.modality.value
        assert workload.name == f"grader-{modality}"
        assert workload.labels["modality"] == modality
        # As sealing names it.
        stem = {"3d": "three_d"}.get(modality, modality)
        assert grader.bundle.name == f"{stem}.keys"
        assert workload.mount_of(str(grader.bundle))["subPath"] == f"keys/{stem}"
        for volume, secret in (
            ("identity", "identity"),
            ("signing-key", "signing-key"),
            ("token", "token"),
        ):
            held = workload.volumes[volume]["secret"]["secretName"]
            assert held == f"grader-{modality}-{secret}"


@pytest.mark.parametrize("name", SETS)
def test_scores_name_the_image_that_made_them(name: str, files: dict[str, str]) -> None:
    for workload, grader in grader_settings(name, files):
        assert grader.image_digest == workload.container["image"]


@pytest.mark.parametrize("name", SETS)
def test_a_card_is_asked_for_exactly_where_networks_run_on_it(
    name: str, files: dict[str, str]
) -> None:
    for workload, grader in grader_settings(name, files):
        cards = workload.container["resources"]["limits"].get("nvidia.com/gpu")
        assert (grader.networks.device != CPU) == (cards == "1")
        assert bool(cards) == workload.container["image"].partition(":")[0].endswith("-cuda")
        assert bool(cards) == bool(workload.spec.get("tolerations"))
        assert bool(cards) == ("nodeAffinity" in workload.spec["affinity"])


@pytest.mark.parametrize("name", SETS)
def test_all_walls_are_required_where_they_can_stand(name: str, files: dict[str, str]) -> None:
    """Namespaces need a profile of the nodes; gVisor has no Landlock, but is a wall itself."""
    for workload, grader in grader_settings(name, files):
        profile = workload.spec["securityContext"]["seccompProfile"]["type"]
        required = grader.isolation is Isolation.REQUIRED
        assert required == (profile == "Localhost")
        if name in {"production", "site"}:
            assert required or workload.spec["runtimeClassName"] == "gvisor"


@pytest.mark.parametrize("name", SETS)
def test_all_services_have_one_catalogue(name: str, files: dict[str, str]) -> None:
    given = [
        environment(one, objects_of(name))[f"{service.upper()}_CATALOGUE"]
        for service in READERS
        for one in serving(name, service)
    ]
    assert set(given) == {"sample" if name == "dev" else "general-bench"}


@pytest.mark.parametrize("name", SETS)
def test_rows_in_a_file_mean_one_gateway_at_a_time(name: str, files: dict[str, str]) -> None:
    workload, gateway = gateway_settings(name, files)
    spec = workload.object["spec"]
    if gateway.database_url.startswith("sqlite"):
        assert spec["replicas"] == 1
        assert spec["strategy"] == {"type": "Recreate"}
    else:
        assert spec["replicas"] > 1


@pytest.mark.parametrize("name", SETS)
def test_variables_of_services_are_not_taken_for_settings(name: str) -> None:
    objects = objects_of(name)
    added = service_variables(objects)
    assert added["GATEWAY_PORT"].startswith("tcp://")  # which no setting of a gateway could read
    for workload in workloads(objects):
        prefix = f"{workload.service.partition('-')[0].upper()}_"
        clashes = {key for key in added if key.startswith(prefix)}
        assert not (workload.spec["enableServiceLinks"] and clashes), workload.name
