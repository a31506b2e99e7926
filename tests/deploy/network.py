"""Which connections the NetworkPolicies of a set let through.

The rules are those of Kubernetes' documentation (Concepts, Network Policies): a pod that no policy
selects for a direction is open in it; one that is selected takes what any of its policies allows,
and both ends of a connection have to allow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any, Final

from tests.deploy.rendering import Object, of_kind
from tests.deploy.workloads import matches, workloads

_HERE: Final = "general-level"


@dataclass(frozen=True)
class End:
    """A pod, or with an ``address`` something outside of the cluster.

    ``ports`` are those that it listens on, as ``TCP/443``.
    """

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    address: str = ""
    ports: tuple[str, ...] = ()


#: What stands around the namespace. Addresses are those of RFC 5737.
OUTSIDE: Final = (
    End("lab", address="198.51.100.7"),
    End("stranger", "default", {"app": "anything"}, ports=("TCP/8080",)),
    End("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}, ports=("TCP/9090",)),
    End("grafana", "monitoring", {"app.kubernetes.io/name": "grafana"}, ports=("TCP/3000",)),
    End("dns", "kube-system", {"k8s-app": "kube-dns"}, ports=("UDP/53", "TCP/53")),
    End("database", address="192.0.2.5", ports=("TCP/5432",)),
    End("objects", address="192.0.2.6", ports=("TCP/443",)),
    # In the namespace, and the operator's: what the policies say of pods of ours they say of it.
    End(
        "collector",
        _HERE,
        {"app.kubernetes.io/component": "opentelemetry-collector"},
        ports=("TCP/4317", "TCP/13133"),
    ),
    End("internet", address="203.0.113.9", ports=("TCP/80", "TCP/443", "UDP/53", "TCP/6443")),
)


def flows(objects: Sequence[Object]) -> set[tuple[str, str, str]]:
    """(from, to, port) of every connection that is let through and touches the namespace."""
    inside = [
        End(
            workload.name,
            _HERE,
            workload.labels,
            # Besides its own ports one that a program which is taken over might open.
            ports=(*(f"TCP/{port}" for port in workload.ports.values()), "TCP/4444"),
        )
        for workload in workloads(objects)
    ]
    policies = of_kind(objects, "NetworkPolicy")
    ends = [*inside, *OUTSIDE]
    return {
        (source.name, target.name, port)
        for source, target in product(ends, ends)
        if source != target and (source in inside or target in inside)
        for port in target.ports
        if _lets(policies, "egress", source, target, port)
        and _lets(policies, "ingress", target, source, port)
    }


def _lets(policies: Iterable[Object], direction: str, subject: End, peer: End, port: str) -> bool:
    if subject.namespace != _HERE:
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if matches(policy["spec"]["podSelector"], subject.labels)
        and direction.capitalize() in policy["spec"]["policyTypes"]
    ]
    peers = "to" if direction == "egress" else "from"
    return not selecting or any(
        _peer(rule.get(peers), peer) and _port(rule.get("ports"), port)
        for spec in selecting
        for rule in spec.get(direction, ())
    )


def _peer(allowed: Sequence[Mapping[str, Any]] | None, peer: End) -> bool:
    return not allowed or any(_is(one, peer) for one in allowed)


def _is(allowed: Mapping[str, Any], peer: End) -> bool:
    if "ipBlock" in allowed:
        block = allowed["ipBlock"]
        return (
            bool(peer.address)
            and ip_address(peer.address) in ip_network(block["cidr"])
            and not any(
                ip_address(peer.address) in ip_network(part) for part in block.get("except", ())
            )
        )
    if peer.address:
        return False
    if "namespaceSelector" in allowed:
        labels = {"kubernetes.io/metadata.name": peer.namespace}
        if not matches(allowed["namespaceSelector"], labels):
            return False
    elif peer.namespace != _HERE:
        return False
    return matches(allowed.get("podSelector"), peer.labels)


def _port(allowed: Sequence[Mapping[str, Any]] | None, port: str) -> bool:
    protocol, number = port.split("/")
    return not allowed or any(
        one.get("protocol", "TCP") == protocol
        and one["port"] <= int(number) <= one.get("endPort", one["port"])
        for one in allowed
    )
