"""Whatever an object names is there: pods, ports, accounts, claims, settings, secrets, classes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.operators import MODALITIES, keys_of
from tests.deploy.rendering import K8S, SETS, Object, name_of, named, objects_of, of_kind, render
from tests.deploy.workloads import PROBES, Workload, environment, matches, workloads
from tools.images import MEDIA, dockerfile_targets

pytestmark = pytest.mark.parametrize("name", SETS)

#: What the cluster has, and no set of ours makes.
#: The Service and the policy of pods that the operator runs: tests/deploy/test_tracing.py.
BY_THE_OPERATOR = {"otlp"}
ISSUERS_OF_THE_CLUSTER = {"public", "letsencrypt"}


def selected(objects: tuple[Object, ...], selector: dict[str, Any]) -> list[Workload]:
    return [workload for workload in workloads(objects) if matches(selector, workload.labels)]


def deployments(objects: tuple[Object, ...]) -> list[Workload]:
    return [workload for workload in workloads(objects) if workload.kind == "Deployment"]


def test_all_services_are_there(name: str) -> None:
    names = [workload.name for workload in deployments(objects_of(name))]
    assert sorted(names) == sorted(["gateway", "ranker", *(f"grader-{m}" for m in MODALITIES)])


def test_every_image_is_built_here(name: str) -> None:
    """Each is a target of the Dockerfile, those for cards with the suffix of their variant."""
    built = dockerfile_targets()
    for workload in workloads(objects_of(name)):
        plain = workload.container["image"].partition("@")[0].partition(":")[0]
        repository, _, image = plain.rpartition("/")
        assert repository.endswith("general-level")
        target = image.removesuffix("-cuda")
        assert target in built
        assert target == image or target in MEDIA


def test_deployments_select_their_own_pods_and_no_others(name: str) -> None:
    objects = objects_of(name)
    for workload in deployments(objects):
        found = selected(objects, workload.object["spec"]["selector"])
        assert [one.name for one in found] == [workload.name]


def test_pods_keep_apart_from_their_own_kind(name: str) -> None:
    objects = objects_of(name)
    for workload in deployments(objects):
        if workload.name == "ranker":  # there is one
            continue
        rules = [
            *workload.spec["topologySpreadConstraints"],
            *(
                term["podAffinityTerm"]
                for term in workload.spec["affinity"]["podAntiAffinity"][
                    "preferredDuringSchedulingIgnoredDuringExecution"
                ]
            ),
        ]
        assert {rule["topologyKey"] for rule in rules} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
        for rule in rules:
            found = selected(objects, rule["labelSelector"])
            assert [one.name for one in found] == [workload.name]


def test_every_deployment_has_one_disruption_budget(name: str) -> None:
    objects = objects_of(name)
    covered = []
    for budget in of_kind(objects, "PodDisruptionBudget"):
        (one,) = selected(objects, budget["spec"]["selector"])
        covered.append(one.name)
        # A single replica has to give way, too, when its node is drained.
        assert budget["spec"]["maxUnavailable"] == 1
    assert sorted(covered) == sorted(one.name for one in deployments(objects))


def test_services_lead_to_ports_of_their_pods(name: str) -> None:
    objects = objects_of(name)
    for service in of_kind(objects, "Service"):
        found = selected(objects, {"matchLabels": service["spec"]["selector"]})
        if name_of(service) in BY_THE_OPERATOR:
            assert not found
            continue
        assert [one.name for one in found] == ["gateway"]
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in found[0].ports


def test_probes_ask_ports_that_are_listened_on(name: str) -> None:
    for workload in deployments(objects_of(name)):
        for probe in PROBES:
            assert workload.container[probe]["grpc"]["port"] in workload.ports.values()


def test_policies_select_pods_and_ports_that_there_are(name: str) -> None:
    objects = objects_of(name)
    for policy in of_kind(objects, "NetworkPolicy"):
        spec = policy["spec"]
        found = selected(objects, spec["podSelector"])
        if name_of(policy) in BY_THE_OPERATOR:
            assert not found
            continue
        assert found, name_of(policy)
        listened = {port for one in found for port in one.ports.values()}
        for rule in spec.get("ingress", ()):
            assert {port["port"] for port in rule["ports"]} <= listened, name_of(policy)


def test_autoscalers_have_a_deployment_each(name: str) -> None:
    objects = objects_of(name)
    scalers = of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler")
    graders = {workload.name for workload in deployments(objects) if workload.service == "grader"}
    targets = [scaler["spec"]["scaleTargetRef"] for scaler in scalers]
    assert [target["kind"] for target in targets] == ["Deployment"] * len(targets)
    assert sorted(target["name"] for target in targets) == (sorted(graders) if targets else [])
    assert bool(targets) == (name not in {"dev", "single-node"})
    for target in targets:
        # Applying the manifests again must not undo what the autoscaler did.
        assert "replicas" not in named(objects, "Deployment", target["name"])["spec"]


def test_monitors_find_a_metrics_port(name: str) -> None:
    objects = objects_of(name)
    scraped = []
    for monitor in of_kind(objects, "ServiceMonitor"):
        (service,) = [
            service
            for service in of_kind(objects, "Service")
            if matches(monitor["spec"]["selector"], service["metadata"]["labels"])
        ]
        ports = {port["name"] for port in service["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports
        scraped += [
            one.name for one in selected(objects, {"matchLabels": service["spec"]["selector"]})
        ]
    for monitor in of_kind(objects, "PodMonitor"):
        for one in selected(objects, monitor["spec"]["selector"]):
            scraped.append(one.name)
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                assert endpoint["port"] in one.ports
    everything = sorted(one.name for one in deployments(objects))
    assert sorted(scraped) == (everything if of_kind(objects, "PrometheusRule") else [])


def test_accounts_claims_and_classes_are_made(name: str) -> None:
    objects = objects_of(name)
    claimed = set()
    for workload in workloads(objects):
        account = named(objects, "ServiceAccount", workload.spec["serviceAccountName"])
        assert account["automountServiceAccountToken"] is False
        if "runtimeClassName" in workload.spec:
            named(objects, "RuntimeClass", workload.spec["runtimeClassName"])
        for volume in workload.volumes.values():
            if "persistentVolumeClaim" in volume:
                claimed.add(volume["persistentVolumeClaim"]["claimName"])
    assert claimed == {name_of(claim) for claim in of_kind(objects, "PersistentVolumeClaim")}


def test_certificates_have_issuers(name: str) -> None:
    objects = objects_of(name)
    issuers = {name_of(issuer) for issuer in of_kind(objects, "Issuer")}
    signed = {found["spec"]["secretName"] for found in of_kind(objects, "Certificate")}
    for certificate in of_kind(objects, "Certificate"):
        reference = certificate["spec"]["issuerRef"]
        known = issuers if reference["kind"] == "Issuer" else ISSUERS_OF_THE_CLUSTER
        assert reference["name"] in known
    for issuer in of_kind(objects, "Issuer"):
        assert issuer["spec"].get("ca", {}).get("secretName", "internal-authority") in signed


def test_each_client_has_a_certificate_of_its_own(name: str) -> None:
    objects = objects_of(name)
    for certificate in of_kind(objects, "Certificate"):
        spec = certificate["spec"]
        if "client auth" not in spec["usages"]:
            continue
        service, _, modality = name_of(certificate).partition("-")
        samples = workloads(render(K8S / "samples" / "operations"))
        assert spec["uris"] == [
            "spiffe://general-level/" + "/".join(filter(None, (service, modality)))
        ]
        mounting = [
            workload.name
            for workload in [*workloads(objects), *samples]
            for volume in workload.volumes.values()
            if volume.get("secret", {}).get("secretName") == spec["secretName"]
        ]
        # Operators have a pod only while they work.
        assert mounting == ["operations" if service == "operator" else name_of(certificate)]


def test_secrets_and_settings_are_made_by_someone(name: str) -> None:
    objects = objects_of(name)
    known = keys_of(objects)
    for workload in workloads(objects):
        for volume in workload.volumes.values():
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in known
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in known
        for entry in workload.container.get("env", ()):
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                assert reference["key"] in known["Secret", reference["name"]]


def test_files_that_the_environment_names_are_mounted(name: str) -> None:
    objects = objects_of(name)
    known = keys_of(objects)
    for workload in workloads(objects):
        for variable, value in environment(workload, objects).items():
            if not value.startswith("/"):
                continue
            mount = workload.mount_of(value)
            volume = workload.volumes[mount["name"]]
            source = volume.get("secret") or volume.get("configMap")
            if source:
                kind = "Secret" if "secret" in volume else "ConfigMap"
                held = known[kind, source.get("secretName") or source["name"]]
                assert value.removeprefix(f"{mount['mountPath']}/") in held, variable


def test_every_volume_is_mounted(name: str) -> None:
    for workload in workloads(objects_of(name)):
        assert {mount["name"] for mount in workload.mounts.values()} == set(workload.volumes)


def test_every_setting_of_the_manifests_is_used(name: str) -> None:
    objects = objects_of(name)
    used = set()
    for workload in workloads(objects):
        used |= {source["configMapRef"]["name"] for source in workload.container.get("envFrom", ())}
        used |= {
            entry["valueFrom"]["configMapKeyRef"]["name"]
            for entry in workload.container.get("env", ())
            if "configMapKeyRef" in entry.get("valueFrom", {})
        }
    # Dashboards are for Grafana's sidecar, which finds them by this label; no pod of ours has them.
    assert used == {
        name_of(config)
        for config in of_kind(objects, "ConfigMap")
        if "grafana_dashboard" not in config["metadata"].get("labels", {})
    }
