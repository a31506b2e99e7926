"""A benchmark of nine tasks whose scores can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from general_level import catalogue as catalogues
from general_level.catalogue.model import (
    AnswerKind,
    Board,
    Catalogue,
    Direction,
    Grading,
    Metric,
    Modality,
    Paradigm,
    Reference,
    ReferenceList,
    Scope,
    ScoreMapping,
    Skill,
    Task,
)
from services.ranker.formulas.conventions import Convention
from services.ranker.standings import (
    BoardStandings,
    ModelEntry,
    Standing,
    TaskScore,
    compute_standings,
)

H, L = Direction.HIGHER, Direction.LOWER
C, G, NONE = Paradigm.COMPREHENSION, Paradigm.GENERATION, Paradigm.NONE

METRICS = {
    "accuracy": (H, ScoreMapping.IDENTITY, None, 0.0, 100.0),
    "fid": (L, ScoreMapping.TANH_INVERSE, 25.0, 0.0, None),
    "ms-ssim": (H, ScoreMapping.SIGNED_UNIT, None, -1.0, 1.0),
    "wer": (L, ScoreMapping.ONE_MINUS_PERCENT, None, 0.0, None),
    "chamfer": (L, ScoreMapping.TANH_INVERSE, 1.0, 0.0, None),
    "rmse": (L, ScoreMapping.TANH_INVERSE, 5.0, 0.0, None),
}

TASKS = {  # id: (modality, paradigm, metric, reference)
    "image-c-001": (Modality.IMAGE, C, "accuracy", 50.0),
    "image-c-002": (Modality.IMAGE, C, "accuracy", 60.0),
    "image-g-001": (Modality.IMAGE, G, "fid", 0.23),
    "image-g-002": (Modality.IMAGE, G, "ms-ssim", 0.5),
    "video-c-001": (Modality.VIDEO, C, "accuracy", 40.0),
    "audio-g-001": (Modality.AUDIO, G, "wer", 10.0),
    "3d-c-001": (Modality.THREE_D, C, "chamfer", 0.5),
    "language-001": (Modality.LANGUAGE, NONE, "accuracy", 70.0),
    "language-002": (Modality.LANGUAGE, NONE, "rmse", 2.0),
}


def _board(board_id: str, scope: Scope, highest: int, *prefixes: str) -> Board:
    ids = tuple(task for task in TASKS if task.startswith(prefixes))
    modalities = tuple(dict.fromkeys(TASKS[task][0] for task in ids))
    return Board(board_id, board_id, scope, ids, modalities, NONE, None, highest)


BOARDS = [
    _board("A-full", Scope.A, 5, ""),
    _board("A-quick", Scope.A, 5, "image-c-001", "language-001"),
    _board("B-image", Scope.B, 4, "image"),
    _board("B-video", Scope.B, 4, "video"),
    _board("B-image-text", Scope.B, 5, "image", "language"),
    _board("C-image-comprehension", Scope.C, 3, "image-c"),
    _board("D-I-C-1", Scope.D, 3, "image-c-001"),
]


@pytest.fixture(scope="session")
def bench() -> Catalogue:
    metrics = {
        key: Metric(
            key, key, direction, "unit", mapping, scale, low, high, Grading.AUTOMATIC, 1, "", ""
        )
        for key, (direction, mapping, scale, low, high) in METRICS.items()
    }
    skills = {"S-1": Skill("S-1", "Skill", "Skill", Modality.IMAGE, C)}
    tasks = {
        key: Task(
            key,
            modality,
            paradigm,
            "S-1",
            key,
            key,
            key,
            metric,
            AnswerKind.TEXT,
            "",
            int(key[-3:]),
        )
        for key, (modality, paradigm, metric, _) in TASKS.items()
    }
    references = {key: Reference(key, task[3], "hand", "2025-01-01") for key, task in TASKS.items()}
    lists = {"paper": ReferenceList("paper", "Paper", "2025-01-01", references)}
    boards = {board.id: board for board in BOARDS}
    return Catalogue("tiny", "Tiny", "2025-01-01", metrics, skills, tasks, boards, lists, "paper")


@pytest.fixture(scope="session")
def published_bench() -> Catalogue:
    return catalogues.load()


Scores = Mapping[str, float | tuple[float, float]]
MakeEntry = Callable[..., ModelEntry]
Rank = Callable[..., BoardStandings]
RankOne = Callable[..., Standing]


@pytest.fixture(scope="session")
def entry() -> MakeEntry:
    def make(
        model: str,
        scores: Scores,
        *,
        board: str = "A-full",
        at: str = "2025-06-01T00:00:00+00:00",
        submission: str = "",
        lab: str = "Lab",
    ) -> ModelEntry:
        typed = {
            task: TaskScore(*score[:1], stderr=score[1])
            if isinstance(score, tuple)
            else TaskScore(score)
            for task, score in scores.items()
        }
        return ModelEntry(submission or f"sub-{model}", model, lab, board, at, typed)

    return make


@pytest.fixture(scope="session")
def rank(bench: Catalogue) -> Rank:
    def run(
        entries: list[ModelEntry],
        board: str = "A-full",
        convention: Convention = Convention.GENERAL_LEVEL,
    ) -> BoardStandings:
        return compute_standings(bench, None, convention, entries, [bench.boards[board]])[0]

    return run


@pytest.fixture(scope="session")
def rank_one(rank: Rank, entry: MakeEntry) -> RankOne:
    def run(scores: Scores, board: str = "A-full", **options: Convention) -> Standing:
        return rank([entry("Solo", scores)], board, **options).rows[0]

    return run
