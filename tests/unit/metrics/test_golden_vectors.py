"""Our values against values that other people's libraries gave, frozen with their versions."""

import json
from pathlib import Path

import pytest

from services.grader.metrics.table import TEXT_METRICS

VECTORS = json.loads(
    (Path(__file__).parents[2] / "golden" / "metrics" / "vectors.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["metric"])
def test_a_metric_gives_the_frozen_value(case):
    metric = TEXT_METRICS[case["metric"]]

    result = metric.function(case["predictions"], case["references"])

    assert result.value == pytest.approx(case["value"], abs=1e-9)


def test_every_metric_has_a_frozen_case():
    assert {case["metric"] for case in VECTORS["cases"]} == set(TEXT_METRICS)
