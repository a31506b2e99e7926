"""Text for people: aligned columns, and values as they are printed everywhere in the client."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from general_level.client.models import (
    Finding,
    LevelScores,
    Standing,
    Standings,
    Submission,
    TaskResult,
)

#: What stands where there is no value.
NOTHING: Final = "–"

_BINARY_UNITS: Final = ("KiB", "MiB", "GiB", "TiB")
_GAP: Final = "  "
_WIDE: Final = frozenset({"W", "F"})


def printable(text: str) -> str:
    """``text`` with everything escaped that a terminal could act on; it may come from anyone."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def render_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under their heads; numbers stand right. A column starts with ``>`` to stand right."""
    heads = [c.removeprefix(">") for c in columns]
    right = [c.startswith(">") for c in columns]
    cells = [heads, *([printable(str(value)) for value in row] for row in rows)]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(heads))]
    lines = []
    for row in cells:
        padded = [
            _pad(cell, width, at_right)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        ]
        lines.append(_GAP.join(padded).rstrip())
    return "\n".join(lines)


def render_fields(fields: Iterable[tuple[str, object]]) -> str:
    """``name  value`` lines, the values aligned."""
    known = [(name, printable(str(value))) for name, value in fields]
    width = max(len(name) for name, _ in known)
    return "\n".join(f"{name.ljust(width)}{_GAP}{value}".rstrip() for name, value in known)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in _WIDE else 1 for c in text)


def _pad(text: str, width: int, at_right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if at_right else text + space


def show_time(moment: datetime | None) -> str:
    """``2026-01-05 09:00:00 UTC``."""
    if moment is None:
        return NOTHING
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def show_duration(length: timedelta) -> str:
    """The two largest units: ``2 d 3 h``, ``5 min 10 s``."""
    seconds = max(0, round(length.total_seconds()))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def show_bytes(size: int) -> str:
    """``1.5 MiB``."""
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_BINARY_UNITS))
    return f"{size / 1024**power:.1f} {_BINARY_UNITS[power - 1]}"


def show_number(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def submissions_table(submissions: Iterable[Submission]) -> str:
    return render_table(
        ("SUBMISSION", "BOARD", "MODEL", "STATE", ">TASKS", "QUOTA", "CREATED"),
        (
            (
                s.submission_id,
                s.board_id,
                s.model.model_name,
                s.state,
                f"{s.progress.tasks_done}/{s.progress.tasks_total}",
                s.quota_status.lower(),
                show_time(s.create_time),
            )
            for s in submissions
        ),
    )


def submission_fields(submission: Submission) -> str:
    """One submission with its timeline and what it says about itself."""
    s = submission
    fields: list[tuple[str, object]] = [
        ("submission", s.submission_id),
        ("board", s.board_id),
        ("model", s.model.model_name),
    ]
    if s.model.anonymous:
        fields.append(("shown as", s.public_name))
    fields.append(("state", s.state))
    if s.failure_reason:
        fields.append(("reason", s.failure_reason))
    fields += [
        ("quota", s.quota_status.lower()),
        ("archive", f"{show_bytes(s.archive_bytes)}, SHA-256 {s.archive_sha256}"),
        ("tasks", f"{s.progress.tasks_done} of {s.progress.tasks_total}"),
    ]
    if s.state_deadline is not None:
        fields.append(("this state ends", show_time(s.state_deadline)))
    if s.finding_count:
        fields.append(("findings", s.finding_count))
    fields += [
        (e.state.lower(), f"{show_time(e.entered_time)} {e.note}".rstrip()) for e in s.timeline
    ]
    return render_fields(fields)


def finding_lines(findings: Iterable[Finding]) -> str:
    """Each finding as where, what and what to do."""
    lines = []
    for f in findings:
        row = "" if f.row is None else f", row {f.row}"
        kind = "warning" if f.warning else "error"
        lines.append(f"{f.code} {kind}: {f.path or 'the archive'}{row}")
        lines.append(f"    {f.message}")
        lines.append(f"    {f.remedy}")
    return "\n".join(map(printable, lines))


def results_table(results: Iterable[TaskResult]) -> str:
    return render_table(
        ("TASK", "METRIC", "OUTCOME", ">VALUE", ">± SE", ">ITEMS", ">MISSING"),
        (
            (
                r.task_id,
                r.metric_id,
                r.outcome.lower().replace("_", " "),
                show_number(r.value, 4),
                show_number(r.standard_error, 4),
                r.item_count or NOTHING,
                r.missing_count or NOTHING,
            )
            for r in results
        ),
    )


def standings_table(standings: Standings) -> str:
    """A board: a ``≈`` after the rank says that the entry above is not distinguishable."""
    modalities = list(dict.fromkeys(m.modality for s in standings.standings for m in s.modalities))
    heads = (
        ">RANK",
        "MODEL",
        "ORGANISATION",
        ">LEVEL",
        ">SCORE",
        *(f">{m.upper()}" for m in modalities),
        ">SUPPORTED",
        ">WINS",
        "DATE",
    )
    return render_table(heads, (_standing_row(s, modalities) for s in standings.standings))


def _standing_row(standing: Standing, modalities: Sequence[str]) -> tuple[object, ...]:
    s = standing
    # A modality that is not supported has no score: it is not the 0 that it counts as.
    by_modality = {m.modality: m.scores for m in s.modalities if m.supported_tasks != 0}
    return (
        f"{s.rank}{'≈' if s.indistinguishable_from_previous else ' '}",
        s.model_name,
        s.organisation or NOTHING,
        s.level,
        _score(s),
        *(show_number(_at_level(by_modality.get(m), s.level)) for m in modalities),
        s.supported_tasks,
        s.winning_tasks,
        s.complete_time.strftime("%Y-%m-%d") if s.complete_time is not None else NOTHING,
    )


def _score(standing: Standing) -> str:
    score = show_number(standing.score)
    if standing.score is None or standing.interval is None:
        return score
    # Both ends: near 0 an interval is far from symmetric.
    return f"{score} [{standing.interval.low:.2f}, {standing.interval.high:.2f}]"


def _at_level(scores: LevelScores | None, level: int) -> float | None:
    """A modality's score of the model's level; level 5 has none, there the level-4 score stands."""
    if scores is None:
        return None
    return {2: scores.s2, 3: scores.s3, 4: scores.s4, 5: scores.s4}.get(level, scores.s2)
