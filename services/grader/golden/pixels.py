"""Golden cases of a value for each pixel: label maps, regions, mattes, graded maps, depth, flow."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from general_level.catalogue.model import AnswerKind
from services.grader.decode.formats.writers import flo, kitti_png, npy, picture_png
from services.grader.golden.case import GoldenCase
from services.grader.golden.drawing import grey, mask, plain


def _segment(*rows: str, **more: Any) -> dict[str, Any]:
    return {"mask": mask(*rows), **more}


_SKY_AND_ROAD: Final = {"1": "sky", "2": "road"}


def _levels(levels: list[list[int]]) -> bytes:
    return picture_png(grey(*levels))


def _numbers(rows: list[list[int]]) -> bytes:
    """A panoptic picture: segment numbers below 256 are in red."""
    pixels = plain(len(rows), len(rows[0]), 0)
    pixels[:, :, 0] = rows
    return picture_png(pixels)


#: Graded maps of 8 and of 16 bits, of which 200 and 51400 are one level.
_MAPS: Final = {
    "a.png": picture_png(grey([200, 150], [100, 50])),
    "b.png": picture_png(grey([51_401, 51_399], bits=16)),
}
_MARKED: Final = {
    "a.png": picture_png(grey([255, 0], [1, 0])),
    "b.png": picture_png(grey([255, 0])),
}

_MATTES: Final = {
    "full.png": picture_png(grey(*[[65_535] * 10] * 10, bits=16)),
    "part.png": picture_png(grey(*[[102] * 10] * 10)),
}
_MATTE: Final = {"a.png": picture_png(grey(*[[204] * 10] * 10))}

#: Flow that is known in two pixels of three, and the same plus (3, 4).
_FLOW: Final = np.array([[[0.0, 0.0], [6.0, 8.0], [1e10, 1e10]]])
_MOVED: Final = np.array([[[3.0, 4.0], [9.0, 12.0], [100.0, 100.0]]])

CASES: Final = (
    # Pooled over both pictures: sky has 4 + 8 of 8 + 8 pixels; road has 4 of 6, two pixels of its
    # answer being background. What is void counts nowhere.
    GoldenCase(
        "miou",
        AnswerKind.MASKS,
        {
            "1": [{"file": "1.png", "classes": _SKY_AND_ROAD, "void": [255]}],
            "2": [[_segment("1111", "1111", label="sky")]],
        },
        {
            "1": [
                _segment("1111", "0000", "0000", "0011", label="sky"),
                _segment("0000", "0000", "1111", "1100", label="road"),
            ],
            "2": [_segment("1111", "1111", label="Sky")],
        },
        100 * (12 / 16 + 4 / 6) / 2,
        media={"1.png": _levels([[1] * 4, [1] * 4, [2] * 4, [0, 0, 255, 255]])},
    ),
    # Two masks cover 8 pixels, of which 6 are the key's 8; nothing against nothing is 100; the
    # third is missing.
    GoldenCase(
        "dice",
        AnswerKind.MASKS,
        {
            "1": [[_segment("1111", "1111", "0000")]],
            "2": [{"masks": [], "size": [4, 4]}],
            "3": [[_segment("11", "11")]],
        },
        {
            "1": [_segment("1111", "0000", "1000"), _segment("0111", "1100", "1100")],
            "2": [],
        },
        100 * (2 * 6 / (8 + 8) + 1 + 0) / 3,
    ),
    # 8 of 8 pixels, none of 4, and 4 too many: 8 of 16 in all.
    GoldenCase(
        "video-miou",
        AnswerKind.MASKS,
        {
            "1": [
                {
                    "masks": [_segment("1111", "1111", frame=0), _segment("1111", "0000", frame=1)],
                    "size": [2, 4],
                    "frames": 3,
                }
            ]
        },
        {"1": [_segment("1111", "1111", frame=0), _segment("1111", "0000", frame=2)]},
        50.0,
    ),
    # A frame without foreground is 1 - mean, one of nothing else is the mean. In the third, half
    # of the key and nothing of the answer: S_object is half of the background, 1/2; the centroid's
    # quarters have 3, 9, 1 and 3 pixels, those of one column are constant on both sides and alike:
    # 4/16; S = (1/2 + 1/4) / 2.
    GoldenCase(
        "s-measure",
        AnswerKind.MASKS,
        {
            "1": [
                {
                    "masks": [
                        _segment("1111", "1111", "1111", "1111", frame=1),
                        _segment("1100", "1100", "1100", "1100", frame=2),
                    ],
                    "size": [4, 4],
                    "frames": 3,
                }
            ]
        },
        {
            "1": [
                _segment("1111", "0000", "0000", "0000", frame=0),
                _segment("1111", "1111", "0000", "0000", frame=1),
            ]
        },
        100 * (3 / 4 + 1 / 2 + 3 / 8) / 3,
    ),
    # The sky is matched with 6 of 8 pixels, and two more are a false alarm: 0.75 / (1 + 1/2). The
    # car has 3 of 4 pixels and one that is void, which no union has: 3/4.
    GoldenCase(
        "pq",
        AnswerKind.PANOPTIC,
        {
            "1": [
                {
                    "file": "1.png",
                    "segments": [{"segment": 1, "label": "sky"}, {"segment": 2, "label": "car"}],
                }
            ]
        },
        {
            "1": {
                "file": "a.png",
                "segments": [
                    {"segment": 7, "label": "sky"},
                    {"segment": 8, "label": "car"},
                    {"segment": 9, "label": "sky"},
                ],
            }
        },
        100 * (0.5 + 0.75) / 2,
        files={"a.png": _numbers([[7] * 4, [7, 7, 9, 9], [8, 8, 8, 0], [8, 0, 0, 0]])},
        media={"1.png": _numbers([[1] * 4, [1] * 4, [2] * 4, [3] * 4])},
    ),
    # 100 pixels are off by 0.2: a sum of 20. The missing matte, of 0.4, costs 0.6 a pixel: 60.
    GoldenCase(
        "matting-sad",
        AnswerKind.IMAGE,
        {"1": ["full.png"], "2": ["part.png"]},
        {"1": "a.png"},
        (0.020 + 0.060) / 2,
        files=_MATTE,
        media=_MATTES,
    ),
    # The same squared, in thousandths: 40 and 360.
    GoldenCase(
        "matting-mse",
        AnswerKind.IMAGE,
        {"1": ["full.png"], "2": ["part.png"]},
        {"1": "a.png"},
        200.0,
        files=_MATTE,
        media=_MATTES,
    ),
    # From the highest: true, true, false, false, true, false. Precision 1, 1, 3/5 at the true ones.
    GoldenCase(
        "pixel-ap",
        AnswerKind.IMAGE,
        {"1": ["a.png"], "2": ["b.png"]},
        {"1": "a.png", "2": "b.png"},
        100 * (1 + 1 + 3 / 5) / 3,
        files=_MAPS,
        media=_MARKED,
    ),
    # Of the 3 times 3 pairs the true pixel is the higher one in 3 + 3 + 1.
    GoldenCase(
        "map-roc-auc",
        AnswerKind.IMAGE,
        {"1": ["a.png"], "2": ["b.png"]},
        {"1": "a.png", "2": "b.png"},
        100 * 7 / 9,
        files=_MAPS,
        media=_MARKED,
    ),
    # Off by 0, 0.5 and 0 m where the depth is known; a missing item costs the range, 1 to 4 m.
    GoldenCase(
        "depth-rms",
        AnswerKind.DEPTH,
        {"1": ["1.npy"], "2": ["1.npy"]},
        {"1": "a.png"},
        (100 * math.sqrt(0.25 / 3) + 300) / 2,
        files={"a.png": picture_png(grey([1000, 2500], [9000, 4000], bits=16))},
        media={"1.npy": npy([[1.0, 2.0], [0.0, 4.0]])},
    ),
    # The line through 0, 1, 2 against 1, 2, 4 is 5/6, 14/6, 23/6: off by 1/6, 1/3 and 1/6 of
    # depths 1, 2 and 4, so 1/6, 1/6 and 1/24. What is 100 m away counts not.
    GoldenCase(
        "abs-rel",
        AnswerKind.DEPTH,
        {"1": ["1.npy"]},
        {"1": ["a.npy"]},
        (1 / 6 + 1 / 6 + 1 / 24) / 3,
        files={"a.npy": npy([[0.0, 1.0], [2.0, 3.0]])},
        media={"1.npy": npy([[[1.0, 2.0], [4.0, 100.0]]])},
    ),
    # Off by (3, 4), 5 pixels; a missing item costs the diagonal of 6 by 8, the range of the key.
    GoldenCase(
        "epe",
        AnswerKind.FLOW,
        {"1": ["1.flo"], "2": ["1.flo"]},
        {"1": "a.png"},
        7.5,
        files={"a.png": kitti_png(_MOVED)},
        media={"1.flo": flo(_FLOW)},
    ),
)
