"""Every metric of pictures, videos and 3D data that compares an answer with a key, in one table.

A metric is called as ``function(predictions, references, **options)`` with two columns of one entry
per item, a prediction of None for an item that the submission left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from general_level.catalogue.model import AnswerKind
from services.grader.metrics.detection.boxes import Detections, Objects
from services.grader.metrics.detection.centre_distance import SpaceBoxes, map_3d
from services.grader.metrics.detection.coco import (
    MaskDetections,
    MaskObjects,
    ap50,
    ap50_keypoints,
    ap50_masks,
    ap75,
)
from services.grader.metrics.detection.grounding import grounding_accuracy
from services.grader.metrics.detection.keypoints import KnownPeople, People
from services.grader.metrics.detection.points import PointInstances, ap50_points
from services.grader.metrics.geometry.depth import abs_rel, depth_rms
from services.grader.metrics.geometry.flow import end_point_error
from services.grader.metrics.geometry.normals import normal_rmse
from services.grader.metrics.geometry.odometry import relative_translation_error
from services.grader.metrics.regions.maps import pixel_average_precision, pixel_roc_auc
from services.grader.metrics.regions.matting import matting_mse, matting_sad
from services.grader.metrics.regions.structure import s_measure
from services.grader.metrics.relations.scene_graph import SceneGraph, scene_graph_recall
from services.grader.metrics.result import MetricResult
from services.grader.metrics.segmentation.confusion import miou, miou_points
from services.grader.metrics.segmentation.overlap import Region, dice, video_miou
from services.grader.metrics.segmentation.panoptic import PanopticPicture, panoptic_quality
from services.grader.metrics.segmentation.parts import ShapeParts, instance_miou
from services.grader.metrics.tracking.amota import SpaceTracks, amota
from services.grader.metrics.tracking.tubes import Tube, success_auc, tube_viou


@dataclass(frozen=True, slots=True)
class Column:
    """The form of one entry of a column: its type, and in words its dtype, shape and unit."""

    type: type[Any]
    form: str


@dataclass(frozen=True, slots=True)
class MediaMetric:
    """One metric as the pipeline calls it.

    ``id`` is the catalogue's; ``kinds`` are the answer kinds that become its columns
    ``prediction`` and ``reference``; ``options`` the keywords it knows. ``oracle`` names the
    independent implementation or the vectors that the tests compare it with, ``statement`` says in
    a sentence what is measured and how.
    """

    id: str
    function: Callable[..., MetricResult]
    kinds: frozenset[AnswerKind]
    prediction: Column
    reference: Column
    oracle: str
    statement: str
    options: frozenset[str] = frozenset()


def _array(form: str) -> Column:
    return Column(np.ndarray, form)


def _kinds(*kinds: AnswerKind) -> frozenset[AnswerKind]:
    return frozenset(kinds)


_DETECTIONS: Final = Column(Detections, "boxes float64 [n, 4] x, y, width, height in pixels")
_OBJECTS: Final = Column(Objects, "boxes float64 [m, 4] as the detections', with crowd marks")
_LABEL_MAP: Final = _array("integers [height, width]: -1 void, 0 background, classes from 1")
_REGION: Final = Column(Region, "run lengths of masks and the frame of each")
_MATTE: Final = _array("floats [height, width], alpha in 0..1")
_GRADED_MAP: Final = _array("uint8 or uint16 [height, width], higher is surer")
_MASK: Final = _array("bool [height, width]")
_DEPTH: Final = _array("floats [height, width] or [t, height, width], metres; in a key 0 is void")
_POINT_LABELS: Final = _array("integers [p], -1 in a key is void")
_INSTANCES: Final = Column(PointInstances, "an instance for each of p points, -1 none")
_TUBES: Final = Column(list, "Tube objects: frames and boxes; the surest counts")
_TUBE: Final = Column(Tube, "frames int64 [t], boxes float64 [t, 4] in pixels")
_SPACE_BOXES: Final = Column(SpaceBoxes, "centres float64 [n, 3] in metres, labels, scores")
_SPACE_TRACKS: Final = Column(SpaceTracks, "frames, tracks, centres float64 [n, 3], labels, scores")
_GRAPH: Final = Column(SceneGraph, "labelled boxes and relations int64 [r, 3]")
_FLOW: Final = _array("floats [height, width, 2] or [t, height, width, 2] in pixels; NaN is void")
_NORMALS: Final = _array("floats [p, 3]")
_POSES: Final = _array("floats [frames, 3, 4], camera to world, metres")
_PANOPTIC: Final = Column(PanopticPicture, "segment numbers of all pixels and the segments' labels")

_COCO: Final = (
    "Matching from the surest down, precision at 101 recall levels, mean over the classes of the"
    " key, at most {limit} of a class in one item."
)

_ALL: Final = (
    MediaMetric(
        "ap50",
        ap50,
        _kinds(AnswerKind.BOXES),
        _DETECTIONS,
        _OBJECTS,
        "pycocotools COCOeval (bbox)",
        "COCO's AP of boxes at IoU 0.5. " + _COCO.format(limit=100),
    ),
    MediaMetric(
        "ap75",
        ap75,
        _kinds(AnswerKind.BOXES),
        _DETECTIONS,
        _OBJECTS,
        "pycocotools COCOeval (bbox)",
        "COCO's AP of boxes at IoU 0.75. " + _COCO.format(limit=100),
    ),
    MediaMetric(
        "ap50-masks",
        ap50_masks,
        _kinds(AnswerKind.MASKS),
        Column(MaskDetections, "run lengths of masks, labels, scores"),
        Column(MaskObjects, "run lengths of masks, labels, crowd marks"),
        "pycocotools COCOeval (segm)",
        "COCO's AP of masks at IoU 0.5. " + _COCO.format(limit=100),
    ),
    MediaMetric(
        "ap50-keypoints",
        ap50_keypoints,
        _kinds(AnswerKind.POSE),
        Column(People, "keypoints float64 [n, k, 3] in pixels, scores"),
        Column(KnownPeople, "keypoints float64 [m, k, 3] with visibility, boxes, areas, crowd"),
        "pycocotools COCOeval (keypoints)",
        "COCO's AP of people at object keypoint similarity 0.5, COCO's spreads for 17 points and"
        " 0.05 for other skeletons. " + _COCO.format(limit=20),
    ),
    MediaMetric(
        "grounding-accuracy",
        grounding_accuracy,
        _kinds(AnswerKind.BOXES),
        _DETECTIONS,
        Column(Objects, "exactly one box"),
        "pycocotools mask.iou on boxes",
        "Share of expressions whose surest box reaches the IoU of the task's option.",
        frozenset({"iou"}),
    ),
    MediaMetric(
        "map-3d",
        map_3d,
        _kinds(AnswerKind.BOXES),
        _SPACE_BOXES,
        _SPACE_BOXES,
        "nuscenes-devkit 1.2.0 detection algo, frozen vectors",
        "nuScenes mAP: centres matched on the ground at 0.5, 1, 2 and 4 m, recall and precision up"
        " to 0.1 not counted, mean over distances and the classes of the key.",
    ),
    MediaMetric(
        "ap50-points",
        ap50_points,
        _kinds(AnswerKind.POINT_LABELS),
        _INSTANCES,
        _INSTANCES,
        "pycocotools COCOeval (segm) with the points as a mask of one row",
        "COCO's AP at point IoU 0.5. " + _COCO.format(limit=100),
    ),
    MediaMetric(
        "miou",
        miou,
        _kinds(AnswerKind.MASKS),
        _LABEL_MAP,
        _LABEL_MAP,
        "scikit-learn jaccard_score; torchmetrics multiclass_jaccard_index",
        "IoU per class of the key over all pixels, mean over classes without background; the mean"
        " of the images' IoU where the key has one class.",
    ),
    MediaMetric(
        "miou-points",
        miou_points,
        _kinds(AnswerKind.POINT_LABELS),
        _POINT_LABELS,
        _POINT_LABELS,
        "scikit-learn jaccard_score",
        "IoU per class of the key with all points pooled, mean over classes.",
    ),
    MediaMetric(
        "instance-miou",
        instance_miou,
        _kinds(AnswerKind.POINT_LABELS),
        _POINT_LABELS,
        Column(ShapeParts, "labels integers [p] and the shape's category"),
        "scikit-learn jaccard_score per part",
        "Per shape the mean IoU over its category's parts, 1 for a part that neither side has; mean"
        " over shapes.",
    ),
    MediaMetric(
        "dice",
        dice,
        _kinds(AnswerKind.MASKS),
        _REGION,
        _REGION,
        "scikit-learn f1_score on pixels",
        "Twice the intersection over the sum of both areas, all masks of an image together; mean"
        " over images.",
    ),
    MediaMetric(
        "video-miou",
        video_miou,
        _kinds(AnswerKind.MASKS),
        _REGION,
        _REGION,
        "scikit-learn jaccard_score on the stacked frames",
        "Intersection over union, both summed over a video's frames; mean over videos.",
    ),
    MediaMetric(
        "pq",
        panoptic_quality,
        _kinds(AnswerKind.PANOPTIC),
        _PANOPTIC,
        _PANOPTIC,
        "torchmetrics panoptic_quality; hand-worked vectors for void and crowd",
        "Sum of IoU of matches over TP + FP/2 + FN/2, mean over classes.",
    ),
    MediaMetric(
        "matting-sad",
        matting_sad,
        _kinds(AnswerKind.IMAGE),
        _MATTE,
        _MATTE,
        "hand-worked vectors; scikit-learn mean_absolute_error times the pixels",
        "Sum of absolute alpha differences over 1000, alpha clipped to 0..1, mean over images.",
    ),
    MediaMetric(
        "matting-mse",
        matting_mse,
        _kinds(AnswerKind.IMAGE),
        _MATTE,
        _MATTE,
        "scikit-learn mean_squared_error",
        "Mean squared alpha difference times 1000, alpha clipped to 0..1, mean over images.",
    ),
    MediaMetric(
        "pixel-ap",
        pixel_average_precision,
        _kinds(AnswerKind.IMAGE),
        _GRADED_MAP,
        _MASK,
        "scikit-learn average_precision_score",
        "Average precision over all pixels of the data set, equal levels together.",
    ),
    MediaMetric(
        "map-roc-auc",
        pixel_roc_auc,
        _kinds(AnswerKind.IMAGE),
        _GRADED_MAP,
        _MASK,
        "scikit-learn roc_auc_score",
        "Area under the ROC curve over all pixels of the data set.",
    ),
    MediaMetric(
        "s-measure",
        s_measure,
        _kinds(AnswerKind.MASKS),
        _array("bool or floats in 0..1, [t, height, width] or [height, width]"),
        _array("bool, the same shape"),
        "pysodmetrics 1.6.2 Smeasure, frozen vectors",
        "Structure measure with alpha 0.5, mean over an item's frames, then over items.",
    ),
    MediaMetric(
        "depth-rms",
        depth_rms,
        _kinds(AnswerKind.DEPTH),
        _DEPTH,
        _DEPTH,
        "scikit-learn root_mean_squared_error",
        "Root mean squared error over an image's valid pixels in centimetres, mean over images.",
    ),
    MediaMetric(
        "abs-rel",
        abs_rel,
        _kinds(AnswerKind.DEPTH),
        _DEPTH,
        _DEPTH,
        "scikit-learn LinearRegression and mean_absolute_percentage_error",
        "Mean relative error after least-squares scale and shift per item, clipped to 1 mm..80 m.",
    ),
    MediaMetric(
        "epe",
        end_point_error,
        _kinds(AnswerKind.FLOW),
        _FLOW,
        _FLOW,
        "hand-worked vectors; scipy cdist",
        "Mean Euclidean distance of flow vectors over an item's valid pixels, mean over items.",
    ),
    MediaMetric(
        "normal-rmse",
        normal_rmse,
        _kinds(AnswerKind.NORMALS),
        _NORMALS,
        _NORMALS,
        "closed form (a constant tilt)",
        "Root mean squared angle of unoriented normals of a shape, mean over shapes.",
    ),
    MediaMetric(
        "rte",
        relative_translation_error,
        _kinds(AnswerKind.POSE),
        _POSES,
        _POSES,
        "evo 1.38.1 RPE, frozen vectors; closed form (a scaled track)",
        "KITTI's translation error over paths of 100 to 800 m from every tenth frame, all pooled.",
    ),
    MediaMetric(
        "tube-viou",
        tube_viou,
        _kinds(AnswerKind.TUBES),
        _TUBES,
        _TUBE,
        "pycocotools mask.iou per frame; hand-worked vectors",
        "Sum of box IoU on shared frames over the frames in either tube, mean over items.",
    ),
    MediaMetric(
        "success-auc",
        success_auc,
        _kinds(AnswerKind.TRACKS),
        _TUBES,
        _TUBE,
        "pycocotools mask.iou per frame; closed form (a constant overlap)",
        "Share of the key's frames whose IoU exceeds 0, 0.05, …, 1; mean over both, then videos;"
        " at most 95.24.",
    ),
    MediaMetric(
        "amota",
        amota,
        _kinds(AnswerKind.TRACKS),
        _SPACE_TRACKS,
        _SPACE_TRACKS,
        "nuscenes-devkit 1.2.0 TrackingEvaluation, frozen vectors",
        "nuScenes AMOTA: MOTAR over 40 recalls from 0.1, matches within 2 m, mean over classes.",
    ),
    MediaMetric(
        "scene-graph-recall",
        scene_graph_recall,
        _kinds(AnswerKind.SCENE_GRAPH),
        _GRAPH,
        _GRAPH,
        "hand-worked vectors",
        "Share of the key's triplets, both boxes at IoU 0.5, among the k surest; mean over images.",
        frozenset({"k"}),
    ),
)

#: The metrics by catalogue id.
COMPREHENSION_METRICS: Final[Mapping[str, MediaMetric]] = MappingProxyType(
    {metric.id: metric for metric in _ALL}
)
