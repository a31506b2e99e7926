"""Objects and cameras over time from JSON to a value: pycocotools, frozen vectors, by hand."""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from tests.unit.grader.media.comprehension_jobs import rle, score
from tests.unit.metrics.media.test_detection_oracles import (
    blobs,
    boxes,
)

TOLERANCE = 1e-9  # percent points
VECTORS = json.loads(
    (Path(__file__).parents[3] / "golden" / "media" / "vectors.json").read_text(encoding="utf-8")
)["cases"]
LEVELS = [step / 20 for step in range(21)]


def path(frames: Any, rows: NDArray[np.float64], **more: Any) -> dict[str, Any]:
    return {"frames": list(map(int, frames)), "boxes": rows.tolist(), **more}


def test_tubes_and_tracks_use_the_iou_of_pycocotools_in_every_frame() -> None:
    rng = np.random.default_rng(4)
    tubes, tracks, tube_keys, track_keys = [], [], [], []
    of_tubes, of_tracks = [], []
    for _ in range(8):
        wanted = boxes(rng, 25)
        frames = np.flatnonzero(rng.random(40) < 0.7)
        given = boxes(rng, len(frames))
        overlap = np.zeros(40)
        for row, frame in enumerate(frames.tolist()):
            if 5 <= frame < 30:
                given[row] = np.abs(wanted[frame - 5] + rng.normal(0, 1.5, 4))
                pair = given[row : row + 1], wanted[frame - 5 : frame - 4]
                overlap[frame] = coco_mask.iou(*pair, [0])[0, 0]
        of_tubes.append(100 * overlap.sum() / len({*frames.tolist(), *range(5, 30)}))
        of_tracks.append(100 * np.mean([np.mean(overlap[5:30] > level) for level in LEVELS]))
        unsure = path(frames, boxes(rng, len(frames)), score=0.1)
        tubes.append([unsure, path(frames, given, score=0.9, label="a dog")])
        tracks.append([{**tube, "track": name} for name, tube in enumerate(tubes[-1])])
        tube_keys.append([path(range(5, 30), wanted)])
        track_keys.append([path(range(5, 30), wanted, track="the one")])

    tube, _ = score("tube-viou", [*tubes, []], [*tube_keys, tube_keys[0]])
    track, _ = score("success-auc", [*tracks, []], [*track_keys, track_keys[0]])

    assert tube.per_sample is not None
    assert track.per_sample is not None
    assert tube.per_sample == pytest.approx([*of_tubes, 0], abs=TOLERANCE)
    assert track.per_sample == pytest.approx([*of_tracks, 0], abs=TOLERANCE)
    assert (tube.missing, track.missing) == (0, 0)


def masked(masks: NDArray[np.bool_], **more: Any) -> dict[str, Any]:
    return {"track": 1, "frames": list(range(len(masks))), "masks": list(map(rle, masks)), **more}


def test_a_mask_is_followed_by_the_box_around_it() -> None:
    rng = np.random.default_rng(5)
    wanted = blobs(rng, 12)
    wanted[3] = wanted[7] = False
    found = np.roll(wanted, 1, axis=2)
    found[5] = False
    seen = wanted.any(axis=(1, 2))
    overlap = np.array(
        [
            coco_mask.iou(coco_mask.toBbox(rle(a))[None], coco_mask.toBbox(rle(b))[None], [0])[0, 0]
            for a, b in zip(found, wanted, strict=True)
        ]
    )
    overlap[5] = 0
    expected = 100 * np.mean([np.mean(overlap[seen] > level) for level in LEVELS])
    as_boxes = [coco_mask.toBbox(rle(mask)) if mask.any() else np.zeros(4) for mask in wanted]
    key = [path(range(12), np.array(as_boxes), track=0)]

    for reference in ([masked(wanted)], key):
        result, unfit = score("success-auc", [[masked(found)], reference], [reference] * 2)
        assert result.per_sample is not None
        assert result.per_sample == pytest.approx([expected, 100 * 20 / 21], abs=TOLERANCE)
        assert not unfit


def test_masks_of_another_size_than_the_keys_are_missing() -> None:
    masks = np.zeros((2, 5, 6), np.bool_)
    masks[:, 1:3, 1:4] = True
    key = [masked(masks)]
    mixed = masked(masks)
    mixed["masks"][1] = rle(masks[1].T)
    boxed = path([0, 1], np.array([[1.0, 1, 3, 2]] * 2), track=0)
    tall = np.concatenate((masks, masks), axis=1)

    result, unfit = score(
        "success-auc", [[masked(masks)], [mixed], [masked(tall)], [boxed]], [key] * 4
    )
    assert unfit == {1, 2}
    assert result.per_sample is not None
    assert result.per_sample == pytest.approx([100 * 20 / 21, 0, 0, 100 * 20 / 21])

    # A key of boxes says no size.
    assert score("success-auc", [[masked(masks)]], [[boxed]])[1] == set()


def tracks_of(entry: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """One track for each number of a frozen case; its score is the mean of its boxes'."""
    if entry is None:
        return None
    names, labels = np.array(entry["tracks"]), np.array(entry["labels"])
    frames, scores = np.array(entry["frames"]), np.array(entry["scores"], np.float64)
    centres = np.array(entry["centres"], np.float64).reshape(-1, 3)
    found = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(frames[rows])]
        found.append(
            {
                "track": name,
                "frames": frames[rows].tolist(),
                "boxes": [[*centre, 4.0, 2.0, 1.5, 0.1] for centre in centres[rows].tolist()],
                "label": f"Class {labels[rows[0]]}",
                "score": float(scores[rows].mean()),
            }
        )
    return found


@pytest.mark.parametrize(
    "case", [case for case in VECTORS if case["metric"] == "amota"], ids=lambda c: f"{c['value']}"
)
def test_tracks_in_space_give_the_frozen_values_of_the_nuscenes_kit(case: dict[str, Any]) -> None:
    result, _ = score(
        "amota",
        [tracks_of(entry) for entry in case["predictions"]],
        [tracks_of(entry) for entry in case["references"]],
        options={"form": "boxes-3d"},
    )

    assert result.value == pytest.approx(case["value"], abs=TOLERANCE)


@pytest.mark.parametrize(
    "case", [case for case in VECTORS if case["metric"] == "rte"], ids=lambda c: f"{c['value']}"
)
def test_camera_paths_give_the_frozen_values_of_evo(case: dict[str, Any]) -> None:
    def rows(poses: Any) -> list[list[float]]:
        return [np.ravel(pose).tolist() for pose in poses]

    answers = [rows(poses) for poses in case["predictions"]]
    keys = [rows(poses) for poses in case["references"]]

    result, _ = score("rte", answers, keys, options={"form": "trajectory"})
    short, unfit = score(
        "rte", [*answers, keys[0][:-1]], [*keys, keys[0]], options={"form": "trajectory"}
    )

    assert result.value == pytest.approx(case["value"], abs=TOLERANCE)
    assert unfit == {len(keys)}
    assert short.missing == 1
