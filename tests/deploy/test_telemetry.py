"""Whatever scales on a series or calls for someone names series and labels that there are."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from services.gateway.endings import LACKING
from tests.deploy.promql import exported, grouped, named
from tests.deploy.rendering import K8S, SETS, documents, name_of, objects_of, of_kind
from tools.telemetry_registries import all_series


def expressions(name: str) -> dict[str, str]:
    """Every expression of a set by the place that has it."""
    objects = objects_of(name)
    found = {}
    for scaler in of_kind(objects, "ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            found[f"{name_of(scaler)} {trigger['name']}"] = trigger["metadata"]["query"]
    for rules in of_kind(objects, "PrometheusRule"):
        for group in rules["spec"]["groups"]:
            for rule in group["rules"]:
                found[rule["alert"]] = rule["expr"]
    return found


def check_values(place: str, series: str, matchers: Mapping[str, str]) -> None:
    """What a matcher looks for is a value that the label can have."""
    base = series.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
    for label, wanted in matchers.items():
        known = all_series()[base].labels[label]
        assert set(wanted.split("|")) <= set(known), f"{place}: {label}={wanted}"


def test_the_registries_are_read_as_prometheus_stores_them() -> None:
    assert exported()["gateway_queue_jobs"] == {"modality", "state"}
    assert exported()["grader_leases_lost_total"] == {"modality"}
    assert exported()["grader_job_seconds_bucket"] == {"modality", "stage", "le"}
    assert "grader_leases_lost" not in exported()


def test_an_expression_is_read() -> None:
    expression = 'sum by (a, b) (rate(gateway_x_total{modality="3d", state!~"x|y"}[5m])) > grader_y'
    assert list(named(expression)) == [
        ("gateway_x_total", {"modality": "3d", "state": "x|y"}),
        ("grader_y", {}),
    ]
    assert grouped(expression) == {"a", "b"}


@pytest.mark.parametrize("name", SETS)
def test_series_and_labels_are_exported(name: str) -> None:
    for place, expression in expressions(name).items():
        labels: set[str] = set()
        series = list(named(expression))
        assert series, place
        for one, matchers in series:
            assert one in exported(), f"{place}: {one}"
            check_values(place, one, matchers)
            assert set(matchers) <= exported()[one], place
            labels |= exported()[one]
        assert grouped(expression) <= labels, place


@pytest.mark.parametrize("name", SETS)
def test_each_grader_scales_on_its_own_queue(name: str) -> None:
    objects = objects_of(name)
    for scaler in of_kind(objects, "ScaledObject"):
        modality = name_of(scaler).removeprefix("grader-")
        depth, age = (trigger["metadata"] for trigger in scaler["spec"]["triggers"])
        assert list(named(depth["query"])) == [("gateway_queue_jobs", {"modality": modality})]
        assert list(named(age["query"])) == [
            ("gateway_queue_oldest_seconds", {"modality": modality})
        ]
        # Each gateway tells of the same queue: adding them up would count it several times.
        assert "max" in depth["query"]
        assert "max" in age["query"]
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        metrics = [metric["external"]["metric"] for metric in scaler["spec"]["metrics"]]
        assert [metric["name"] for metric in metrics] == [
            "gateway_queue_jobs",
            "gateway_queue_oldest_seconds",
        ]
        for metric in metrics:
            modality = name_of(scaler).removeprefix("grader-")
            assert metric["selector"]["matchLabels"] == {"modality": modality}


def test_both_autoscalers_want_the_same() -> None:
    keda = {
        name_of(scaler): (
            scaler["spec"]["minReplicaCount"],
            scaler["spec"]["maxReplicaCount"],
            [trigger["metadata"]["threshold"] for trigger in scaler["spec"]["triggers"]],
            scaler["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
        )
        for scaler in of_kind(objects_of("production"), "ScaledObject")
    }
    own = {
        name_of(scaler): (
            scaler["spec"]["minReplicas"],
            scaler["spec"]["maxReplicas"],
            [metric["external"]["target"]["averageValue"] for metric in scaler["spec"]["metrics"]],
            scaler["spec"]["behavior"],
        )
        for scaler in of_kind(objects_of("autoscaled"), "HorizontalPodAutoscaler")
    }
    assert len(keda) == 5
    assert keda == own


def test_the_adapters_rules_make_what_the_autoscalers_ask_for() -> None:
    (rules,) = documents((K8S / "samples" / "prometheus-adapter-rules.yaml").read_text())
    made = []
    for rule in rules["external"]:
        (series,) = [one for one in exported() if f'"{one}"' in rule["seriesQuery"]]
        made.append(series)
        query = (
            rule["metricsQuery"].replace("<<.Series>>", series).replace("<<.LabelMatchers>>", "")
        )
        assert [one for one, _ in named(query)] == [series]
        assert grouped(query) <= exported()[series]
    asked = {
        metric["external"]["metric"]["name"]
        for scaler in of_kind(objects_of("autoscaled"), "HorizontalPodAutoscaler")
        for metric in scaler["spec"]["metrics"]
    }
    assert set(made) == asked


def test_faults_that_jobs_wait_for_are_labels() -> None:
    # The alert JobsLackKeysOrWeights shows them.
    assert LACKING
    assert "fault" in exported()["gateway_queue_lacking_jobs"]
