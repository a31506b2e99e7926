"""Values worked out by hand, and what a skipped, misshapen or impossible answer costs."""

import dataclasses

import numpy as np
import pytest

from general_level.catalogue import load
from services.grader.metrics.detection.boxes import Detections, Objects
from services.grader.metrics.detection.centre_distance import SpaceBoxes, map_3d
from services.grader.metrics.detection.coco import ap50
from services.grader.metrics.detection.grounding import grounding_accuracy
from services.grader.metrics.detection.points import PointInstances, ap50_points
from services.grader.metrics.geometry.depth import abs_rel, depth_rms
from services.grader.metrics.geometry.flow import end_point_error
from services.grader.metrics.geometry.normals import normal_rmse
from services.grader.metrics.geometry.odometry import relative_translation_error
from services.grader.metrics.media_comprehension import COMPREHENSION_METRICS
from services.grader.metrics.media_items import error_result, pooled_result
from services.grader.metrics.regions.maps import pixel_average_precision, pixel_roc_auc
from services.grader.metrics.regions.matting import matting_mse, matting_sad
from services.grader.metrics.regions.structure import s_measure
from services.grader.metrics.relations.scene_graph import SceneGraph, scene_graph_recall
from services.grader.metrics.segmentation.confusion import miou, miou_points
from services.grader.metrics.segmentation.overlap import Region, dice, video_miou
from services.grader.metrics.segmentation.panoptic import PanopticPicture, panoptic_quality
from services.grader.metrics.segmentation.parts import ShapeParts, instance_miou
from services.grader.metrics.segmentation.runs import RunLengths, run_lengths
from services.grader.metrics.tracking.amota import SpaceTracks, amota
from services.grader.metrics.tracking.tubes import Tube, success_auc, tube_viou


def ints(*values):
    return np.array(values, dtype=np.int64)


def floats(*values):
    return np.array(values, dtype=np.float64)


def region(*rows):
    """A picture from rows of 0 and 1."""
    return Region(run_lengths(np.array([rows], dtype=np.bool_)), ints(0))


def graph(labels, boxes, relations, scores=None):
    relations = np.array(relations, dtype=np.int64).reshape(-1, 3)
    scores = np.ones(len(relations)) if scores is None else floats(*scores)
    return SceneGraph(ints(*labels), floats(*boxes).reshape(-1, 4), relations, scores)


def test_the_table_has_the_planned_metrics_that_compare_with_a_key_and_their_kinds():
    metrics = {metric.id: metric for metric in load().metrics.values()}

    for name, metric in COMPREHENSION_METRICS.items():
        assert metric.kinds <= set(metrics[name].answer_kinds)
        assert metric.oracle
        assert metric.statement
    media = {"boxes", "masks", "panoptic", "scene-graph", "tubes", "tracks", "flow", "depth"}
    media |= {"pose", "point-labels", "normals", "image"}
    wanted = {
        task.metric_id
        for task in load().tasks.values()
        if task.paradigm.value == "comprehension"
        and {kind.value for kind in metrics[task.metric_id].answer_kinds} <= media
    }
    assert wanted | {"map-roc-auc"} == set(COMPREHENSION_METRICS)


# --- Detection ---


def test_ap50_of_one_right_and_one_wrong_box_by_hand():
    key = Objects(floats([0, 0, 10, 10], [50, 50, 10, 10]), ints(1, 1))
    found = Detections(floats([30, 0, 5, 5], [0, 0, 10, 10]), ints(1, 1), floats(0.9, 0.8))

    # Precision 0, 1/2 at recall 0, 1/2: 51 of the 101 levels are reached, each with 1/2.
    assert ap50([found], [key]).value == pytest.approx(100 * 51 / 101 / 2)


def test_a_class_that_only_the_model_knows_costs_nothing_and_a_missing_picture_its_objects():
    key = Objects(floats([0, 0, 10, 10]), ints(1))
    found = Detections(floats([0, 0, 10, 10], [1, 1, 5, 5]), ints(1, 2), floats(0.5, 0.9))

    assert ap50([found, found], [key, key]).value == 100
    half = ap50([found, None], [key, key])
    assert half.value == pytest.approx(100 * 51 / 101)
    assert (half.n, half.missing) == (2, 1)


