"""Videos of answers: which frames are seen, and what the metrics make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio

from services.grader.decode.values import Video
from services.grader.media import frame_choice
from services.grader.metrics.features.verdicts import LinearHead
from services.grader.metrics.motion.detections import Detection
from tests.unit.grader.media.generation_jobs import (
    Served,
    colour_words,
    filled,
    mean_colour,
    mkv,
    noise,
    png,
    score,
)

COLOUR_NETWORKS = Served({"clip_image": mean_colour, "clip_text": colour_words})


def clip(*colours: str, height: int = 16, width: int = 16) -> NDArray[np.uint8]:
    """A video of one colour after the other."""
    return np.stack([filled(colour, height, width) for colour in colours])


def numbered(count: int, height: int = 2, width: int = 2) -> NDArray[np.uint8]:
    """Frames whose pixels are the frame's number."""
    return np.full((count, height, width, 3), np.arange(count).reshape(-1, 1, 1, 1), np.uint8)


def numbers(frames: NDArray[np.uint8]) -> list[int]:
    return [int(frame) for frame in frames[:, 0, 0, 0]]


def probable(width: int) -> Any:
    """The first classes are the colours' channels as shares of 255."""

    def network(media: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        rows = np.zeros((len(media), width))
        rows[:, :3] = mean_colour(media) / 255
        return rows

    return network


# Which frames


def test_evenly_spaced_frames_are_the_middles_of_equal_parts() -> None:
    assert numbers(frame_choice.evenly(numbered(48), 16)) == [1, 4, 7, 10, 13, 16, 19, 22, 25, 28,
                                                              31, 34, 37, 40, 43, 46]  # fmt: skip
    # 20 frames in 8 parts begin at 0, 2, 5, 7, 10, 12, 15, 17.
    assert numbers(frame_choice.evenly(numbered(20), 8)) == [0, 3, 5, 8, 10, 13, 15, 18]
    assert numbers(frame_choice.evenly(numbered(5), 16)) == [0, 1, 2, 3, 4]


@given(st.integers(1, 255), st.integers(1, 64))
def test_evenly_spaced_frames_are_in_order_and_never_twice(length: int, count: int) -> None:
    found = numbers(frame_choice.evenly(numbered(length), count))
    assert len(found) == min(length, count)
    assert found == sorted(set(found))
    assert found[0] >= 0
    assert found[-1] < length
    gaps = np.diff(found)
    assert not len(gaps) or gaps.max() - gaps.min() <= 2


@pytest.mark.parametrize(
    ("rate", "step"),
    [(0.0, 1), (6.0, 1), (8.0, 1), (15.0, 2), (24.0, 3), (29.97, 4), (1000.0, 125)],
)
def test_optical_flow_sees_eight_frames_a_second(rate: float, step: int) -> None:
    found = frame_choice.for_flow(Video(numbered(60), rate))
    assert numbers(found) == list(range(0, 60, step))
    assert found.flags.writeable


def test_optical_flow_sees_so_many_frames_and_pixels() -> None:
    long = np.zeros((200, 1, 1, 3), np.uint8)
    assert len(frame_choice.for_flow(Video(long, 8.0))) == frame_choice.MOST_FLOW_FRAMES
    large = np.zeros((2, 1, 4096, 3), np.uint8)
    large[:, :, 2048:] = 200
    small = frame_choice.for_flow(Video(large, 8.0))
    assert small.shape == (2, 1, 1024, 3)
    assert (small[:, 0, :512] == 0).all()
    assert (small[:, 0, 512:] == 200).all()
    wide = frame_choice.for_flow(Video(np.zeros((1, 1080, 1920, 3), np.uint8), 8.0))
    assert wide.shape == (1, 576, 1024, 3)


# Against true videos


def test_video_psnr_through_the_decoders_is_scikit_images() -> None:
    truth = noise(0, 4, 16, 24, 3)
    close = (truth.astype(int) - 5).clip(0, 255).astype(np.uint8)
    result, unfit = score(
        "video-psnr",
        ["close.mkv", "small.mkv", "short.mkv"],
        [["truth.mkv"]] * 3,
        files={
            "close.mkv": mkv(close),
            "small.mkv": mkv(noise(1, 4, 16, 16, 3)),
            "short.mkv": mkv(close[:1]),
        },
        key_files={"truth.mkv": mkv(truth)},
    )
    each = [
        peak_signal_noise_ratio(truth[t], close[t])  # type: ignore[no-untyped-call]
        for t in range(4)
    ]
    assert result.value == pytest.approx((sum(each) + each[0]) / 12)
    assert (result.missing, unfit) == (1, {1})


# By networks of colours


def test_appearance_is_the_mean_over_frames() -> None:
    result, _ = score(
        "appearance-style",
        ["a.mkv", None],
        [["red"], ["red"]],
        files={"a.mkv": mkv(clip("red", "red", "green", "blue"))},
        networks=COLOUR_NETWORKS,
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [50, -100], atol=1e-9)


def test_style_is_the_mean_over_all_accepted_pictures() -> None:
    result, _ = score(
        "clip-style",
        ["a.mkv"],
        [["red.png", "green.png", "white.png"]],
        files={"a.mkv": mkv(clip("red", "red"))},
        key_files={f"{name}.png": png(filled(name)) for name in ("red", "green", "white")},
        networks=COLOUR_NETWORKS,
    )
    assert result.value == pytest.approx((100 + 0 + 100 / np.sqrt(3)) / 3)


def test_frames_nearer_to_the_target_than_to_the_source() -> None:
    result, _ = score(
        "frame-accuracy",
        ["a.mkv"],
        [[{"target": "red", "source": "green"}]],
        files={"a.mkv": mkv(clip("red", "green", "red", "white"))},
        networks=COLOUR_NETWORKS,
    )
    assert result.value == 50.0


@pytest.mark.parametrize(
    ("metric_id", "network"),
    [("dino-score", "dino_image"), ("background-consistency", "clip_image")],
)
def test_consistency_by_hand_and_a_video_of_one_frame(metric_id: str, network: str) -> None:
    result, unfit = score(
        metric_id,
        ["a.mkv", "one.mkv", None],
        [["prompt"]] * 3,
        files={"a.mkv": mkv(clip("red", "red", "green")), "one.mkv": mkv(clip("red"))},
        networks=Served({network: mean_colour}),
    )
    # Frame 1 is as the first and the previous one, frame 2 like neither.
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [50, 0, 0], atol=1e-9)
    assert (result.missing, unfit) == (2, {1})


