"""Offline scoring: the service's score of two plain files, and nothing of the answers beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from general_level.catalogue import Catalogue, Grading, Modality, Task, load, to_score
from general_level.errors import ScoreRefused, UnknownTask
from general_level.statements import GraderInfo
from general_level.submission import Code, FindingSink, parse_predictions
from services.grader.__main__ import main
from services.grader.decode import columns
from services.grader.decode.columns import Answers
from services.grader.decode.formats.writers import png
from services.grader.golden import GoldenCase, texts
from services.grader.identities import Identity
from services.grader.keys import KeyBundle
from services.grader.offline import (
    AnswersUnusable,
    MetricNotServed,
    OfflineScore,
    RatingsUnusable,
    ScoringFailed,
    score_offline,
)
from services.grader.scoring import ERROR_DIGITS, VALUE_DIGITS, JobFacts, Scorer
from services.grader.sealing import seal
from services.kit.clock import ManualClock
from tests.support.grader_files import prediction_json
from tests.unit.grader.models.tiny import write_all

BENCH = load()
SPORTS = "image-c-003"  # accuracy of labels
CROWD = "image-c-159"  # error of numbers
#: No output that a test scores well holds this by chance.
CANARY = "canary-7f3a"


class Files:
    """The files of one task, as an operator has them."""

    def __init__(self, root: Path, task: Task) -> None:
        self.root = root
        self.task = task
        self.answers = root / "benchmark" / task.archive_path / "annotation.json"
        self.archive = root / "archive"
        self.predictions = self.archive / task.archive_path / "prediction.json"
        self.answers.parent.mkdir(parents=True)
        self.predictions.parent.mkdir(parents=True)

    def annotate(self, outputs: Mapping[str, Any], **fields: object) -> Files:
        items = [{"id": item, "input": "?", "output": out} for item, out in outputs.items()]
        content = {"task": self.task.name, "type": "comprehension", "data": items, **fields}
        self.answers.write_text(json.dumps(content))
        return self

    def predict(self, answers: Mapping[str, Any]) -> Files:
        return self.write(prediction_json(answers))

    def write(self, content: bytes) -> Files:
        self.predictions.write_bytes(content)
        return self

    def rate(self, verdicts: Mapping[str, Sequence[float]]) -> Path:
        file = self.root / "ratings.json"
        rows = [{"id": item, "ratings": list(given)} for item, given in verdicts.items()]
        file.write_text(json.dumps({"raters": "three", "ratings": rows}))
        return file

    def score(self, catalogue: Catalogue = BENCH, ratings: Path | None = None) -> OfflineScore:
        return score_offline(catalogue, self.task.id, self.predictions, self.answers, ratings)

    def command(self, *more: str) -> Result:
        files = ["--predictions", str(self.predictions), "--answers", str(self.answers)]
        return CliRunner().invoke(main, ["score", "--task", self.task.id, *files, *more])


@pytest.fixture
def sports(tmp_path: Path) -> Files:
    return Files(tmp_path, BENCH.tasks[SPORTS])


def grey_png(level: int, side: int = 16) -> bytes:
    rows = (b"\0" + bytes([level]) * side) * side
    return png(side, side, 8, 0, rows)


def only(task: Task, catalogue: Catalogue = BENCH) -> Catalogue:
    return replace(catalogue, tasks={task.id: task}, boards={})


def codes(outcome: OfflineScore) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.row) for finding in outcome.findings]


@pytest.mark.parametrize("case", texts.CASES, ids=lambda case: case.metric_id)
def test_every_metric_of_texts_gives_its_known_score(case: GoldenCase, tmp_path: Path) -> None:
    metric_id = case.metric_id
    used = [
        t for t in BENCH.tasks.values() if (t.metric_id, t.answer_kind) == (metric_id, case.kind)
    ]
    # The case's own options; where the catalogue has no such task, one is made into it.
    task = replace(
        (used or list(BENCH.tasks.values()))[0],
        metric_id=metric_id,
        answer_kind=case.kind,
        options=case.options,
    )
    files = Files(tmp_path, task).predict(case.answers)
    files.annotate({item: {"references": given} for item, given in case.key.items()})
    ratings = tmp_path / "ratings.json"
    ratings.write_bytes(case.ratings)
    if BENCH.metrics[metric_id].grading is Grading.RATINGS:
        for item, path in case.answers.items():
            (files.predictions.parent / str(path)).write_bytes(item.encode())
    outcome = files.score(only(task), ratings if case.ratings else None)
    assert outcome.score is not None
    assert case.matches(outcome.score)
    assert outcome.mapped == to_score(BENCH.metrics[metric_id], outcome.score)
    assert outcome.n == len(case.key)


#: Task, outputs as a benchmark has them, answers of a lab; each with an absent item.
ROUNDS: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = (
    (
        SPORTS,
        {"1": "polo", "2": ["rowing", "sculling"], "3": "golf"},
        {"2": "Sculling", "1": "golf"},
    ),
    ("image-c-240", {"1": "a<p>b", "2": ["c"], "3": "d, e"}, {"1": "b<p>a", "3": ["e", "f"]}),
    (CROWD, {"1": 3, "2": "4.5", "3": 10}, {"1": 2.5, "2": 4}),
    ("language-061", {"1": [1, 2.5], "2": [[3, 4], [5, 6]], "3": [0]}, {"1": [1, 2], "2": [5, 5]}),
    ("image-c-244", {"1": "on", "2": ["in", "under"], "3": "by"}, {"1": ["in", "on"], "2": ["on"]}),
    ("language-045", {"1": "print(1)", "2": "x = a + b", "3": "pass"}, {"1": "print(2)", "2": "x"}),
)


@pytest.mark.parametrize("given", ROUNDS, ids=[given[0] for given in ROUNDS])
def test_it_equals_what_a_grader_makes_of_the_sealed_key(
    given: tuple[str, Mapping[str, Any], Mapping[str, Any]], tmp_path: Path
) -> None:
    task_id, outputs, answers = given
    task = BENCH.tasks[task_id]
    files = Files(tmp_path, task).annotate(outputs).predict(answers)
    ours = files.score()

    identity = Identity.generate()
    recipients = {modality: [identity.recipient] for modality in Modality}
    sealed = tmp_path / "sealed"
    assert seal(
        tmp_path / "benchmark", sealed, catalogue=only(task), recipients=recipients
    ).complete
    sink = FindingSink()
    parsed = parse_predictions(
        task.answer_kind, task.options, files.predictions.read_bytes(), path="", sink=sink
    )
    scorer = Scorer(
        BENCH,
        KeyBundle.open(sealed / "keys" / f"{task.modality.value}.keys", identity),
        lambda _: b"envelope",
        GraderInfo("sha256:0", "cpu", "1"),
        ManualClock(datetime(2026, 3, 1, tzinfo=UTC)),
    )
    facts = JobFacts("submission", task_id, BENCH.id, "ab" * 32, {"prediction.json": "cd" * 32})
    theirs = scorer.score(
        facts, columns.pack(task.answer_kind, Answers(parsed.ids, parsed.values, parsed.rows))
    )
    # Fewer digits of it leave a grader.
    assert float(f"{ours.score:.{VALUE_DIGITS}g}") == theirs.value
    assert float(f"{ours.stderr:.{ERROR_DIGITS}g}") == theirs.standard_error
    assert (ours.n, ours.missing) == (theirs.item_count, theirs.missing_count) == (3, 1)


def test_the_json_has_raw_and_mapped_score(tmp_path: Path) -> None:
    files = Files(tmp_path, BENCH.tasks[CROWD]).annotate({"1": 3, "2": 5}).predict({"1": 2, "2": 5})
    result = files.command("--format", "json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert list(shown) == [
        "task", "metric", "score", "mapped", "n", "stderr", "missing", "findings",
    ]  # fmt: skip
    metric = BENCH.metric_of(CROWD)
    assert (shown["task"], shown["metric"]) == (CROWD, "mae")
    assert (shown["score"], shown["stderr"]) == (0.5, 0.5)
    assert shown["mapped"] == to_score(metric, 0.5) != 0.5
    assert (shown["n"], shown["missing"], shown["findings"]) == (2, 0, [])


def test_the_table_has_every_field_and_finding(sports: Files) -> None:
    sports.annotate({"1": "polo", "2": "golf"}).predict({"1": "polo"})
    result = sports.command()
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[:7] == [
        ["task", SPORTS], ["metric", "accuracy"], ["score", "50.0000"], ["mapped", "50.0000"],
        ["n", "2"], ["stderr", "50.0000"], ["missing", "1"],
    ]  # fmt: skip
    assert lines[7][:2] == [Code.ABSENT_IDS.value, "warning:"]


@pytest.mark.parametrize("place", ["predictions", "folder", "archive"])
@pytest.mark.parametrize("whole", [True, False])
def test_predictions_and_answers_may_be_named_by_their_folders(
    sports: Files, place: str, whole: bool
) -> None:
    sports.annotate({"1": "polo"}).predict({"1": "polo"})
    places = {"predictions": sports.predictions, "folder": sports.predictions.parent}
    predictions = places.get(place, sports.archive)
    answers = sports.answers.parent if whole else sports.answers
    assert score_offline(BENCH, SPORTS, predictions, answers).score == 100


def test_a_folder_without_the_tasks_file_is_a_finding(sports: Files) -> None:
    sports.annotate({"1": "polo"})
    outcome = score_offline(BENCH, SPORTS, sports.archive, sports.answers)
    assert codes(outcome) == [(Code.NO_PREDICTION_FILE.value, None)]
    assert outcome.refused


def test_absent_items_count_and_are_named(sports: Files) -> None:
    sports.annotate({"1": "polo", "2": "golf", "3": "golf"}).predict({"2": "golf"})
    outcome = sports.score()
    assert outcome.score == pytest.approx(100 / 3)
    assert (outcome.n, outcome.missing) == (3, 2)
    (finding,) = outcome.findings
    assert (finding.code, finding.warning) == (Code.ABSENT_IDS.value, True)
    assert finding.path == f"{BENCH.tasks[SPORTS].archive_path}/prediction.json"
    assert "1, 3" in finding.message


def test_unknown_ids_refuse_the_file_as_the_gateway_does(sports: Files) -> None:
    sports.annotate({"1": "polo"}).predict({"1": "polo", "01": "golf"})
    result = sports.command("--format", "json")
    assert result.exit_code == 1
    shown = json.loads(result.stdout)
    assert [(f["code"], f["row"], f["warning"]) for f in shown["findings"]] == [
        (Code.UNKNOWN_ID.value, 1, False)
    ]
    assert shown["score"] is shown["mapped"] is shown["stderr"] is shown["missing"] is None


def test_malformed_rows_are_all_told_and_nothing_is_scored(sports: Files) -> None:
    sports.annotate({"1": "polo", "2": "golf", "3": "golf"}).write(
        b'[{"id": 1, "prediction": 7}, {"id": "2"}, {"id": 1, "prediction": "a"},'
        b' {"id": 1, "prediction": "b"}]'
    )
    outcome = sports.score()
    assert codes(outcome) == [
        (Code.WRONG_TYPE.value, 0),
        (Code.MISSING_KEY.value, 1),
        (Code.DUPLICATE_ID.value, 3),
    ]
    assert outcome.refused
    assert sports.command().exit_code == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", Code.NOT_JSON),
        (b"{}", Code.NOT_A_LIST),
        (b"\xff", Code.NOT_UTF8),
        (b"[]", Code.EMPTY_LIST),
    ],
)
def test_a_file_that_is_no_list_of_rows_is_refused(
    sports: Files, content: bytes, code: Code
) -> None:
    outcome = sports.annotate({"1": "polo"}).write(content).score()
    assert (code.value, None) in codes(outcome)
    assert outcome.refused


def test_an_unknown_task_is_wrong_use(sports: Files) -> None:
    sports.annotate({"1": "polo"}).predict({"1": "polo"})
    result = sports.command("--task", "image-c-999")
    assert result.exit_code == 2
    assert "UNKNOWN_TASK" in result.stderr
    assert "image-c-999" in result.stderr
    with pytest.raises(UnknownTask):
        score_offline(BENCH, "", sports.predictions, sports.answers)


def test_another_catalogue_by_name_or_folder(tmp_path: Path) -> None:
    sample = load(name="sample")
    files = Files(tmp_path, sample.tasks["language-002"])
    files.annotate({"1": "five metres"}).predict({"1": "5 metres"})
    result = files.command("--catalogue", "sample", "--format", "json")
    assert json.loads(result.stdout)["score"] == 100
    result = files.command("--catalogue", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "CATALOGUE_INCONSISTENT" in result.stderr
    assert result.stderr.count("id is missing") == 1


def test_a_metric_without_a_scorer_is_named(tmp_path: Path) -> None:
    task = BENCH.tasks[SPORTS]
    planned = replace(BENCH.metrics[task.metric_id], grading=Grading.PLANNED)
    catalogue = replace(only(task), metrics={planned.id: planned})
    files = Files(tmp_path, task).annotate({"1": CANARY}).predict({"1": "a"})
    with pytest.raises(MetricNotServed) as caught:
        files.score(catalogue)
    assert caught.value.metadata == {"metric": task.metric_id, "task": task.id}


def test_a_metric_of_text_is_not_served_for_answers_of_another_kind(tmp_path: Path) -> None:
    other = BENCH.tasks[CROWD]
    task = replace(BENCH.tasks[SPORTS], answer_kind=other.answer_kind)
    files = Files(tmp_path, task).annotate({"1": 1}).predict({"1": 1})
    with pytest.raises(MetricNotServed):
        files.score(only(task))


class TestRatings:
    @pytest.fixture
    def judged(self, tmp_path: Path) -> Files:
        """A task whose metric is a judge's verdict in percent, with one absent item."""
        task = next(t for t in BENCH.tasks.values() if t.metric_id == "gpt-score")
        files = Files(tmp_path, task).annotate({"1": "yes", "2": "no", "3": "no"})
        return files.predict({"1": "Yes.", "2": "Yes."})

    def test_they_are_averaged_and_an_absent_item_has_the_worst(self, judged: Files) -> None:
        file = judged.rate({"1": [100, 50], "2": [0]})
        result = judged.command("--ratings", str(file), "--format", "json")
        assert result.exit_code == 0
        shown = json.loads(result.stdout)
        assert (shown["metric"], shown["score"]) == ("gpt-score", 25)
        assert (shown["n"], shown["missing"]) == (3, 1)

    def test_they_are_needed(self, judged: Files) -> None:
        result = judged.command()
        assert (result.exit_code, result.stdout) == (2, "")
        assert "RATINGS_UNUSABLE" in result.stderr

    @pytest.mark.parametrize(
        "verdicts", [{"1": [100]}, {"1": [101], "2": [0]}, {"1": [1], "2": [1], "9": [1]}, {}]
    )
    def test_they_fit_items_answers_and_scale(
        self, judged: Files, verdicts: Mapping[str, Sequence[float]]
    ) -> None:
        result = judged.command("--ratings", str(judged.rate(verdicts)))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "RATINGS_UNUSABLE" in result.stderr

    def test_they_are_refused_where_a_grader_computes(self, sports: Files) -> None:
        sports.annotate({"1": "polo"}).predict({"1": "polo"})
        with pytest.raises(RatingsUnusable):
            sports.score(ratings=sports.rate({"1": [100]}))

    def test_rated_files_are_there(self, tmp_path: Path) -> None:
        task = next(t for t in BENCH.tasks.values() if t.metric_id == "user-preference")
        ending = {"image": "png", "video": "mp4", "audio": "wav"}[task.answer_kind.value]
        files = Files(tmp_path, task).annotate({"1": "a cat", "2": "a dog", "3": "a cow"})
        files.predict({str(n): f"{n}.{ending}" for n in (1, 2, 3)})
        (files.predictions.parent / f"1.{ending}").write_bytes(b"content")
        (files.predictions.parent / f"2.{ending}").touch()
        outcome = files.score(ratings=files.rate({"1": [100], "2": [0], "3": [0]}))
        assert codes(outcome) == [(Code.MEDIA_EMPTY.value, 1), (Code.MEDIA_MISSING.value, 2)]
        assert outcome.refused


