"""Scores of answers against the sample benchmark's own: for references and for tests.

The automatic metrics are the grader's; a rated task is judged by `samples.ratings.verdict`. Metrics
that wait for a network are known for one case alone: what is compared with itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from general_level.catalogue import Grading, Task, load
from samples.build import CATALOGUE_NAME
from samples.example import Answer, Example, placed
from samples.ratings import verdict
from services.grader.media.binding import MediaJob
from services.grader.media.key_reader import KeyReader
from services.grader.media.table import BINDINGS
from services.grader.metric_options import metric_options
from services.grader.metrics.table import TEXT_METRICS
from services.grader.networks import HeldNetworks, NetworkSettings
from services.grader.sealing.answers import accepted_answers

#: The value where all answers are the key's own files, whatever a network sees in them: the Fréchet
#: distance of a set from itself, the cosine of a vector with itself in percent.
_OF_EQUALS: Final[Mapping[str, float]] = MappingProxyType(
    {"fad": 0.0, "fvd": 0.0, "motion-fid": 0.0, "clip-image-score": 100.0}
)


class NetworkNeeded(ValueError):
    """Answers differ from the key, and only a network can say by how much."""


def score(task: Task, answers: Sequence[Answer], examples: Sequence[Example]) -> float:
    """The raw value of the task's metric, in the catalogue's unit. Answers are one per example.

    Raises NetworkNeeded.
    """
    metric = load(name=CATALOGUE_NAME).metric_of(task.id)
    wanted = [example.answer for example in examples]
    if metric.grading is Grading.RATINGS:
        pairs = zip(examples, answers, strict=True)
        return float(np.mean([verdict(example.question, answer) for example, answer in pairs]))
    if metric.grading is Grading.PLANNED:
        if list(answers) != wanted:
            raise NetworkNeeded(metric.id)
        return _OF_EQUALS[metric.id]
    options = task.options or {}
    keys, files = _placed(wanted)
    references = [accepted_answers(task, key) for key in keys]
    if metric.id in TEXT_METRICS:
        scorer = TEXT_METRICS[metric.id]
        keywords = metric_options(options, scorer.options)
        return scorer.function(list(answers), references, **keywords).value
    given, given_files = _placed(answers)
    reader = KeyReader(task.answer_kind, options, given_files)
    job = MediaJob(
        task.answer_kind,
        options,
        [reader.answer(answer) for answer in given],
        references,
        KeyReader(task.answer_kind, options, files),
        HeldNetworks(NetworkSettings()),  # those without weights
    )
    return BINDINGS[metric.id].compute(job).value


def _placed(answers: Sequence[Answer]) -> tuple[list[Any], dict[str, bytes]]:
    """Answers with paths for their files, and all files by path."""
    values: list[Any] = []
    files: dict[str, bytes] = {}
    for number, answer in enumerate(answers, start=1):
        value, of_answer = placed(answer, number)
        values.append(value)
        files |= of_answer
    return values, files
