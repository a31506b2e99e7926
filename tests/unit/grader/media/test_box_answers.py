"""Whatever a box sends and the checks of this side let pass becomes a legal value, never an error.

Honest boxes send answers that the schema accepts; a box that an answer has taken over sends
columns of any numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from general_level.catalogue import load
from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import AnswerKind
from services.grader.decode import columns
from services.grader.decode.contents import CONTENT_KINDS
from services.grader.decode.formats.writers import npy
from services.grader.decode.frames import FrameInvalid
from services.grader.media.binding import MediaJob
from services.grader.media.comprehension import COMPREHENSION_BINDINGS
from services.grader.media.key_reader import KeyReader
from services.grader.networks import NO_NETWORKS
from tests.support.decoding import Decoded, decode
from tests.support.media_box import naming
from tests.unit.grader.media.comprehension_cases import CASES, FILES, Case
from tests.unit.grader.media.comprehension_jobs import decoded, kind_of, png

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.metric)
RNG = np.random.default_rng(0)


def job_of(case: Case, answers: Sequence[Any]) -> MediaJob:
    kind = kind_of(case.metric)
    references = [[reference] for reference in case.references]
    key = KeyReader(kind, case.options, case.files)
    return MediaJob(kind, case.options, answers, references, key, NO_NETWORKS)


def check(case: Case, answers: Sequence[Any]) -> None:
    """Grades decoded answers against the case's key."""
    job = job_of(case, answers)

    result = COMPREHENSION_BINDINGS[case.metric].compute(job)

    assert is_legal(load().metrics[case.metric], result.value)
    assert result.n == len(answers)
    absent = {item for item, answer in enumerate(answers) if answer is None}
    assert not job.unfit & absent
    # What is missing was not there, or its lab is told that it did not fit.
    assert result.missing == len(job.unfit | absent)


# --- Answers that the schema accepts ---

NUMBERS = st.sampled_from([0, 1, -1, 2, 10, 1e15, -1e15, 1e-300]) | st.floats(-60, 60)
EXTENTS = NUMBERS.map(abs)
LABELS = st.sampled_from(["ape", "Bus", "bus ", "sky", "car", "dog", "man", "zebra", ""])
FRAMES = st.integers(0, 6) | st.just(99_999)
FLAT = st.tuples(NUMBERS, NUMBERS, EXTENTS, EXTENTS)
SOLID = st.tuples(NUMBERS, NUMBERS, NUMBERS, EXTENTS, EXTENTS, EXTENTS, NUMBERS)
SIZES = st.sampled_from([(4, 6), (4, 6), (4, 6), (2, 4), (6, 4), (1, 1)])


@st.composite
def masks(draw: st.DrawFn) -> dict[str, Any]:
    height, width = draw(SIZES)
    cuts = sorted(draw(st.lists(st.integers(0, height * width), max_size=8)))
    counts = [after - before for before, after in pairwise([0, *cuts, height * width])]
    return {"size": [height, width], "counts": counts}


@st.composite
def paths(draw: st.DrawFn, boxes: st.SearchStrategy[Any], masked: bool = False) -> dict[str, Any]:
    frames = sorted(draw(st.sets(FRAMES, max_size=6)))
    form = "masks" if masked and draw(st.booleans()) else "boxes"
    shown = masks() if form == "masks" else boxes
    return {
        "frames": frames,
        form: draw(st.lists(shown, min_size=len(frames), max_size=len(frames))),
        "label": draw(LABELS),
        "score": draw(NUMBERS),
    }


def tracks(boxes: st.SearchStrategy[Any], masked: bool = False) -> st.SearchStrategy[Any]:
    return st.lists(paths(boxes, masked), max_size=4).map(
        lambda found: [{**track, "track": name} for name, track in enumerate(found)]
    )


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.fixed_dictionaries(fields), max_size=6)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    found = draw(objects(box=FLAT, label=LABELS))
    place = st.integers(0, max(len(found) - 1, 0))
    predicates = st.sampled_from(["next to", "Next To.", "on"])
    edges = draw(objects(subject=place, object=place, predicate=predicates, score=NUMBERS))
    return {"objects": found, "relations": edges if found else []}


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    labels = draw(st.lists(LABELS | st.integers(-1, 3), max_size=4))
    scores = draw(st.lists(NUMBERS, min_size=len(labels), max_size=len(labels)))
    points = st.lists(st.integers(-1, len(labels) - 1), min_size=2, max_size=5)
    return {"instances": draw(points), "labels": labels, "scores": scores}


