"""Our values against those that other people's evaluators gave, frozen with their versions."""

import json
from pathlib import Path

import numpy as np
import pytest

from services.grader.metrics.detection.centre_distance import SpaceBoxes
from services.grader.metrics.media_comprehension import COMPREHENSION_METRICS
from services.grader.metrics.tracking.amota import SpaceTracks

VECTORS = json.loads(
    (Path(__file__).parents[3] / "golden" / "media" / "vectors.json").read_text(encoding="utf-8")
)


def space_boxes(entry):
    return SpaceBoxes(
        np.array(entry["centres"], dtype=np.float64).reshape(-1, 3),
        np.array(entry["labels"], dtype=np.int64),
        np.array(entry["scores"], dtype=np.float64),
    )


def space_tracks(entry):
    return SpaceTracks(
        np.array(entry["frames"], dtype=np.int64),
        np.array(entry["tracks"], dtype=np.int64),
        np.array(entry["centres"], dtype=np.float64).reshape(-1, 3),
        np.array(entry["labels"], dtype=np.int64),
        np.array(entry["scores"], dtype=np.float64),
    )


#: How the entries of a metric's two columns become its types.
BUILD = {
    "map-3d": (space_boxes, space_boxes),
    "amota": (space_tracks, space_tracks),
    "rte": (np.array, np.array),
    "s-measure": (
        lambda levels: np.array(levels) / 255,
        lambda mask: np.array(mask, dtype=np.bool_),
    ),
}


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["metric"])
def test_a_metric_gives_the_frozen_value(case):
    found, wanted = BUILD[case["metric"]]
    predictions = [None if entry is None else found(entry) for entry in case["predictions"]]
    references = [wanted(entry) for entry in case["references"]]

    result = COMPREHENSION_METRICS[case["metric"]].function(predictions, references)

    assert result.value == pytest.approx(case["value"], abs=1e-9)
    assert result.missing == case["predictions"].count(None)


def test_every_evaluator_that_cannot_run_beside_ours_has_frozen_cases():
    frozen = {
        metric.id for metric in COMPREHENSION_METRICS.values() if "frozen vectors" in metric.oracle
    }

    assert frozen == {case["metric"] for case in VECTORS["cases"]} == set(BUILD)
