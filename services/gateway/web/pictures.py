"""The pictures of the site: what each says in words, its numbers, and how it is drawn.

A page and the address of a picture make the same `Picture`; the page shows words and numbers, the
address gives the drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from general_level.catalogue import Board, Modality
from services.gateway.web.charts import (
    UNSUPPORTED,
    Bars,
    Chart,
    Counts,
    Ranks,
    Series,
    shorten,
)
from services.gateway.web.movements import Point, Publication
from services.gateway.web.newest import Row, Sheet
from services.gateway.web.profiles import Part, Profile, above
from services.gateway.web.rendering import MODALITIES, NOTHING, show_moment, show_score

#: Models whose ranks are followed over time: who leads now.
LEADERS_MAX: Final = 5
#: Points of a column in the distribution of scores.
BIN_POINTS: Final = 5
LEVELS: Final[Mapping[int, str]] = {
    2: "S2 generalist",
    3: "S3 task synergy",
    4: "S4 paradigm synergy",
    5: "S5 total synergy",
}
_SPECIALISTS: Final = "Specialists' mean"


@dataclass(frozen=True, slots=True)
class Picture:
    """``summary`` says what is to be seen; ``rows`` are the numbers, by the columns of ``head``."""

    path: str
    query: str
    summary: str
    chart: Chart
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def address(self, narrow: bool) -> str:
        """Where the drawing is."""
        parts = [self.query, "narrow=1" if narrow else ""]
        query = "&".join(part for part in parts if part)
        return f"{self.path}?{query}" if query else self.path


def ladder(board: Board, row: Row) -> Picture:
    """The scores of a model on a board, level by level."""
    levels = range(2, board.highest_level + 1)
    scores = [row.scores.of(level) for level in levels]
    has_interval = row.low is not None and row.high is not None
    intervals = [
        f"({row.low:.1f} to {row.high:.1f})" if has_interval and level == row.level else ""
        for level in levels
    ]
    return Picture(
        path=f"/pictures/models/{quote(row.submission_id, safe='')}/ladder.svg",
        query="",
        summary=_ladder_summary(board, row),
        chart=Bars(
            [LEVELS[level] for level in levels],
            [Series(row.model_name, scores, f"level-{row.level}", intervals)],
        ),
        head=("Level", "Score", "Interval of 95 %"),
        rows=tuple(
            (LEVELS[level], show_score(score), interval.strip("()") or NOTHING)
            for level, score, interval in zip(levels, scores, intervals, strict=True)
        ),
    )


def _ladder_summary(board: Board, row: Row) -> str:
    name = shorten(row.model_name)
    if not row.level:
        return f"{name} has no level on {board.name} yet: no score above zero."
    standing = f"{name} stands on level {row.level} of {board.name}, with {show_score(row.score)}"
    if row.level >= board.highest_level:
        return f"{standing} points: the highest level of this board."
    return f"{standing} points. Next is {LEVELS[row.level + 1]}: {NEXT[row.level + 1]}"


#: What takes a model to a level.
NEXT: Final[Mapping[int, str]] = {
    2: "a graded answer to one task.",
    3: "one task on which it reaches the specialist.",
    4: "reach specialists in comprehension and in generation of one modality.",
    5: "reach a specialist in language as well.",
}


def by_paradigm(models: Sequence[tuple[Row, Profile]]) -> Picture:
    """Models beside the specialists, by modality and paradigm."""
    path, query = _of_models(models, "modalities")
    parts = models[0][1].paradigms
    return _profile_picture(
        path, query, models, [of.paradigms for _, of in models], [part.name for part in parts],
        "modalities and paradigms",
    )  # fmt: skip


def by_skill(models: Sequence[tuple[Row, Profile]], modality: Modality) -> Picture:
    """Models beside the specialists, by the skills of a modality; the first model's best first."""
    path, query = _of_models(models, "skills")
    first = models[0][1].of(modality)
    order = [part.board.id for part in first]
    parts = []
    for _, profile in models:
        by_board = {part.board.id: part for part in profile.skills}
        parts.append([by_board[board_id] for board_id in order])
    extra = urlencode({"modality": modality.value})
    return _profile_picture(
        path, "&".join(filter(None, [query, extra])), models, parts,
        [part.name for part in first], f"{MODALITIES[modality]} skills",
    )  # fmt: skip


def _of_models(models: Sequence[tuple[Row, Profile]], what: str) -> tuple[str, str]:
    if len(models) == 1:
        return f"/pictures/models/{quote(models[0][0].submission_id, safe='')}/{what}.svg", ""
    chosen = urlencode([("m", row.submission_id) for row, _ in models])
    return f"/pictures/compare/{what}.svg", chosen


def _profile_picture(
    path: str,
    query: str,
    models: Sequence[tuple[Row, Profile]],
    parts: Sequence[Sequence[Part]],
    labels: Sequence[str],
    what: str,
) -> Picture:
    specialists = [part.specialists for part in parts[0]]
    series = [
        Series(row.model_name, [part.mean for part in of])
        for (row, _), of in zip(models, parts, strict=True)
    ]
    return Picture(
        path=path,
        query=query,
        summary=" ".join(
            _profile_summary(row, of, what) for (row, _), of in zip(models, parts, strict=True)
        ),
        chart=Bars(labels, [*series, Series(_SPECIALISTS, specialists, "specialists")]),
        head=(
            "Part",
            *(shorten(row.model_name) for row, _ in models),
            _SPECIALISTS,
            *(("Difference", "Tasks supported") if len(models) == 1 else ()),
        ),
        rows=tuple(
            (
                labels[at],
                *(_mean(of[at]) for of in parts),
                show_score(specialists[at]),
                *(_beside(parts[0][at]) if len(models) == 1 else ()),
            )
            for at in range(len(labels))
        ),
    )