class TestAnswers:
    def test_media_of_inputs_need_not_be_there(self, sports: Files) -> None:
        items = [{"id": "1", "input": {"image": "images/1.jpg"}, "output": "polo"}]
        sports.annotate({}, data=items).predict({"1": "polo"})
        assert sports.score().score == 100

    def test_fields_beside_do_not_matter(self, sports: Files) -> None:
        items = [{"id": 1, "input": "?", "output": "polo", "source": "a book"}]
        sports.annotate({}, data=items, licence="free").predict({"1": "polo"})
        assert sports.score().score == 100

    @pytest.mark.parametrize(
        ("items", "problem"),
        [
            ([{"id": "1", "input": "?", "output": {"label": CANARY}}], "wrong-output-type"),
            ([{"id": "1", "input": "?", "output": None, "o": CANARY}], "no-output"),
            ([{"id": "1", "output": CANARY}], "no-input"),
            ([{"id": "1", "input": "?", "output": CANARY}] * 2, "duplicate-id"),
            ([{"id": [CANARY], "input": "?", "output": CANARY}], "bad-id"),
            ([CANARY], "bad-item"),
            ([], "task-without-data"),
            (CANARY, "unreadable-annotation"),
        ],
    )
    def test_one_item_that_cannot_be_used_refuses_all(
        self, sports: Files, items: Any, problem: str
    ) -> None:
        sports.annotate({}, data=items).predict({"1": CANARY[:3]})
        result = sports.command("--format", "json")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "ANSWERS_UNUSABLE" in result.stderr
        assert problem in result.stderr
        assert CANARY not in result.output

    def test_the_unusable_items_are_named(self, sports: Files) -> None:
        sports.annotate({"1": "polo", "b": None, "c": ""}).predict({"1": "polo"})
        with pytest.raises(AnswersUnusable) as caught:
            sports.score()
        assert caught.value.metadata == {"task": SPORTS, "count": "2", "items": "b, c"}

    def test_those_of_another_task_are_refused(self, sports: Files) -> None:
        other = BENCH.tasks["image-c-001"]
        sports.annotate({"1": "polo"}, task=other.name).predict({"1": "polo"})
        with pytest.raises(AnswersUnusable, match="contradicting-names"):
            sports.score()
        elsewhere = sports.root / "answers" / "annotation.json"
        elsewhere.parent.mkdir()
        elsewhere.write_bytes(sports.answers.read_bytes())
        with pytest.raises(AnswersUnusable, match=other.id):
            score_offline(BENCH, SPORTS, sports.predictions, elsewhere)

    def test_a_new_name_of_a_new_task_is_fine(self, sports: Files) -> None:
        sports.annotate({"1": "polo"}, task="A task nobody has seen").predict({"1": "polo"})
        assert sports.score().score == 100

    def test_a_file_of_another_name_is_refused(self, sports: Files) -> None:
        sports.annotate({"1": "polo"}).predict({"1": "polo"})
        other = sports.answers.rename(sports.answers.with_name("answers.json"))
        with pytest.raises(AnswersUnusable, match=r"annotation\.json"):
            score_offline(BENCH, SPORTS, sports.predictions, other)


