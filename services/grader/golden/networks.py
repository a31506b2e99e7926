"""Golden cases of metrics that ask a network.

What is expected holds for any weights, the published ones and a test's: likeness to itself, a tie,
two questions of which one is answered by yes, a missing item. Where nothing holds for all weights
``expected`` is None: then the network is there, has read its file and gives a legal value. The
numbers of its answers are the business of the operator's own check of the weights.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode.formats.writers import avi, npy, picture_png, wav
from services.grader.golden.case import GoldenCase
from services.grader.golden.drawing import plain

#: Cosines of rows of single precision that were computed in two batches.
_ALIKE: Final = 1e-5
#: A distance of a set to itself, as far as single precision says; distances of sets are above 1.
_SAME_SET: Final = 1e-3

_SOUND_RATE_HZ: Final = 16_000


def _patches(seed: int, side: int = 64) -> NDArray[np.uint8]:
    """A picture of patches in several colours, the same for the same ``seed``."""
    rows, columns = np.indices((side, side)) // 8
    channels = [
        (rows * (37 + seed) + columns * (53 + way) * (seed + way)) % 256 for way in (1, 2, 3)
    ]
    return np.stack(channels, axis=2).astype(np.uint8)


def _video(*seeds: int) -> bytes:
    return avi(np.stack([_patches(seed) for seed in seeds]))


def _tone(hertz: float, seconds: float = 1.0) -> bytes:
    time = np.arange(round(seconds * _SOUND_RATE_HZ)) / _SOUND_RATE_HZ
    return wav(np.rint(8_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16), _SOUND_RATE_HZ)


def _motion(step: int) -> bytes:
    frames = np.arange(8)[:, None] * step + np.arange(263)
    return npy((frames % 17 / 8 - 1).astype(np.float32))


def _disc() -> NDArray[np.uint8]:
    """A disc of five pixels in the middle of a white view of 224 pixels a side."""
    view = plain(224, 224, 255)
    view[110:115, 111:114] = view[111:114, 110:115] = 121
    return view


_PICTURES: Final = {f"{seed}.png": picture_png(_patches(seed)) for seed in (1, 2, 3)}
_STILL: Final = {"still.avi": _video(1, 1, 1)}
#: The least that has a frame half-way between two others; optical flow is dear.
_MOVING: Final = {"moving.avi": _video(1, 2, 3)}
_PAIR: Final = {"pair.avi": _video(1, 2)}
_FRAME: Final = {"frame.avi": _video(1)}
_TONES: Final = {f"{hertz}.wav": _tone(hertz) for hertz in (220, 440, 880)}
_MOTIONS: Final = {f"{step}.npy": _motion(step) for step in (1, 2, 3)}
#: What no detector calls an object.
_NOWHERE: Final = "none such"


def _of_a_set(metric_id: str, kind: AnswerKind, files: dict[str, bytes]) -> GoldenCase:
    """A set against itself, in another order: 0."""
    names = list(files)
    return GoldenCase(
        metric_id,
        kind,
        {name: [name] for name in names},
        dict(zip(names, names[1:] + names[:1], strict=True)),
        0.0,
        files=files,
        media=files,
        tolerance=_SAME_SET,
    )


def _with_text(
    metric_id: str, kind: AnswerKind, answer: str, files: dict[str, bytes]
) -> GoldenCase:
    """A medium against a text, whose likeness is the network's to say."""
    return GoldenCase(metric_id, kind, {"1": ["a red square"]}, {"1": answer}, None, files=files)


def _video_alone(metric_id: str, expected: float | None, files: dict[str, bytes]) -> GoldenCase:
    """One video, and a second one that is missing and has 0."""
    (name,) = files
    return GoldenCase(
        metric_id,
        AnswerKind.VIDEO,
        {"1": ["-"], "2": ["-"]},
        {"1": name},
        expected,
        files=files,
        tolerance=_ALIKE,
    )


def _found(metric_id: str, prompt: dict[str, Any]) -> GoldenCase:
    """Something that nothing is called by: found in no frame."""
    return GoldenCase(
        metric_id, AnswerKind.VIDEO, {"1": [prompt]}, {"1": "frame.avi"}, 0.0, files=_FRAME
    )


CASES: Final = (
    # Distances of sets
    _of_a_set("fid", AnswerKind.IMAGE, _PICTURES),
    _of_a_set(
        "fvd",
        AnswerKind.VIDEO,
        {"a.avi": _video(1, 2, 3, 4), "b.avi": _video(4, 3, 2, 1), "c.avi": _video(2, 2, 5, 5)},
    ),
    _of_a_set("fad", AnswerKind.AUDIO, _TONES),
    _of_a_set("motion-fid", AnswerKind.MOTION, _MOTIONS),
    # Likeness to a text
    _with_text("clip-score", AnswerKind.IMAGE, "1.png", {"1.png": _PICTURES["1.png"]}),
    _with_text("appearance-style", AnswerKind.VIDEO, "moving.avi", _MOVING),
    _with_text("camera-motion-success", AnswerKind.VIDEO, "moving.avi", _MOVING),
    _with_text("i2v-quality", AnswerKind.VIDEO, "moving.avi", _MOVING),
    _with_text("clap-score", AnswerKind.AUDIO, "440.wav", {"440.wav": _TONES["440.wav"]}),
    _with_text(
        "render-clip-text",
        AnswerKind.MESH,
        "a.obj",
        {"a.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"},
    ),
    # Likeness to itself is 100, and a missing item has -100.
    GoldenCase(
        "clip-image-score",
        AnswerKind.IMAGE,
        {"1": ["1.png"], "2": ["2.png"], "3": ["3.png"]},
        {"1": "1.png", "2": "2.png"},
        (100 + 100 - 100) / 3,
        files={name: _PICTURES[name] for name in ("1.png", "2.png")},
        media=_PICTURES,
        tolerance=_ALIKE,
    ),
    GoldenCase(
        "clip-style",
        AnswerKind.VIDEO,
        {"1": ["1.png", "again.png"], "2": ["2.png"], "3": ["3.png"]},
        {"1": "still.avi", "2": "other.avi"},
        (100 + 100 - 100) / 3,
        files={**_STILL, "other.avi": _video(2)},
        media={**_PICTURES, "again.png": _PICTURES["1.png"]},
        tolerance=_ALIKE,
    ),
    GoldenCase(
        "style-clap",
        AnswerKind.AUDIO,
        {"1": ["220.wav"], "2": ["440.wav"], "3": ["a calm piece"]},
        {"1": "220.wav", "2": "440.wav"},
        (100 + 100 - 100) / 3,
        files={name: _TONES[name] for name in ("220.wav", "440.wav")},
        media=_TONES,
        tolerance=_ALIKE,
    ),
    # A cloud of one point is a disc of five pixels in the middle of every view, half-way between
    # the shades of near and far: 0.475 of white.
    GoldenCase(
        "render-clip-image",
        AnswerKind.POINT_CLOUD,
        {"1": ["view.png"], "2": ["view.png"]},
        {"1": "a.xyz"},
        (100 - 100) / 2,
        files={"a.xyz": b"5 6 7\n"},
        media={"view.png": picture_png(_disc())},
        tolerance=_ALIKE,
    ),
    # Nearer to a text than to another one, and the same asked the other way round: of each frame
    # one of the two is so. A missing video scores 0.
    GoldenCase(
        "frame-accuracy",
        AnswerKind.VIDEO,
        {
            "1": [{"target": "a red square", "source": "two dogs in the snow"}],
            "2": [{"target": "two dogs in the snow", "source": "a red square"}],
            "3": [{"target": "a red square", "source": "two dogs in the snow"}],
        },
        {"1": "moving.avi", "2": "moving.avi"},
        100 / 3,
        files=_MOVING,
    ),
    # A still video is like itself.
    _video_alone("dino-score", 50.0, _STILL),
    _video_alone("background-consistency", 50.0, _STILL),
    _video_alone("optical-flow-score", None, _PAIR),
    _video_alone("aesthetic-score", None, _FRAME),
    _video_alone("musiq", None, _FRAME),
    # What is in a picture or a video
    GoldenCase(
        "classified-image-accuracy",
        AnswerKind.IMAGE,
        {"1": [7]},
        {"1": "1.png"},
        None,
        {"ways": "2"},
        files={"1.png": _PICTURES["1.png"]},
    ),
    GoldenCase(
        "action-success", AnswerKind.VIDEO, {"1": [3]}, {"1": "moving.avi"}, None, files=_MOVING
    ),
    _found("single-object-success", {"objects": [_NOWHERE]}),
    _found("multi-object-success", {"objects": ["dog", _NOWHERE]}),
    _found("color-success", {"object": _NOWHERE, "attribute": "red"}),
    _found("material-success", {"object": _NOWHERE, "attribute": "wooden"}),
    _found("spatial-relation-success", {"first": "dog", "relation": "left of", "second": _NOWHERE}),
    # What is said; the second sound is missing.
    GoldenCase(
        "wer-speech",
        AnswerKind.AUDIO,
        {"1": ["one two three"], "2": ["four"]},
        {"1": "440.wav"},
        None,
        files={"440.wav": _TONES["440.wav"]},
    ),
    GoldenCase(
        "cider-speech",
        AnswerKind.AUDIO,
        {"1": ["one two three"], "2": ["four"]},
        {"1": "440.wav"},
        None,
        files={"440.wav": _TONES["440.wav"]},
    ),
)