def _mean(part: Part) -> str:
    return UNSUPPORTED if part.mean is None else show_score(part.mean)


def _beside(part: Part) -> tuple[str, str]:
    tasks = len(part.board.task_ids)
    supported = part.row.supported if part.row else 0
    difference = NOTHING if part.difference is None else signed(part.difference, 2)
    return difference, f"{supported} of {tasks}"


def _profile_summary(row: Row, parts: Sequence[Part], what: str) -> str:
    name = shorten(row.model_name)
    told = [(part.difference, part) for part in parts if part.difference is not None]
    if not told:
        return f"{name} supports none of these {len(parts)} {what}."
    best = max(told, key=lambda one: one[0])
    text = f"{name} reaches the specialists' mean on {above(parts)} of {len(parts)} {what}"
    text += f"; furthest up: {best[1].name}, {signed(best[0])} points"
    missing = len(parts) - len(told)
    return f"{text}; {missing} not supported." if missing else f"{text}."


def signed(points: float, places: int = 1) -> str:
    """With its sign, and a minus of the width of a plus."""
    return f"{points:+.{places}f}".replace("-", "\N{MINUS SIGN}")


def distribution(board: Board, sheet: Sheet | None) -> Picture:
    """How many models of a board have which S2, by their level."""
    rows = sheet.rows if sheet else ()
    levels = sorted({row.level for row in rows})
    bins = 100 // BIN_POINTS
    counts = {level: [0] * bins for level in levels}
    for row in rows:
        counts[row.level][min(int((row.scores.s2 or 0) // BIN_POINTS), bins - 1)] += 1
    labels = [f"{at * BIN_POINTS}–{(at + 1) * BIN_POINTS}" for at in range(bins)]
    names = {level: f"Level {level}" if level else "No level yet" for level in levels}
    return Picture(
        path=f"/pictures/boards/{board.id}/distribution.svg",
        query="",
        summary=_distribution_summary(board, rows, counts),
        chart=Counts(
            labels,
            [(names[level], counts[level], f"level-{level}") for level in levels],
            "S2, points of 100",
            "Models",
        ),
        head=("S2", *names.values(), "All"),
        rows=tuple(
            (
                label,
                *(str(counts[level][at]) for level in levels),
                str(sum(counts[level][at] for level in levels)),
            )
            for at, label in enumerate(labels)
        ),
    )


def _distribution_summary(
    board: Board, rows: Sequence[Row], counts: Mapping[int, Sequence[int]]
) -> str:
    if not rows:
        return f"No model stands on {board.name} yet."
    parts = [
        f"{sum(of)} on level {level}" if level else f"{sum(of)} without a level"
        for level, of in sorted(counts.items(), reverse=True)
    ]
    scores = sorted(row.scores.s2 or 0.0 for row in rows)
    middle = show_score(scores[len(scores) // 2])
    models = "1 model stands" if len(rows) == 1 else f"{len(rows)} models stand"
    return f"{models} on {board.name}: {', '.join(parts)}. The middle one has an S2 of {middle}."


def movement(board: Board, sheet: Sheet, publications: Sequence[Publication]) -> Picture:
    """The ranks over time of the models that lead a board now."""
    leaders = sheet.rows[:LEADERS_MAX]
    points = [[one.point(row) for one in publications] for row in leaders]
    return Picture(
        path=f"/pictures/boards/{board.id}/movement.svg",
        query="",
        summary=_movement_summary(board, leaders, publications),
        chart=Ranks(
            _dates(publications),
            [
                (row.model_name, [point.rank if point else None for point in of])
                for row, of in zip(leaders, points, strict=True)
            ],
        ),
        head=("Published", *(shorten(row.model_name) for row in leaders)),
        rows=tuple(
            (
                show_moment(one.published),
                *(_place(of[at]) for of in points),
            )
            for at, one in enumerate(publications)
        )[::-1],
    )


def _dates(publications: Sequence[Publication]) -> list[str]:
    """Days, or times of the day where all are of one."""
    days = {one.published.date() for one in publications}
    form = "%Y-%m-%d" if len(days) > 1 else "%H:%M"
    return [one.published.strftime(form) for one in publications]


def _place(point: Point | None) -> str:
    return NOTHING if point is None else f"{point.rank} ({show_score(point.score)})"


def _movement_summary(
    board: Board, leaders: Sequence[Row], publications: Sequence[Publication]
) -> str:
    if not leaders or not publications:
        return f"{board.name} has not moved yet."
    first = leaders[0]
    since = publications[-1].published
    for one in reversed(publications):
        point = one.point(first)
        if point is None or point.rank != 1:
            break
        since = one.published
    return (
        f"{shorten(first.model_name)} leads {board.name} since {since:%Y-%m-%d}; "
        f"{len(publications)} publications are shown."
    )