def test_grounding_takes_the_surest_box_at_the_threshold_itself():
    key = Objects(floats([0, 0, 10, 10]), ints(0))
    half = Detections(floats([0, 0, 10, 5], [0, 0, 10, 10]), ints(0, 0), floats(0.9, 0.1))
    none = Detections(np.zeros((0, 4)), ints(), floats())

    result = grounding_accuracy([half, None, none], [key, key, key], iou=0.5)

    assert result.per_sample.tolist() == [100, 0, 0]
    assert grounding_accuracy([half], [key], iou=0.51).value == 0
    with pytest.raises(ValueError, match="threshold"):
        grounding_accuracy([half], [key], iou=0.0)


def test_boxes_in_space_match_by_their_distance_on_the_ground():
    key = SpaceBoxes(floats([0, 0, 0]), ints(1), floats(0))
    found = SpaceBoxes(floats([1.5, 0, 9]), ints(1), floats(1))

    assert map_3d([found], [key]).value == pytest.approx(50)  # right at 2 m and 4 m
    assert map_3d([None], [key]).value == 0


def test_a_scene_with_another_number_of_points_is_missing():
    key = PointInstances(ints(0, 0, -1), ints(3), floats(0))
    found = PointInstances(ints(0, 0), ints(3), floats(1))

    assert ap50_points([found], [key]).missing == 1
    assert ap50_points([key], [key]).value == 100


# --- Segmentation ---


def test_miou_by_hand():
    key = np.array([[1, 1, 2, 2, 0, -1]])
    found = np.array([[1, 2, 2, 2, 2, 1]])

    # Class 1: 1 of 2; class 2: 2 of 4; background has no IoU, the void pixel counts nowhere.
    assert miou([found], [key]).value == pytest.approx(50)
    assert miou_points([found], [key]).value == pytest.approx(100 * (0.5 + 0.5 + 0) / 3)


def test_miou_of_one_class_gives_an_empty_image_full_marks_and_a_missing_one_none():
    one, empty = np.array([[0, 1]]), np.array([[0, 0]])

    result = miou([one, empty, None, one.T], [one, empty, empty, one])

    assert result.per_sample.tolist() == [100, 100, 0, 0]
    assert result.missing == 2


def test_a_missing_label_map_is_wrong_in_every_pixel():
    keys = [np.array([[1, 2]]), np.array([[1, 2]])]

    result = miou([keys[0], None], keys)

    assert (result.value, result.missing) == (50, 1)


def test_labels_that_no_key_knows_are_just_wrong():
    key = np.array([1, 2])

    assert miou_points([np.array([1, 10**9])], [key]).value == 50
    assert miou_points([np.array([-7, 2])], [key]).value == 50


def test_dice_and_region_iou_by_hand():
    found, key = region([1, 1, 0, 0]), region([0, 1, 1, 1])

    assert dice([found], [key]).value == pytest.approx(100 * 2 / 5)
    assert video_miou([found], [key]).value == pytest.approx(100 / 4)
    empty = region([0, 0, 0, 0])
    assert dice([empty, None, region([0, 0])], [empty, key, key]).per_sample.tolist() == [100, 0, 0]


def test_a_mask_in_a_frame_that_the_key_leaves_empty_adds_to_the_union():
    key = Region(run_lengths(np.ones((1, 2, 2), dtype=np.bool_)), ints(3))
    found = Region(run_lengths(np.ones((2, 2, 2), dtype=np.bool_)), ints(3, 4))

    assert video_miou([found], [key]).value == pytest.approx(50)


@pytest.mark.parametrize(
    ("counts", "offsets"), [([3], [0, 1]), ([2, 3], [0, 2]), ([-1, 5], [0, 2]), ([4], [0, 2])]
)
def test_runs_that_do_not_cover_their_picture_are_refused(counts, offsets):
    with pytest.raises(ValueError, match="runs"):
        RunLengths((2, 2), ints(*counts), ints(*offsets))


