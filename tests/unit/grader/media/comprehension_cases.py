"""For each metric a small key, answers that are perfect, and keys that it cannot use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.decode.formats.writers import npy
from tests.unit.grader.media.comprehension_jobs import png, rle


@dataclass(frozen=True)
class Case:
    """``best`` is the value of ``answers``, ``worst`` that of a submission without any.

    ``unusable`` are accepted answers that no job can be graded against; a string among them may
    name one of ``files``.
    """

    metric: str
    references: Sequence[Any]
    answers: Sequence[Any]
    best: float
    worst: float
    unusable: Sequence[Any]
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)


def picture(*rows: str) -> NDArray[np.uint8]:
    """Digits as grey values."""
    return np.array([[int(digit) for digit in row] for row in rows], np.uint8)


def mask(*rows: str, label: str = "", **more: Any) -> dict[str, Any]:
    return {"mask": rle(picture(*rows)), "label": label, **more}


def box(*numbers: float, label: str = "", **more: Any) -> dict[str, Any]:
    return {"box": list(numbers), "label": label, **more}


def poses(step: float) -> list[list[float]]:
    """A camera that goes straight on, ``step`` metres a frame."""
    return [[1, 0, 0, step * frame, 0, 1, 0, 0, 0, 0, 1, 0] for frame in range(40)]


LEFT, RIGHT = ("110000", "110000", "000000", "000000"), ("000000", "000011", "000011", "000000")
WIDE = ("11111111",)

NO_OBJECT: list[Any] = []
BOXES = [
    [box(0, 0, 10, 10, label="ape"), box(20, 20, 5, 5, label="bus")],
    NO_OBJECT,
    [box(1, 1, 4, 4, label="Bus"), box(30, 0, 9, 9, label="ape", crowd=1)],
]
MASKS = [
    [mask(*LEFT, label="ape"), mask(*RIGHT, label="bus")],
    {"masks": [], "size": [4, 6]},
    [mask(*RIGHT, label="ape")],
]
MASK_ANSWERS = [MASKS[0], [], MASKS[2]]
VIDEO = {
    "masks": [mask(*LEFT, frame=0), mask(*RIGHT, frame=0), mask(*RIGHT, frame=2)],
    "frames": 4,
}
SOLID = (4.0, 2.0, 1.5, 0.0)
GRAPH = {
    "objects": [box(0, 0, 10, 10, label="dog"), box(20, 0, 10, 20, label="man")],
    "relations": [{"subject": 0, "predicate": "next to", "object": 1}],
}
TUBE = {"frames": [2, 3, 5], "boxes": [[0, 0, 4, 4], [1, 0, 4, 4], [2, 2, 4, 4]]}
TRACK = {"track": 3, **TUBE}
SPACE_TRACK = {
    "track": "a",
    "frames": list(range(5)),
    "boxes": [[frame, 0, 0, *SOLID] for frame in range(5)],
    "label": "car",
}
KEYPOINTS = [[5, 5, 2], [15, 5, 1], [5, 25, 2], [0, 0, 0]]
POINT_FILE = np.array([0, 1, 1, 2, -1])

FILES: dict[str, bytes] = {
    "classes.npy": npy(POINT_FILE),
    "normals.npy": npy(np.array([[0, 0, 1.0], [0, 2, 0], [3, 0, 0]])),
    "flat.npy": npy(np.zeros((3, 3))),
    "matte.png": png(picture("0000", "0909") * 28),
    "deep.png": png(picture("0000", "0909").astype(np.uint16) * 7000),
    "mask.png": png(picture("0010", "0700")),
    "mask.jpg": b"\xff\xd8 not looked at",
    "colour.png": png(np.repeat(picture("0010", "0700")[:, :, None], 3, 2)),
    "broken.png": png(picture("0010"))[:-30],
    "labels.png": png(picture("112200", "112290")),
    "wide.png": png(picture("11")),
    "none.png": png(picture("0000", "0000")),
    "depth.png": png(np.array([[1000, 0], [3000, 2000]], np.uint16)),
    "depth.npy": npy(np.array([[[1.0, 2.0], [np.nan, 4.0]]] * 2)),
    "void.npy": npy(np.array([[0.0, np.nan]])),
    "far.npy": npy(np.array([[90.0, 1e-4]])),
    "line.npy": npy(np.ones(7)),
    "flow.npy": npy(np.array([[[3.0, 0.0], [0.0, 4.0]], [[np.nan, 0.0], [0.0, 0.0]]])),
    "flow-answer.npy": npy(np.array([[[3.0, 0.0], [0.0, 4.0]], [[9.0, 9.0], [0.0, 0.0]]])),
    "unknown.npy": npy(np.full((2, 2, 2), np.nan)),
    "panoptic.png": png(np.repeat(picture("112200", "112200")[:, :, None], 3, 2)),
}
PANOPTIC = {
    "file": "panoptic.png",
    "segments": [{"segment": 0x010101, "label": "sky"}, {"segment": 0x020202, "label": "car"}],
}
DEPTH_ANSWER = {"depth.png": "depth.png", "depth.npy": "depth-answer.npy"}
FILES["depth-answer.npy"] = npy(np.array([[[1.0, 2.0], [3.0, 4.0]]] * 2))

#: What is a key of nothing at all.
NONSENSE: list[Any] = [None, 7, "", "nowhere.png", {}, [None], [[]], {"file": "nowhere.png"}]
NO_MASKS: list[Any] = [
    *NONSENSE,
    [],
    {"masks": []},
    {"masks": [mask(*LEFT)], "size": [6, 4]},
    {"masks": [], "size": [0, 4]},
    {"masks": [], "size": [16000, 16000]},
    {"masks": [mask(*LEFT, frame=3)], "frames": 3},
    [mask(*LEFT), mask(*WIDE)],
    [{"mask": {"size": [4, 6], "counts": [1, 2]}}],
    ["mask.png", mask(*LEFT)],
    "mask.jpg",
    "broken.png",
    {"file": "colour.png", "classes": {"1": "a"}},
    {"file": "mask.png", "classes": {}},
    {"file": "mask.png", "classes": {"70000": "a"}},
    {"file": "mask.png", "classes": {"a": "a"}},
    {"file": "mask.png", "classes": {"1": "a"}, "void": [1]},
]
CROWDED: list[Any] = [[box(0, 0, 1, 1, crowd=2)], [box(0, 0, 1, 1, iscrowd="no")]]

CASES: tuple[Case, ...] = (
    *(
        Case(name, BOXES, BOXES, 100, 0, [*NONSENSE, *CROWDED, [box(0, 0, -1, 1)]])
        for name in ("ap50", "ap75")
    ),
    Case(
        "grounding-accuracy",
        [[box(0, 0, 10, 10)], [box(3, 3, 4, 4, label="the cup")]],
        [[box(0, 0, 10, 10)], [box(3, 3, 4, 4)]],
        100,
        0,
        [*NONSENSE, [], [box(0, 0, 1, 1)] * 2, [box(0, 0, 0, 1)]],
        options={"iou": "0.5"},
    ),
    Case(
        "map-3d",
        [[box(1, 2, 3, *SOLID, label="car")], NO_OBJECT],
        [[box(1, 2, 9, *SOLID, label="Car")], NO_OBJECT],
        100,
        0,
        [*NONSENSE, [box(0, 0, 1, 1)]],
        options={"form": "boxes-3d"},
    ),
    Case(
        "ap50-masks",
        [*MASKS, "mask.png", []],
        [*MASK_ANSWERS, [mask("0010", "0100")], []],
        100,
        0,
        [
            *[value for value in NO_MASKS if value not in ([], {"masks": []})],
            ["mask.png", "mask.png"],
            {"file": "mask.png", "void": [7]},
            [mask(*LEFT, frame=1)],
            [mask(*LEFT, crowd="yes")],
        ],
        FILES,
    ),
    Case(
        "ap50-keypoints",
        [[{"keypoints": KEYPOINTS}], [], [{"keypoints": KEYPOINTS, "crowd": 1}]],
        [[{"keypoints": KEYPOINTS}], [], []],
        100,
        0,
        [
            *NONSENSE,
            [{"keypoints": KEYPOINTS}, {"keypoints": KEYPOINTS[1:]}],
            [{"keypoints": [[1, 1, -1]]}],
            [{"keypoints": KEYPOINTS, "area": -1}],
            [{"keypoints": KEYPOINTS, "box": [1, 2, 3]}],
            [{"keypoints": KEYPOINTS, "crowd": 7}],
        ],
        options={"form": "keypoints"},
    ),
    Case(
        "ap50-points",
        [{"instances": [0, 0, 1, -1], "labels": ["ape", "bus"]}],
        [{"instances": [1, 1, 0, -1], "labels": ["Bus", "APE"], "scores": [0.5, 0.1]}],
        100,
        0,
        [*NONSENSE, [1, 2, 3], "classes.npy", {"instances": [0, 1], "labels": ["ape"]}],
        FILES,
    ),
    Case(
        "miou",
        [*MASKS, {"file": "labels.png", "classes": {"1": "ape", "2": "bus"}, "void": [9]}],
        [
            *MASK_ANSWERS,
            [mask("110000", "110000", label="ape"), mask("001100", "001110", label="bus")],
        ],
        100,
        0,
        [*NO_MASKS, [mask(*LEFT, frame=1)], ["mask.png", "mask.png"]],
        FILES,
    ),
    Case(
        "dice",
        [*MASKS, "mask.png"],
        [*MASK_ANSWERS, [mask("0010", "0100")]],
        100,
        0,
        [*NO_MASKS, [mask(*LEFT, frame=1)], ["mask.png"] * 2, {"file": "mask.png", "void": [7]}],
        FILES,
    ),
    *(
        Case(
            name,
            [VIDEO, ["mask.png", "none.png"], {"masks": [], "size": [4, 6], "frames": 3}],
            [VIDEO["masks"], [mask("0010", "0100")], []],
            100,
            0,
            [*NO_MASKS, ["mask.png", "wide.png"], [{"file": "mask.png", "void": [7]}]],
            FILES,
        )
        for name in ("video-miou", "s-measure")
    ),
    Case(
        "pq",
        [PANOPTIC],
        [PANOPTIC],
        100,
        0,
        [
            *NONSENSE,
            {"file": "mask.png"},
            {"file": "deep.png", "segments": []},
            {"file": "mask.png", "segments": [{"segment": 1}]},
            {"file": "mask.png", "segments": [{"segment": 1, "label": "a"}] * 2},
            {"file": "mask.png", "segments": [{"segment": 1, "label": "a", "crowd": 3}]},
        ],
        FILES,
    ),
    # Half of a matte's pixels that are 0 or 252 of 255 cost all or that share of 1.
    Case(
        "matting-sad",
        ["matte.png", "deep.png"],
        ["matte.png", "deep.png"],
        0,
        ((6 + 2 * 252 / 255) + (6 + 2 * 63000 / 65535)) / 2 / 1000,
        [*NONSENSE, ["matte.png"], "broken.png", "classes.npy"],
        FILES,
    ),
    Case(
        "matting-mse",
        ["matte.png", "deep.png"],
        ["matte.png", "deep.png"],
        0,
        ((6 + 2 * (252 / 255) ** 2) + (6 + 2 * (63000 / 65535) ** 2)) / 2 / 8 * 1000,
        [*NONSENSE, ["matte.png"], "broken.png", "classes.npy"],
        FILES,
    ),
    Case(
        "pixel-ap",
        ["mask.png", "none.png"],
        ["mask.png", "none.png"],
        100,
        100 * 2 / 16,  # the true pixels come last, all at once
        [*NONSENSE, "mask.jpg", "broken.png", ["mask.png"], {"file": "mask.png"}, [mask("1")]],
        FILES,
    ),
    Case(
        "map-roc-auc",
        ["mask.png", "none.png"],
        ["mask.png", "none.png"],
        100,
        0,
        [*NONSENSE, "mask.jpg", "broken.png", ["mask.png"]],
        FILES,
    ),
    Case(
        "depth-rms",
        ["depth.png", "depth.npy"],
        ["depth.png", "depth-answer.npy"],
        0,
        300,
        [*NONSENSE, "void.npy", "line.npy", ["depth.npy"] * 2, ["depth.png", "void.npy"]],
        FILES,
    ),
    Case(
        "abs-rel",
        ["depth.png", "depth.npy"],
        ["depth.png", "depth-answer.npy"],
        0,
        3 * (1 + 1 / 3 + 1 / 2) / 3,
        [*NONSENSE, "void.npy", "far.npy", "line.npy"],
        FILES,
    ),
    Case(
        "epe",
        ["flow.npy"],
        ["flow-answer.npy"],
        0,
        5,
        [*NONSENSE, "unknown.npy", "line.npy", "classes.npy", ["flow.npy", "unknown.png"]],
        FILES,
    ),
    Case(
        "normal-rmse",
        ["normals.npy"],
        ["normals.npy"],
        0,
        90,
        [*NONSENSE, "flat.npy", "line.npy", "classes.npy"],
        FILES,
    ),
    Case(
        "miou-points",
        ["classes.npy", [0, 2, 2]],
        [[0, 1, 1, 2, 7], [0, 2, 2]],
        100,
        0,
        [*NONSENSE, [], [-1, -1], [-2, 0], [0, 65536], {"instances": [0], "labels": ["ape"]}],
        FILES,
    ),
    Case(
        "instance-miou",
        [
            {"labels": [1, 2, 2], "category": "chair"},
            {"labels": [1, 1, 1, 3], "category": "Chair "},
            {"labels": [9, 9], "category": 4},
        ],
        [[1, 2, 2], [1, 1, 1, 3], [9, 9]],
        100,
        0,
        [*NONSENSE, [], [-1, 2], {"labels": [1]}, {"labels": [1], "category": None}, "classes.npy"],
        FILES,
    ),
    # 117 m: only the first frame starts a path of 100 m, with 100 percent for a missing one.
    Case(
        "rte",
        [poses(3)],
        [poses(3)],
        0,
        100,
        [*NONSENSE, [], poses(0), poses(2.5)[:40], poses(3)[:10], [[1.0] * 11]],
        options={"form": "trajectory"},
    ),
    Case(
        "tube-viou",
        [[TUBE], [TUBE]],
        [[TUBE], [TUBE, {**TUBE, "frames": [0, 1, 2], "score": 0.5}]],
        100,
        0,
        [
            *NONSENSE,
            [],
            [TUBE, TUBE],
            [{"frames": [], "boxes": []}],
            [{**TUBE, "frames": [2, 2, 5]}],
            [{"frames": [1], "boxes": [[0, 0, 0, 4]]}],
        ],
    ),
    Case(
        "success-auc",
        [[TRACK]],
        [[TRACK]],
        100 * 20 / 21,
        0,
        [
            *NONSENSE,
            [],
            [TRACK, {**TRACK, "track": 4}],
            [{"track": 1, "frames": [], "boxes": []}],
            [{"track": 1, "frames": [0], "masks": [mask("000")["mask"]]}],
            [
                {
                    "track": 1,
                    "frames": [0, 1],
                    "masks": [mask(*LEFT)["mask"], mask(*WIDE)["mask"]],
                }
            ],
        ],
    ),
    Case(
        "amota",
        [[SPACE_TRACK], []],
        [[SPACE_TRACK], []],
        100,
        0,
        [*NONSENSE, [TRACK], [SPACE_TRACK, SPACE_TRACK]],
        options={"form": "boxes-3d"},
    ),
    Case(
        "scene-graph-recall",
        [GRAPH],
        [GRAPH],
        100,
        0,
        [*NONSENSE, [], {**GRAPH, "relations": [{"subject": 0, "predicate": "a", "object": 2}]}],
        options={"k": "50"},
    ),
)
