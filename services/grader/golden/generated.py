"""Golden cases of generated pictures, videos, sound and music that need no network's weights."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode.formats.writers import avi, picture_png, wav
from services.grader.golden.case import GoldenCase
from services.grader.golden.drawing import plain

#: 10 log10(255^2 / e^2) where every value is off by e levels, in dB.
_OFF_BY_5: Final = 20 * math.log10(255 / 5)
_OFF_BY_51: Final = 20 * math.log10(255 / 51)

#: Linear light of pure red in CIE XYZ over the white of D65, and its L*a*b*: 53.2, 80.1, 67.2.
_RED_X, _RED_Y, _RED_Z = (
    share ** (1 / 3) for share in (0.412453 / 0.95047, 0.212671, 0.019334 / 1.08883)
)
_RED_LAB: Final = (116 * _RED_Y - 16, 500 * (_RED_X - _RED_Y), 200 * (_RED_Y - _RED_Z))


def _checkered(level: int, contrast: int, side: int = 176) -> bytes:
    """A picture whose neighbours are above and below a grey in turn."""
    rows, columns = np.indices((side, side))
    grey = level + contrast * (1 - 2 * ((rows + columns) % 2))
    return picture_png(np.asarray(grey, dtype=np.uint8))


def _greys(*levels: int) -> bytes:
    """A video with a frame of each grey."""
    return avi(np.stack([plain(8, 8, level) for level in levels]))


def _half_red() -> bytes:
    pixels = plain(4, 4, 0)
    pixels[:2] = (255, 0, 0)
    return picture_png(pixels)


def _fading(samples: int, share: float, echo: int = 0) -> NDArray[np.int16]:
    """A click that fades by ``share`` from sample to sample, and again ``echo`` samples later."""
    sound = np.rint(20_000 * share ** np.arange(samples))
    sound[echo:] += np.rint(8_000 * share ** np.arange(samples - echo)) * (echo > 0)
    return np.asarray(sound, dtype=np.int16)


def _note(onset: float, pitch: int, part: str = "", duration: float = 1) -> dict[str, Any]:
    return {"onset": onset, "duration": duration, "pitch": pitch, "part": part}


CASES: Final = (
    # The second picture is identical and left out of the mean; the third is missing, 0 dB.
    GoldenCase(
        "psnr",
        AnswerKind.IMAGE,
        {"1": ["1.png"], "2": ["1.png"], "3": ["1.png"]},
        {"1": "a.png", "2": "b.png"},
        _OFF_BY_5 / 2,
        files={
            "a.png": picture_png(plain(4, 4, 105, 95, 105)),
            "b.png": picture_png(plain(4, 4, 100)),
        },
        media={"1.png": picture_png(plain(4, 4, 100))},
    ),
    # Of three frames one is off by 5, one by 51, one is lacking.
    GoldenCase(
        "video-psnr",
        AnswerKind.VIDEO,
        {"1": ["1.avi"]},
        {"1": "a.avi"},
        (_OFF_BY_5 + _OFF_BY_51) / 3,
        files={"a.avi": _greys(105, 49)},
        media={"1.avi": _greys(100, 100, 100)},
    ),
    # Only the first scale sees the squares: contrast-structure (2 20 40 + C2) / (20^2 + 40^2 + C2)
    # to the power 0.0448. All are flat from then on, so only luminance is left, at the last scale:
    # (2 120 140 + C1) / (120^2 + 140^2 + C1) to the power 0.1333. C1 = 2.55^2, C2 = 7.65^2. The
    # missing picture scores -1.
    GoldenCase(
        "ms-ssim",
        AnswerKind.IMAGE,
        {"1": ["1.png"], "2": ["1.png"]},
        {"1": "a.png"},
        (
            ((1600 + 7.65**2) / (2000 + 7.65**2)) ** 0.0448
            * ((33_600 + 2.55**2) / (34_000 + 2.55**2)) ** 0.1333
            - 1
        )
        / 2,
        files={"a.png": _checkered(140, 40)},
        media={"1.png": _checkered(120, 20)},
    ),
    # Half of the pixels are red instead of black. A missing black one is as far from every channel
    # as sRGB reaches: 100, 98.3 and 107.9.
    GoldenCase(
        "shadow-rmse",
        AnswerKind.IMAGE,
        {"1": ["1.png"], "2": ["1.png"]},
        {"1": "a.png"},
        (sum(_RED_LAB) / 2 + 306.2) / 2,
        files={"a.png": _half_red()},
        media={"1.png": picture_png(plain(4, 4, 0))},
    ),
    # 51 levels from the first frame to the second, none to the third: 25.5 of 255. The second
    # video is missing.
    GoldenCase(
        "l1-distance",
        AnswerKind.VIDEO,
        {"1": ["-"], "2": ["-"]},
        {"1": "a.avi"},
        90.0 / 2,
        files={"a.avi": _greys(100, 151, 151)},
    ),
    # No number for a sheet of paper: the formulas of ``models.mel_cepstra`` were worked out by a
    # second program, which the tests keep. The answer has two frames, the recording one, which goes
    # on as a flat spectrum; the missing sound costs what a flat spectrum would.
    GoldenCase(
        "mcd",
        AnswerKind.AUDIO,
        {"1": ["1.wav"], "2": ["1.wav"]},
        {"1": "a.wav"},
        5.8363750695787,
        files={"a.wav": wav(_fading(1440, 0.95, echo=30), 48_000)},
        media={"1.wav": wav(_fading(1200, 0.9), 48_000)},
    ),
    # At 0 the one note is right. At 1 one is right, one still sounds, one is wrong and one lacks.
    GoldenCase(
        "event-accuracy",
        AnswerKind.PIANO_ROLL,
        {"1": [[_note(0, 60, "Violin"), _note(1, 62, "Violin"), _note(1, 48, "Cello")]]},
        {
            "1": [
                _note(0, 60, "violin", duration=2),
                _note(1, 62, "violin"),
                _note(1, 50, "cello"),
            ]
        },
        100 * 2 / (2 + 2 + 1),
    ),
    # The bars have C only, half C and half E, E only: overlaps of 1/2, 0 and 1/2.
    GoldenCase(
        "pitch-class-consistency",
        AnswerKind.PIANO_ROLL,
        {"1": ["-"]},
        {"1": [_note(0, 60), _note(2, 72), _note(4, 48), _note(5, 64), _note(8, 64)]},
        100 / 3,
    ),
)
