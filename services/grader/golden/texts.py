"""Golden cases of answers in words and numbers, and of measures that people rate."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

from general_level.catalogue.model import AnswerKind
from services.grader.golden.case import GoldenCase


def _ratings(verdicts: Mapping[str, list[float]]) -> bytes:
    rows = [{"id": item, "ratings": given} for item, given in verdicts.items()]
    return json.dumps({"raters": "built in", "ratings": rows}).encode()


_CODE: Final = "def double(x):\n    y = x + x\n    return y\n"

CASES: Final = (
    GoldenCase(
        # One right, one right but for its case, one wrong, one absent.
        "accuracy",
        AnswerKind.LABEL,
        {"1": ["cat"], "2": ["dog"], "3": ["cow"], "4": ["hen"]},
        {"1": "cat", "2": "DOG", "3": "hen"},
        50.0,
    ),
    GoldenCase(
        # Half of the cats, every dog.
        "macro-accuracy",
        AnswerKind.LABEL,
        {"1": ["cat"], "2": ["cat"], "3": ["dog"]},
        {"1": "cat", "2": "dog", "3": "dog"},
        75.0,
    ),
    GoldenCase(
        # F1 of each class is 2/3.
        "weighted-f1",
        AnswerKind.LABEL,
        {"1": ["cat"], "2": ["cat"], "3": ["dog"]},
        {"1": "cat", "2": "dog", "3": "dog"},
        200 / 3,
    ),
    GoldenCase(
        "exact-match",
        AnswerKind.TEXT,
        {"1": ["red car", "red auto"], "2": ["blue bus"]},
        {"1": "Red auto", "2": "green bus"},
        50.0,
    ),
    GoldenCase(
        "contains-accuracy",
        AnswerKind.TEXT,
        {"1": ["red car"], "2": ["blue bus"]},
        {"1": "It must be a red car.", "2": "It must be a green bus."},
        50.0,
    ),
    GoldenCase(
        # Two of three predicted labels are right, and two of three expected ones are found.
        "micro-f1",
        AnswerKind.LABELS,
        {"1": ["cat"], "2": ["dog<p>cow"]},
        {"1": ["cat", "hen"], "2": ["dog"]},
        200 / 3,
    ),
    GoldenCase(
        "token-f1",
        AnswerKind.TEXT,
        {"1": ["red bus"], "2": ["blue bus"]},
        {"1": "red car", "2": "blue bus"},
        75.0,
    ),
    GoldenCase(
        # Every word is right; the brevity penalty is exp(1 - 4/3).
        "bleu-1",
        AnswerKind.TEXT,
        {"1": ["the cat sat down"]},
        {"1": "the cat sat"},
        100 * math.exp(1 - 4 / 3),
    ),
    GoldenCase(
        "bleu-1-corpus",
        AnswerKind.TEXT,
        {"1": ["the cat sat down"]},
        {"1": "the cat sat"},
        100 * math.exp(1 - 4 / 3),
    ),
    GoldenCase(
        "bleu-4-corpus",
        AnswerKind.TEXT,
        {"1": ["the cat sat on the mat today"]},
        {"1": "the cat sat on the mat"},
        100 * math.exp(1 - 7 / 6),
    ),
    GoldenCase("rouge-1", AnswerKind.TEXT, {"1": ["red bus"]}, {"1": "red car"}, 50.0),
    GoldenCase(
        # The common subsequence has 2 words of 3 and of 2.
        "rouge-l",
        AnswerKind.TEXT,
        {"1": ["red car"]},
        {"1": "red big car"},
        80.0,
    ),
    GoldenCase(
        # One caption is the reference, 10 on CIDEr's own scale; the other shares nothing with it.
        "cider",
        AnswerKind.TEXT,
        {"1": ["a red car turns left"], "2": ["two dogs play in snow"]},
        {"1": "a red car turns left", "2": "nobody swims under water today"},
        500.0,
    ),
    GoldenCase("codebleu", AnswerKind.CODE, {"1": [_CODE]}, {"1": _CODE}, 100.0),
    GoldenCase("anls", AnswerKind.TEXT, {"1": ["hello"]}, {"1": "hallo"}, 80.0),
    GoldenCase(
        "wer", AnswerKind.TEXT, {"1": ["one two three four"]}, {"1": "one two tree four"}, 25.0
    ),
    GoldenCase(
        "recall-at-k",
        AnswerKind.RANKING,
        {"1": ["cat"], "2": ["dog"]},
        {"1": ["cow", "cat"], "2": ["cow"]},
        50.0,
        {"k": "2"},
    ),
    GoldenCase("mae", AnswerKind.NUMBER, {"1": [2.0], "2": [1.0]}, {"1": 1, "2": 4}, 2.0),
    GoldenCase("mse", AnswerKind.NUMBER, {"1": [2.0], "2": [1.0]}, {"1": 1, "2": 4}, 5.0),
    GoldenCase("rmse", AnswerKind.SERIES, {"1": [[2.0, 1.0]]}, {"1": [1, 4]}, math.sqrt(5.0)),
    GoldenCase(
        # One item has a mean verdict of 50, the other is absent and has the worst.
        "gpt-score",
        AnswerKind.TEXT,
        {"1": ["-"], "2": ["-"]},
        {"1": "an answer"},
        25.0,
        ratings=_ratings({"1": [0.0, 100.0]}),
    ),
    GoldenCase(
        "mos",
        AnswerKind.AUDIO,
        {"1": ["-"], "2": ["-"]},
        {"1": "a.wav"},
        2.5,
        ratings=_ratings({"1": [3.0, 5.0]}),
    ),
    GoldenCase(
        "user-preference",
        AnswerKind.VIDEO,
        {"1": ["-"]},
        {"1": "a.mp4"},
        70.0,
        ratings=_ratings({"1": [60.0, 80.0]}),
    ),
)
