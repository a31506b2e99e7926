"""What a grader counts, and that it knows the family of every metric."""

from __future__ import annotations

import numpy as np
import pytest

from general_level import catalogue
from general_level.catalogue.model import Grading
from services.grader import scorer_protocol
from services.grader.media.table import BINDINGS
from services.grader.metrics.families import FAMILIES, OTHER, family_of
from services.grader.metrics.table import TEXT_METRICS
from services.grader.telemetry import CardMemory, Telemetry


def test_the_family_of_a_metric_is_the_package_that_computes_it() -> None:
    used = set()
    for metric in catalogue.load().metrics.values():
        found = TEXT_METRICS.get(metric.id) or BINDINGS.get(metric.id)
        if found is not None:
            expected = found.function.__module__.removeprefix("services.grader.metrics.")
            assert family_of(metric.id) == expected.partition(".")[0], metric.id
        elif metric.grading is Grading.RATINGS:
            assert family_of(metric.id) == "ratings"
        used.add(family_of(metric.id))
    assert used == set(FAMILIES) - {OTHER}
    assert family_of("of-an-operator") == OTHER


def test_jobs_are_timed_by_family_and_findings_counted_by_code() -> None:
    telemetry = Telemetry("video")
    with telemetry.family("features"):
        pass
    with pytest.raises(ValueError, match="broken"), telemetry.family("features"):
        raise ValueError("broken")
    telemetry.found(["GL152", "GL164", "GL164"])
    read = telemetry.registry.get_sample_value
    labels = {"modality": "video", "family": "features"}
    assert read("grader_metric_job_seconds_count", labels) == 2
    assert read("grader_findings_total", {"modality": "video", "code": "GL164"}) == 2
    assert read("grader_findings_total", {"modality": "video", "code": "GL101"}) == 0
    assert read("grader_findings_total", {"modality": "image", "code": "GL164"}) is None


def test_a_cards_memory_comes_with_a_result_and_is_none_without_a_card() -> None:
    telemetry = Telemetry("video")

    def shown() -> list[float | None]:
        return [
            telemetry.registry.get_sample_value(
                f"grader_gpu_memory_{what}_bytes", {"modality": "video"}
            )
            for what in ("used", "size", "peak")
        ]

    assert shown() == [0, 0, 0]
    memory = scorer_protocol.decode_memory(scorer_protocol.encode_memory(3 * 2**30, 80 * 2**30, 5))
    assert memory is not None
    telemetry.card_memory(CardMemory(*memory))
    assert shown() == [3 * 2**30, 80 * 2**30, 5]
    assert scorer_protocol.decode_memory({}) is None


@pytest.mark.parametrize(
    "array",
    [np.array([1, 2], dtype=np.int64), np.array([1, -2, 3], dtype=np.int64), np.zeros(3)],
)
def test_a_scorer_that_says_nonsense_of_its_card_is_not_believed(array: np.ndarray) -> None:
    assert scorer_protocol.decode_memory({"card_memory": array}) is None
