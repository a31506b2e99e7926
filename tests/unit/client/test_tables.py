"""What people read: aligned columns, harmless characters, sensible units."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from general_level.client import Interval, LevelScores, ModalityScores, Standing, Standings
from general_level.client.tables import (
    printable,
    render_fields,
    render_table,
    show_bytes,
    show_duration,
    show_time,
    standings_table,
)

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOTHING_SCORED = LevelScores(None, None, None, None)


def test_columns_are_aligned_and_numbers_stand_right() -> None:
    text = render_table(("NAME", ">N"), [("a", 1), ("long name", 100), ("画像", 20)])
    assert text.splitlines() == [
        "NAME         N",
        "a            1",
        "long name  100",
        "画像        20",
    ]


def test_a_table_without_rows_has_its_heads() -> None:
    assert render_table(("A", ">B"), []) == "A  B"


def test_fields_are_aligned() -> None:
    assert render_fields([("a", 1), ("long", "x")]) == "a     1\nlong  x"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\rb", "a\nb", "\u202eabc", "\x9b31m", "\x07"])
def test_a_name_cannot_act_on_the_terminal(hostile: str) -> None:
    assert printable(hostile).isprintable()
    assert len(render_table(("MODEL",), [(hostile,)]).splitlines()) == 2
    assert printable("Modèle 画像") == "Modèle 画像"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3 * 1024**5, "3072.0 TiB"),
    ],
)
def test_bytes_have_a_unit(size: int, text: str) -> None:
    assert show_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_061, "1 d 1 h")],
)
def test_durations_have_two_units(seconds: int, text: str) -> None:
    assert show_duration(timedelta(seconds=seconds)) == text


def test_times_say_their_zone() -> None:
    assert show_time(NOON) == "2026-01-05 12:00:00 UTC"
    assert show_time(None) == "–"


def test_a_modality_that_is_not_supported_has_no_score() -> None:
    zero = LevelScores(s2=0.0, s3=0.0, s4=0.0, s5=None)
    row = Standing(
        rank=1,
        model_name="First",
        organisation="Lab",
        submission_id="sub_1",
        level=2,
        scores=LevelScores(s2=4.0, s3=0.0, s4=0.0, s5=None),
        interval=None,
        modalities=(
            ModalityScores("image", zero, supported_tasks=1, task_count=4, winning_tasks=0),
            ModalityScores("audio", zero, supported_tasks=0, task_count=4, winning_tasks=0),
            # Published before anyone counted.
            ModalityScores("video", zero),
        ),
        supported_tasks=1,
        winning_tasks=0,
        indistinguishable_from_previous=False,
        complete_time=NOON,
    )
    board = Standings("A-full", "c", "r", "general-level", 699, 1, NOON, "0" * 64, (row,))
    cells = standings_table(board).splitlines()[1].split()
    assert cells[4:8] == ["4.00", "0.00", "–", "0.00"]


def test_a_board_shows_score_interval_modalities_and_indistinguishable_neighbours() -> None:
    image = ModalityScores("image", LevelScores(s2=40.0, s3=30.0, s4=None, s5=None))
    first = Standing(
        rank=1,
        model_name="First",
        organisation="Lab",
        submission_id="sub_1",
        level=3,
        scores=LevelScores(s2=40.0, s3=20.125, s4=0.0, s5=None),
        interval=Interval(19.0, 21.5),
        modalities=(image,),
        supported_tasks=10,
        winning_tasks=3,
        indistinguishable_from_previous=False,
        complete_time=NOON,
    )
    second = Standing(
        rank=2,
        model_name="Second",
        organisation="",
        submission_id="sub_2",
        level=0,
        scores=NOTHING_SCORED,
        interval=None,
        modalities=(),
        supported_tasks=0,
        winning_tasks=0,
        indistinguishable_from_previous=True,
        complete_time=None,
    )
    board = Standings("A-full", "c", "r", "general-level", 699, 1, NOON, "0" * 64, (first, second))
    assert [" ".join(line.split()) for line in standings_table(board).splitlines()] == [
        "RANK MODEL ORGANISATION LEVEL SCORE IMAGE SUPPORTED WINS DATE",
        "1 First Lab 3 20.12 [19.00, 21.50] 30.00 10 3 2026-01-05",
        "2≈ Second – 0 – – 0 0 –",
    ]
