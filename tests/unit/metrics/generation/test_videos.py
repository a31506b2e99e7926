"""Stillness, smoothness, dynamics, success rates and their composite, by hand-worked videos."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error

from services.grader.metrics.motion.consistency import dino_score
from services.grader.metrics.motion.detections import (
    Detection,
    PlacedPair,
    attribute_success,
    box_iou,
    objects_success,
    relation_success,
    stands,
)
from services.grader.metrics.motion.dynamics import dynamic_degree, frame_speeds, moves
from services.grader.metrics.motion.stillness import l1_distance, motion_smoothness
from services.grader.metrics.motion.video_text import image_to_video_quality, viclip_score
from tests.unit.metrics.generation.networks import Projection, Words, videos


def halves(frames):
    """The frames half-way, rounded down."""
    return ((frames[:-1].astype(np.uint16) + frames[1:]) // 2).astype(np.uint8)


# --- differences of frames --------------------------------------------------------------------


def test_stillness_is_the_mean_absolute_difference_of_neighbours():
    shown = videos(0, 3, 6)

    result = l1_distance(shown)

    expected = [
        100 * (255 - mean_absolute_error(video[1:].ravel(), video[:-1].ravel())) / 255
        for video in shown
    ]
    np.testing.assert_allclose(result.per_sample, expected, atol=1e-10)


def test_a_still_video_scores_100_a_flicker_0_and_a_single_frame_0():
    still = np.full((4, 5, 5, 3), 9, dtype=np.uint8)
    flicker = np.zeros((4, 5, 5, 3), dtype=np.uint8)
    flicker[1::2] = 255

    result = l1_distance([still, flicker, still[:1], None])

    np.testing.assert_array_equal(result.per_sample, [100, 0, 0, 0])
    assert result.missing == 2


@pytest.mark.parametrize("frames", [3, 4, 5, 6])
def test_smoothness_compares_the_odd_frames_with_those_interpolated(frames):
    video = videos(1, 1, frames)[0]

    result = motion_smoothness([video], middle_frames=halves)

    odd = [t for t in range(1, frames, 2) if t + 1 < frames]
    apart = [
        np.abs(((video[t - 1].astype(int) + video[t + 1]) // 2) - video[t]).mean() for t in odd
    ]
    assert result.value == pytest.approx(100 * (255 - np.mean(apart)) / 255)


def test_a_steady_fade_is_smooth_and_two_frames_show_nothing():
    fade = np.arange(0, 50, 10, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 4, 4, 3), dtype=np.uint8
    )

    result = motion_smoothness([fade, fade[:2], None], middle_frames=halves)

    np.testing.assert_array_equal(result.per_sample, [100, 0, 0])


def test_an_interpolator_that_gives_other_frames_is_refused():
    with pytest.raises(ValueError, match="interpolator"):
        motion_smoothness(videos(2, 1), middle_frames=lambda frames: frames)


# --- dynamics ---------------------------------------------------------------------------------


def constant_flow(speeds, height=64, width=128):
    flow = np.zeros((len(speeds), height, width, 2))
    flow[..., 0] = np.asarray(speeds)[:, None, None]
    return flow


def test_a_frames_speed_is_the_mean_of_its_fastest_5_percent():
    generator = np.random.default_rng(3)
    flow = generator.normal(size=(4, 20, 30, 2))

    expected = [
        np.sort(np.sqrt((frame**2).sum(-1)).ravel())[::-1][: int(600 * 0.05)].mean()
        for frame in flow
    ]

    np.testing.assert_allclose(frame_speeds(flow), expected)


@pytest.mark.parametrize(
    ("speeds", "dynamic"),
    [
        ([1.51] * 4 + [0.0] * 11, True),  # 16 frames: 4 must pass 6 * 64 / 256 = 1.5 pixels
        ([1.51] * 3 + [0.0] * 12, False),
        ([1.5] * 15, False),  # at the threshold is not above it
        ([2.0, 0.0, 0.0], True),  # 4 frames: 1
        ([2.0], True),  # 2 frames: round(0.5) = 0, but one at least
        ([0.0], False),
    ],
)
def test_a_video_moves_when_a_quarter_of_its_frames_do(speeds, dynamic):
    assert moves(constant_flow(speeds)) is dynamic


def test_a_small_fast_object_makes_a_frame_move():
    flow = np.zeros((3, 64, 64, 2))
    flow[:, :15, :15] = 20.0  # 225 of 4096 pixels: above 5 %

    assert moves(flow)
    flow[:, 2:] = 0
    assert not moves(flow * 0.3)  # 30 of the fastest 204 pixels at 8.5 pixels: 1.25 on average


def test_dynamic_degree_is_the_share_of_videos_that_move():
    shown = videos(4, 3, 3)
    flows = iter([constant_flow([9.0, 9.0], 8, 6), constant_flow([0.0, 0.0], 8, 6)])

    result = dynamic_degree(
        [shown[0], shown[1], shown[2][:1], None], optical_flow=lambda frames: next(flows)
    )

    np.testing.assert_array_equal(result.per_sample, [100, 0, 0, 0])
    assert result.missing == 2


def test_a_flow_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="estimator"):
        dynamic_degree(videos(5, 1), optical_flow=lambda frames: np.zeros((1, 2, 3, 2)))


# --- detections -------------------------------------------------------------------------------

BOX = (0.0, 0.0, 10.0, 10.0)
FRAMES = np.zeros((4, 2, 2, 3), dtype=np.uint8)


def given(*frames):
    """A detector that finds these in the frames of every video."""
    return lambda video: frames[: len(video)]


DOG_AND_CAT = given(
    [Detection("Dog", BOX), Detection("cat", BOX)],
    [Detection("dog", BOX)],
    [Detection("hot dog", BOX), Detection("cat", BOX)],
    [],
)


def test_all_objects_of_a_prompt_must_be_in_a_frame():
    one = objects_success([FRAMES, None], [["dog"], ["dog"]], detector=DOG_AND_CAT)
    both = objects_success([FRAMES, FRAMES], [["dog", "Cat"], ["bird"]], detector=DOG_AND_CAT)

    np.testing.assert_array_equal(one.per_sample, [50, 0])
    np.testing.assert_array_equal(both.per_sample, [25, 0])
    assert one.missing == 1


def test_a_video_without_frames_is_missing_and_a_prompt_names_an_object():
    assert objects_success([FRAMES[:0]], [["dog"]], detector=DOG_AND_CAT).missing == 1
    with pytest.raises(ValueError, match="at least one object"):
        objects_success([FRAMES], [[]], detector=DOG_AND_CAT)
    with pytest.raises(ValueError, match="detector"):
        objects_success([FRAMES], [["dog"]], detector=lambda video: [])


def test_an_attribute_is_whole_words_in_the_captions_of_the_object():
    detector = given(
        [Detection("cup", BOX, "a Red cup")],
        [Detection("cup", BOX, "a cup, tired"), Detection("car", BOX, "a red car")],
        [Detection("cup", BOX, "a blue cup"), Detection("cup", BOX, "red  cup on a table")],
        [Detection("cup", BOX, "a dark red cup")],
    )

    result = attribute_success(
        [FRAMES, FRAMES, None], ["cup"] * 3, ["red", "dark red", "red"], detector=detector
    )

    np.testing.assert_array_equal(result.per_sample, [75, 25, 0])


@pytest.mark.parametrize(
    ("relation", "box", "holds"),
    [
        ("right of", (20, 0, 30, 10), True),
        ("left of", (20, 0, 30, 10), False),
        ("left of", (-20, 0, -10, 10), True),
        ("below", (0, 20, 10, 30), True),
        ("above", (0, 20, 10, 30), False),
        ("above", (0, -20, 10, -10), True),
        ("right of", (20, 30, 30, 40), False),  # further down than right
        ("below", (20, 30, 30, 40), True),
        ("right of", (5, 0, 15, 10), False),  # IoU 1/3
        ("right of", (9, 0, 19, 10), True),  # IoU 1/19
        ("right of", (20, 20, 30, 30), False),  # as far down as right
        ("right of", (0, 0, 10, 10), False),
    ],
)
def test_a_relation_holds_along_its_axis_without_overlap(relation, box, holds):
    assert stands(Detection("a", box), relation, Detection("b", BOX)) is holds


def test_some_pair_of_boxes_must_stand_as_prompted():
    far = (50.0, 0.0, 60.0, 10.0)
    detector = given(
        [Detection("dog", BOX), Detection("cat", far)],
        [Detection("dog", far), Detection("cat", BOX)],
        [Detection("dog", far), Detection("dog", BOX), Detection("cat", far)],
        [Detection("dog", BOX)],
    )

    pairs = [PlacedPair("dog", "left of", "cat"), PlacedPair("dog", "right of", "dog")]
    result = relation_success([FRAMES, FRAMES], pairs, detector=detector)

    np.testing.assert_array_equal(result.per_sample, [50, 25])


def test_iou_of_boxes():
    assert box_iou(BOX, BOX) == 1
    assert box_iou(BOX, (5, 5, 15, 15)) == pytest.approx(25 / 175)
    assert box_iou((3, 3, 3, 3), (3, 3, 3, 3)) == 0


# --- composite --------------------------------------------------------------------------------


def test_image_to_video_quality_is_the_mean_of_its_four_parts():
    shown = [*videos(6, 3, 5), None]
    texts = ["pan left", "still", "zoom", "x"]
    image, text = Projection(), Words()

    def flow(frames):
        return np.full((len(frames) - 1, *frames.shape[1:3], 2), float(frames[0, 0, 0, 0] > 100))

    result = image_to_video_quality(
        shown,
        texts,
        dino_image=image,
        viclip_video=image,
        viclip_text=text,
        optical_flow=flow,
        middle_frames=halves,
    )

    parts = [
        dino_score(shown, dino_image=image),
        viclip_score(shown, texts, viclip_video=image, viclip_text=text),
        dynamic_degree(shown, optical_flow=flow),
        motion_smoothness(shown, middle_frames=halves),
    ]
    assert result.value == pytest.approx(sum(part.value for part in parts) / 4)
    assert result.per_sample[3] == 0
    assert result.missing == 1
