"""What holds for every binding: the best, the worst, unusable keys, and whatever a box may send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from general_level.catalogue import load
from general_level.catalogue.mapping import is_legal
from services.grader.media.comprehension import COMPREHENSION_BINDINGS
from services.grader.media.key_reader import ReferenceUnusable
from services.grader.metrics.media_comprehension import COMPREHENSION_METRICS
from tests.unit.grader.media.comprehension_cases import CASES, Case
from tests.unit.grader.media.comprehension_jobs import reader, score

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.metric)


def test_every_metric_has_a_binding_and_a_case() -> None:
    assert set(COMPREHENSION_BINDINGS) == set(COMPREHENSION_METRICS)
    assert {case.metric for case in CASES} == set(COMPREHENSION_METRICS)
    for name, binding in COMPREHENSION_BINDINGS.items():
        metric = COMPREHENSION_METRICS[name]
        assert (binding.metric_id, binding.function) == (name, metric.function)
        assert (binding.kinds, binding.options) == (metric.kinds, metric.options)
        assert binding.oracle == metric.oracle
        assert not binding.extractors


def run(case: Case, answers: Sequence[Any]) -> tuple[Any, set[int]]:
    used = str(answers)
    files = {path: data for path, data in case.files.items() if path in used}
    return score(
        case.metric,
        answers,
        case.references,
        files=files,
        key_files=case.files,
        options=case.options,
    )


@every_case
def test_perfect_answers_have_the_best_value(case: Case) -> None:
    result, unfit = run(case, case.answers)

    assert result.value == pytest.approx(case.best, abs=1e-9)
    assert (result.missing, unfit) == (0, set())


@every_case
def test_a_submission_without_answers_has_the_worst_value(case: Case) -> None:
    result, unfit = run(case, [None] * len(case.references))

    assert result.value == pytest.approx(case.worst, abs=1e-9)
    assert (result.missing, unfit) == (len(case.references), set())


@every_case
def test_a_reference_that_cannot_be_used_is_refused_without_being_quoted(case: Case) -> None:
    binding = COMPREHENSION_BINDINGS[case.metric]
    key = reader(case.metric, case.files, case.options)

    for reference in case.references:
        binding.read(key, reference)
    for place, reference in enumerate(case.unusable):
        with pytest.raises(ReferenceUnusable) as refused:
            pytest.fail(f"{place} was read: {binding.read(key, reference)}")
        assert "nowhere" not in str(refused.value)


@pytest.mark.parametrize(
    ("metric", "references"),
    [
        ("ap50", [[], [{"box": [0, 0, 1, 1], "crowd": 1}]]),
        ("ap50-masks", [[], "none.png"]),
        ("ap50-keypoints", [[], [{"keypoints": [[1, 1, 0]]}]]),
        ("ap50-points", [{"instances": [-1, -1], "labels": ["ape"]}]),
        ("map-3d", [[], []]),
        ("amota", [[], []]),
        ("miou", ["none.png", {"file": "mask.png", "void": [1, 7]}]),
        ("pq", [{"file": "panoptic.png", "segments": []}]),
        ("pixel-ap", ["none.png"]),
        ("map-roc-auc", ["none.png"]),
    ],
)
def test_references_of_nothing_can_be_read_and_a_key_of_them_alone_cannot_be_graded(
    metric: str, references: list[Any]
) -> None:
    case = next(case for case in CASES if case.metric == metric)
    key = reader(metric, case.files, case.options)
    for reference in references:
        COMPREHENSION_BINDINGS[metric].read(key, reference)

    missing = [None] * len(references)
    with pytest.raises(ValueError, match="key holds no"):
        score(metric, missing, references, key_files=case.files, options=case.options)


FIELDS = [
    *("file", "classes", "void", "masks", "size", "frames", "mask", "counts", "box", "label"),
    *("crowd", "keypoints", "segments", "segment", "instances", "labels", "category", "scores"),
    *("objects", "relations", "boxes", "track"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 70000)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "ape", "mask.png", "depth.npy", "classes.npy", "1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@every_case
@settings(max_examples=25)
@given(data=st.data())
def test_any_reference_is_either_read_or_refused(case: Case, data: st.DataObject) -> None:
    key = reader(case.metric, case.files, case.options)
    reference = data.draw(JSON | st.sampled_from(case.references).flatmap(_damaged))

    try:
        COMPREHENSION_BINDINGS[case.metric].read(key, reference)
    except ReferenceUnusable:
        return
    # What is read can be graded against, beside references that have something to be found.
    result, _ = score(
        case.metric,
        [None] * (1 + len(case.references)),
        [*case.references, reference],
        key_files=case.files,
        options=case.options,
    )
    assert is_legal(load().metrics[case.metric], result.value)


def _damaged(value: Any) -> st.SearchStrategy[Any]:
    """The value with one thing inside it replaced."""
    if isinstance(value, list) and value:
        return st.integers(0, len(value) - 1).flatmap(
            lambda at: (JSON | _damaged(value[at])).map(
                lambda inner: [*value[:at], inner, *value[at + 1 :]]
            )
        )
    if isinstance(value, dict) and value:
        return st.sampled_from(sorted(value)).flatmap(
            lambda name: (JSON | _damaged(value[name])).map(lambda inner: {**value, name: inner})
        )
    return JSON