def test_an_absent_part_that_is_not_predicted_counts_one():
    keys = [ShapeParts(ints(0, 0, 0, 1)), ShapeParts(ints(0, 0))]

    # Shape 1: part 0 has 2 of 3, part 1 has 1 of 2. Shape 2: part 0 whole, part 1 on neither side.
    result = instance_miou([ints(0, 0, 1, 1), ints(0, 0)], keys)

    assert result.per_sample == pytest.approx([100 * (2 / 3 + 1 / 2) / 2, 100])
    assert instance_miou([None, ints(0, 1)], keys).per_sample == pytest.approx([0, 25])


def test_panoptic_quality_with_void_and_crowd_by_hand():
    key = PanopticPicture(
        np.array([[1, 1, 1, 2, 2, 3, 3, 0, 0]]), ints(1, 2, 3), ints(5, 5, 5), floats(0, 0, 1) > 0
    )
    found = PanopticPicture(
        np.array([[4, 4, 4, 6, 7, 8, 8, 4, 9]]), ints(4, 6, 7, 8, 9), ints(5, 5, 6, 5, 6)
    )

    # 4 matches 1 at IoU 1, its void pixel left out. 6 covers half of 2: no match, so a miss and a
    # false alarm. 8 lies in the crowd and 9 in void: neither. 7 is a false alarm of class 6.
    result = panoptic_quality([found], [key])

    assert result.value == pytest.approx(100 * ((1 / (1 + 0.5 + 0.5)) + 0) / 2)
    assert panoptic_quality([None, found], [key, key]).missing == 1


# --- Maps ---


def test_matting_errors_by_hand_and_the_worst_matte_for_a_missing_one():
    key = np.array([[0.0, 0.25, 1.0, 1.0]])
    found = np.array([[0.5, 0.25, 0.5, 2.0]])

    assert matting_sad([found], [key]).value == pytest.approx(1.0 / 1000)
    assert matting_mse([found], [key]).value == pytest.approx(1000 * 0.5 / 4)
    worst = np.array([[1.0, 1.0, 0.0, 0.0]])
    for metric in (matting_sad, matting_mse):
        assert metric([None], [key]).value == metric([worst], [key]).value
        assert metric([found[:, :3]], [key]).missing == 1


def test_the_pixel_measures_refuse_a_key_of_one_kind():
    level = np.zeros((1, 2), dtype=np.uint8)

    with pytest.raises(ValueError, match="nothing"):
        pixel_average_precision([level], [np.zeros((1, 2), dtype=np.bool_)])
    with pytest.raises(ValueError, match="nothing"):
        pixel_roc_auc([level], [np.ones((1, 2), dtype=np.bool_)])
    with pytest.raises(ValueError, match="bits"):
        pixel_roc_auc([np.zeros((1, 2))], [np.array([[True, False]])])


def test_s_measure_is_the_mean_of_the_frames_and_a_missing_video_has_none():
    key = np.zeros((2, 6, 6), dtype=np.bool_)
    key[1, 2:4, 2:4] = True
    found = np.zeros((2, 6, 6))
    one_frame = s_measure([found[1]], [key[1]]).value

    assert s_measure([found], [key]).value == pytest.approx((100 + one_frame) / 2)
    assert s_measure([key, None], [key, key]).per_sample == pytest.approx([100, 0])
    with pytest.raises(ValueError, match=r"0\.\.1"):
        s_measure([found + 1.5], [key])


# --- Quantities ---


def test_depth_errors_by_hand():
    key = np.array([[1.0, 2.0, 0.0, 4.0]])

    assert depth_rms([key + 0.5], [key]).value == pytest.approx(50)
    # Aligned to a constant, the mean 7/3.
    flat = abs_rel([np.full_like(key, 3.0)], [key])
    assert flat.value == pytest.approx((4 / 3 / 1 + 1 / 3 / 2 + 5 / 3 / 4) / 3)