#: Files of the right shape and of others, with the largest and smallest numbers that are accepted.
POOL: dict[str, bytes] = {
    **{name: data for name, data in FILES.items() if name not in ("mask.jpg", "broken.png")},
    **{
        f"{name}-{scale:g}.npy": npy(RNG.normal(0, 1, shape) * scale)
        for name, shape in (
            ("depth", (2, 2)),
            ("depth", (2, 2, 2)),
            ("flow", (2, 2, 2)),
            ("flow", (1, 2, 2, 2)),
            ("normals", (3, 3)),
        )
        for scale in (1e-300, 1.0, 1e14)
    },
    "zero.npy": npy(np.zeros((3, 3))),
    "classes-many.npy": npy(np.array([2**31 - 1, -(2**31), 65536, 0, 2])),
    "dark.png": png(np.zeros((2, 4), np.uint8)),
    "noise.png": png(RNG.integers(0, 256, (2, 4, 3)).astype(np.uint8)),
}
ENDINGS = {AnswerKind.IMAGE: ".png", AnswerKind.PANOPTIC: ".png"}


def usable(kind: AnswerKind) -> list[str]:
    """The files of the pool that a box can read as answers of a kind."""
    return [
        name
        for name, data in POOL.items()
        if name.endswith(ENDINGS.get(kind, ".npy"))
        and not decode(kind, [naming(kind, name)], {name: data}, content=True).findings
    ]


def files(kind: AnswerKind) -> st.SearchStrategy[Any]:
    return st.sampled_from(usable(kind))


VALID: dict[tuple[AnswerKind, str], st.SearchStrategy[Any]] = {
    (AnswerKind.BOXES, ""): objects(box=FLAT, label=LABELS, score=NUMBERS),
    (AnswerKind.BOXES, "boxes-3d"): objects(box=SOLID, label=LABELS, score=NUMBERS),
    (AnswerKind.MASKS, ""): objects(mask=masks(), label=LABELS, score=NUMBERS, frame=FRAMES),
    (AnswerKind.TUBES, ""): st.lists(paths(FLAT), max_size=4),
    (AnswerKind.TRACKS, ""): tracks(FLAT, masked=True),
    (AnswerKind.TRACKS, "boxes-3d"): tracks(SOLID),
    (AnswerKind.POSE, "keypoints"): objects(
        keypoints=st.sampled_from([4, 4, 1]).flatmap(
            lambda count: st.lists(
                st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=count, max_size=count
            )
        ),
        score=NUMBERS,
    ),
    (AnswerKind.POSE, "trajectory"): st.lists(
        st.lists(NUMBERS, min_size=12, max_size=12), min_size=1, max_size=3
    ).flatmap(lambda rows: st.sampled_from([rows, (rows * 40)[:40]])),
    (AnswerKind.SCENE_GRAPH, ""): graphs(),
    (AnswerKind.POINT_LABELS, ""): groups()
    | st.lists(st.integers(-1, 9) | st.just(2**31 - 1), min_size=2, max_size=5)
    | files(AnswerKind.POINT_LABELS),
    (AnswerKind.PANOPTIC, ""): st.fixed_dictionaries(
        {
            "file": files(AnswerKind.PANOPTIC),
            "segments": st.lists(
                st.fixed_dictionaries(
                    {
                        "segment": st.sampled_from([0, 1, 0x010101, 0x020202, 2**24 - 1]),
                        "label": LABELS,
                    }
                ),
                max_size=4,
                unique_by=lambda segment: segment["segment"],
            ),
        }
    ),
    **{
        (kind, ""): files(kind)
        for kind in (AnswerKind.IMAGE, AnswerKind.DEPTH, AnswerKind.FLOW, AnswerKind.NORMALS)
    },
}


@every_case
@settings(max_examples=20)
@given(data=st.data())
def test_answers_that_the_schema_accepts(case: Case, data: st.DataObject) -> None:
    kind = kind_of(case.metric)
    one = VALID[kind, case.options.get("form", "")] | st.none()
    count = len(case.references)
    answers = data.draw(st.lists(one, min_size=count, max_size=count))
    named = {path: blob for path, blob in POOL.items() if path in str(answers)}

    check(case, decoded(kind, answers, named, case.options))


# --- Columns of any numbers ---


@cache
def sent(metric: str) -> Decoded:
    """What an honest box sends of the case's answers."""
    case = next(case for case in CASES if case.metric == metric)
    kind = kind_of(metric)
    named = {path: blob for path, blob in case.files.items() if path in str(case.answers)}
    content = kind in CONTENT_KINDS
    return decode(kind, case.answers, named, options=case.options, content=content)


REALS = [np.nan, np.inf, -np.inf, 1e15, -1e15, 1e308, -1e308, 5e-324, 0.0, -1.0, 3.5]
WHOLES = [-1, 0, 1, 2, 3, 255, 256, 65536, 2**31 - 1, 2**40, 2**63 - 1]


