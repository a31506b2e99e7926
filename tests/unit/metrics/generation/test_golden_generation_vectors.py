"""Our values against those that other people's libraries gave, frozen with their versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.grader.metrics.features.statistics import FeatureStatistics
from services.grader.metrics.media_generation import GENERATION_METRICS
from tests.golden.media.arrays import unpacked

VECTORS = json.loads(
    (Path(__file__).parents[3] / "golden" / "media" / "generation.json").read_text(encoding="utf-8")
)

#: Metrics whose oracle is a hand-worked vector or arithmetic on others that are frozen.
BY_HAND = {
    "optical-flow-score",
    "i2v-quality",
    "aesthetic-score",
    "musiq",
    "single-object-success",
    "multi-object-success",
    "color-success",
    "material-success",
    "spatial-relation-success",
}


def column(entry: Any) -> Any:
    """A column with its arrays; sealed statistics are an object."""
    if isinstance(entry, dict):
        return FeatureStatistics(unpacked(entry["mean"]), unpacked(entry["covariance"]), entry["n"])
    return unpacked(entry)


def network(known: Any) -> Any:
    """What a frozen network is: features are their media; texts and what is said are listed."""
    if known is None:
        return lambda media: list(media) if media[0].ndim > 1 else np.stack(media)
    if isinstance(known, list):
        return lambda sounds: [known[int(sound[0])] for sound in sounds]
    return lambda texts: np.stack([unpacked(known[text]) for text in texts])


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["metric"])
def test_a_metric_gives_the_frozen_value(case: dict[str, Any]) -> None:
    metric = GENERATION_METRICS[case["metric"]]
    networks = {name: network(known) for name, known in case["networks"].items()}
    assert networks.keys() == set(metric.extractors)

    result = metric.function(*map(column, case["columns"]), **networks, **case["options"])

    assert result.value == pytest.approx(case["value"], rel=0, abs=case["tolerance"])
    assert result.missing == 0


def test_every_metric_with_somebody_elses_code_has_frozen_cases() -> None:
    assert {case["metric"] for case in VECTORS["cases"]} == set(GENERATION_METRICS) - BY_HAND
