"""Scoring inside the scorer process, its faults, and the numbers that it answers in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from general_level import catalogue
from general_level.catalogue.model import Modality
from general_level.statements import GraderInfo, ScoreStatement
from services.grader import golden, scorer_protocol
from services.grader.computing import align, compute
from services.grader.decode import columns
from services.grader.decode.columns import Answers
from services.grader.decode.frames import FrameInvalid
from services.grader.golden import GoldenCase, texts
from services.grader.keys import KeyUnavailable
from services.grader.media.table import BINDINGS
from services.grader.metric_options import metric_options
from services.grader.metrics.table import TEXT_METRICS
from services.grader.outcomes import Fault, GraderFault
from services.grader.pipeline import served_metrics
from services.grader.ratings import mean_rating
from services.grader.scorer_process import ScorerProcess
from services.grader.scorer_protocol import ScorerConfig
from services.grader.scoring import (
    JobFacts,
    Scorer,
    ScoringFault,
    SignedScore,
    Stage,
)
from services.kit.clock import ManualClock
from services.kit.ratings import RatingsInvalid, parse_ratings

BENCH = catalogue.load()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMMITMENT = "c0" * 32


@dataclass(frozen=True)
class Item:
    id: str
    references: Sequence[Any]


@dataclass(frozen=True)
class Key:
    items: Sequence[Item]
    media: Mapping[str, bytes] = field(default_factory=dict)
    key_version: str = "1"
    commitment: str = COMMITMENT


@dataclass
class Keys:
    """Keys in memory."""

    keys: Mapping[str, Key]

    def read(self, task_id: str) -> Key:
        if task_id not in self.keys:
            raise KeyUnavailable(what="key", why="unknown-task")
        return self.keys[task_id]


@dataclass
class Signer:
    """Keeps what it was asked to sign."""

    signed: list[ScoreStatement] = field(default_factory=list)

    def __call__(self, statement: ScoreStatement) -> bytes:
        self.signed.append(statement)
        return b"envelope"


TASK = "image-c-001"
KEY = Key([Item("1", ["cat"]), Item("2", ["dog"]), Item("3", ["cow"])])
FACTS = JobFacts("submission", TASK, BENCH.id, "ab" * 32, {"folder/prediction.json": "cd" * 32})


def scorer(keys: Mapping[str, Key], signer: Signer | None = None) -> Scorer:
    info = GraderInfo("sha256:0", "cpu", "1")
    return Scorer(BENCH, Keys(keys), signer or Signer(), info, ManualClock(NOW))


def labels(answers: Mapping[str, str]) -> Mapping[str, Any]:
    packed = Answers(list(answers), list(answers.values()), list(range(len(answers))))
    return columns.pack(BENCH.tasks[TASK].answer_kind, packed)


def test_a_score_is_signed_with_everything_it_is_about() -> None:
    signer = Signer()
    score = scorer({TASK: KEY}, signer).score(FACTS, labels({"2": "dog", "9": "cat", "1": "hen"}))
    # Six digits of the value leave, three of its error.
    assert (score.value, score.standard_error) == (33.3333, 33.3)
    assert (score.item_count, score.missing_count) == (3, 1)
    assert score.unknown_rows == (1,)
    (statement,) = signer.signed
    assert statement.scored_time == NOW
    assert (statement.metric_id, statement.metric_version) == ("accuracy", 1)
    assert (statement.key_version, statement.key_commitment) == ("1", COMMITMENT)
    assert statement.members == FACTS.members


def fault_of(made: Scorer, facts: JobFacts, arrays: Mapping[str, Any]) -> tuple[Fault, Stage]:
    with pytest.raises(ScoringFault) as caught:
        made.score(facts, arrays)
    # Its text and its causes repeat nothing of what was scored.
    assert caught.value.__cause__ is None
    assert "secret" not in str(caught.value)
    return caught.value.fault, caught.value.stage


def test_every_other_end_is_a_fault_with_a_code() -> None:
    good, arrays = scorer({TASK: KEY}), labels({"1": "cat"})
    other = replace(FACTS, task_id="no-such-task")
    assert fault_of(good, other, arrays) == (Fault.KEY_UNAVAILABLE, Stage.READING)
    other = replace(FACTS, catalogue_id="another")
    assert fault_of(good, other, arrays) == (Fault.KEY_UNAVAILABLE, Stage.READING)
    assert fault_of(scorer({}), FACTS, arrays) == (Fault.KEY_UNAVAILABLE, Stage.OPENING_KEY)
    broken = {**arrays, "rows": np.array([-1])}
    assert fault_of(good, FACTS, broken) == (Fault.DECODER_CRASHED, Stage.UNPACKING)
    empty = scorer({TASK: Key([])})
    assert fault_of(empty, FACTS, arrays) == (Fault.ILLEGAL_SCORE, Stage.COMPUTING)
    odd = scorer({TASK: Key([Item("1", "secret")])})
    assert fault_of(odd, FACTS, arrays) == (Fault.ILLEGAL_SCORE, Stage.COMPUTING)
    unsigned = replace(FACTS, members={})
    refusing = Scorer(
        BENCH, Keys({TASK: KEY}), Signer(), GraderInfo("", "cpu", "1"), ManualClock(NOW)
    )
    assert fault_of(refusing, FACTS, arrays) == (Fault.INTERNAL, Stage.SIGNING)
    assert fault_of(good, unsigned, arrays) == (Fault.INTERNAL, Stage.SIGNING)


def test_answers_are_put_in_the_order_of_the_key() -> None:
    answers = Answers(["b", "x", "a"], [2, 9, 1], [0, 1, 2])
    assert align(answers, ["a", "b", "c"]) == ([1, 2, None], (1,))


def test_a_tasks_options_become_the_metrics_keywords() -> None:
    given = {"k": "50", "tokens": "characters", "separator": "<p>"}
    assert metric_options(given, frozenset({"k"})) == {"k": 50}
    assert metric_options(given, frozenset({"unit"})) == {"unit": "character"}
    assert metric_options(given, frozenset()) == {}


def test_every_option_of_the_catalogue_is_known_to_schema_or_metric() -> None:
    schema = {"separator", "form", "language", "depth_scale"}
    unread = set()
    for task in BENCH.tasks.values():
        metric = TEXT_METRICS.get(task.metric_id) or BINDINGS.get(task.metric_id)
        if metric is not None:
            options = set(task.options or {}) - schema
            if len(metric_options(task.options or {}, metric.options)) != len(options):
                unread.add(task.id)
    assert not unread


@pytest.mark.parametrize("case", texts.CASES, ids=lambda case: case.metric_id)
def test_every_golden_case_of_texts_has_its_known_score(case: GoldenCase) -> None:
    rows = list(range(len(case.answers)))
    answers = Answers(list(case.answers), list(case.answers.values()), rows)
    metric = BENCH.metrics[case.metric_id]
    computed = compute(metric, case.kind, case.options, case, answers, case.ratings)
    assert case.matches(computed.result.value)
    assert computed.unknown_rows == ()
    assert case.kind in metric.answer_kinds


def test_every_text_metric_is_served_somewhere_or_has_no_task() -> None:
    served = {m for modality in Modality for m in served_metrics(BENCH, modality.value)}
    used = {task.metric_id for task in BENCH.tasks.values()}
    assert used & set(TEXT_METRICS) <= served
    assert served <= set(golden.CASES)


def test_results_cross_as_numbers() -> None:
    score = SignedScore(12.5, None, 4, 1, b"envelope", (7,), (2, 3))
    assert scorer_protocol.decode_result(scorer_protocol.encode_score(score)) == score
    with_error = replace(score, standard_error=0.5)
    assert scorer_protocol.decode_result(scorer_protocol.encode_score(with_error)) == with_error
    fault = ScoringFault(Fault.ILLEGAL_SCORE, Stage.COMPUTING)
    with pytest.raises(ScoringFault) as caught:
        scorer_protocol.decode_result(scorer_protocol.encode_fault(fault))
    assert (caught.value.fault, caught.value.stage) == (fault.fault, fault.stage)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("fault", np.array([99], dtype=np.uint8)),
        ("fault", np.array([], dtype=np.uint8)),
        ("value", np.array([1.0, 2.0])),
        ("value", np.array([1], dtype=np.int64)),
        ("standard_error", np.array([1.0, 2.0])),
        ("counts", np.array([1, 2])),
        ("counts", np.array([-1, -1])),
        ("envelope", np.array([], dtype=np.uint8)),
        ("envelope", np.zeros(70_000, dtype=np.uint8)),
        ("unknown_rows", np.arange(101)),
        ("unfit_rows", np.arange(101)),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(name: str, array: Any) -> None:
    arrays = scorer_protocol.encode_score(SignedScore(12.5, 0.5, 4, 1, b"envelope", ()))
    stage = np.array([0], dtype=np.uint8)
    with pytest.raises(FrameInvalid):
        scorer_protocol.decode_result({**arrays, "stage": stage, name: array})


@pytest.mark.parametrize("name", ["job", "ratings", "golden", "parts"])
async def test_a_box_cannot_speak_for_the_worker(name: str) -> None:
    config = ScorerConfig(
        "sample", None, Path("keys"), Path("identity"), Path("key"), 2**33, "sha256:0", "cpu", "1"
    )
    arrays = {**labels({"1": "cat"}), name: np.frombuffer(RATINGS, dtype=np.uint8)}
    scorer = ScorerProcess(config, lambda: None)
    with pytest.raises(GraderFault) as caught:
        await scorer.score(FACTS, arrays, 1.0)
    assert caught.value.fault is Fault.DECODER_CRASHED
    with pytest.raises(GraderFault) as caught:
        await scorer.self_test("accuracy", arrays, 1.0)
    assert caught.value.fault is Fault.DECODER_CRASHED


RATINGS = (
    b'{"raters": "three", "ratings": [{"id": 1, "ratings": [1, 3]}, {"id": "b", "ratings": [5]}]}'
)


def test_ratings_are_averaged_per_item_then_over_the_key() -> None:
    ratings = parse_ratings(RATINGS, 1, 5)
    assert ratings == {"1": [1.0, 3.0], "b": [5.0]}
    result = mean_rating(ratings, ["1", "b", "c"], {"1", "b"}, worst=1.0)
    assert (result.value, result.n, result.missing) == (pytest.approx(8 / 3), 3, 1)
    assert result.stderr == pytest.approx(np.std([2, 5, 1], ddof=1) / np.sqrt(3))


def test_an_item_that_was_not_answered_is_worst_even_if_it_was_rated() -> None:
    result = mean_rating(parse_ratings(RATINGS, 1, 5), ["1", "b"], {"1"}, worst=1.0)
    assert (result.value, result.missing) == (1.5, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"ratings": []}',
        b'{"ratings": [{"id": "1", "ratings": []}]}',
        b'{"ratings": [{"id": "1", "ratings": [0.9]}]}',
        b'{"ratings": [{"id": "1", "ratings": [5.1]}]}',
        b'{"ratings": [{"id": "1", "ratings": [NaN]}]}',
        b'{"ratings": [{"id": "1", "ratings": [true]}]}',
        b'{"ratings": [{"id": "1", "ratings": ["3"]}]}',
        b'{"ratings": [{"id": true, "ratings": [3]}]}',
        b'{"ratings": [{"id": "", "ratings": [3]}]}',
        b'{"ratings": [{"id": "1", "ratings": [3]}, {"id": 1, "ratings": [3]}]}',
        b'{"ratings": ' + b"[" * 100_000,
    ],
)
def test_ratings_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(RatingsInvalid):
        parse_ratings(data, 1, 5)


def test_ratings_fit_the_key_and_the_answers() -> None:
    ratings = parse_ratings(RATINGS, 1, 5)
    with pytest.raises(RatingsInvalid):
        mean_rating(ratings, ["1"], {"1"}, worst=1.0)  # b is no item
    with pytest.raises(RatingsInvalid):
        mean_rating(ratings, ["1", "b", "c"], {"1", "b", "c"}, worst=1.0)  # c has no verdict


def test_the_scorer_imports_no_grpc_no_torch_and_no_parser_of_labs_files() -> None:
    program = (
        "import sys, services.grader.scorer, services.grader.metrics.table;"
        "print(*[m for m in ('grpc', 'torch', 'PIL', 'sqlalchemy', "
        "'general_level.submission.schema', 'general_level.submission.archive', "
        "'services.grader.decode.decoders') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == []
