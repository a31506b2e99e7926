"""Spans find the collector: every service is told where it is, and as it reads it."""

from __future__ import annotations

import re
from typing import Final

import pytest

from services.kit.tracing_settings import TracingSettings
from tests.deploy.rendering import ROOT, SETS, named, objects_of
from tests.deploy.test_settings import Recorded
from tests.deploy.workloads import SERVICE_ADDRESS, environment, workloads

TRACED: Final = "autoscaled"
GUIDE: Final = ROOT / "docs" / "operators" / "tracing.md"


@pytest.mark.parametrize("name", SETS)
def test_services_export_where_the_component_is_and_nowhere_else(name: str) -> None:
    objects = objects_of(name)
    found = {
        one.name: TracingSettings.from_env(environment(one, objects)) for one in workloads(objects)
    }
    endpoints = {one: settings.endpoint for one, settings in found.items() if settings}
    if name != TRACED:
        assert not endpoints
        return
    (port,) = named(objects, "Service", "otlp")["spec"]["ports"]
    assert endpoints.pop("gateway") == f"http://otlp:{port['port']}"
    assert set(endpoints.values()) == {f"http://{SERVICE_ADDRESS}:{port['port']}"}
    assert len(endpoints) == 6


def test_the_guide_names_the_collectors_label() -> None:
    objects = objects_of(TRACED)
    ((key, value),) = named(objects, "Service", "otlp")["spec"]["selector"].items()
    assert f"`{key}: {value}`" in GUIDE.read_text()
    policy = named(objects, "NetworkPolicy", "otlp")["spec"]
    assert policy["podSelector"]["matchLabels"] == {key: value}


def test_the_guide_lists_the_settings_that_are_read() -> None:
    asked = Recorded({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"})
    assert TracingSettings.from_env(asked) is not None
    told = set(re.findall(r"`(OTEL_[A-Z_]+)`", GUIDE.read_text()))
    aside = {one for one in asked.asked if "_TRACES_" in one and "SAMPLER" not in one}
    assert asked.asked - aside - {"OTEL_TRACES_EXPORTER"} <= told
    assert told - asked.asked == {
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SERVICE_NAME",
    }
