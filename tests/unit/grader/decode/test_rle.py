"""Run lengths against COCO's own code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco  # type: ignore[import-untyped]

from general_level.submission.answer_forms import rle_pixel_count
from services.grader.decode.rle import decode_counts, to_mask


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_masks_come_back_from_cocos_text(height: int, width: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    runs = decode_counts(text, height * width)
    assert runs is not None
    np.testing.assert_array_equal(to_mask(runs, (height, width)), mask)
    again = decode_counts(runs.tolist(), height * width)
    assert again is not None
    np.testing.assert_array_equal(again, runs)


def test_a_large_empty_mask_is_one_run() -> None:
    mask = np.zeros((4000, 5000), dtype=np.uint8, order="F")
    text = coco.encode(mask)["counts"].decode()
    runs = decode_counts(text, 20_000_000)
    assert runs is not None
    assert runs.tolist() == [20_000_000]


@pytest.mark.parametrize(
    "counts", ["", "0", "o", "é", "\x00", "2" * 3, "PPPPPPPPPP", [1, 2], [5], [-1, 5], [2**40, 4]]
)
def test_what_is_no_mask_of_four_pixels_is_refused(counts: str | list[int]) -> None:
    assert decode_counts(counts, 4) is None


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_it_takes_what_the_checker_takes(text: str) -> None:
    total = rle_pixel_count(text)
    if total is not None and 0 < total < 2**31:
        runs = decode_counts(text, total)
        assert runs is not None
        assert runs.sum() == total
    else:
        assert decode_counts(text, 1000) is None
