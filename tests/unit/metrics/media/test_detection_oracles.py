"""Average precision and overlaps against pycocotools, on generated pictures."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from services.grader.metrics.detection.boxes import Detections, Objects, box_iou
from services.grader.metrics.detection.coco import (
    MaskDetections,
    MaskObjects,
    ap50,
    ap50_keypoints,
    ap50_masks,
    ap75,
    box_average_precision,
    keypoint_average_precision,
    mask_average_precision,
)
from services.grader.metrics.detection.grounding import grounding_accuracy
from services.grader.metrics.detection.keypoints import KnownPeople, People
from services.grader.metrics.detection.points import PointInstances, ap50_points
from services.grader.metrics.segmentation.runs import intersections, run_lengths
from services.grader.metrics.tracking.tubes import Tube, success_auc, tube_viou

TOLERANCE = 1e-9  # percent points
SIDE = 60


def boxes(rng, count):
    corner = rng.uniform(0, SIDE - 20, (count, 2))
    return np.concatenate((corner, rng.uniform(1, 20, (count, 2))), axis=1).round(2)


def picture(rng, classes=3, crowd=0.15):
    """A key's boxes with some crowd, and a model's: shifted, doubled, mislabelled, invented."""
    wanted = boxes(rng, int(rng.integers(0, 9)))
    labels = rng.integers(1, classes + 1, len(wanted))
    crowds = rng.random(len(wanted)) < crowd
    again = np.repeat(np.arange(len(wanted)), 2)[rng.random(2 * len(wanted)) < 0.7]
    found = np.concatenate((wanted[again], boxes(rng, int(rng.integers(0, 5)))))
    found = np.abs(found + rng.normal(0, 1.5, found.shape)).round(2)
    found_labels = np.concatenate(
        (labels[again], rng.integers(1, classes + 2, len(found) - len(again)))
    )
    scores = rng.integers(0, 40, len(found)) / 40  # ties on purpose
    return Detections(found, found_labels, scores), Objects(wanted, labels, crowds)


def evaluate(kind, images, annotations, results, categories):
    """COCO's evaluation; AP, AP50 and AP75 in percent."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i + 1, "height": SIDE, "width": SIDE} for i in range(images)],
        "annotations": [
            {"id": i + 1, "iscrowd": 0, "area": 1.0} | annotation
            for i, annotation in enumerate(annotations)
        ],
        "categories": [{"id": category} for category in categories],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        found = COCO()
        found.dataset = coco.dataset | {
            "annotations": [
                {"id": i + 1, "iscrowd": 0, "area": 1.0} | result
                for i, result in enumerate(results)
            ]
        }
        found.createIndex()
        evaluation = COCOeval(coco, found, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [100 * evaluation.stats[place] for place in range(3)]


def rows(pictures, side, keys):
    return [
        {"image_id": image + 1} | {name: make(item, row) for name, make in keys.items()}
        for image, item in enumerate(pictures)
        if item is not None
        for row in range(len(getattr(item, side)))
    ]


FOUND = {
    "category_id": lambda item, row: int(item.labels[row]),
    "score": lambda item, row: float(item.scores[row]),
}
KNOWN = {
    "category_id": lambda item, row: int(item.labels[row]),
    "iscrowd": lambda item, row: int(item.crowd[row]),
}
BOX = {"bbox": lambda item, row: item.boxes[row].tolist()}


@pytest.mark.parametrize("seed", range(4))
def test_box_ap_is_pycocotools_ap(seed):
    rng = np.random.default_rng(seed)
    predictions, references = map(list, zip(*(picture(rng) for _ in range(25)), strict=True))
    predictions[3] = None
    expected = evaluate(
        "bbox",
        len(references),
        rows(references, "boxes", KNOWN | BOX),
        rows(predictions, "boxes", FOUND | BOX),
        range(1, 6),
    )

    ours = [metric(predictions, references) for metric in (box_average_precision, ap50, ap75)]

    assert [result.value for result in ours] == pytest.approx(expected, abs=TOLERANCE)
    assert 10 < expected[1] < 95
    assert ours[1].missing == 1
    assert ours[1].stderr > 0


def test_only_the_hundred_surest_boxes_of_a_class_count():
    rng = np.random.default_rng(0)
    wanted = boxes(rng, 120)
    key = Objects(wanted, np.ones(120, dtype=np.int64), np.zeros(120, dtype=np.bool_))
    found = Detections(wanted, key.labels, rng.random(120))
    expected = evaluate(
        "bbox", 1, rows([key], "boxes", KNOWN | BOX), rows([found], "boxes", FOUND | BOX), [1]
    )

    assert ap50([found], [key]).value == pytest.approx(expected[1], abs=TOLERANCE)
    assert expected[1] < 90


def blobs(rng, count):
    """Ragged masks bool [count, SIDE, SIDE - 10], some of them empty."""
    noise = rng.random((count, SIDE, SIDE - 10)) < 0.9
    masks = np.zeros_like(noise)
    for mask, (x, y, width, height) in zip(masks, boxes(rng, count).astype(int), strict=True):
        mask[y : y + height, x : x + width] = True
    return masks & noise


def masks_picture(rng):
    masks = blobs(rng, int(rng.integers(1, 7)))
    labels = rng.integers(1, 4, len(masks))
    crowd = rng.random(len(masks)) < 0.15
    found = np.concatenate((np.roll(masks, rng.integers(0, 4), axis=2), blobs(rng, 2)))
    found_labels = np.concatenate((labels, rng.integers(1, 4, 2)))
    return (
        MaskDetections(run_lengths(found), found_labels, rng.integers(0, 30, len(found)) / 30),
        MaskObjects(run_lengths(masks), labels, crowd),
    )


def rle(masks):
    return [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks.dense()]


@pytest.mark.parametrize("seed", range(3))
def test_mask_ap_is_pycocotools_ap(seed):
    rng = np.random.default_rng(seed)
    predictions, references = map(list, zip(*(masks_picture(rng) for _ in range(15)), strict=True))
    mask = {"segmentation": lambda item, row: rle(item.masks)[row]}
    expected = evaluate(
        "segm",
        len(references),
        rows(references, "labels", KNOWN | mask),
        rows(predictions, "labels", FOUND | mask),
        range(1, 5),
    )

    ours = [m(predictions, references) for m in (mask_average_precision, ap50_masks)]

    assert [result.value for result in ours] == pytest.approx(expected[:2], abs=TOLERANCE)
    assert 5 < expected[1] < 95


def test_areas_and_intersections_are_those_of_the_pixels_and_of_pycocotools():
    rng = np.random.default_rng(1)
    left, right = blobs(rng, 9), blobs(rng, 7)
    right[0], left[0] = False, True
    mine, other = run_lengths(left), run_lengths(right)

    rows, columns = np.indices((9, 7)).reshape(2, -1)
    shared = intersections(mine.walk(), other.walk(), rows, columns).reshape(9, 7)

    assert (shared == np.einsum("nhw,mhw->nm", left.astype(int), right.astype(int))).all()
    assert (mine.areas() == coco_mask.area(rle(mine))).all()
    union = mine.areas()[:, None] + other.areas()[None, :] - shared
    iou = np.divide(shared, union, out=np.zeros(shared.shape), where=shared > 0)
    assert iou == pytest.approx(coco_mask.iou(rle(mine), rle(other), [0] * 7), abs=1e-15)
    assert (mine.dense() == left).all()


def people_picture(rng, points=17):
    count = int(rng.integers(1, 5))
    wanted = np.zeros((count, points, 3))
    wanted[:, :, :2] = rng.uniform(0, SIDE, (count, points, 2))
    wanted[:, :, 2] = rng.integers(0, 3, (count, points))
    wanted[rng.random(count) < 0.2, :, 2] = 0  # somebody whom nobody labelled
    sizes = rng.uniform(10, 40, (count, 4))
    key = KnownPeople(
        wanted.round(2), sizes.round(2), sizes[:, 2] * sizes[:, 3], rng.random(count) < 0.1
    )
    found = np.concatenate((wanted, wanted[:1]))
    found = found + rng.normal(0, rng.choice([0.5, 2, 6], (len(found), 1, 1)), found.shape)
    return People(found.round(3), rng.integers(0, 30, len(found)) / 30), key


@pytest.mark.parametrize("seed", range(3))
def test_keypoint_ap_is_pycocotools_ap(seed):
    rng = np.random.default_rng(seed)
    predictions, references = map(list, zip(*(people_picture(rng) for _ in range(20)), strict=True))
    annotations = [
        {
            "image_id": image + 1,
            "category_id": 1,
            "keypoints": key.keypoints[row].reshape(-1).tolist(),
            "num_keypoints": int((key.keypoints[row, :, 2] > 0).sum()),
            "bbox": key.boxes[row].tolist(),
            "area": float(key.areas[row]),
            "iscrowd": int(key.crowd[row]),
        }
        for image, key in enumerate(references)
        for row in range(len(key.areas))
    ]
    results = [
        {
            "image_id": image + 1,
            "category_id": 1,
            "keypoints": found.keypoints[row].reshape(-1).tolist(),
            "score": float(found.scores[row]),
        }
        for image, found in enumerate(predictions)
        for row in range(len(found.scores))
    ]
    expected = evaluate("keypoints", len(references), annotations, results, [1])

    ours = [m(predictions, references) for m in (keypoint_average_precision, ap50_keypoints)]

    assert [result.value for result in ours] == pytest.approx(expected[:2], abs=TOLERANCE)
    assert 5 < expected[0] < 95


def test_another_skeleton_is_scored_with_its_own_or_uniform_spreads():
    rng = np.random.default_rng(0)
    found, key = people_picture(rng, points=5)
    wide = np.full(5, 1.0)

    strict = keypoint_average_precision([found], [key])
    lenient = keypoint_average_precision([found], [key], sigmas=wide)

    assert strict.value < lenient.value
    assert ap50_keypoints([found], [people_picture(rng, points=17)[1]]).missing == 1


@pytest.mark.parametrize("seed", range(3))
def test_point_instance_ap_is_pycocotools_ap_of_masks_with_one_row(seed):
    rng = np.random.default_rng(seed)
    predictions, references, annotations, results = [], [], [], []
    for scene in range(8):
        wanted = np.repeat(rng.integers(-1, 6, 30), 10)
        found = np.where(rng.random(300) < 0.25, rng.integers(-1, 6, 300), wanted)
        labels, scores = rng.integers(1, 4, 6), rng.integers(0, 20, 6) / 20
        found_labels = np.where(rng.random(6) < 0.8, labels, 1)
        references.append(PointInstances(wanted, labels, np.zeros(6)))
        predictions.append(PointInstances(found, found_labels, scores))
        for row in range(6):
            one = {"image_id": scene + 1, "category_id": int(labels[row])}
            if (wanted == row).any():
                annotations.append(
                    one | {"segmentation": rle(run_lengths((wanted == row)[None, None]))[0]}
                )
            results.append(
                one
                | {
                    "category_id": int(found_labels[row]),
                    "segmentation": rle(run_lengths((found == row)[None, None]))[0],
                    "score": float(scores[row]),
                }
            )
    expected = evaluate("segm", 8, annotations, results, range(1, 4))

    assert ap50_points(predictions, references).value == pytest.approx(expected[1], abs=TOLERANCE)
    assert 5 < expected[1] < 95


def test_box_iou_is_pycocotools_iou():
    rng = np.random.default_rng(2)
    left, right, crowd = boxes(rng, 40), boxes(rng, 30), rng.random(30) < 0.3
    left[0, 2:] = 0

    expected = coco_mask.iou(left, right, crowd.astype(int).tolist())

    assert box_iou(left, right, crowd) == pytest.approx(expected, abs=1e-15)


def test_grounding_accuracy_is_the_share_of_pycocotools_iou_at_the_threshold():
    rng = np.random.default_rng(3)
    wanted = boxes(rng, 200)
    found = np.abs(wanted + rng.normal(0, 2, wanted.shape))
    label = np.zeros(1, dtype=np.int64)
    predictions = [Detections(box[None], label, np.ones(1)) for box in found]
    references = [Objects(box[None], label) for box in wanted]
    overlap = np.array(
        [coco_mask.iou(a[None], b[None], [0])[0, 0] for a, b in zip(found, wanted, strict=True)]
    )

    for threshold in (0.3, 0.5, 0.7):
        result = grounding_accuracy(predictions, references, iou=threshold)
        assert result.value == pytest.approx(100 * np.mean(overlap >= threshold))


def test_tubes_and_tracks_use_pycocotools_iou_in_every_frame():
    rng = np.random.default_rng(4)
    predictions, references, tube_values, track_values = [], [], [], []
    for _ in range(12):
        wanted = Tube(np.arange(5, 30), boxes(rng, 25))
        frames = np.flatnonzero(rng.random(40) < 0.7)
        given = boxes(rng, len(frames))
        for row, frame in enumerate(frames):
            if 5 <= frame < 30:
                given[row] = np.abs(wanted.boxes[frame - 5] + rng.normal(0, 1.5, 4))
        overlap = {
            frame: coco_mask.iou(given[row : row + 1], wanted.boxes[frame - 5 : frame - 4], [0])[
                0, 0
            ]
            for row, frame in enumerate(frames.tolist())
            if 5 <= frame < 30
        }
        either = len({*frames.tolist(), *range(5, 30)})
        tube_values.append(100 * sum(overlap.values()) / either)
        every = np.array([overlap.get(frame, 0.0) for frame in range(5, 30)])
        thresholds = [step / 20 for step in range(21)]
        track_values.append(100 * np.mean([np.mean(every > level) for level in thresholds]))
        predictions.append([Tube(frames, given, 0.9), Tube(frames, boxes(rng, len(frames)), 0.1)])
        references.append(wanted)

    assert tube_viou(predictions, references).per_sample == pytest.approx(tube_values)
    assert success_auc(predictions, references).per_sample == pytest.approx(track_values)
