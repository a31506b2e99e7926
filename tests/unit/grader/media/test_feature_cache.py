"""The cache of features: what it asks the networks, what it holds, and what it lets pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.grader.media.feature_cache import (
    ROW_WISE,
    Bounded,
    CachedExtractor,
    CachedNetworks,
    content_digest,
)
from services.grader.metrics.features.statistics import FeatureStatistics, statistics_of
from services.grader.metrics.media_generation import GENERATION_METRICS
from services.grader.models.sounds import check_sound
from services.grader.weights.manifest import load_manifest
from tests.unit.grader.media.generation_jobs import (
    Served,
    colour_words,
    filled,
    mean_colour,
    noise,
)


def cached(served: Served, **limits: Any) -> CachedNetworks:
    return CachedNetworks(served, **limits)


def test_each_content_goes_to_its_network_once() -> None:
    served = Served({"clip_image": mean_colour, "dino_image": mean_colour})
    networks = cached(served)
    first, second = noise(0, 4, 5, 3), noise(1, 4, 5, 3)
    rows = networks("clip_image")([first, second, first.copy(), second])
    np.testing.assert_array_equal(rows, mean_colour([first, second, first, second]))
    assert served.asked == {"clip_image": 2}
    again = networks("clip_image")([second, noise(2, 2, 2, 3), first])
    np.testing.assert_array_equal(again[[2, 0]], rows[:2])
    assert served.asked == {"clip_image": 3}
    networks("dino_image")([first])
    assert served.asked == {"clip_image": 3, "dino_image": 1}


def test_texts_too_and_nothing_for_nothing() -> None:
    served = Served({"clip_text": colour_words, "clip_image": mean_colour})
    networks = cached(served)
    rows = networks("clip_text")(["red", "green", "red"])
    np.testing.assert_array_equal(rows, colour_words(["red", "green", "red"]))
    networks("clip_text")(["green"])
    assert served.asked == {"clip_text": 2}
    assert networks("clip_image")([]).shape == (0, 3)


def test_a_row_that_is_given_away_cannot_be_spoiled() -> None:
    networks = cached(Served({"clip_image": mean_colour}))
    picture = filled("red")
    networks("clip_image")([picture])[:] = -1
    assert networks("clip_image")([picture]).tolist() == [[255, 0, 0]]


@given(st.lists(st.integers(0, 5)), st.integers(0, 120))
def test_rows_are_right_whatever_is_held(order: list[int], rows_bytes: int) -> None:
    pictures = [noise(seed, 2, 2, 3) for seed in range(6)]
    served = Served({"clip_image": mean_colour})
    network = cached(served, rows_bytes=rows_bytes)("clip_image")
    for start in range(0, len(order), 3):
        media = [pictures[number] for number in order[start : start + 3]]
        np.testing.assert_array_equal(network(media), mean_colour(media))
    assert served.asked.get("clip_image", 0) <= len(order)


def test_what_was_used_longest_ago_goes_first_and_nothing_passes_the_limit() -> None:
    held: Bounded[str] = Bounded(100)
    for name in "abc":
        held.put((name, b""), name, 40)
    assert (len(held), held.used_bytes) == (2, 80)
    assert held.get(("a", b"")) is None
    assert held.get(("b", b"")) == "b"
    held.put(("d", b""), "d", 30)
    assert held.get(("c", b"")) is None
    assert held.get(("b", b"")) == "b"
    held.put(("b", b""), "B", 70)
    assert (held.get(("b", b"")), held.used_bytes) == ("B", 100)
    held.put(("d", b""), "large", 101)
    assert (held.get(("d", b"")), held.used_bytes, len(held)) == (None, 70, 1)


def test_rows_are_bounded_in_bytes() -> None:
    served = Served({"clip_image": mean_colour})
    network = cached(served, rows_bytes=2 * 3 * 8)("clip_image")
    pictures = [noise(seed, 2, 2, 3) for seed in range(3)]
    network(pictures)
    network(pictures[1:])
    assert served.asked["clip_image"] == 3
    network(pictures[:1])
    assert served.asked["clip_image"] == 4


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((2, 3), np.uint8),
        np.zeros((3, 2), np.int8),
        np.zeros((6, 1), np.uint8),
        np.zeros(6, np.uint8),
        np.array([[0, 0], [0, 0], [0, 1]], np.uint8),
        "text",
    ],
)
def test_type_and_shape_are_part_of_the_content(other: NDArray[Any] | str) -> None:
    assert content_digest(np.zeros((3, 2), np.uint8)) != content_digest(other)


def test_the_order_in_memory_is_not_part_of_the_content() -> None:
    picture = noise(3, 6, 4, 3)
    assert content_digest(picture) == content_digest(np.asfortranarray(picture))
    assert content_digest(picture[::2]) == content_digest(picture[::2].copy())


def test_other_networks_pass_unchanged_and_rows_are_what_the_caller_says() -> None:
    def flow(frames: NDArray[Any]) -> NDArray[Any]:
        return frames[1:]

    head = object()
    by_name = {"optical_flow": flow, "aesthetic_head": head, "clip_image": mean_colour}
    networks = CachedNetworks(by_name.__getitem__)
    assert networks("optical_flow") is flow
    assert networks("aesthetic_head") is head
    assert isinstance(networks("clip_image"), CachedExtractor)
    assert networks("clip_image") is networks("clip_image")
    assert CachedNetworks(by_name.__getitem__, row_wise=())("clip_image") is mean_colour
    with pytest.raises(KeyError):
        networks("dino_image")


def test_every_extractor_is_known_to_be_row_wise_or_not() -> None:
    others = {
        "optical_flow",
        "middle_frames",
        "detector",
        "transcriber",
        "mel_cepstra",
        "aesthetic_head",
    }
    wanted = {name for metric in GENERATION_METRICS.values() for name in metric.extractors}
    assert wanted == ROW_WISE | others
    served = {name for weights in load_manifest().weights for name in weights.extractors}
    assert served <= wanted


def test_a_network_that_gives_other_rows_is_at_fault() -> None:
    def short(media: Sequence[Any]) -> NDArray[np.float64]:
        return np.zeros((len(media) - 1, 3))

    with pytest.raises(ValueError, match="shape"):
        CachedNetworks({"clip_image": short}.__getitem__)("clip_image")([filled("red")])


def test_statistics_are_computed_once_for_one_content_and_network() -> None:
    computed: list[str] = []

    def statistics(name: str) -> FeatureStatistics:
        computed.append(name)
        return statistics_of(np.eye(3))

    by_name = {"inception_pool": mean_colour, "video_resnet": mean_colour}
    networks = CachedNetworks(by_name.__getitem__, statistics_bytes=2 * (3 + 9) * 8)
    first = networks("inception_pool").statistics(b"one", lambda: statistics("first"))
    assert networks("inception_pool").statistics(b"one", lambda: statistics("again")) is first
    networks("video_resnet").statistics(b"one", lambda: statistics("other network"))
    networks("inception_pool").statistics(b"two", lambda: statistics("other content"))
    assert computed == ["first", "other network", "other content"]
    networks("inception_pool").statistics(b"one", lambda: statistics("after it went"))
    assert computed[-1] == "after it went"


def test_sounds_are_media_like_any_other() -> None:
    def loudness(sounds: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        return np.array([[np.abs(check_sound(sound)).max()] for sound in sounds])

    networks = CachedNetworks({"clap_audio": loudness}.__getitem__)
    rows = networks("clap_audio")([np.array([0.5, -1], np.float32), np.zeros(3, np.float32)])
    assert rows.tolist() == [[1.0], [0.0]]
