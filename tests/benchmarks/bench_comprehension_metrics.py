"""The metrics of boxes, masks and label maps against pycocotools, scikit-learn and torchmetrics.

    python -m tests.benchmarks.bench_comprehension_metrics [PART ...]

"published" is COCO's evaluation as it is usually called (ten thresholds, four sizes, three limits
of detections), beside our AP at ten thresholds; "plain" is the least that it can be asked for, AP50
alone. Ours gives the standard error as well, a jackknife of fifty groups. Values are in percent.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import average_precision_score, jaccard_score

from services.grader.metrics.detection.boxes import Detections, Objects
from services.grader.metrics.detection.coco import (
    MaskDetections,
    MaskObjects,
    ap50,
    ap50_masks,
    box_average_precision,
    mask_average_precision,
)
from services.grader.metrics.regions.maps import pixel_average_precision
from services.grader.metrics.segmentation.confusion import miou
from services.grader.metrics.segmentation.panoptic import PanopticPicture, panoptic_quality
from services.grader.metrics.segmentation.runs import run_lengths
from tests.benchmarks import comparisons
from tests.benchmarks.comparisons import Comparison

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the libraries, not ours
    import torch
    from torchmetrics.functional.classification import multiclass_jaccard_index
    from torchmetrics.functional.detection import panoptic_quality as torch_panoptic_quality

SEED = 20241202
CLASSES = 10

_Rows = list[dict[str, Any]]


# --- boxes and masks --------------------------------------------------------------------------


def boxes(random: np.random.Generator, count: int, side: int) -> NDArray[np.float64]:
    """Boxes [count, 4] as x, y, width, height inside a picture."""
    size = random.uniform(0.05, 0.4, (count, 2)) * side
    corner = random.uniform(0, 1, (count, 2)) * (side - size)
    return np.concatenate((corner, size), axis=1).round(1)


def scene(
    random: np.random.Generator, side: int, objects: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """A key's boxes and labels, and a model's: each object about twice, shifted, and some more."""
    wanted = boxes(random, int(random.integers(objects // 2, objects * 3 // 2 + 1)), side)
    labels = random.integers(1, CLASSES + 1, len(wanted))
    twice = np.tile(np.arange(len(wanted)), 2)[random.random(2 * len(wanted)) < 0.9]
    shifted = wanted[twice] + random.normal(0, 0.02 * side, (len(twice), 4))
    more = boxes(random, objects // 5, side)
    found = np.concatenate((np.abs(shifted), more)).round(1)
    given = np.concatenate((labels[twice], random.integers(1, CLASSES + 1, len(more))))
    return wanted, labels, found, given


def indexed(images: int, side: int, rows: Sequence[dict[str, Any]]) -> COCO:
    """A set of annotations as pycocotools holds it."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image, "height": side, "width": side} for image in range(images)],
        "annotations": [row | {"id": number + 1, "iscrowd": 0} for number, row in enumerate(rows)],
        "categories": [{"id": label} for label in range(1, CLASSES + 1)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def coco_ap(wanted: COCO, found: COCO, kind: str, *, published: bool) -> float:
    """COCO's AP over all sizes, in percent."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(wanted, found, kind)
        if not published:
            evaluation.params.iouThrs = np.array([0.5])
            evaluation.params.maxDets = [100]
            evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    return 100 * float(precision[precision > -1].mean())


def box_ap() -> Iterator[Comparison]:
    images, side = 1000, 640
    random = np.random.default_rng(SEED)
    predictions: list[Detections] = []
    references: list[Objects] = []
    known: _Rows = []
    given: _Rows = []
    for image in range(images):
        wanted, labels, found, classes = scene(random, side, 10)
        scores = random.random(len(found)).round(4)
        references.append(Objects(wanted, labels))
        predictions.append(Detections(found, classes, scores))
        for rows, shapes, numbers in ((known, wanted, labels), (given, found, classes)):
            rows += [
                {"image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3]}
                for box, label in zip(shapes.tolist(), numbers.tolist(), strict=True)
            ]
        score(given, scores)
    key, answer = indexed(images, side, known), indexed(images, side, given)
    data = f"{images} pictures, {len(known)} boxes, {len(given)} found"
    yield Comparison(
        "AP",
        "pycocotools, published",
        data,
        lambda: box_average_precision(predictions, references).value,
        lambda: coco_ap(key, answer, "bbox", published=True),
    )
    yield Comparison(
        "AP50",
        "pycocotools, plain",
        data,
        lambda: ap50(predictions, references).value,
        lambda: coco_ap(key, answer, "bbox", published=False),
    )


def score(rows: _Rows, scores: NDArray[np.float64]) -> None:
    """Gives the last rows their scores."""
    for row, value in zip(rows[len(rows) - len(scores) :], scores.tolist(), strict=True):
        row["score"] = value


def blobs(shapes: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Each box's ellipse with a wavy edge, uint8 [n, side, side]."""
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    masks = np.zeros((len(shapes), side, side), dtype=np.uint8)
    for mask, (x, y, width, height) in zip(masks, shapes, strict=True):
        reach = (1 + 0.12 * np.sin(9 * turn + x)) / 2
        across = x + width * (0.5 + reach * np.cos(turn))
        down = y + height * (0.5 + reach * np.sin(turn))
        cv2.fillPoly(mask, [np.stack((across, down), axis=1).astype(np.int32)], 1)
    return masks


def mask_ap() -> Iterator[Comparison]:
    images, side = 200, 480
    random = np.random.default_rng(SEED)
    predictions: list[MaskDetections] = []
    references: list[MaskObjects] = []
    known: _Rows = []
    given: _Rows = []
    for image in range(images):
        wanted, labels, found, classes = scene(random, side, 8)
        scores = random.random(len(found)).round(4)
        painted, guessed = blobs(wanted, side), blobs(found, side)
        references.append(MaskObjects(run_lengths(painted.astype(np.bool_)), labels))
        predictions.append(MaskDetections(run_lengths(guessed.astype(np.bool_)), classes, scores))
        for rows, masks, numbers in ((known, painted, labels), (given, guessed, classes)):
            encoded = coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0)))
            areas = coco_mask.area(encoded).tolist()
            rows += [
                {"image_id": image, "category_id": label, "segmentation": one, "area": area}
                for one, label, area in zip(encoded, numbers.tolist(), areas, strict=True)
            ]
        score(given, scores)
    key, answer = indexed(images, side, known), indexed(images, side, given)
    data = f"{images} pictures of {side} x {side}, {len(known)} masks, {len(given)} found"
    yield Comparison(
        "AP of masks",
        "pycocotools, published",
        data,
        lambda: mask_average_precision(predictions, references).value,
        lambda: coco_ap(key, answer, "segm", published=True),
    )
    yield Comparison(
        "AP50 of masks",
        "pycocotools, plain",
        data,
        lambda: ap50_masks(predictions, references).value,
        lambda: coco_ap(key, answer, "segm", published=False),
    )


