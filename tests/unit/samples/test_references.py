"""The committed references are what the specialists reach."""

from __future__ import annotations

import pytest

from general_level.catalogue import Catalogue
from samples.example import Question, Split
from samples.ratings import FOLLOWED, NOT_FOLLOWED, verdict
from samples.references import reference
from samples.specialists import SPECIALISTS
from tests.unit.samples.conftest import examples

#: Their numbers pass through an iterative or a slow search, or through trees of many splits.
SEARCHING = (
    *("video-g-002", "3d-g-002", "video-c-003", "video-c-004"),
    *("video-c-005", "image-c-012"),
)
EXACT = [task_id for task_id in SPECIALISTS if task_id not in SEARCHING]


@pytest.mark.parametrize("task_id", EXACT)
def test_the_specialist_reaches_the_committed_reference(task_id: str, catalogue: Catalogue) -> None:
    committed = catalogue.references().references[task_id].score
    # A step of the last decimal is left to the arithmetic of another processor.
    assert reference(catalogue.tasks[task_id]) == pytest.approx(committed, abs=1.1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("task_id", SEARCHING)
def test_searching_specialists_reach_theirs(task_id: str, catalogue: Catalogue) -> None:
    committed = catalogue.references().references[task_id].score
    assert reference(catalogue.tasks[task_id]) == pytest.approx(committed, rel=1e-3)


DEMAND = Question({"question": 'Write one sentence of exactly 6 words with the word "train".'})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("We saw the train at home.", FOLLOWED),
        ("We saw the train at home", NOT_FOLLOWED),
        ("we saw the train at home.", NOT_FOLLOWED),
        ("We saw the train.", NOT_FOLLOWED),
        ("We saw the boat at home.", NOT_FOLLOWED),
        ("Train train train train the boat.", NOT_FOLLOWED),
        ("", NOT_FOLLOWED),
    ],
)
def test_the_rule_of_the_rated_task(answer: str, expected: float) -> None:
    assert verdict(DEMAND, answer) == expected


def test_the_shipped_sentences_follow_the_rule() -> None:
    for example in examples("language-008", Split.TEST):
        assert verdict(example.question, example.answer) == FOLLOWED
