"""What must hold for every metric of pictures, videos and 3D data, whatever the answers are.

Bounds; the key itself scores best; neither the order of the items nor what is done alike to both
sides matters; what is symmetric by its formula is symmetric; leaving an item out never pays where
items are scored one by one.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.grader.metrics.detection.boxes import Detections, Objects
from services.grader.metrics.detection.centre_distance import SpaceBoxes
from services.grader.metrics.detection.coco import MaskDetections, MaskObjects
from services.grader.metrics.detection.keypoints import KnownPeople, People
from services.grader.metrics.detection.points import PointInstances
from services.grader.metrics.media_comprehension import COMPREHENSION_METRICS
from services.grader.metrics.relations.scene_graph import SceneGraph
from services.grader.metrics.segmentation.overlap import Region
from services.grader.metrics.segmentation.panoptic import PanopticPicture
from services.grader.metrics.segmentation.parts import ShapeParts
from services.grader.metrics.segmentation.runs import intersections, run_lengths, union
from services.grader.metrics.tracking.amota import SpaceTracks
from services.grader.metrics.tracking.tubes import Tube

SETTINGS = settings(max_examples=25, deadline=None)

SHAPE = (6, 7)
POINTS = 20


def boxes(rng, count):
    return np.concatenate((rng.uniform(0, 30, (count, 2)), rng.uniform(3, 30, (count, 2))), axis=1)


def ranks(rng, count):
    """Scores of which no two are equal, in one item or in two."""
    return rng.random(count)


def masks(rng, count):
    return run_lengths(rng.random((count, *SHAPE)) < 0.5)


def objects(rng):
    return Objects(boxes(rng, 3), rng.integers(1, 3, 3))


def detections(rng, key, noise):
    shift = noise * rng.normal(0, 4, key.boxes.shape)
    return Detections(np.abs(key.boxes + shift), key.labels, ranks(rng, len(key.labels)))


def mask_detections(rng, key, noise):
    found = key.masks.dense() ^ (rng.random((len(key.masks), *SHAPE)) < 0.4 * noise)
    return MaskDetections(run_lengths(found), key.labels, ranks(rng, len(key.labels)))


def people(rng):
    keypoints = np.concatenate((rng.uniform(0, 30, (2, 17, 2)), np.full((2, 17, 1), 2.0)), axis=2)
    return KnownPeople(keypoints, boxes(rng, 2), rng.uniform(9, 900, 2), np.zeros(2, dtype=bool))


def instances(rng):
    return PointInstances(rng.permutation(POINTS) % 4 - 1, rng.integers(1, 3, 3), np.zeros(3))


def found_instances(rng, key, noise):
    moved = rng.random(POINTS) < 0.6 * noise
    return PointInstances(
        np.where(moved, rng.integers(-1, 3, POINTS), key.instances), key.labels, ranks(rng, 3)
    )


def space_boxes(rng):
    return SpaceBoxes(rng.uniform(0, 90, (4, 3)), rng.integers(1, 3, 4), np.zeros(4))


def space_tracks(rng):
    frames, tracks = np.divmod(np.arange(12), 3)
    centres = np.stack((30.0 * tracks, frames + rng.random(12), np.zeros(12)), axis=1)
    return SpaceTracks(frames, tracks, centres, tracks % 2, np.zeros(12))


def found_tracks(rng, key, noise):
    shift = noise * rng.normal(0, 1.5, key.centres.shape)
    scores = ranks(rng, 3)[key.tracks]
    return SpaceTracks(key.frames, key.tracks + 50, key.centres + shift, key.labels, scores)


def tube(rng):
    return Tube(np.sort(rng.permutation(12)[:6]), boxes(rng, 6))


def found_tube(rng, key, noise):
    shift = noise * rng.normal(0, 4, key.boxes.shape)
    return [Tube(key.frames + int(2 * noise * rng.random()), np.abs(key.boxes + shift))]


def panoptic(rng):
    pixels = rng.integers(0, 5, SHAPE)
    pixels[0, 1] = 1
    return PanopticPicture(pixels, np.arange(1, 5), np.array([1, 1, 2, 3]))


def found_panoptic(rng, key, noise):
    moved = rng.random(SHAPE) < 0.5 * noise
    pixels = np.where(moved, rng.integers(0, 5, SHAPE), key.pixels)
    return PanopticPicture(pixels + 10, key.segments + 10, key.labels)


def graph(rng):
    pairs = np.array([[0, 1], [1, 2], [2, 0]])
    relations = np.insert(pairs, 1, rng.integers(0, 4, 3), axis=1)
    return SceneGraph(rng.integers(0, 3, 3), boxes(rng, 3), relations, np.zeros(3))


def found_graph(rng, key, noise):
    shift = noise * rng.normal(0, 4, key.boxes.shape)
    return SceneGraph(key.labels, np.abs(key.boxes + shift), key.relations, ranks(rng, 3))


def labels(classes, shape):
    def make(rng):
        return np.where(rng.random(shape) < 0.5, classes, rng.integers(0, classes + 1, shape))

    return make


def found_labels(rng, key, noise):
    key = key.labels if isinstance(key, ShapeParts) else key
    moved = rng.random(key.shape) < 0.6 * noise
    return np.where(moved, rng.integers(0, 5, key.shape), key)


def region(rng):
    return Region(masks(rng, 3), np.arange(3))


def found_region(rng, key, noise):
    changed = key.masks.dense() ^ (rng.random((3, *SHAPE)) < 0.5 * noise)
    return Region(run_lengths(changed), key.frames)


def bits(rng):
    mask = rng.random(SHAPE) < 0.4
    mask[0, :2] = (True, False)
    return mask


def found_map(rng, key, noise):
    level = 200.0 * key + noise * rng.normal(0, 90, SHAPE)
    return np.clip(level, 0, 255).astype(np.uint8)


def found_foreground(rng, key, noise):
    return np.clip(key + noise * rng.normal(0, 0.4, SHAPE), 0, 1)


def found_numbers(rng, key, noise):
    return key + noise * rng.normal(0, 2, key.shape)


def found_matte(rng, key, noise):
    return np.clip(key + noise * rng.normal(0, 0.3, key.shape), 0, 1)


def drive(rng):
    poses = np.tile(np.eye(4)[:3], (25, 1, 1))
    poses[:, :, 3] = np.cumsum(rng.uniform(4, 9, (25, 3)), axis=0)
    return poses


def found_people(rng, key, noise):
    return People(found_numbers(rng, key.keypoints, noise), ranks(rng, 2))


#: A random entry of the key, and an answer to it at a noise of 0 (the key itself) to 1.
ENTRIES = {
    "ap50": (objects, detections),
    "ap75": (objects, detections),
    "ap50-masks": (
        lambda rng: MaskObjects(masks(rng, 3), rng.integers(1, 3, 3)),
        mask_detections,
    ),
    "ap50-keypoints": (people, found_people),
    "grounding-accuracy": (lambda rng: Objects(boxes(rng, 1), np.ones(1, dtype=int)), detections),
    "map-3d": (
        space_boxes,
        lambda rng, key, noise: SpaceBoxes(
            found_numbers(rng, key.centres, noise), key.labels, ranks(rng, 4)
        ),
    ),
    "ap50-points": (instances, found_instances),
    "miou": (labels(4, SHAPE), found_labels),
    "miou-points": (labels(4, POINTS), found_labels),
    "instance-miou": (lambda rng: ShapeParts(labels(4, POINTS)(rng)), found_labels),
    "dice": (region, found_region),
    "video-miou": (region, found_region),
    "pq": (panoptic, found_panoptic),
    "matting-sad": (lambda rng: rng.random(SHAPE), found_matte),
    "matting-mse": (lambda rng: rng.random(SHAPE), found_matte),
    "pixel-ap": (bits, found_map),
    "map-roc-auc": (bits, found_map),
    "s-measure": (bits, found_foreground),
    "depth-rms": (lambda rng: rng.uniform(1, 9, SHAPE), found_numbers),
    "abs-rel": (lambda rng: rng.uniform(1, 70, SHAPE), found_numbers),
    "epe": (lambda rng: rng.normal(0, 5, (*SHAPE, 2)), found_numbers),
    "normal-rmse": (lambda rng: rng.normal(0, 1, (POINTS, 3)), found_numbers),
    "rte": (drive, found_numbers),
    "tube-viou": (tube, found_tube),
    "success-auc": (tube, found_tube),
    "amota": (space_tracks, found_tracks),
    "scene-graph-recall": (graph, found_graph),
}

#: Lower is better in these; 0 is perfect.
ERRORS = {"matting-sad", "matting-mse", "depth-rms", "abs-rel", "epe", "normal-rmse", "rte"}
#: The value of a perfect answer where it is not 100.
BEST = {"success-auc": 100 * 20 / 21} | dict.fromkeys(ERRORS, 0.0)
#: Both sides have one type and the formula treats them alike.
SYMMETRIC = {"dice", "video-miou", "epe", "normal-rmse", "matting-sad", "matting-mse", "depth-rms"}
#: Each item has its value, so an item left out can be compared with the same item answered.
ONE_BY_ONE = {
    *("grounding-accuracy", "instance-miou", "dice", "video-miou", "s-measure", "tube-viou"),
    *("success-auc", "scene-graph-recall", "matting-sad", "matting-mse", "normal-rmse"),
}


@st.composite
def columns(draw, metric, noise=None, skip=True):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(2, 5))
    make, answer = ENTRIES[metric]
    level = draw(st.sampled_from([0.0, 0.2, 1.0])) if noise is None else noise
    references = [make(rng) for _ in range(size)]
    predictions = [answer(rng, key, level) for key in references]
    if skip and draw(st.booleans()):
        predictions[draw(st.integers(0, size - 1))] = None
    return predictions, references


def score(metric, predictions, references):
    return COMPREHENSION_METRICS[metric].function(predictions, references)


def test_every_metric_has_its_entries():
    assert set(ENTRIES) == set(COMPREHENSION_METRICS)


@pytest.mark.parametrize("metric", ENTRIES)
@SETTINGS
@given(data=st.data())
def test_a_value_stays_within_its_bounds(metric, data):
    predictions, references = data.draw(columns(metric))

    result = score(metric, predictions, references)

    top = {"normal-rmse": 90.0}.get(metric, np.inf) if metric in ERRORS else 100.0
    assert 0 <= result.value <= top
    assert result.n == len(references)
    assert result.missing == sum(found is None for found in predictions)
    assert result.stderr is None or result.stderr >= 0
    if result.per_sample is not None:
        assert result.per_sample.shape == (result.n,)
        assert result.value == pytest.approx(result.per_sample.mean())


@pytest.mark.parametrize("metric", ENTRIES)
@SETTINGS
@given(data=st.data())
def test_the_key_itself_scores_best(metric, data):
    predictions, references = data.draw(columns(metric, noise=0.0, skip=False))

    assert score(metric, predictions, references).value == pytest.approx(
        BEST.get(metric, 100.0), abs=1e-6
    )


@pytest.mark.parametrize("metric", ENTRIES)
@SETTINGS
@given(data=st.data())
def test_the_order_of_the_items_does_not_matter(metric, data):
    predictions, references = data.draw(columns(metric))
    order = data.draw(st.permutations(range(len(references))))
    shuffled = [[side[place] for place in order] for side in (predictions, references)]

    assert score(metric, *shuffled).value == pytest.approx(
        score(metric, predictions, references).value, abs=1e-9
    )


@pytest.mark.parametrize("metric", sorted(SYMMETRIC))
@SETTINGS
@given(data=st.data())
def test_the_two_sides_may_change_places(metric, data):
    predictions, references = data.draw(columns(metric, skip=False))
    if metric == "depth-rms":
        predictions = [np.abs(found) + 1e-3 for found in predictions]

    assert score(metric, references, predictions).value == pytest.approx(
        score(metric, predictions, references).value, abs=1e-9
    )


@pytest.mark.parametrize("metric", sorted(ONE_BY_ONE))
@SETTINGS
@given(data=st.data())
def test_leaving_an_item_out_never_pays(metric, data):
    predictions, references = data.draw(columns(metric, skip=False))
    left_out = data.draw(st.integers(0, len(references) - 1))
    answered = score(metric, predictions, references).value

    predictions[left_out] = None

    skipped = score(metric, predictions, references).value
    assert skipped >= answered - 1e-9 if metric in ERRORS else skipped <= answered + 1e-9


@pytest.mark.parametrize("metric", ENTRIES)
@SETTINGS
@given(data=st.data())
def test_leaving_out_a_perfect_answer_never_pays(metric, data):
    predictions, references = data.draw(columns(metric, noise=0.0, skip=False))

    predictions[0] = None

    skipped = score(metric, predictions, references).value
    best = BEST.get(metric, 100.0)
    assert skipped > best if metric in ERRORS else skipped < best


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]))
def test_runs_give_back_their_pixels_and_count_what_they_share(seed, share):
    rng = np.random.default_rng(seed)
    left, right = rng.random((2, 3, *SHAPE)) < share
    left_runs, right_runs = run_lengths(left), run_lengths(right)

    assert (left_runs.dense() == left).all()
    expected = np.einsum("nhw,mhw->nm", left.astype(int), right.astype(int))
    rows, columns = np.indices((3, 3)).reshape(2, -1)
    shared = intersections(left_runs.walk(), right_runs.walk(), rows, columns)
    assert (shared.reshape(3, 3) == expected).all()


@SETTINGS
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=8))
def test_a_union_of_intervals_covers_each_position_once(intervals):
    starts = np.array([start for start, _ in intervals], dtype=np.int64)
    ends = starts + np.array([length for _, length in intervals], dtype=np.int64)

    spans = union(starts, ends)

    covered = {position for start, length in intervals for position in range(start, start + length)}
    assert spans.covered == len(covered)
    assert (spans.starts[1:] > spans.ends[:-1]).all()
