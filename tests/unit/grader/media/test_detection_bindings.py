"""Found objects from JSON to a value: against pycocotools, frozen vectors and by hand."""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from tests.unit.grader.media.comprehension_jobs import png, rle, score
from tests.unit.metrics.media.test_detection_oracles import (
    FOUND,
    KNOWN,
    SIDE,
    blobs,
    boxes,
    evaluate,
    people_picture,
    picture,
    rows,
)

TOLERANCE = 1e-9  # percent points
NAMES = ["?", "ape", "bus", "Car", "dog", "eel"]
VECTORS = json.loads(
    (Path(__file__).parents[3] / "golden" / "media" / "vectors.json").read_text(encoding="utf-8")
)["cases"]
SPACE = {"form": "boxes-3d"}


def spelled(label: int, rng: np.random.Generator) -> str:
    """A class as a lab may write it."""
    return str(rng.choice([NAMES[label], NAMES[label].upper(), f" {NAMES[label]}. "]))


@pytest.mark.parametrize(("metric", "place"), [("ap50", 1), ("ap75", 2)])
def test_the_ap_of_boxes_is_that_of_pycocotools(metric: str, place: int) -> None:
    rng = np.random.default_rng(11)
    predictions, references = map(list, zip(*(picture(rng) for _ in range(20)), strict=True))
    predictions[3] = None
    box = {"bbox": lambda item, row: item.boxes[row].tolist()}
    expected = evaluate(
        "bbox",
        len(references),
        rows(references, "boxes", KNOWN | box),
        rows(predictions, "boxes", FOUND | box),
        range(1, 6),
    )[place]
    answers = [
        found
        and [
            {"box": row.tolist(), "label": spelled(label, rng), "score": mark}
            for row, label, mark in zip(found.boxes, found.labels, found.scores, strict=True)
        ]
        for found in predictions
    ]
    keys = [
        [
            {"box": row.tolist(), "label": NAMES[label], name: int(crowd)}
            for row, label, crowd in zip(key.boxes, key.labels, key.crowd, strict=True)
        ]
        for key, name in zip(references, ["crowd", "iscrowd"] * 10, strict=True)
    ]

    result, unfit = score(metric, answers, keys)

    assert result.value == pytest.approx(expected, abs=TOLERANCE)
    assert (result.missing, unfit) == (1, set())
    assert 1 < result.value < 95


def mask_entry(mask: NDArray[np.bool_], label: str, **more: Any) -> dict[str, Any]:
    return {"mask": rle(mask), "label": label, **more}


def mask_job(rng: np.random.Generator) -> tuple[list[Any], list[Any], float]:
    """Answers and keys of masks, and the AP50 that pycocotools gives them."""
    answers, keys, results, annotations = [], [], [], []
    for image in range(1, 13):
        wanted = blobs(rng, int(rng.integers(1, 6)))
        labels = rng.integers(1, 4, len(wanted))
        crowd = rng.random(len(wanted)) < 0.15
        found = np.concatenate((np.roll(wanted, rng.integers(0, 4), axis=2), blobs(rng, 2)))
        guesses = np.concatenate((labels, rng.integers(1, 6, 2)))
        scores = rng.integers(0, 30, len(found)) / 30
        answers.append(
            [
                mask_entry(mask, spelled(label, rng), score=float(mark))
                for mask, label, mark in zip(found, guesses, scores, strict=True)
            ]
        )
        keys.append(
            [
                mask_entry(mask, NAMES[label], crowd=bool(mark))
                for mask, label, mark in zip(wanted, labels, crowd, strict=True)
            ]
        )
        annotations += [
            {
                "image_id": image,
                "category_id": int(label),
                "iscrowd": int(mark),
                "segmentation": rle(mask),
            }
            for mask, label, mark in zip(wanted, labels, crowd, strict=True)
        ]
        results += [
            {
                "image_id": image,
                "category_id": int(label),
                "score": float(mark),
                "segmentation": rle(mask),
            }
            for mask, label, mark in zip(found, guesses, scores, strict=True)
        ]
    return answers, keys, evaluate("segm", 12, annotations, results, range(1, 4))[1]


def test_the_ap_of_masks_is_that_of_pycocotools() -> None:
    answers, keys, expected = mask_job(np.random.default_rng(5))

    result, unfit = score("ap50-masks", answers, keys)

    assert result.value == pytest.approx(expected, abs=TOLERANCE)
    assert not unfit
    assert 10 < expected < 95


def test_a_key_of_masks_may_be_a_picture_with_a_grey_value_for_each_object() -> None:
    grey = np.zeros((20, 24), np.uint16)
    grey[2:8, 2:9], grey[10:15, 3:9], grey[1:6, 14:20] = 7, 300, 9
    files = {"m.png": png(grey), "one.png": png((grey == 7).astype(np.uint8))}
    classes = {"7": "ape", "300": "ape", "9": "bus", "11": "ape"}  # none of 11
    keys: list[Any] = [{"file": "m.png", "classes": classes}]
    all_three = [
        mask_entry(grey == value, label) for value, label in ((9, "Bus"), (7, "ape"), (300, "ape"))
    ]

    assert score("ap50-masks", [all_three], keys, key_files=files)[0].value == 100
    # Half of the apes, all of the buses.
    some = score("ap50-masks", [all_three[:2]], keys, key_files=files)[0].value
    assert some == pytest.approx((100 * 51 / 101 + 100) / 2)
    # A plain path is one object, whose class has no name.
    one = score("ap50-masks", [all_three[1:2]], ["one.png"], key_files=files)[0].value
    assert one == 100