class TestDiscretion:
    """A canary in the answers, on every path."""

    @pytest.mark.parametrize("form", ["json", "table"])
    @pytest.mark.parametrize(
        "content",
        [
            prediction_json({"1": "polo"}),
            prediction_json({"1": "polo", "9": "golf"}),
            prediction_json({"1": 7}),
            b"nonsense",
        ],
    )
    def test_scored_or_refused(self, sports: Files, form: str, content: bytes) -> None:
        sports.annotate({"1": CANARY, "2": [CANARY, "golf"]}).write(content)
        result = sports.command("--format", form)
        assert result.exit_code in (0, 1)
        assert CANARY not in result.output
        assert CANARY not in repr(sports.score())

    def test_an_annotation_that_is_no_json(self, sports: Files) -> None:
        sports.predict({"1": "polo"}).answers.write_text(f'{{"data": [{{"output": "{CANARY}"}}')
        result = sports.command()
        assert result.exit_code == 2
        assert CANARY not in result.output

    def test_an_annotation_nested_beyond_reason(self, sports: Files) -> None:
        deep = "[" * 100_000 + f'"{CANARY}"' + "]" * 100_000
        sports.predict({"1": "polo"}).answers.write_text(f'{{"data": {deep}}}')
        result = sports.command()
        assert (result.exit_code, result.stdout) == (2, "")
        assert CANARY not in result.output
        assert isinstance(result.exception, SystemExit)

    def test_a_metric_that_fails_says_only_what_failed(self, tmp_path: Path) -> None:
        sample = load(name="sample")
        task = replace(sample.tasks["language-003"], options={"k": CANARY})
        files = Files(tmp_path, task).annotate({"1": CANARY}).predict({"1": ["a"]})
        with pytest.raises(ScoringFailed) as caught:
            files.score(only(task, sample))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        assert CANARY not in f"{caught.value} {caught.value.metadata}"
        assert caught.value.metadata["error"] == "ValueError"

    def test_a_value_out_of_bounds_is_no_score(self, tmp_path: Path) -> None:
        tight = replace(BENCH.metric_of(CROWD), maximum=1.0)
        catalogue = replace(BENCH, metrics={**BENCH.metrics, tight.id: tight})
        files = Files(tmp_path, BENCH.tasks[CROWD]).annotate({"1": 7_654_321}).predict({"1": 1})
        with pytest.raises(ScoreRefused) as caught:
            files.score(catalogue)
        assert "765" not in f"{caught.value} {caught.value.metadata}"


