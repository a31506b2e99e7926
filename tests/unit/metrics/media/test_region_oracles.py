"""Segmentation, maps and measured quantities against scikit-learn, torchmetrics and scipy."""

import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from services.grader.metrics.geometry.depth import abs_rel, depth_rms
from services.grader.metrics.geometry.flow import end_point_error
from services.grader.metrics.geometry.normals import normal_rmse
from services.grader.metrics.geometry.odometry import relative_translation_error
from services.grader.metrics.regions.maps import pixel_average_precision, pixel_roc_auc
from services.grader.metrics.regions.matting import matting_mse, matting_sad
from services.grader.metrics.segmentation.confusion import miou, miou_points
from services.grader.metrics.segmentation.overlap import Region, dice, region_iou, video_miou
from services.grader.metrics.segmentation.panoptic import PanopticPicture, panoptic_quality
from services.grader.metrics.segmentation.parts import ShapeParts, instance_miou
from services.grader.metrics.segmentation.runs import run_lengths

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracles, not ours
    import torch
    from sklearn import metrics as sklearn
    from sklearn.linear_model import LinearRegression
    from torchmetrics.functional.classification import multiclass_jaccard_index
    from torchmetrics.functional.detection import panoptic_quality as torch_panoptic_quality

TOLERANCE = 1e-9  # percent points, or the metric's unit


def label_maps(rng, count=6, classes=5, shape=(20, 24)):
    references = [rng.integers(0, classes, shape).repeat(2, axis=1) for _ in range(count)]
    predictions = [
        np.where(rng.random(key.shape) < 0.7, key, rng.integers(0, classes + 1, key.shape))
        for key in references
    ]
    return predictions, references


def test_miou_is_the_macro_jaccard_of_all_pixels_without_background():
    predictions, references = label_maps(np.random.default_rng(0))
    found, wanted = np.concatenate(predictions).ravel(), np.concatenate(references).ravel()

    result = miou(predictions, references)

    expected = sklearn.jaccard_score(wanted, found, labels=[1, 2, 3, 4], average="macro")
    assert result.value == pytest.approx(100 * expected, abs=TOLERANCE)
    assert result.per_sample is None
    assert result.stderr > 0


def test_miou_leaves_the_void_pixels_of_the_key_out_as_torchmetrics_does():
    rng = np.random.default_rng(1)
    predictions, references = label_maps(rng, classes=4)
    predictions = [np.minimum(found, 3) for found in predictions]
    references = [np.where(rng.random(key.shape) < 0.2, -1, key) for key in references]
    per_class = multiclass_jaccard_index(
        torch.tensor(np.stack(predictions)),
        torch.tensor(np.stack(references)),
        num_classes=4,
        average=None,
        ignore_index=-1,
    )

    assert miou(predictions, references).value == pytest.approx(
        100 * float(per_class[1:].mean()), abs=1e-5
    )
    assert miou_points(predictions, references).value == pytest.approx(
        100 * float(per_class.mean()), abs=1e-5
    )


def test_miou_of_one_class_is_the_mean_of_the_images():
    predictions, references = label_maps(np.random.default_rng(2), classes=2)
    expected = [
        100 * sklearn.jaccard_score(key.ravel(), found.ravel(), labels=[1], average="macro")
        for found, key in zip(predictions, references, strict=True)
    ]

    result = miou(predictions, references)

    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)
    assert result.value == pytest.approx(np.mean(expected), abs=TOLERANCE)


def test_miou_of_points_is_the_macro_jaccard_of_all_points():
    predictions, references = label_maps(np.random.default_rng(3), shape=(1, 200))
    predictions, references = ([side[0] for side in column] for column in (predictions, references))

    expected = sklearn.jaccard_score(
        np.concatenate(references), np.concatenate(predictions), labels=range(5), average="macro"
    )

    assert miou_points(predictions, references).value == pytest.approx(
        100 * expected, abs=TOLERANCE
    )


def test_instance_miou_is_the_mean_jaccard_of_a_categorys_parts():
    rng = np.random.default_rng(4)
    references, predictions, expected = [], [], []
    parts = {0: (0, 1, 2), 7: (3, 4)}
    for shape in range(8):
        category = 0 if shape % 2 else 7
        labels = rng.choice(parts[category], 60)
        if shape == 1:
            labels[labels == 2] = 1
        found = np.where(rng.random(60) < 0.7, labels, rng.choice(parts[category][:2], 60))
        references.append(ShapeParts(labels, category))
        predictions.append(found)
        scores = sklearn.jaccard_score(
            labels, found, labels=parts[category], average=None, zero_division=1
        )
        expected.append(100 * np.mean(scores))

    result = instance_miou(predictions, references)

    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)
    assert result.value == pytest.approx(np.mean(expected), abs=TOLERANCE)


def videos(rng, count=5, frames=4):
    wanted = [rng.random((frames, 13, 9)) < 0.4 for _ in range(count)]
    found = [np.where(rng.random(key.shape) < 0.8, key, ~key) for key in wanted]
    return found, wanted


def region(masks):
    """One mask for each frame, in any order, and one that repeats another."""
    frames = np.append(np.arange(len(masks))[::-1], 0)
    return Region(run_lengths(masks[frames]), frames)


def test_dice_is_the_f1_of_the_pixels():
    found, wanted = videos(np.random.default_rng(5), frames=1)

    result = dice([region(side) for side in found], [region(side) for side in wanted])

    expected = [
        100 * sklearn.f1_score(key.ravel(), side.ravel())
        for side, key in zip(found, wanted, strict=True)
    ]
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)


def test_video_miou_is_the_jaccard_of_the_stacked_frames():
    found, wanted = videos(np.random.default_rng(6))

    result = video_miou([region(side) for side in found], [region(side) for side in wanted])

    expected = [
        100 * sklearn.jaccard_score(key.ravel(), side.ravel())
        for side, key in zip(found, wanted, strict=True)
    ]
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)
    assert result.value == region_iou(
        [region(side) for side in found], [region(side) for side in wanted]
    ).value  # fmt: skip


def panoptic(classes, instances):
    """A picture from a class and an instance for each pixel; class 9 is void."""
    code = classes * 100 + instances
    segments = np.unique(code[classes != 9])
    return PanopticPicture(code, segments, segments // 100)


@pytest.mark.parametrize("seed", range(3))
def test_panoptic_quality_is_torchmetrics_panoptic_quality(seed):
    rng = np.random.default_rng(seed)
    wanted = rng.integers(0, 4, (3, 5, 6)).repeat(4, axis=1).repeat(4, axis=2)
    instance = rng.integers(0, 3, (3, 5, 6)).repeat(4, axis=1).repeat(4, axis=2)
    instance[wanted >= 2] = 0  # classes 2 and 3 are stuff: one segment each
    noise = rng.random(wanted.shape) < 0.25
    found = np.where(noise, rng.integers(0, 4, wanted.shape), wanted)
    found_instance = np.where(found >= 2, 0, np.where(noise, 4, instance))
    wanted[:, :3, :3] = 9
    expected = torch_panoptic_quality(
        torch.tensor(np.stack((found, found_instance), axis=-1)),
        torch.tensor(np.stack((wanted, instance), axis=-1)),
        things={0, 1},
        stuffs={2, 3},
        allow_unknown_preds_category=True,
    )

    result = panoptic_quality(
        [panoptic(*pair) for pair in zip(found, found_instance, strict=True)],
        [panoptic(*pair) for pair in zip(wanted, instance, strict=True)],
    )

    assert result.value == pytest.approx(100 * float(expected), abs=1e-5)
    assert 5 < result.value < 95


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_pixel_ap_and_roc_auc_are_scikit_learns(depth):
    rng = np.random.default_rng(7)
    keys = [rng.random((31, 17)) < share for share in (0.05, 0.2, 0.0, 0.5)]
    top = np.iinfo(depth).max
    maps = [np.clip(rng.normal(0.4, 0.2, key.shape) + 0.2 * key, 0, 1) * top // 1 for key in keys]
    maps = [side.astype(depth) for side in maps]
    wanted, found = np.concatenate(keys).ravel(), np.concatenate(maps).ravel()

    ap, auc = pixel_average_precision(maps, keys), pixel_roc_auc(maps, keys)

    assert ap.value == pytest.approx(
        100 * sklearn.average_precision_score(wanted, found), abs=TOLERANCE
    )
    assert auc.value == pytest.approx(100 * sklearn.roc_auc_score(wanted, found), abs=TOLERANCE)


def test_a_missing_map_ranks_every_pixel_wrongly():
    rng = np.random.default_rng(8)
    keys = [rng.random((9, 9)) < 0.3 for _ in range(3)]
    maps = [rng.integers(0, 256, (9, 9)).astype(np.uint8) for _ in keys]
    worst = np.where(keys[1], -1.0, 300.0)
    found = np.concatenate([maps[0], worst, maps[2]]).ravel()
    wanted = np.concatenate(keys).ravel()

    result = pixel_average_precision([maps[0], None, maps[2]], keys)

    assert result.missing == 1
    assert result.value == pytest.approx(100 * sklearn.average_precision_score(wanted, found))


def test_maps_of_8_and_16_bits_share_one_scale():
    key = np.array([[True, False, False]])
    byte, word = np.array([[200, 0, 0]], dtype=np.uint8), np.array([[9, 51399, 0]], dtype=np.uint16)

    assert pixel_roc_auc([byte, word], [key, np.zeros_like(key)]).value == 100
    word[0, 1] = 51400  # 200 * 257
    assert pixel_roc_auc([byte, word], [key, np.zeros_like(key)]).value == 90


def test_matting_errors_are_scikit_learns():
    rng = np.random.default_rng(9)
    wanted = [rng.random((14, 22)) for _ in range(5)]
    found = [np.clip(key + rng.normal(0, 0.2, key.shape), 0, 1) for key in wanted]
    pairs = [(key.ravel(), side.ravel()) for side, key in zip(found, wanted, strict=True)]

    sad, mse = matting_sad(found, wanted), matting_mse(found, wanted)

    assert sad.per_sample == pytest.approx(
        [sklearn.mean_absolute_error(*pair) * len(pair[0]) / 1000 for pair in pairs], abs=TOLERANCE
    )
    assert mse.per_sample == pytest.approx(
        [1000 * sklearn.mean_squared_error(*pair) for pair in pairs], abs=TOLERANCE
    )


def test_depth_rms_is_scikit_learns_over_the_valid_pixels():
    rng = np.random.default_rng(10)
    wanted = [np.where(rng.random((8, 9)) < 0.2, 0, rng.uniform(1, 9, (8, 9))) for _ in range(4)]
    wanted[0][0, 0] = np.nan
    found = [rng.uniform(0, 10, (8, 9)).astype(np.float32) for _ in wanted]

    expected = [
        100 * sklearn.root_mean_squared_error(key[key > 0], side[key > 0].astype(np.float64))
        for side, key in zip(found, wanted, strict=True)
    ]

    assert depth_rms(found, wanted).per_sample == pytest.approx(expected, abs=TOLERANCE)


def test_abs_rel_is_scikit_learns_regression_and_percentage_error():
    rng = np.random.default_rng(11)
    wanted = [
        np.where(rng.random((3, 8, 9)) < 0.2, 0, rng.uniform(1, 90, (3, 8, 9))) for _ in "abc"
    ]
    found = [3 - 0.01 * key + rng.normal(0, 0.3, key.shape) for key in wanted]
    expected = []
    for side, key in zip(found, wanted, strict=True):
        valid = (key > 1e-3) & (key < 80)
        given, target = side[valid][:, None], key[valid]
        aligned = LinearRegression().fit(given, target).predict(given)
        expected.append(sklearn.mean_absolute_percentage_error(target, np.clip(aligned, 1e-3, 80)))

    assert abs_rel(found, wanted).per_sample == pytest.approx(expected, abs=TOLERANCE)


def test_abs_rel_of_an_affine_prediction_is_zero_at_any_scale():
    wanted = np.random.default_rng(12).uniform(1, 70, (2, 5, 6))

    for scale, shift in ((1, 0), (-2.5, 3), (1e12, -1e11), (1e-9, 1e-9)):
        assert abs_rel([scale * wanted + shift], [wanted]).value == pytest.approx(0, abs=1e-6)


def test_end_point_error_is_the_paired_distance():
    rng = np.random.default_rng(13)
    wanted = [rng.normal(0, 9, (5, 6, 2)) for _ in range(3)]
    found = [rng.normal(0, 9, (5, 6, 2)) for _ in range(3)]

    expected = [
        np.diag(cdist(a.reshape(-1, 2), b.reshape(-1, 2))).mean()
        for a, b in zip(found, wanted, strict=True)
    ]

    assert end_point_error(found, wanted).per_sample == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("degrees", [0.0, 1e-6, 17.0, 89.0, 90.0, 163.0])
def test_normals_with_a_constant_tilt_have_that_angle(degrees):
    rng = np.random.default_rng(14)
    wanted = rng.normal(0, 1, (50, 3))
    axis = np.cross(wanted, rng.normal(0, 1, (50, 3)))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    found = Rotation.from_rotvec(np.radians(degrees) * axis).apply(wanted)
    found *= rng.choice([-3, 0.1], (50, 1))  # neither length nor side matters

    expected = min(degrees, 180 - degrees)

    assert normal_rmse([found], [wanted]).value == pytest.approx(expected, abs=1e-9)


def drive(frames, step=3.0):
    """A winding track with rotations that follow it: [frames, 3, 4]."""
    heading = 0.4 * np.sin(np.arange(frames) / 25)
    poses = np.zeros((frames, 3, 4))
    poses[:, :, :3] = Rotation.from_euler("z", heading[:, None]).as_matrix()
    moves = step * np.stack((np.cos(heading), np.sin(heading), 0 * heading), axis=1)
    poses[:, :, 3] = np.cumsum(moves, axis=0)
    return poses


def test_a_track_that_is_some_percent_too_long_drifts_by_the_chords_of_its_paths():
    straight = np.tile(np.eye(4)[:3], (400, 1, 1))
    straight[:, 0, 3] = 3.0001 * np.arange(400)
    longer = straight.copy()
    longer[:, :, 3] *= 1.02

    result = relative_translation_error([longer], [straight])

    chords = []
    for first in range(0, 400, 10):
        for length in range(100, 801, 100):
            steps = int(length / 3.0001) + 1
            if first + steps < 400:
                chords.append(2 * steps * 3.0001 / length)
    assert result.value == pytest.approx(np.mean(chords), abs=TOLERANCE)


def test_the_start_of_a_track_does_not_matter_and_scaled_rotations_do_not_help():
    wanted = drive(300)
    turn = Rotation.from_euler("xyz", [0.3, -1, 2])
    moved = np.concatenate(
        (turn.as_matrix() @ wanted[:, :, :3], turn.apply(wanted[:, :, 3])[:, :, None]), axis=2
    )
    moved[:, :, 3] += (7, -2, 40)

    assert relative_translation_error([moved], [wanted]).value == pytest.approx(0, abs=1e-9)

    short = wanted.copy()
    short[:, :, 3] *= 0.5
    honest = relative_translation_error([short], [wanted]).value
    short[:, :, :3] *= 0.5  # undoes the scale for whoever multiplies by the inverse
    assert relative_translation_error([short], [wanted]).value == pytest.approx(honest)
