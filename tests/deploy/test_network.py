"""The flows that the policies let through are exactly those that the services need."""

from __future__ import annotations

import pytest

from tests.deploy.network import flows
from tests.deploy.rendering import K8S, SETS, objects_of, render
from tests.deploy.workloads import Workload, workloads

GRADERS = {f"grader-{modality}" for modality in ("image", "video", "audio", "3d", "language")}
CLIENTS = {"ranker", *GRADERS}
#: All who are not denied everything: the collector is a pod of the namespace.
ANYONE = {"lab", "stranger", "prometheus", "grafana", "dns", "database", "objects", "internet"}
METRICS = {"gateway": "TCP/9464", "ranker": "TCP/9465"} | dict.fromkeys(GRADERS, "TCP/9466")

PUBLIC = {(one, "gateway", port) for one in ANYONE for port in ("TCP/50051", "TCP/8080")}
GRADING = {(one, "gateway", "TCP/50052") for one in CLIENTS}
SCRAPING = {("prometheus", one, port) for one, port in METRICS.items()}
SPANS = {(one, "collector", "TCP/4317") for one in ("gateway", *CLIENTS)}
MIGRATION = {("gateway-migration", "database", "TCP/5432")}
STORES = {("gateway", "database", "TCP/5432"), ("gateway", "objects", "TCP/443"), *MIGRATION}
#: Until an installation says where its object store is, any server on its port is reached.
ANYWHERE = {("gateway", "internet", "TCP/443")}


def names(*clients: str) -> set[tuple[str, str, str]]:
    """Looking up names at the cluster's DNS."""
    return {(one, "dns", port) for one in clients for port in ("UDP/53", "TCP/53")}


BEFORE_SITE = PUBLIC | GRADING | SCRAPING | STORES | names("gateway", "gateway-migration")
NEEDED = {
    "dev": PUBLIC | GRADING,
    "single-node": PUBLIC | GRADING,
    "autoscaled": PUBLIC | GRADING | SCRAPING | SPANS | names("gateway"),
    "production": BEFORE_SITE | ANYWHERE,
    "site": BEFORE_SITE,
}


@pytest.mark.parametrize("name", SETS)
def test_what_is_needed_flows_and_nothing_else(name: str) -> None:
    assert flows(objects_of(name)) == NEEDED[name]


@pytest.mark.parametrize("name", SETS)
def test_without_its_policies_everything_would_flow(name: str) -> None:
    # The evaluation itself can tell the difference.
    unguarded = [found for found in objects_of(name) if found["kind"] != "NetworkPolicy"]
    assert ("grader-image", "internet", "TCP/80") in flows(unguarded)
    assert ("stranger", "gateway", "TCP/50052") in flows(unguarded)


def test_a_pod_that_nobody_thought_of_reaches_nothing() -> None:
    (loader,) = workloads(render(K8S / "samples" / "loader"))
    objects = [*objects_of("production"), loader.object]
    assert not [flow for flow in flows(objects) if loader.name in flow[:2]]


@pytest.mark.parametrize("name", SETS)
def test_the_operators_pod_reaches_the_internal_port_and_nothing_else(name: str) -> None:
    (pod,) = workloads(render(K8S / "samples" / "operations"))
    found = flows([*objects_of(name), pod.object])
    assert found == NEEDED[name] | {(pod.name, "gateway", "TCP/50052")}


@pytest.mark.parametrize("name", SETS)
def test_clients_have_an_address_and_may_resolve_nothing(name: str) -> None:
    """A name that needs resolving would be a way out of a pod that holds keys."""
    objects = objects_of(name)
    may_ask = {source for source, target, _ in flows(objects) if target == "dns"}
    assert not may_ask & CLIENTS
    for workload in workloads(objects):
        if workload.name in CLIENTS:
            assert target_of(workload) == "$(GATEWAY_INTERNAL_SERVICE_HOST):50052"


def target_of(workload: Workload) -> str:
    """The gateway's address as the manifest writes it."""
    (found,) = [
        entry["value"]
        for entry in workload.container["env"]
        if entry["name"] in {"GRADER_GATEWAY", "RANKER_GATEWAY"}
    ]
    return str(found)
