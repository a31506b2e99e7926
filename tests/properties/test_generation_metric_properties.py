"""What must hold for every answer in media: bounds, perfection, order; and skipping never pays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from services.grader.metrics.features.clip import clip_image_score
from services.grader.metrics.features.distances import fid
from services.grader.metrics.features.statistics import (
    frechet_distance,
    frechet_to,
    statistics_of,
)
from services.grader.metrics.features.verdicts import classified_accuracy
from services.grader.metrics.fidelity.lab import shadow_error
from services.grader.metrics.fidelity.psnr import psnr, video_psnr
from services.grader.metrics.motion.consistency import dino_score
from services.grader.metrics.motion.detections import Detection, stands
from services.grader.metrics.motion.stillness import l1_distance
from services.grader.metrics.shape.chamfer import chamfer, chamfer_distance
from services.grader.metrics.sound.cepstra import distortion, mcd
from services.grader.metrics.sound.rolls import event_accuracy, pitch_class_consistency

SETTINGS = settings(max_examples=40, deadline=None)

LEVELS = st.integers(0, 255)
PICTURE = arrays.arrays(np.uint8, (3, 2, 3), elements=LEVELS)
VIDEO = arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(2), st.just(2), st.just(3)))
ROW = arrays.arrays(np.float64, (4,), elements=st.floats(-50, 50))
POINTS = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(-10, 10)
)
SERIES = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 5), st.just(2)), elements=st.floats(-5, 5)
)
NOTE = st.tuples(
    st.integers(0, 32).map(lambda step: step / 4),
    st.integers(1, 8).map(lambda step: step / 4),
    st.integers(58, 66),
    st.integers(0, 1),
)
ROLL = st.lists(NOTE, max_size=8).map(lambda notes: np.array(notes, float).reshape(-1, 4))


def as_they_are(media):
    return np.stack([np.asarray(medium, dtype=np.float64).reshape(-1) for medium in media])


def as_series(sounds):
    return sounds


def by_pixels(pictures, references):
    return clip_image_score(pictures, references, clip_image=as_they_are)


def by_cepstra(sounds, references):
    return mcd(sounds, references, mel_cepstra=as_series)


#: Metrics against a reference: the answers, the lowest and the highest value, higher is better.
PAIRED = {
    "psnr": (psnr, PICTURE, 0, np.inf, True),
    "video-psnr": (video_psnr, VIDEO, 0, np.inf, True),
    "shadow-error": (shadow_error, PICTURE, 0, 400, False),
    "clip-image-score": (by_pixels, PICTURE, -100, 100, True),
    "mcd": (by_cepstra, SERIES, 0, np.inf, False),
    "chamfer": (chamfer, POINTS, 0, np.inf, False),
    "event-accuracy": (event_accuracy, ROLL, 0, 100, True),
}


def columns(answers, missing=True):
    answer = st.none() | answers if missing else answers
    return st.lists(st.tuples(answer, answers), min_size=1, max_size=5)


def split(items):
    return [answer for answer, _ in items], [reference for _, reference in items]


@pytest.mark.parametrize("name", PAIRED)
@SETTINGS
@given(data=st.data())
def test_bounds_and_the_form_of_a_result(name, data):
    metric, answers, low, high, _ = PAIRED[name]
    predictions, references = split(data.draw(columns(answers)))

    result = metric(predictions, references)

    assert low - 1e-9 <= result.value <= high + 1e-9
    assert result.n == len(references)
    assert result.missing >= sum(prediction is None for prediction in predictions)
    assert result.stderr is None or result.stderr >= 0
    if result.per_sample is not None:
        assert result.per_sample.shape == (result.n,)
        assert np.isfinite(result.per_sample).all()


@pytest.mark.parametrize("name", PAIRED)
@SETTINGS
@given(data=st.data())
def test_the_references_themselves_score_best(name, data):
    metric, answers, _, _, higher = PAIRED[name]
    predictions, references = split(data.draw(columns(answers)))

    best, other = metric(references, references).value, metric(predictions, references).value

    assert other <= best + 1e-9 if higher else other >= best - 1e-9


@pytest.mark.parametrize("name", PAIRED)
@SETTINGS
@given(data=st.data())
def test_the_order_of_the_items_does_not_matter(name, data):
    metric, answers, *_ = PAIRED[name]
    items = data.draw(columns(answers))
    shuffled = data.draw(st.permutations(items))

    assert metric(*split(shuffled)).value == pytest.approx(metric(*split(items)).value, rel=1e-9)


@pytest.mark.parametrize("name", ["shadow-error", "clip-image-score", "event-accuracy"])
@SETTINGS
@given(data=st.data())
def test_dropping_an_answer_never_pays(name, data):
    metric, answers, _, _, higher = PAIRED[name]
    predictions, references = split(data.draw(columns(answers)))
    dropped = list(predictions)
    dropped[data.draw(st.integers(0, len(predictions) - 1))] = None

    before, after = metric(predictions, references).value, metric(dropped, references).value

    assert after <= before + 1e-9 if higher else after >= before - 1e-9


@SETTINGS
@given(items=columns(PICTURE), data=st.data())
def test_dropping_a_picture_never_pays_in_psnr_unless_it_was_perfect(items, data):
    predictions, references = split(items)
    at = data.draw(st.integers(0, len(items) - 1))
    dropped = list(predictions)
    dropped[at] = None
    perfect = predictions[at] is not None and np.array_equal(predictions[at], references[at])

    counted = psnr(predictions, references, identical="ceiling").value
    assert psnr(dropped, references, identical="ceiling").value <= counted + 1e-9
    if not perfect:
        assert psnr(dropped, references).value <= psnr(predictions, references).value + 1e-9


@SETTINGS
@given(items=columns(POINTS), data=st.data())
def test_dropping_a_cloud_within_its_references_box_never_pays(items, data):
    predictions, references = split(items)
    at = data.draw(st.integers(0, len(items) - 1))
    low, high = references[at].min(axis=0), references[at].max(axis=0)
    share = data.draw(arrays.arrays(np.float64, (3, 3), elements=st.floats(0, 1)))
    guessed, dropped = list(predictions), list(predictions)
    guessed[at], dropped[at] = low + share * (high - low), None

    for norm in ("euclidean", "squared"):
        with_guess = chamfer(guessed, references, norm=norm).value
        assert chamfer(dropped, references, norm=norm).value >= with_guess - 1e-9


@SETTINGS
@given(items=columns(SERIES), data=st.data())
def test_a_flat_spectrum_is_no_worse_than_a_missing_sound(items, data):
    predictions, references = split(items)
    at = data.draw(st.integers(0, len(items) - 1))
    flat, dropped = list(predictions), list(predictions)
    flat[at], dropped[at] = np.zeros_like(references[at]), None

    assert by_cepstra(dropped, references).value >= by_cepstra(flat, references).value - 1e-9


# --- distances --------------------------------------------------------------------------------


@SETTINGS
@given(first=POINTS, second=POINTS, shift=st.floats(-5, 5))
def test_chamfer_is_symmetric_and_does_not_depend_on_the_place(first, second, shift):
    apart = chamfer_distance(first, second)

    assert chamfer_distance(second, first) == pytest.approx(apart)
    assert chamfer_distance(first + shift, second + shift) == pytest.approx(apart, abs=1e-9)
    assert chamfer_distance(first[::-1], second) == pytest.approx(apart)


@SETTINGS
@given(first=SERIES, second=SERIES)
def test_distortion_is_symmetric_and_warping_never_adds_to_it(first, second):
    for alignment in ("none", "dtw"):
        apart = distortion(first, second, alignment)
        assert distortion(second, first, alignment) == pytest.approx(apart)
        assert distortion(first, first, alignment) == 0
    if len(first) == len(second):
        # The straight path is one of the paths, and none has fewer steps.
        assert distortion(first, second, "dtw") <= distortion(first, second) + 1e-9


FEATURES = st.lists(ROW, min_size=1, max_size=7).map(np.stack)


@SETTINGS
@given(first=FEATURES, second=FEATURES, shift=st.floats(-20, 20))
def test_the_frechet_distance_is_symmetric_and_0_only_for_itself(first, second, shift):
    one, two = statistics_of(first), statistics_of(second)
    scale = 1 + np.trace(one.covariance) + np.trace(two.covariance)

    apart = frechet_distance(one, two)

    assert apart >= 0
    assert frechet_distance(two, one) == pytest.approx(apart, abs=1e-6 * scale)
    assert frechet_to(first, two) == pytest.approx(apart, abs=1e-6 * scale)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6 * scale)
    moved = statistics_of(first + shift)
    assert frechet_distance(one, moved) == pytest.approx(
        4 * shift**2, abs=1e-6 * (scale + shift**2)
    )


@SETTINGS
@given(features=FEATURES, reference=FEATURES, absent=st.integers(1, 3))
def test_more_missing_items_never_lower_the_distance(features, reference, absent):
    real = statistics_of(reference)

    values = [
        fid([*features, *[None] * count], real, inception_pool=as_they_are).value
        for count in (0, absent, absent + 1)
    ]

    assert values[0] <= values[1] + 1e-6 <= values[2] + 2e-6


# --- without a reference ----------------------------------------------------------------------


@SETTINGS
@given(shown=st.lists(st.none() | VIDEO, min_size=1, max_size=4))
def test_videos_are_rated_within_0_and_100_and_a_loop_of_one_frame_is_still(shown):
    for metric, options in ((l1_distance, {}), (dino_score, {"dino_image": as_they_are})):
        result = metric(shown, **options)

        assert -1e-9 <= result.value <= 100 + 1e-9
        assert result.missing == sum(video is None or len(video) < 2 for video in shown)
        frame = np.full((1, 2, 2, 3), 7, dtype=np.uint8)
        assert metric([np.repeat(frame, 3, axis=0)], **options).value == pytest.approx(100)


@SETTINGS
@given(notes=ROLL, semitones=st.integers(0, 11), bars=st.integers(0, 3))
def test_consistency_does_not_depend_on_key_or_on_a_silent_start(notes, semitones, bars):
    value = pitch_class_consistency([notes]).value
    moved = notes + np.array([4.0 * bars, 0, semitones, 0])

    assert 0 <= value <= 100 + 1e-9
    assert pitch_class_consistency([moved]).value == pytest.approx(value)


@SETTINGS
@given(data=st.data(), ways=st.integers(2, 8))
def test_more_ways_never_make_a_choice_easier_and_a_wider_top_never_harder(data, ways):
    row = data.draw(arrays.arrays(np.float64, (9,), elements=st.floats(0, 1)))
    true = data.draw(st.integers(0, 8))

    def value(**options):
        return classified_accuracy([row], [true], class_probabilities=as_they_are, **options).value

    assert 0 <= value(ways=ways + 1) <= value(ways=ways) + 1e-9 <= 100 + 2e-9
    if ways > 2:
        assert value(ways=ways, top=2) >= value(ways=ways) - 1e-9


BOX = st.tuples(*[st.integers(-20, 20)] * 2, *[st.integers(1, 20)] * 2).map(
    lambda sides: (sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3])
)


@SETTINGS
@given(first=BOX, second=BOX)
def test_a_relation_is_the_others_opposite_and_only_one_holds(first, second):
    one, two = Detection("a", first), Detection("b", second)
    opposites = {"left of": "right of", "above": "below"}

    for relation, opposite in opposites.items():
        assert stands(one, relation, two) == stands(two, opposite, one)
    held = [r for r in (*opposites, *opposites.values()) if stands(one, r, two)]
    assert len(held) <= 1
