"""Structured answers as rows: nothing is lost on the way, and every row is an answer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from general_level.catalogue import Catalogue, Direction, Grading, load
from general_level.submission.findings import FindingSink
from general_level.submission.schema import parse_predictions
from samples.baselines.codec import Codec, Uneven
from samples.baselines.columns import STRUCTURED_KINDS
from samples.example import Media, Split, generator, placed
from samples.media import png
from samples.scores import score
from tests.unit.samples.conftest import examples

STRUCTURED = [
    task.id for task in load(name="sample").tasks.values() if task.answer_kind in STRUCTURED_KINDS
]


@pytest.mark.parametrize("task_id", STRUCTURED)
def test_answers_come_back_as_they_went(task_id: str, catalogue: Catalogue) -> None:
    task, metric = catalogue.tasks[task_id], catalogue.metric_of(task_id)
    test = examples(task_id, Split.TEST)
    answers = [example.answer for example in test]
    codec = Codec(task.answer_kind, answers)
    back = codec.answers(codec.rows(answers))
    if metric.grading is Grading.PLANNED:
        # Half floats are rounded once more.
        assert np.allclose(codec.rows(back), codec.rows(answers), atol=0.01)
    elif metric.direction is Direction.LOWER:
        assert score(task, back, test) < 0.01
    elif metric.unit == "dB":
        assert score(task, back, test) > 75
    else:
        assert score(task, back, test) > 95


@pytest.mark.parametrize("task_id", STRUCTURED)
def test_every_row_is_an_answer_of_the_kind(task_id: str, catalogue: Catalogue) -> None:
    task = catalogue.tasks[task_id]
    answers = [example.answer for example in examples(task_id, Split.TRAIN)]
    codec = Codec(task.answer_kind, answers)
    rows = 3 * generator(task_id, Split.TEST).normal(size=(20, codec.rows(answers).shape[1]))
    given = codec.answers(rows)
    predictions = [
        {"id": number, "prediction": placed(answer, number)[0]}
        for number, answer in enumerate(given, start=1)
    ]
    sink = FindingSink()
    parse_predictions(
        task.answer_kind,
        task.options,
        json.dumps(predictions).encode(),
        path="prediction.json",
        sink=sink,
    )
    assert sink.ok
    assert not sink.findings


def test_lists_keep_their_length_and_order(catalogue: Catalogue) -> None:
    kind = catalogue.tasks["video-c-006"].answer_kind
    answers = [
        [{"frames": [1, 2, 3], "boxes": [[0, 0, 8, 8]] * 3}],
        [{"frames": [4, 5], "boxes": [[2, 0, 8, 8]] * 2}],
    ]
    codec = Codec(kind, answers)
    rows = codec.rows(answers)
    # Half-way the lengths are 2.5, and the frames round to 2 (or 3), 4, 3.
    (tube,) = codec.answers(rows.mean(axis=0, keepdims=True))[0]
    assert len(tube["frames"]) == len(tube["boxes"]) == 2
    assert tube["frames"][0] < tube["frames"][1]


def test_files_of_two_sizes_have_no_structure(catalogue: Catalogue) -> None:
    kind = catalogue.tasks["image-g-003"].answer_kind
    sizes = [np.zeros((4, side), dtype=np.uint8) for side in (4, 5)]
    with pytest.raises(Uneven):
        Codec(kind, [Media(png(picture), ".png") for picture in sizes])