def test_a_missing_depth_map_costs_the_range_of_the_key_or_the_largest_error():
    key = np.array([[1.0, 4.0]])

    assert depth_rms([key, None], [key, key]).per_sample == pytest.approx([0, 300])
    assert depth_rms([key + 9, key.T], [key, key]).per_sample == pytest.approx([900, 900])
    assert abs_rel([None], [key]).value == pytest.approx(3 * (1 + 1 / 4) / 2)


def test_end_point_error_by_hand_with_void_pixels():
    key = np.array([[[0.0, 0.0], [6.0, 8.0], [np.nan, 0.0]]])
    found = np.array([[[3.0, 4.0], [6.0, 8.0], [1e9, 1e9]]])

    assert end_point_error([found], [key]).value == pytest.approx(2.5)
    assert end_point_error([np.nan_to_num(key), None], [key, key]).per_sample.tolist() == [0, 10]


def test_a_normal_without_length_is_at_a_right_angle():
    key = floats([0, 0, 1], [0, 2, 0])

    assert normal_rmse([floats([0, 0, 0], [0, -1, 0])], [key]).value == pytest.approx(
        np.sqrt(8100 / 2)
    )
    assert normal_rmse([None], [key]).value == 90
    with pytest.raises(ValueError, match="length"):
        normal_rmse([key], [np.zeros((2, 3))])


def test_a_missing_track_counts_as_one_that_stands_still_does_at_most():
    straight = np.tile(np.eye(4)[:3], (30, 1, 1))
    straight[:, 2, 3] = 9.99 * np.arange(30)
    still = np.tile(np.eye(4)[:3], (30, 1, 1))

    assert relative_translation_error([None], [straight]).value == 100
    # 100 m end with frame 11 of each path at the earliest: the chord may pass the length a little.
    assert relative_translation_error([still], [straight]).value == pytest.approx(
        np.mean([9.99 * 11 / 1, 9.99 * 21 / 2, 9.99 * 11 / 1])
    )
    with pytest.raises(ValueError, match="nothing"):
        relative_translation_error([still[:5]], [straight[:5]])


@pytest.mark.parametrize("metric", [depth_rms, abs_rel, end_point_error, normal_rmse])
def test_a_number_that_is_not_finite_is_refused_by_position_only(metric):
    key = np.array([[[1.0, 2.0, 5.0]], [[4.0, 3.0, 5.0]]])
    shapes = {end_point_error: key[..., :2], normal_rmse: key[:, 0]}
    key = shapes.get(metric, key)
    bad = np.full_like(key, np.nan)

    with pytest.raises(ValueError, match="item 0: an answer holds finite numbers only"):
        metric([bad], [key])


# --- Tracking and relations ---


def test_tube_iou_by_hand():
    key = Tube(ints(1, 2, 3), floats([0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 4, 4]))
    found = Tube(ints(2, 3, 4, 5), floats([0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 4, 4], [0, 0, 4, 4]))

    assert tube_viou([[found]], [key]).value == pytest.approx(100 * 1.5 / 5)
    assert tube_viou([None, []], [key, key]).per_sample.tolist() == [0, 0]


@pytest.mark.parametrize(("width", "passed"), [(10.0, 20), (5.0, 10), (5.01, 11), (0.0, 0)])
def test_a_constant_overlap_passes_the_thresholds_below_it(width, passed):
    key = Tube(np.arange(4), floats([0, 0, 10, 10]).repeat(4, axis=0))
    found = Tube(np.arange(4), floats([0, 0, width, 10]).repeat(4, axis=0))

    assert success_auc([[found]], [key]).value == pytest.approx(100 * passed / 21)


def test_rounding_does_not_lift_an_overlap_above_one():
    rng = np.random.default_rng(0)
    key = Tube(np.arange(500), rng.uniform(0.1, 30, (500, 4)))

    assert success_auc([[key]], [key]).value == pytest.approx(100 * 20 / 21, abs=1e-9)
    assert tube_viou([[key]], [key]).value <= 100