class TestMedia:
    """Answers that are files, decoded in a real box."""

    @pytest.fixture
    def denoised(self, tmp_path: Path) -> Files:
        files = Files(tmp_path, BENCH.tasks["image-g-003"])
        (files.answers.parent / "true.png").write_bytes(grey_png(100))
        for name, content in {
            "a.png": grey_png(110),
            "b.png": grey_png(110)[:50],
            "c.png": grey_png(100, side=8),
        }.items():
            (files.predictions.parent / name).write_bytes(content)
        return files.annotate(dict.fromkeys("1234", "true.png"))

    def test_pictures_are_scored_and_unusable_ones_named(self, denoised: Files) -> None:
        outcome = denoised.predict({"1": "a.png", "2": "b.png", "3": "c.png"}).score()
        # An error of 10 in every pixel; the other three are 0 dB.
        assert outcome.score == pytest.approx(10 * math.log10(255**2 / 100) / 4)
        assert (outcome.n, outcome.missing) == (4, 3)
        assert sorted(codes(outcome)) == [("GL165", None), ("GL180", 1), ("GL187", 2)]
        (damaged,) = [found for found in outcome.findings if found.code == "GL180"]
        assert damaged.path == f"{denoised.task.archive_path}/b.png"

    def test_a_file_that_is_not_there_refuses(self, denoised: Files) -> None:
        outcome = denoised.predict({"1": "absent.png"}).score()
        assert outcome.refused
        assert ("GL140", 0) in codes(outcome)

    def test_an_answer_that_no_metric_could_use_is_named_by_item(self, denoised: Files) -> None:
        denoised.annotate({"1": "true.png", "2": 7}).predict({"1": "a.png"})
        with pytest.raises(AnswersUnusable) as caught:
            denoised.score()
        assert "wrong-output-type" in str(caught.value)
        assert caught.value.metadata["items"] == "2"

    def test_a_metric_of_networks_says_which_weights_lack(self, tmp_path: Path) -> None:
        files = Files(tmp_path, BENCH.tasks["image-g-022"])
        (files.answers.parent / "true.png").write_bytes(grey_png(100))
        (files.predictions.parent / "a.png").write_bytes(grey_png(100))
        files.annotate({"1": "true.png"}).predict({"1": "a.png"})
        result = files.command()
        assert (result.exit_code, result.stdout) == (2, "")
        assert "WEIGHTS_MISSING" in result.stderr
        assert "weights=clip-vit-b-32" in result.stderr

    def test_networks_of_a_folder_score(self, tmp_path: Path) -> None:
        files = Files(tmp_path, BENCH.tasks["image-g-022"])
        (files.answers.parent / "true.png").write_bytes(grey_png(100))
        (files.predictions.parent / "a.png").write_bytes(grey_png(100))
        files.annotate({"1": "true.png"}).predict({"1": "a.png"})
        pinned, pins = write_all(tmp_path / "weights"), tmp_path / "pins"
        pins.write_text("".join(f"{digest}  {name}\n" for name, digest in pinned.items()))
        result = files.command(
            "--weights", str(tmp_path / "weights"), "--weights-pins", str(pins), "--format", "json"
        )
        assert json.loads(result.stdout)["score"] == pytest.approx(100.0)
