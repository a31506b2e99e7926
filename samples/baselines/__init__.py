"""Four honest baselines: each sees the inputs bundle and its own training data, no answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from general_level.catalogue import Task
from samples.baselines.linear import linear
from samples.baselines.majority import majority
from samples.baselines.neighbour import neighbour
from samples.baselines.polyglot import polyglot
from samples.example import Answer, Example, Features, Question

#: From a task, its general features, training examples and questions to one answer for each
#: question; None where the baseline does not support the task.
Predictor = Callable[
    [Task, Features, Sequence[Example], Sequence[Question]], Sequence[Answer] | None
]


@dataclass(frozen=True, slots=True)
class Baseline:
    """One baseline and the name under which it is submitted."""

    id: str
    model_name: str
    description: str
    predict: Predictor


_ALL = (
    Baseline(
        "majority",
        "Sample Majority",
        "Always the commonest training answer; comprehension and language only.",
        majority,
    ),
    Baseline(
        "neighbour",
        "Sample Neighbour",
        "The answer of the nearest training question, in every modality and paradigm.",
        neighbour,
    ),
    Baseline(
        "linear",
        "Sample Linear",
        "Ridge regression and ridge classification of general features.",
        linear,
    ),
    Baseline(
        "polyglot",
        "Sample Polyglot",
        "For every task the general method that cross-validates best on its training data.",
        polyglot,
    ),
)

#: The baselines by id, weakest first.
BASELINES: Mapping[str, Baseline] = MappingProxyType({baseline.id: baseline for baseline in _ALL})