def test_a_long_video_shows_so_many_frames() -> None:
    networks = Served({"clip_image": mean_colour, "clip_text": colour_words})
    long = np.zeros((frame_choice.MOST_FRAMES + 40, 16, 16, 3), np.uint8)
    score("appearance-style", ["a.mkv"], [["red"]], files={"a.mkv": mkv(long)}, networks=networks)
    assert networks.asked["clip_image"] == frame_choice.MOST_FRAMES


def test_stillness_by_hand() -> None:
    frames = np.zeros((3, 16, 16, 3), np.uint8)
    frames[1] = 51
    result, unfit = score(
        "l1-distance",
        ["a.mkv", "one.mkv"],
        [["x"], ["x"]],
        files={"a.mkv": mkv(frames), "one.mkv": mkv(frames[:1])},
    )
    assert result.per_sample is not None
    np.testing.assert_allclose(result.per_sample, [80, 0])
    assert unfit == {1}


def brightness_flow(frames: NDArray[Any]) -> NDArray[np.float64]:
    """Everything moves to the right by as many pixels as the frame gets brighter."""
    shift = np.diff(frames.mean(axis=(1, 2, 3)))
    flow = np.zeros((len(frames) - 1, *frames.shape[1:3], 2))
    flow[..., 0] = shift[:, None, None]
    return flow


def test_a_video_moves_by_its_speed_at_eight_frames_a_second() -> None:
    # 7 pixels in an eighth of a second at a side of 256 are above the threshold, 2.4 are not.
    frames = np.stack([np.full((256, 256, 3), 2.4 * t, np.uint8) for t in range(24)])
    result, _ = score(
        "optical-flow-score",
        ["fast.mkv", "slow.mkv"],
        [["x"], ["x"]],
        files={"fast.mkv": mkv(frames, 24.0), "slow.mkv": mkv(frames, 8.0)},
        networks=Served({"optical_flow": brightness_flow}),
    )
    assert result.per_sample is not None
    assert result.per_sample.tolist() == [100.0, 0.0]


def test_actions_among_the_classes_of_kinetics() -> None:
    networks = Served({"action_probabilities": probable(400)})
    result, _ = score(
        "action-success",
        ["red.mkv", "red.mkv", None],
        [[0], [1], [0]],
        files={"red.mkv": mkv(clip(*["red"] * 40))},
        networks=networks,
    )
    assert result.per_sample is not None
    assert result.per_sample.tolist() == [100.0, 0.0, 0.0]
    assert networks.asked["action_probabilities"] == 2


def test_ratings_of_frames() -> None:
    networks = Served(
        {"clip_image_large": mean_colour, "musiq_score": lambda m: mean_colour(m)[:, :1]}
    )
    heads = {"aesthetic_head": LinearHead(np.array([6.0, 3.0, 0.0]), 1.0)}

    class WithHead(Served):
        def __call__(self, name: str, /) -> Any:
            return heads[name] if name in heads else super().__call__(name)

    files = {"a.mkv": mkv(clip("red", "green"))}
    beauty, _ = score(
        "aesthetic-score", ["a.mkv"], [["x"]], files=files, networks=WithHead(networks.by_name)
    )
    assert beauty.value == pytest.approx((70 + 40) / 2)
    quality, _ = score("musiq", ["a.mkv"], [["x"]], files=files, networks=networks)
    assert quality.value == pytest.approx((100 + 0) / 2)


