"""Runs become pixels and boxes as pycocotools paints them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]

from services.grader.decode.values import Runs
from services.grader.media.painting import (
    bounding_boxes,
    fitted,
    frames_of,
    joined,
    label_map,
)
from services.grader.metrics.segmentation.overlap import Region
from services.grader.metrics.segmentation.runs import run_lengths
from tests.unit.grader.media.comprehension_jobs import rle

SEEDS = st.integers(0, 2**32 - 1)


def masks_of(seed: int, count: int) -> NDArray[np.bool_]:
    """Masks bool [count, h, w]: rectangles, noise, whole columns, everything, nothing."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 9, 2)
    masks = rng.random((count, height, width)) < rng.choice([0.05, 0.5, 0.95], (count, 1, 1))
    masks[rng.random(count) < 0.1] = True
    masks[rng.random(count) < 0.1] = False
    masks[:, :, rng.integers(0, width)] |= rng.random((count, 1)) < 0.2
    return masks


def runs_of(masks: NDArray[np.bool_]) -> Runs:
    lengths = run_lengths(masks)
    sizes = np.tile(np.array(lengths.size, np.int32), (len(masks), 1))
    return Runs(sizes, lengths.counts.astype(np.int32), lengths.offsets)


@given(SEEDS, st.integers(0, 12))
def test_a_label_map_is_the_masks_painted_one_over_the_other(seed: int, count: int) -> None:
    masks = masks_of(seed, count)
    values = np.random.default_rng(seed).integers(1, 5, count)
    painted = np.zeros(masks.shape[1:], np.int64)
    for mask, value in zip(masks, values, strict=True):
        painted[mask] = value

    found = label_map(run_lengths(masks), values)

    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, painted)


@given(SEEDS, st.integers(1, 8), st.integers(1, 4))
def test_frames_hold_what_any_of_their_masks_covers(seed: int, count: int, frames: int) -> None:
    masks = masks_of(seed, count)
    places = np.random.default_rng(seed).integers(0, 5, count)
    painted = np.zeros((frames, *masks.shape[1:]), np.bool_)
    for mask, place in zip(masks, places, strict=True):
        if place < frames:
            painted[place] |= mask

    np.testing.assert_array_equal(frames_of(Region(run_lengths(masks), places), frames), painted)


@given(SEEDS, st.integers(0, 8))
def test_the_box_around_a_mask_is_that_of_pycocotools(seed: int, count: int) -> None:
    masks = masks_of(seed, count)

    found = bounding_boxes(runs_of(masks))

    encoded = [rle(mask) for mask in masks]
    expected: NDArray[Any] = coco_mask.toBbox(encoded) if encoded else np.zeros((0, 4))
    empty = ~masks.any(axis=(1, 2))
    np.testing.assert_array_equal(found[~empty], expected[~empty])
    assert not found[empty].any()


def test_runs_of_no_pixels_do_not_widen_a_box() -> None:
    # Column by column in 3 x 3: nothing, one pixel in the middle, then a run of nothing at all.
    runs = Runs(
        np.array([[3, 3]], np.int32), np.array([0, 0, 4, 1, 3, 0, 1], np.int32), np.array([0, 7])
    )

    assert bounding_boxes(runs).tolist() == [[1, 1, 1, 1]]


def test_masks_fit_a_picture_of_their_own_size_only() -> None:
    masks = masks_of(3, 4)
    runs = runs_of(masks)
    height, width = masks.shape[1:]

    same = fitted(runs, (height, width))

    assert same is not None
    np.testing.assert_array_equal(same.dense(), masks)
    assert fitted(runs, (width + 1, height)) is None
    empty = fitted(runs_of(masks[:0]), (7, 5))
    assert empty is not None
    assert (len(empty), empty.size) == (0, (7, 5))


@pytest.mark.parametrize("cut", [0, 2, 5])
def test_masks_are_joined_in_order(cut: int) -> None:
    masks = masks_of(4, 5)
    parts = [run_lengths(masks[:cut]), run_lengths(masks[cut:])]

    np.testing.assert_array_equal(joined(parts[0].size, parts).dense(), masks)
    assert len(joined((2, 2), [])) == 0