def test_masks_of_another_size_are_missing_and_a_picture_without_objects_takes_any_size() -> None:
    mask = np.zeros((6, 9), np.bool_)
    mask[1:4, 2:5] = True
    keys: list[Any] = [[mask_entry(mask, "ape")]] * 4 + [[]] * 3
    keys[6] = {"masks": [], "size": [6, 9]}
    right = [mask_entry(mask, "ape", score=0.5)]
    alarm = [mask_entry(mask.T, "ape", score=0.9)]

    result, unfit = score("ap50-masks", [right, right, right, [], [], right, []], keys)
    assert (result.missing, unfit) == (0, set())

    mixed = [*right, *alarm]
    result, unfit = score("ap50-masks", [right, alarm, mixed, [], alarm, mixed, alarm], keys)
    assert unfit == {1, 2, 5, 6}
    assert result.missing == 4
    # The false alarm in the picture without objects is the surest: precision 1/2 at recall 1/4.
    assert result.value == pytest.approx(100 * 26 / 101 / 2)


@pytest.mark.parametrize("labelled", [17, 5])
def test_the_ap_of_key_points_is_that_of_pycocotools(labelled: int) -> None:
    rng = np.random.default_rng(7)
    pairs = [people_picture(rng, 17) for _ in range(15)]
    annotations, results, answers, keys = [], [], [], []
    for image, (found, key) in enumerate(pairs, start=1):
        key.keypoints[:, labelled:, 2] = 0
        known = [
            {
                "keypoints": person.tolist(),
                "box": box.tolist(),
                "area": float(area),
                "iscrowd": int(crowd),
            }
            for person, box, area, crowd in zip(
                key.keypoints, key.boxes, key.areas, key.crowd, strict=True
            )
        ]
        keys.append(known)
        answers.append(
            [
                {"keypoints": person.tolist(), "score": mark}
                for person, mark in zip(found.keypoints, found.scores.tolist(), strict=True)
            ]
        )
        annotations += [
            {
                "image_id": image,
                "category_id": 1,
                "keypoints": np.ravel(person["keypoints"]).tolist(),
                "num_keypoints": int(np.count_nonzero(np.array(person["keypoints"])[:, 2])),
                "bbox": person["box"],
                "area": person["area"],
                "iscrowd": person["iscrowd"],
            }
            for person in known
        ]
        results += [
            {
                "image_id": image,
                "category_id": 1,
                "keypoints": np.ravel(person["keypoints"]).tolist(),
                "score": person["score"],
            }
            for person in answers[-1]
        ]
    expected = evaluate("keypoints", len(keys), annotations, results, [1])[1]

    result, _ = score("ap50-keypoints", answers, keys, options={"form": "keypoints"})

    assert result.value == pytest.approx(expected, abs=TOLERANCE)
    assert 5 < expected < 99


def test_a_person_without_a_box_has_that_of_the_labelled_points() -> None:
    points = [[10, 10, 2], [30, 10, 1], [10, 50, 2], [900, 900, 0]]
    moved = [[13, 10, 1], [33, 10, 1], [13, 50, 1], [0, 0, 1]]
    bare, whole = {"keypoints": points}, {"keypoints": points, "box": [10, 10, 20, 40]}
    # exp(-9 / (2 area 0.1^2)) is 0.57 with the box's area of 800 and 0.32 with 400.
    answer = [{"keypoints": moved}]

    assert score("ap50-keypoints", [answer], [[bare]])[0].value == 100
    assert score("ap50-keypoints", [answer], [[whole]])[0].value == 100
    assert score("ap50-keypoints", [answer], [[whole | {"area": 400}]])[0].value == 0


def test_people_of_another_skeleton_are_missing() -> None:
    three, two = [[1, 1, 2], [5, 1, 2], [1, 9, 2]], [[1, 1, 1], [5, 1, 1]]
    keys: list[Any] = [[{"keypoints": three}]] * 4 + [[]] * 2
    answers: list[Any] = [
        [{"keypoints": three}],
        [{"keypoints": two}],
        [{"keypoints": three}, {"keypoints": two}],
        [],
        [{"keypoints": two, "score": 0.5}],
        [],
    ]

    result, unfit = score("ap50-keypoints", answers, keys)

    assert unfit == {1, 2}
    assert result.missing == 2
    assert result.value == pytest.approx(100 * 26 / 101)  # the alarm comes after the one hit