def colour_detector(frames: NDArray[Any]) -> list[list[Detection]]:
    """A red car and a green dog where their colours are, with the box around the colour."""
    found = []
    for frame in frames:
        objects = []
        for channel, label, caption in ((0, "car", "a Red car"), (1, "Dog", "a green dog")):
            rows, columns = np.nonzero(frame[:, :, channel] > 200)
            if len(rows):
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                left, top, right, bottom = (float(side) for side in box)
                objects.append(Detection(label, (left, top, right, bottom), caption))
        found.append(objects)
    return found


def test_a_detector_sees_sixteen_frames_and_finds_what_was_prompted() -> None:
    both = np.zeros((16, 16, 3), np.uint8)
    both[:, :5, 0] = both[:, 10:, 1] = 255
    video = np.concatenate([clip(*["red"] * 24), np.stack([both] * 24)])
    files = {"a.mkv": mkv(video)}
    networks = Served({"detector": colour_detector})

    def rate(metric_id: str, reference: Any) -> float:
        return score(metric_id, ["a.mkv"], [[reference]], files=files, networks=networks)[0].value

    assert rate("single-object-success", {"objects": ["car"]}) == 100.0
    assert networks.asked["detector"] == 16
    assert rate("single-object-success", {"objects": ["dog"]}) == 50.0
    assert rate("multi-object-success", {"objects": ["dog", "car"]}) == 50.0
    assert rate("color-success", {"object": "car", "attribute": "red"}) == 100.0
    assert rate("color-success", {"object": "dog", "attribute": "red"}) == 0.0
    assert rate("material-success", {"object": "dog", "attribute": "green"}) == 50.0
    pair = {"first": "car", "relation": "left of", "second": "dog"}
    assert rate("spatial-relation-success", pair) == 50.0
    assert rate("spatial-relation-success", {**pair, "relation": "right of"}) == 0.0


VIDEO_NETWORKS = Served(
    {
        "clip_image": mean_colour,
        "clip_text": colour_words,
        "dino_image": mean_colour,
        "viclip_video": mean_colour,
        "viclip_text": colour_words,
        "optical_flow": brightness_flow,
        "middle_frames": lambda frames: frames[:-1],
        "musiq_score": lambda media: mean_colour(media)[:, :1],
        "video_resnet": mean_colour,
        "action_probabilities": probable(400),
        "detector": colour_detector,
    }
)


def test_image_to_video_quality_is_the_mean_of_its_four_parts() -> None:
    result, _ = score(
        "i2v-quality",
        ["a.mkv"],
        [["red"]],
        files={"a.mkv": mkv(clip("red", "red", "red", "red"))},
        networks=VIDEO_NETWORKS,
    )
    assert result.value == pytest.approx((100 + 100 + 0 + 100) / 4)


def test_camera_motion_sees_eight_frames() -> None:
    frames = np.zeros((16, 16, 16, 3), np.uint8)
    frames[::2, :, :, 0] = 200  # the first of each two, the middle of its part
    frames[1::2, :, :, 1] = 200
    result, _ = score(
        "camera-motion-success",
        ["a.mkv"],
        [["red"]],
        files={"a.mkv": mkv(frames)},
        networks=VIDEO_NETWORKS,
    )
    assert result.value == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("metric_id", "reference"),
    [
        ("appearance-style", "red"),
        ("clip-style", "red.png"),
        ("frame-accuracy", {"target": "red", "source": "green"}),
        ("dino-score", "x"),
        ("background-consistency", "x"),
        ("l1-distance", "x"),
        ("optical-flow-score", "x"),
        ("musiq", "x"),
        ("i2v-quality", "red"),
        ("camera-motion-success", "red"),
        ("single-object-success", {"objects": ["car"]}),
        ("multi-object-success", {"objects": ["car", "dog"]}),
        ("color-success", {"object": "car", "attribute": "red"}),
        ("material-success", {"object": "car", "attribute": "red"}),
        ("spatial-relation-success", {"first": "car", "relation": "above", "second": "dog"}),
        ("action-success", 3),
        ("fvd", "real.mkv"),
        ("video-psnr", "real.mkv"),
    ],
)
def test_nothing_that_a_lab_can_send_raises(metric_id: str, reference: Any) -> None:
    files = {
        "dot.mkv": mkv(noise(3, 1, 1, 1, 3)),
        "line.mkv": mkv(noise(4, 2, 1, 40, 3)),
        "black.mkv": mkv(np.zeros((3, 2, 2, 3), np.uint8)),
    }
    result, unfit = score(
        metric_id,
        ["dot.mkv", "line.mkv", "black.mkv", None],
        [[reference]] * 4,
        files=files,
        key_files={"red.png": png(filled("red")), "real.mkv": mkv(clip("red", "green"))},
        networks=VIDEO_NETWORKS,
    )
    assert np.isfinite(result.value)
    assert result.missing == 1 + len(unfit)
