"""Masks of pictures and videos from JSON to a value: scikit-learn, frozen vectors, by hand."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.grader.metrics.regions.structure import s_measure
from tests.unit.grader.media.comprehension_jobs import png, rle, score

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracle, not ours
    from sklearn import metrics as sklearn

TOLERANCE = 1e-9  # percent points
NAMES = ["", "sky", "road", "wall"]
VECTORS = json.loads(
    (Path(__file__).parents[3] / "golden" / "media" / "vectors.json").read_text(encoding="utf-8")
)["cases"]

Mask = NDArray[np.bool_]


def entry(mask: Mask, label: str = "", **more: Any) -> dict[str, Any]:
    return {"mask": rle(mask), "label": label, **more}


def by_class(labels: NDArray[np.integer[Any]]) -> list[dict[str, Any]]:
    """One mask for each class that occurs; a number beyond the names is an invented class."""
    return [
        entry(labels == number, NAMES[number] if number < len(NAMES) else "an invention")
        for number in np.unique(labels).tolist()
        if number
    ]


def label_maps(
    rng: np.random.Generator, classes: int
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Found and wanted label maps of 0 and the classes; what is found may be of one more."""
    wanted = [rng.integers(0, classes + 1, (9, 11)) for _ in range(5)]
    found = [
        np.where(rng.random(key.shape) < 0.7, key, rng.integers(0, classes + 2, key.shape))
        for key in wanted
    ]
    return found, wanted


@pytest.mark.parametrize("form", ["masks", "pictures"])
def test_miou_of_classes_is_the_macro_jaccard_of_scikit_learn(form: str) -> None:
    rng = np.random.default_rng(0)
    found, wanted = label_maps(rng, 3)
    void = [rng.random(key.shape) < (0.2 if form == "pictures" else 0) for key in wanted]
    expected = sklearn.jaccard_score(
        np.concatenate([key[~out] for key, out in zip(wanted, void, strict=True)]),
        np.concatenate([side[~out] for side, out in zip(found, void, strict=True)]),
        labels=[1, 2, 3],
        average="macro",
    )
    files: dict[str, bytes] = {}
    keys: list[Any] = [by_class(key) for key in wanted]
    if form == "pictures":
        # Grey values of our own: 10, 20, 30 for the classes, 255 and 254 for void, 5 for nothing.
        for place, (key, out) in enumerate(zip(wanted, void, strict=True)):
            grey = np.where(out, 255 - place % 2, np.where(key == 0, 5 * (place % 2), 10 * key))
            files[f"{place}.png"] = png(grey.astype(np.uint8))
        classes = {"10": "sky", "20": "road", "30": "wall"}
        keys = [
            {"file": f"{place}.png", "classes": classes, "void": [255, 254]} for place in range(5)
        ]

    result, unfit = score("miou", [by_class(side) for side in found], keys, key_files=files)

    assert result.value == pytest.approx(100 * expected, abs=TOLERANCE)
    assert not unfit
    assert 30 < result.value < 90


@pytest.mark.parametrize("named", [False, True])
def test_miou_of_one_class_is_the_mean_of_the_pictures(named: bool) -> None:
    found, wanted = label_maps(np.random.default_rng(1), 1)
    found = [np.minimum(side, 1) for side in found]
    expected = [
        100 * sklearn.jaccard_score(key.ravel(), side.ravel())
        for key, side in zip(wanted, found, strict=True)
    ]
    files = {f"{place}.png": png((key * 255).astype(np.uint8)) for place, key in enumerate(wanted)}
    keys: list[Any] = list(files)
    if named:
        keys = [{"file": name, "classes": {"255": "Crack"}} for name in files]

    # Where the key has no names, what the answer calls the class does not matter.
    answers = [[entry(side == 1, "crack")] for side in found]
    result, _ = score("miou", answers, keys, key_files=files)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)


def test_a_label_that_no_key_knows_is_wrong_and_not_background() -> None:
    key = [entry(np.array([[True, True, False, False]]), "sky")]
    other = [entry(np.array([[False, False, True, True]]), "road")]
    invented = [entry(np.array([[True, False, True, False]]), "a cloud")]

    # Sky: 1 of 2 pixels, of which the invention covers one; road nothing of 2.
    covered = [*key, *invented]
    assert score("miou", [covered, []], [key, other])[0].value == pytest.approx((50 + 0) / 2)
    # One class, an image each: the pixel where the key has nothing costs nothing.
    assert score("miou", [covered], [key])[0].value == 50


def test_of_masks_that_overlap_the_surest_is_seen() -> None:
    left, all_of_it = np.array([[True, False]]), np.array([[True, True]])
    key = {"masks": [entry(all_of_it, "road"), entry(left, "sky")], "size": [1, 2]}

    def value(*scores: float, turned: bool = False) -> float:
        answer = [
            entry(left, "sky", score=scores[0]),
            entry(all_of_it, "road", score=scores[1]),
        ]
        return score("miou", [answer[::-1] if turned else answer], [key])[0].value

    assert value(0.9, 0.1) == 100
    assert value(0.1, 0.9) == pytest.approx(25)  # road 1 of 2, sky 0 of 1
    assert value(0.5, 0.5) == pytest.approx(25)
    assert value(0.5, 0.5, turned=True) == 100


