"""Scores of answers against the sample benchmark's own: for references and for tests.

The automatic metrics are the grader's; a rated task is judged by `samples.ratings.verdict`, and
the one metric that no grader has yet is computed here, for its reference alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from general_level.catalogue import Grading, Task, load
from samples.build import CATALOGUE_NAME
from samples.example import Answer, Example
from samples.media import read_png
from samples.ratings import verdict
from services.grader.metrics.table import TEXT_METRICS
from services.grader.scoring import metric_options
from services.grader.sealing.answers import accepted_answers

_LARGEST_GREY = 255.0


def score(task: Task, answers: Sequence[Answer], examples: Sequence[Example]) -> float:
    """The raw value of the task's metric, in the catalogue's unit. Answers are one per example."""
    metric = load(name=CATALOGUE_NAME).metric_of(task.id)
    if metric.grading is Grading.RATINGS:
        pairs = zip(examples, answers, strict=True)
        return float(np.mean([verdict(example.question, answer) for example, answer in pairs]))
    if metric.grading is Grading.PLANNED:
        wanted = [example.answer for example in examples]
        return float(np.mean([_psnr(*pair) for pair in zip(answers, wanted, strict=True)]))
    scorer = TEXT_METRICS[metric.id]
    references = [accepted_answers(task, example.answer) for example in examples]
    options = metric_options(task.options or {}, scorer.options)
    return scorer.function(list(answers), references, **options).value


def _psnr(given: bytes, wanted: bytes) -> float:
    """10 log10 of the squared range over the mean squared error, in dB; pictures must differ."""
    error = read_png(given).astype(np.float64) - read_png(wanted)
    return float(10 * np.log10(_LARGEST_GREY**2 / np.mean(error**2)))
