"""Golden cases of what is found in pictures and videos: boxes, masks, people, graphs, tubes."""

from __future__ import annotations

from typing import Any, Final

from general_level.catalogue.model import AnswerKind
from services.grader.golden.case import GoldenCase
from services.grader.golden.drawing import mask

#: Two objects; from the surest down a hit, a false alarm, a hit. Recall 1/2 is reached at precision
#: 1, recall 1 at 2/3, so of the 101 levels of recall 51 have 1 and 50 have 2/3.
HIT_ALARM_HIT: Final = 100 * (51 + 50 * 2 / 3) / 101


def _box(x: float, y: float, width: float, height: float, **more: Any) -> dict[str, Any]:
    return {"box": [x, y, width, height], **more}


_KNOWN_BOXES: Final = [
    _box(0, 0, 10, 10, label="cat"),
    _box(20, 0, 10, 10, label="cat"),
    _box(40, 0, 10, 10, label="dog"),
]
#: One cat exactly, one where there is none, one at IoU 0.6, the dog exactly; no key has a hen.
_FOUND_BOXES: Final = [
    _box(0, 0, 10, 10, label="cat", score=0.9),
    _box(0, 30, 10, 10, label="cat", score=0.8),
    _box(20, 0, 10, 6, label="Cat", score=0.7),
    _box(40, 0, 10, 10, label="dog", score=0.1),
    _box(60, 0, 10, 10, label="hen", score=1.0),
]

CASES: Final = (
    # The cats as above and the dog at 100.
    GoldenCase(
        "ap50",
        AnswerKind.BOXES,
        {"1": [_KNOWN_BOXES]},
        {"1": _FOUND_BOXES},
        (HIT_ALARM_HIT + 100) / 2,
    ),
    # IoU 0.6 is too little, so the second cat is never found: recall 1/2 at precision 1.
    GoldenCase(
        "ap75",
        AnswerKind.BOXES,
        {"1": [_KNOWN_BOXES]},
        {"1": _FOUND_BOXES},
        (100 * 51 / 101 + 100) / 2,
    ),
    # The second hit has 2 of 4 pixels, an IoU of exactly 1/2.
    GoldenCase(
        "ap50-masks",
        AnswerKind.MASKS,
        {
            "1": [
                [
                    {"mask": mask("1100", "1100"), "label": "cell"},
                    {"mask": mask("0011", "0011"), "label": "cell"},
                ]
            ]
        },
        {
            "1": [
                {"mask": mask("1100", "1100"), "label": "cell", "score": 0.9},
                {"mask": mask("0110", "0000"), "label": "cell", "score": 0.8},
                {"mask": mask("0011", "0000"), "label": "cell", "score": 0.7},
            ]
        },
        HIT_ALARM_HIT,
    ),
    # A spread of 0.05 and an area of 5000 make the closeness exp(-d^2 / 100). The first person is
    # found twice, which is once too often. The second is found with one point 10 pixels off: the
    # mean of exp(-1) and 1 is above 1/2, and the third point, which is not labelled, counts not.
    GoldenCase(
        "ap50-keypoints",
        AnswerKind.POSE,
        {
            "1": [
                [
                    {"keypoints": [[0, 0, 2], [0, 50, 2], [0, 99, 2]], "area": 5000},
                    {"keypoints": [[200, 0, 2], [200, 50, 1], [0, 0, 0]], "area": 5000},
                ]
            ]
        },
        {
            "1": [
                {"keypoints": [[0, 0, 1], [0, 50, 1], [0, 99, 1]], "score": 0.9},
                {"keypoints": [[0, 0, 1], [0, 50, 1], [0, 99, 1]], "score": 0.8},
                {"keypoints": [[210, 0, 1], [200, 50, 1], [900, 900, 1]], "score": 0.7},
            ]
        },
        HIT_ALARM_HIT,
        {"form": "keypoints"},
    ),
    # IoU 1/2 is enough, 0.4 is not; of two boxes the surer counts, here the wrong one; one is
    # missing; of two boxes the surer is right.
    GoldenCase(
        "grounding-accuracy",
        AnswerKind.BOXES,
        {str(item): [[_box(0, 0, 10, 10)]] for item in range(5)},
        {
            "0": [_box(0, 0, 10, 5)],
            "1": [_box(0, 0, 10, 4)],
            "2": [_box(0, 0, 10, 10, score=0.1), _box(50, 0, 10, 10, score=0.2)],
            "4": [_box(50, 0, 10, 10, score=0.1), _box(0, 0, 10, 10, score=0.2)],
        },
        40.0,
        {"iou": "0.5"},
    ),
    # Of the two triplets the surest two hold one, the third comes too late. An image without
    # triplets is 100 for any answer.
    GoldenCase(
        "scene-graph-recall",
        AnswerKind.SCENE_GRAPH,
        {
            "1": [
                {
                    "objects": [
                        _box(0, 0, 10, 10, label="man"),
                        _box(20, 0, 10, 10, label="horse"),
                    ],
                    "relations": [
                        {"subject": 0, "predicate": "rides", "object": 1},
                        {"subject": 0, "predicate": "feeds", "object": 1},
                    ],
                }
            ],
            "2": [{"objects": [], "relations": []}],
        },
        {
            "1": {
                "objects": [
                    _box(0, 0, 10, 5, label="man"),
                    _box(20, 0, 10, 10, label="horse"),
                ],
                "relations": [
                    {"subject": 0, "predicate": "feeds", "object": 1, "score": 0.1},
                    {"subject": 1, "predicate": "rides", "object": 0, "score": 0.9},
                    {"subject": 0, "predicate": "rides", "object": 1, "score": 0.8},
                ],
            },
            "2": {"objects": [], "relations": []},
        },
        75.0,
        {"k": "2"},
    ),
    # The surest tube shares 2 frames of 6, with an IoU of 1/2 in each.
    GoldenCase(
        "tube-viou",
        AnswerKind.TUBES,
        {"1": [[{"frames": [0, 1, 2, 3], "boxes": [[0, 0, 10, 10]] * 4}]]},
        {
            "1": [
                {"frames": [0, 1, 2, 3], "boxes": [[0, 0, 10, 10]] * 4, "score": 0.1},
                {"frames": [2, 3, 4, 5], "boxes": [[0, 0, 10, 5]] * 4, "score": 0.9},
            ]
        },
        100 / 6,
    ),
    # Of the 21 thresholds an IoU of 1 passes 20, of 1/2 passes 10, a frame left out none. Where the
    # key's box is empty the frame does not count.
    GoldenCase(
        "success-auc",
        AnswerKind.TRACKS,
        {
            "1": [
                [
                    {
                        "track": 1,
                        "frames": [0, 1, 2, 3],
                        "boxes": [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 0, 0]],
                    }
                ]
            ]
        },
        {
            "1": [
                {
                    "track": 1,
                    "frames": [0, 1, 3],
                    "boxes": [[0, 0, 10, 10], [0, 5, 10, 5], [0, 0, 10, 10]],
                }
            ]
        },
        100 * (20 + 10 + 0) / 21 / 3,
    ),
)