def _poisoned(draw: st.DrawFn, values: NDArray[Any]) -> NDArray[Any]:
    """An array with other numbers, or of another shape."""
    change = draw(st.sampled_from(["one", "one", "one", "all", "double", "turn", "halve"]))
    if change == "double":
        return np.concatenate((values, values)) if values.ndim else values
    if change == "turn":
        return np.ascontiguousarray(values.T)
    if change == "halve":
        return values[: (len(values) + 1) // 2] if values.ndim else values
    pool = REALS if values.dtype.kind == "f" else WHOLES
    with np.errstate(over="ignore"):
        number = np.array(draw(st.sampled_from(pool))).astype(values.dtype)
    changed = values.copy()
    if change == "all":
        changed[...] = number
    elif values.size:
        changed.reshape(-1)[draw(st.integers(0, values.size - 1))] = number
    return changed


@st.composite
def poisoned(draw: st.DrawFn, frame: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    names = sorted(name for name in frame if not name.startswith(("ids", "rows")))
    changed = dict(frame)
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)) if names else []:
        changed[name] = _poisoned(draw, changed[name])
    return changed


@every_case
@settings(max_examples=50)
@given(data=st.data())
def test_columns_of_a_box_that_lies(case: Case, data: st.DataObject) -> None:
    kind = kind_of(case.metric)
    content = kind in CONTENT_KINDS
    honest = sent(case.metric)
    assert honest.arrays is not None
    parts = [data.draw(poisoned(dict(part))) for part in honest.parts]
    arrays = dict(honest.arrays)
    if not content or data.draw(st.booleans()):
        arrays = data.draw(poisoned(arrays))

    try:
        found = columns.unpack(kind, arrays, case.options, parts if content else None).values
    except FrameInvalid:
        return  # the box is taken for broken
    check(case, data.draw(st.permutations(found)))


# --- What a lie can be about, one by one ---


def answered(metric: str, changes: dict[str, Any], *, part: bool) -> tuple[Any, MediaJob]:
    """The case's answers with some arrays replaced, of the first part or of the final frame."""
    case = next(case for case in CASES if case.metric == metric)
    kind = kind_of(metric)
    honest = sent(metric)
    assert honest.arrays is not None
    arrays, parts = dict(honest.arrays), [dict(one) for one in honest.parts]
    (parts[0] if part else arrays).update(changes)
    values = columns.unpack(kind, arrays, case.options, parts if part else None).values
    job = job_of(case, values)
    return COMPREHENSION_BINDINGS[metric].compute(job), job


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("metric", "name", "shape"),
    [
        ("depth-rms", "depth", (2, 2)),
        ("abs-rel", "depth", (2, 2)),
        ("epe", "flow", (2, 2, 2)),
        ("normal-rmse", "normals", (3, 3)),
        ("ap50-points", "scores", (2,)),
    ],
)
def test_numbers_that_are_not_finite_make_an_answer_unfit(
    metric: str, name: str, shape: tuple[int, ...], number: float
) -> None:
    lie = np.ones(shape)
    lie.flat[-1] = number

    result, job = answered(metric, {name: lie}, part=True)

    assert job.unfit == {0}
    assert result.missing == 1


@pytest.mark.parametrize("metric", ["video-miou", "s-measure"])
@pytest.mark.parametrize("frame", [100_000, 2**62, 2**63 - 1])
def test_frames_that_no_video_has_make_an_answer_unfit(metric: str, frame: int) -> None:
    result, job = answered(metric, {"values.frames": np.array([0, 0, frame, 0])}, part=False)

    assert job.unfit == {0}
    assert result.missing == 1


def test_more_instances_than_an_answer_may_have_make_it_unfit() -> None:
    many = {
        "scores": np.ones(1001),
        "labels.text": np.zeros(0, np.uint8),
        "labels.offsets": np.zeros(1002, np.int64),
    }

    assert answered("ap50-points", many, part=True)[1].unfit == {0}


def test_masks_where_only_boxes_may_be() -> None:
    runs: dict[str, Any] = {
        "values.sizes": np.full((3, 2), 4, np.int32),
        "values.counts": np.array([0, 16] * 3, np.int32),
        "values.count_groups": np.array([0, 2, 4, 6]),
        "values.masked": np.array([1, 0, 0], np.uint8),
    }
    case = next(case for case in CASES if case.metric == "tube-viou")
    boxes = np.array([box for tube in case.answers[1] for box in tube["boxes"]], np.float64)

    result, job = answered("tube-viou", runs | {"values.boxes": boxes}, part=False)

    # 4 x 4 pixels at the origin against boxes that move away from there.
    assert not job.unfit
    assert result.per_sample[0] == pytest.approx(100 * (1 + 12 / 20 + 4 / 28) / 3)

    solid: dict[str, Any] = {
        "values.sizes": np.full((5, 2), 1, np.int32),
        "values.counts": np.ones(5, np.int32),
        "values.count_groups": np.arange(6),
        "values.masked": np.array([1], np.uint8),
        "values.boxes": np.zeros((0, 7)),
    }
    result, job = answered("amota", solid, part=False)
    assert (result.value, job.unfit) == (0, {0})
