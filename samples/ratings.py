"""The rule that rates "Sentence On Demand", so that an import of ratings has something to import.

A language model or people would be the judge of such a task. Here a stated rule is, and the file
says so: the verdicts are computed from the answers, never made up.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any, Final

from general_level.catalogue import Grading, Task, load
from general_level.errors import InvalidRequest
from samples.build import CATALOGUE_NAME
from samples.example import Question
from samples.predict import BundleTask, read_bundle

RATER: Final = (
    "the sample benchmark's rule: number of words, the word asked for, no word thrice, a full stop"
)
#: Verdicts in the metric's unit.
FOLLOWED, NOT_FOLLOWED = 100.0, 0.0

_DEMAND = re.compile(r'exactly (\d+) words with the word "(\w+)"')
_MOST_REPEATS = 2


class NothingToRate(InvalidRequest):
    """The archive holds no answers to a rated task."""

    reason = "NOTHING_TO_RATE"


def verdict(question: Question, answer: str) -> float:
    """100 where the sentence is as it was asked for, else 0."""
    demand = _DEMAND.search(question.text)
    if demand is None:
        raise ValueError("the question asks for no sentence")
    words = re.findall(r"[a-z]+(?:'[a-z]+)?", answer.lower())
    follows = (
        len(words) == int(demand[1])
        and demand[2] in words
        and max(map(words.count, words), default=0) <= _MOST_REPEATS
        and answer[:1].isupper()
        and answer.strip().endswith(".")
    )
    return FOLLOWED if follows else NOT_FOLLOWED


def rated_task() -> Task:
    """The sample benchmark's one rated task."""
    catalogue = load(name=CATALOGUE_NAME)
    (task,) = (
        task
        for task in catalogue.tasks.values()
        if catalogue.metric_of(task.id).grading is Grading.RATINGS
    )
    return task


def rate(archive: Path, inputs: Path) -> dict[str, Any]:
    """The verdicts on an archive's answers: ``{"raters", "ratings": [{"id", "ratings"}]}``.

    Raises NothingToRate.
    """
    task = rated_task()
    _, tasks = read_bundle(inputs)
    asked = next((bundle for bundle in tasks if bundle.task.id == task.id), None)
    with zipfile.ZipFile(archive) as file:
        member = f"{task.archive_path}/prediction.json"
        if asked is None or member not in file.namelist():
            raise NothingToRate(archive.name)
        rows = json.loads(file.read(member))
    return {"raters": RATER, "ratings": [_rated(asked, row) for row in rows]}


def _rated(asked: BundleTask, row: dict[str, Any]) -> dict[str, Any]:
    question = asked.questions[list(asked.ids).index(row["id"])]
    return {"id": row["id"], "ratings": [verdict(question, row["prediction"])]}