@pytest.mark.parametrize("metric", ["miou", "dice", "video-miou", "s-measure"])
def test_masks_of_another_size_are_missing_and_no_masks_are_an_answer(metric: str) -> None:
    mask = np.zeros((4, 6), np.bool_)
    mask[1:3, 2:5] = True
    empty = {"masks": [], "size": [4, 6]}
    keys: list[Any] = [[entry(mask)], [entry(mask)], [entry(mask)], empty, empty, empty]
    answers = [
        [entry(mask)],
        [entry(mask.T)],
        [entry(mask), entry(mask[:3])],
        [],
        [entry(np.zeros((4, 6), np.bool_))],
        [entry(np.zeros((6, 4), np.bool_))],
    ]

    result, unfit = score(metric, answers, keys)

    assert unfit == {1, 2, 5}
    assert result.missing == 3
    assert result.per_sample is not None
    assert result.per_sample == pytest.approx([100, 0, 0, 100, 100, 0], abs=TOLERANCE)


def random_videos(seed: int, frames: int) -> tuple[list[Mask], list[Mask]]:
    rng = np.random.default_rng(seed)
    wanted = [rng.random((frames, 7, 9)) < 0.4 for _ in range(4)]
    return [np.where(rng.random(key.shape) < 0.8, key, ~key) for key in wanted], wanted


def frame_masks(video: Mask) -> list[dict[str, Any]]:
    """A video's masks out of order, each cut in two, none for an empty frame."""
    halves = np.zeros_like(video)
    halves[:, :, ::2] = True
    return [
        entry(part, f"part {place}", frame=frame, score=0.1 * frame)
        for frame in reversed(range(len(video)))
        for place, part in enumerate((video[frame] & halves[frame], video[frame] & ~halves[frame]))
        if part.any()
    ]


def test_dice_is_the_f1_of_the_pixels_whatever_the_parts_are_called() -> None:
    found, wanted = random_videos(2, 1)
    expected = [
        100 * sklearn.f1_score(key.ravel(), side.ravel())
        for side, key in zip(found, wanted, strict=True)
    ]
    grey = np.where(wanted[1][0], 7, 0)
    grey[0, wanted[1][0, 0]] = 8
    files = {
        "a.png": png(wanted[0][0].astype(np.uint8)),
        "b.png": png(np.where(grey == 0, 3, grey).astype(np.uint8)),  # 3 is no class
        "c.png": png(np.stack([np.zeros((7, 9)), np.zeros((7, 9)), wanted[2][0]], 2).astype("u1")),
    }
    keys: list[Any] = [
        "a.png",
        {"file": "b.png", "classes": {"7": "wing", "8": "tail"}},
        {"file": "c.png"},
        frame_masks(wanted[3]),
    ]

    result, unfit = score("dice", [frame_masks(side) for side in found], keys, key_files=files)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)
    assert not unfit


def test_video_miou_is_the_jaccard_of_the_stacked_frames() -> None:
    found, wanted = random_videos(3, 4)
    expected = [
        100 * sklearn.jaccard_score(key.ravel(), side.ravel())
        for side, key in zip(found, wanted, strict=True)
    ]
    files = {
        f"{place}/{frame}.png": png(picture.astype(np.uint8) * 200)
        for place, key in enumerate(wanted)
        for frame, picture in enumerate(key)
    }
    keys: list[Any] = [[f"{place}/{frame}.png" for frame in range(4)] for place in range(4)]
    keys[2] = frame_masks(wanted[2])
    keys[3] = [{"file": path, "classes": {"200": "car"}} for path in keys[3]]

    result, _ = score("video-miou", [frame_masks(side) for side in found], keys, key_files=files)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)


def test_a_mask_in_a_frame_without_the_object_adds_to_the_union() -> None:
    mask = np.array([[True, True, False]])
    key = {"masks": [entry(mask, frame=1)], "frames": 3}
    answer = [entry(mask, frame=1), entry(mask[:, ::-1], frame=9)]

    assert score("video-miou", [answer], [key])[0].value == 50


BINARY = [
    case
    for case in VECTORS
    if case["metric"] == "s-measure" and {0, 255} >= set(np.unique(case["predictions"]).tolist())
]


@pytest.mark.parametrize("case", BINARY, ids=lambda case: f"{case['value']:.3f}")
def test_the_structure_measure_of_masks_gives_the_frozen_values(case: dict[str, Any]) -> None:
    found, wanted = np.array(case["predictions"][0]) > 0, np.array(case["references"][0]) > 0
    key: dict[str, Any] = {"masks": frame_masks(wanted[None]), "size": list(wanted.shape)}

    result, _ = score("s-measure", [frame_masks(found[None])], [key])

    assert result.value == pytest.approx(case["value"], abs=TOLERANCE)


def test_there_are_frozen_values_of_masks() -> None:
    assert len(BINARY) >= 2


def test_the_structure_measure_looks_at_every_frame_of_the_key() -> None:
    found, wanted = random_videos(4, 5)
    found[0][1] = wanted[1][4] = wanted[2][3:] = False
    files = {
        f"{frame}.png": png(picture.astype(np.uint8)) for frame, picture in enumerate(wanted[1])
    }
    keys: list[Any] = [
        frame_masks(wanted[0]),
        [f"{frame}.png" for frame in range(5)],
        {"masks": frame_masks(wanted[2]), "frames": 5},
        frame_masks(wanted[3]),
    ]
    answers = [frame_masks(side) for side in found]
    answers[3].append(entry(np.ones((7, 9), np.bool_), frame=5))  # after the key's last frame

    result, unfit = score("s-measure", answers, keys, key_files=files)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(s_measure(found, wanted).per_sample, abs=TOLERANCE)
    assert not unfit