# --- label maps -------------------------------------------------------------------------------

Maps = list[NDArray[np.int64]]


def label_maps(count: int, side: int, classes: int) -> tuple[Maps, Maps]:
    """Maps of patches of 16 pixels, and a model's: some patches and some pixels differ."""
    random = np.random.default_rng(SEED)
    references, predictions = [], []
    for _ in range(count):
        coarse = random.integers(0, classes, (side // 16, side // 16))
        other = random.integers(0, classes, coarse.shape)
        guess = np.where(random.random(coarse.shape) < 0.7, coarse, other)
        wanted, found = (cells.repeat(16, 0).repeat(16, 1) for cells in (coarse, guess))
        noise = random.random(found.shape) < 0.05
        references.append(wanted)
        predictions.append(np.where(noise, random.integers(0, classes, found.shape), found))
    return predictions, references


def mean_iou() -> Iterator[Comparison]:
    count, side, classes = 20, 512, 20
    predictions, references = label_maps(count, side, classes)
    data = f"{count} maps of {side} x {side}, {classes} classes"

    def ours() -> float:
        return miou(predictions, references).value

    def scikit_learn() -> float:
        found, wanted = (np.concatenate(maps, axis=None) for maps in (predictions, references))
        labels = range(1, classes)
        return 100 * float(jaccard_score(wanted, found, labels=labels, average="macro"))

    def torchmetrics() -> float:
        found, wanted = (torch.from_numpy(np.stack(maps)) for maps in (predictions, references))
        values = multiclass_jaccard_index(found, wanted, num_classes=classes, average=None)
        return 100 * float(values[1:].double().mean())

    yield Comparison("mIoU", "scikit-learn", data, ours, scikit_learn)
    yield Comparison("mIoU", "torchmetrics, float32", data, ours, torchmetrics)


def panoptic() -> Iterator[Comparison]:
    count, side, classes = 4, 512, 10
    predictions, references = label_maps(count, side, classes)
    # A pixel's instance is the quarter of the picture in which it lies.
    rows, columns = np.indices((side, side)) // (side // 2)
    instances = 2 * rows + columns

    def described(labels: NDArray[np.int64]) -> PanopticPicture:
        numbers = labels * 4 + instances
        segments = np.unique(numbers)
        return PanopticPicture(numbers, segments, segments // 4)

    def tensor(maps: Maps) -> torch.Tensor:
        pairs = [np.stack((labels, instances), axis=-1) for labels in maps]
        return torch.from_numpy(np.stack(pairs))

    found, wanted = (list(map(described, maps)) for maps in (predictions, references))
    their_found, their_wanted = tensor(predictions), tensor(references)
    things = set(range(classes))
    yield Comparison(
        "panoptic quality",
        "torchmetrics, float32",
        f"{count} maps of {side} x {side}, {classes} classes, 4 instances",
        lambda: panoptic_quality(found, wanted).value,
        lambda: (
            100
            * float(torch_panoptic_quality(their_found, their_wanted, things=things, stuffs=set()))
        ),
    )


def graded_maps() -> Iterator[Comparison]:
    count, side = 20, 512
    random = np.random.default_rng(SEED)
    references = [random.random((side, side)) < 0.1 for _ in range(count)]
    predictions = [
        np.clip(random.normal(90 + 60 * key, 40), 0, 255).astype(np.uint8) for key in references
    ]

    def scikit_learn() -> float:
        found, wanted = (np.concatenate(maps, axis=None) for maps in (predictions, references))
        return 100 * float(average_precision_score(wanted, found))

    yield Comparison(
        "AP of pixels",
        "scikit-learn",
        f"{count} maps of {side} x {side}",
        lambda: pixel_average_precision(predictions, references).value,
        scikit_learn,
    )


PARTS: comparisons.Parts = {
    "boxes": box_ap,
    "masks": mask_ap,
    "miou": mean_iou,
    "panoptic": panoptic,
    "pixels": graded_maps,
}


def main() -> None:
    comparisons.run(PARTS, __doc__)


if __name__ == "__main__":
    main()
