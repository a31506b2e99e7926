"""Piano rolls: parts that are numbered alike in answer and key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.grader.decode.values import NoteSet
from services.grader.media.rolls import numbered, roll_of
from tests.unit.grader.media.generation_jobs import score


def note(onset: float, pitch: int, part: str = "", duration: float = 1.0) -> dict[str, Any]:
    return {"onset": onset, "duration": duration, "pitch": pitch, "part": part}


#: Two parts that sound together at 0, and one of them at 1.
SCORE = [note(0, 60, "Violin"), note(0, 48, "Bass"), note(1, 62, "Violin")]


def test_parts_are_matched_by_name_whatever_their_order_and_letters() -> None:
    answer = [note(1, 62, "violin "), note(0, 48, "BASS"), note(0, 60, "Violin")]
    result, unfit = score("event-accuracy", [answer], [[SCORE]])
    assert result.value == 100.0
    assert unfit == set()


def test_a_part_that_the_key_lacks_is_none_of_its_parts() -> None:
    # At 0: both notes in other parts, no hit of 4; at 1: the note in its part, 1 of 1.
    answer = [note(0, 60, "Flute"), note(0, 48, "Oboe"), note(1, 62, "Violin")]
    result, _ = score("event-accuracy", [answer], [[SCORE]])
    assert result.value == pytest.approx(100 * 1 / 5)
    # Two strange parts are two, not one.
    twice = [note(0, 60, "Flute"), note(0, 60, "Oboe")]
    result, _ = score("event-accuracy", [twice], [[SCORE]])
    assert result.value == 0.0


def test_swapped_parts_hit_nothing() -> None:
    answer = [note(0, 60, "Bass"), note(0, 48, "Violin")]
    result, _ = score("event-accuracy", [answer], [[SCORE]])
    assert result.value == 0.0


def test_items_have_parts_of_their_own_and_an_empty_piece_is_an_answer() -> None:
    other = [note(0, 60, "Aulos")]
    result, unfit = score(
        "event-accuracy", [SCORE, other, [], None, []], [[SCORE], [other], [SCORE], [SCORE], [[]]]
    )
    assert result.per_sample is not None
    assert result.per_sample.tolist() == [100.0, 100.0, 0.0, 0.0, 100.0]
    assert (result.missing, unfit) == (1, set())


def test_consistency_compares_with_nothing() -> None:
    # Bars of 4 beats: C and E against C alone overlap by a half.
    answer = [note(0, 60, "a"), note(1, 64, "b"), note(4, 72, "c")]
    result, unfit = score("pitch-class-consistency", [answer, [], None], [["any"], [{}], [0]])
    assert result.per_sample is not None
    assert result.per_sample.tolist() == [50.0, 0.0, 0.0]
    assert (result.missing, unfit) == (1, set())
    result, _ = score("pitch-class-consistency", [answer], [["any"]], options={"bar": "1"})
    assert result.value == pytest.approx((0 + 100 + 0) / 3)


@given(st.lists(st.tuples(st.floats(0, 1e15), st.integers(0, 127), st.text(max_size=3))))
def test_rolls_keep_their_notes_and_tell_parts_apart(notes: list[tuple[float, int, str]]) -> None:
    onsets = np.array([onset for onset, _, _ in notes], np.float64)
    pitches = np.array([pitch for _, pitch, _ in notes], np.int64)
    parts = [part for _, _, part in notes]
    known = numbered(["violin", "bass"], {})
    roll = roll_of(NoteSet(onsets, onsets, pitches, pitches, parts), known)
    assert roll.shape == (len(notes), 4)
    np.testing.assert_array_equal(roll[:, 0], onsets)
    np.testing.assert_array_equal(roll[:, 2], pitches)
    assert known == {"bass": 0, "violin": 1}
    for part, number in zip(parts, roll[:, 3], strict=True):
        assert (number < 2) == (part in known)
        assert all(
            number == other for same, other in zip(parts, roll[:, 3], strict=True) if same == part
        )