def test_frames_of_a_tube_ascend():
    with pytest.raises(ValueError, match="ascend"):
        Tube(ints(2, 1), np.zeros((2, 4)))


def tracks(*rows):
    """Rows of frame, track, x, score."""
    return SpaceTracks(
        ints(*(row[0] for row in rows)),
        ints(*(row[1] for row in rows)),
        floats(*([row[2], 0, 0] for row in rows)),
        np.zeros(len(rows), dtype=np.int64),
        floats(*(row[3] for row in rows)),
    )


def test_amota_of_perfect_tracks_of_one_switch_and_of_none():
    key = tracks(*((frame, 1, frame, 0) for frame in range(10)))
    switched = tracks(*((frame, 7 + (frame >= 5), frame, 1) for frame in range(10)))

    assert amota([key], [key]).value == 100
    assert amota([None], [key]).value == 0
    # 9 matches and a switch: recall 0.9, MOTAR 1 - (1 - 0.1 * 10) / 9 = 1 at the recalls up to it.
    reached = np.count_nonzero(np.linspace(0.1, 1, 40).round(12) <= 0.9)
    assert amota([switched], [key]).value == pytest.approx(100 * reached / 40)


def test_scene_graph_recall_by_hand():
    boxes = [[0, 0, 10, 10], [20, 0, 10, 10]]
    key = graph([1, 2], boxes, [[0, 5, 1], [1, 6, 0]])
    shifted = [[0, 0, 10, 5], [20, 0, 10, 4]]
    near = graph([1, 2], [boxes[0], boxes[1]], [[0, 6, 1], [0, 5, 1]], [0.9, 0.8])

    assert scene_graph_recall([near], [key]).value == 50
    assert scene_graph_recall([near], [key], k=1).value == 0
    assert scene_graph_recall([graph([1, 2], shifted, [[0, 5, 1]])], [key]).value == 0
    empty = graph([], [], [])
    assert scene_graph_recall([near, empty, None], [empty, key, empty]).per_sample.tolist() == [
        *(100, 0, 0)
    ]


def test_a_relation_joins_objects_that_exist():
    with pytest.raises(ValueError, match="two objects"):
        graph([1], [[0, 0, 1, 1]], [[0, 5, 1]])


# --- Shared rules ---


def test_a_bound_replaces_what_is_not_answered_unless_an_answer_is_worse():
    assert error_result(floats(1, np.nan), 5.0).per_sample.tolist() == [1, 5]
    assert error_result(floats(9, np.nan), 5.0).per_sample.tolist() == [9, 9]
    assert error_result(floats(np.inf, 1), 5.0).per_sample[0] == 1e120


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = floats(1, 5, 2, 8)

    result = pooled_result(4, 0, lambda chosen: float(values[chosen].mean()))

    assert result.stderr == pytest.approx(values.std(ddof=1) / 2)
    undefined = pooled_result(2, 0, lambda chosen: 1.0 if chosen.all() else np.nan)
    assert undefined.stderr is None


@pytest.mark.parametrize("metric", COMPREHENSION_METRICS.values(), ids=lambda metric: metric.id)
def test_columns_are_aligned_and_not_empty(metric):
    with pytest.raises(ValueError, match="at least one item"):
        metric.function([], [])
    with pytest.raises(ValueError, match="2 predictions for 1 items"):
        metric.function([None, None], [None])


@pytest.mark.parametrize(
    "answer",
    [
        Detections(np.zeros((1, 4)), ints(1), floats(1)),
        SpaceBoxes(np.zeros((1, 3)), ints(1), floats(1)),
        tracks((0, 1, 2, 0.5)),
        graph([1], [[0, 0, 1, 1]], [[0, 1, 0]]),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_scores_that_are_not_numbers_are_refused(answer):
    with pytest.raises(ValueError, match="finite"):
        dataclasses.replace(answer, scores=floats(np.nan))