def test_the_ap_of_point_instances_is_that_of_masks_with_one_row() -> None:
    rng = np.random.default_rng(3)
    answers, keys, annotations, results = [], [], [], []
    for scene in range(1, 7):
        wanted = np.repeat(rng.integers(-1, 6, 30), 10)
        found = np.where(rng.random(300) < 0.25, rng.integers(-1, 6, 300), wanted)
        labels, scores = rng.integers(1, 4, 6), rng.integers(0, 20, 6) / 20
        guesses = np.where(rng.random(6) < 0.8, labels, 1)
        key: dict[str, Any] = {
            "instances": wanted.tolist(),
            "labels": [NAMES[label] for label in labels],
        }
        keys.append(key | {"scores": [0.0] * 6} if scene % 2 else key)
        answers.append(
            {
                "instances": found.tolist(),
                "labels": [spelled(label, rng) for label in guesses],
                "scores": scores.tolist(),
            }
        )
        for row in range(6):
            one = {"image_id": scene, "category_id": int(labels[row])}
            if (wanted == row).any():
                annotations.append(one | {"segmentation": rle((wanted == row)[None])})
            results.append(
                one
                | {
                    "category_id": int(guesses[row]),
                    "segmentation": rle((found == row)[None]),
                    "score": float(scores[row]),
                }
            )
    expected = evaluate("segm", 6, annotations, results, range(1, 4))[1]

    result, _ = score("ap50-points", answers, keys)

    assert result.value == pytest.approx(expected, abs=TOLERANCE)
    assert 5 < expected < 95


def test_classes_instead_of_instances_and_other_points_are_missing() -> None:
    key = {"instances": [0, 0, -1, 1], "labels": ["ape", 7]}
    right = key | {"scores": [0.5, 0.5]}
    short = {"instances": [0, 0, -1], "labels": ["ape"], "scores": [1.0]}

    result, unfit = score("ap50-points", [right, [0, 0, 1, 1], short, None], [key] * 4)

    assert unfit == {1, 2}
    assert result.missing == 3
    assert result.value == pytest.approx(100 * 26 / 101)


def test_grounding_is_the_share_of_pycocotools_iou_at_the_tasks_threshold() -> None:
    rng = np.random.default_rng(3)
    wanted = boxes(rng, 60)
    found = np.abs(wanted + rng.normal(0, 2, wanted.shape))
    overlap = np.array(
        [coco_mask.iou(a[None], b[None], [0])[0, 0] for a, b in zip(found, wanted, strict=True)]
    )
    answers = [
        [{"box": row.tolist(), "score": 0.5}, {"box": [0, 0, SIDE, SIDE], "score": 0.1}]
        for row in found
    ]
    keys = [[{"box": row.tolist(), "label": "the left dog"}] for row in wanted]

    for threshold in ("0.5", "0.7"):
        result, _ = score("grounding-accuracy", answers, keys, options={"iou": threshold})
        assert result.value == pytest.approx(100 * np.mean(overlap >= float(threshold)))


@pytest.mark.parametrize("case", [one for one in VECTORS if one["metric"] == "map-3d"])
def test_boxes_in_space_give_the_frozen_values_of_the_nuscenes_kit(case: dict[str, Any]) -> None:
    def scene(entry: dict[str, Any] | None, *, key: bool = False) -> list[dict[str, Any]] | None:
        if entry is None:
            return None
        found = [
            {"box": [*centre, 4.0, 2.0, 1.5, 0.3], "label": f"class {label}", "score": mark}
            for centre, label, mark in zip(
                entry["centres"], entry["labels"], entry["scores"], strict=True
            )
        ]
        return [{**one, "score": 1.0} if key else one for one in found]

    result, _ = score(
        "map-3d",
        [scene(entry) for entry in case["predictions"]],
        [scene(entry, key=True) for entry in case["references"]],
        options=SPACE,
    )

    assert result.value == pytest.approx(case["value"], abs=TOLERANCE)


def test_triplets_by_hand() -> None:
    dog, man, ball = [0, 0, 10, 10], [20, 0, 10, 20], [50, 50, 4, 4]
    key = {
        "objects": [{"label": "dog", "box": dog}, {"label": "man", "box": man}],
        "relations": [
            {"subject": 0, "predicate": "next to", "object": 1},
            {"subject": 1, "predicate": "holds", "object": 0},
        ],
    }
    answer = {
        "objects": [
            {"label": "Man", "box": [20, 0, 10, 12]},  # IoU 0.6
            {"label": "a hound", "box": dog},
            {"label": "DOG", "box": dog},
            {"label": "ball", "box": ball},
        ],
        "relations": [
            {"subject": 1, "predicate": "next to", "object": 0, "score": 0.9},
            {"subject": 2, "predicate": "Next  to", "object": 0, "score": 0.8},
            {"subject": 0, "predicate": "throws", "object": 3, "score": 0.7},
            {"subject": 0, "predicate": "holds.", "object": 2, "score": 0.1},
        ],
    }
    nothing: dict[str, Any] = {"objects": [], "relations": []}

    def value(k: int, reference: Any = key, given: Any = answer) -> float:
        options = {"k": str(k)}
        return score("scene-graph-recall", [given], [reference], options=options)[0].value

    assert [value(k) for k in (1, 2, 3, 4)] == [0, 50, 50, 100]
    assert value(50, key, nothing) == 0
    assert value(50, nothing, answer) == 100  # nothing was asked for
