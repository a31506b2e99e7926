"""Frames and columns: what goes in comes out, and nothing else comes out."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from general_level.catalogue.model import AnswerKind
from services.grader.decode import columns, frames
from services.grader.decode.columns import Answers
from services.grader.decode.frames import Arrays, FrameInvalid, FrameLimits

LIMITS = FrameLimits(arrays=8, header_bytes=1024, payload_bytes=1 << 20)


def through(arrays: Arrays, limits: FrameLimits = LIMITS) -> Arrays:
    return frames.read(io.BytesIO(b"".join(frames.encode(arrays))), limits)


def frame(header: bytes, payload: bytes, *, arrays: int = 1, announced: int | None = None) -> bytes:
    size = len(payload) if announced is None else announced
    return struct.pack("<4sHHIQ", b"GLFR", 1, arrays, len(header), size) + header + payload


def spec(name: bytes, code: int, *shape: int) -> bytes:
    return bytes([len(name)]) + name + struct.pack(f"<BB{len(shape)}Q", code, len(shape), *shape)


def test_every_type_and_rank_comes_back_read_only() -> None:
    given_arrays = {
        f"a{code}": (np.arange(24) % 7).astype(dtype).reshape(2, 3, 1, 4)
        for code, dtype in enumerate(frames.DTYPES)
    }
    back = through(given_arrays)
    assert list(back) == list(given_arrays)
    for name, array in given_arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
        with pytest.raises(ValueError, match="read-only"):
            back[name][...] = 0


def test_empty_arrays_scalars_and_no_array_at_all() -> None:
    assert dict(through({})) == {}
    assert through({"none": np.empty((0, 12), np.float64)})["none"].shape == (0, 12)
    back = through({"none": np.empty((0, 3), np.float64), "one": np.array(5, np.int64)})
    assert back["none"].shape == (0, 3)
    assert back["one"].shape == ()
    assert int(back["one"]) == 5


def test_two_frames_follow_one_another() -> None:
    first, second = {"a": np.arange(3)}, {"b": np.arange(5)}
    stream = io.BytesIO(b"".join([*frames.encode(first), *frames.encode(second)]))
    assert list(frames.read(stream, LIMITS)) == ["a"]
    assert list(frames.read(stream, LIMITS)) == ["b"]
    with pytest.raises(EOFError):
        frames.read(stream, LIMITS)


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([object()]), np.array([1j]), np.zeros((1,) * 9)]
)
def test_what_no_frame_carries_is_the_callers_fault(array: Any) -> None:
    with pytest.raises(ValueError, match="no frame carries"):
        frames.encode({"a": array})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x80\x04" + bytes(18), "magic"),
        (struct.pack("<4sHHIQ", b"GLFR", 2, 0, 0, 0), "version"),
        (struct.pack("<4sHHIQ", b"GLFR", 1, 9, 0, 0), "too many arrays"),
        (struct.pack("<4sHHIQ", b"GLFR", 1, 1, 1025, 0), "header too large"),
        (struct.pack("<4sHHIQ", b"GLFR", 1, 1, 12, 1 << 60), "payload too large"),
        (frame(spec(b"a", 7, 8), bytes(8)), "does not cross"),
        (frame(spec(b"a", 0, *[1] * 9), bytes(8)), "does not cross"),
        (frame(spec(b"A", 0, 8), bytes(8)), "name"),
        (frame(spec(b"../a", 0, 8), bytes(8)), "name"),
        (frame(spec(b"a" * 41, 0, 8), bytes(8)), "name"),
        (frame(spec(b"", 0, 8), bytes(8)), "name"),
        (frame(spec(b"a", 0, 8) * 2, bytes(16), arrays=2), "one name"),
        (frame(spec(b"a", 0, 8)[:-1], bytes(8)), "too short"),
        (frame(spec(b"a", 0, 8) + b"x", bytes(8)), "too long"),
        (frame(spec(b"a", 0, 65), bytes(8)), "larger than the payload"),
        (frame(spec(b"a", 0, 9), bytes(8)), "do not fill"),
        (frame(spec(b"a", 0, 1 << 63, 1 << 63), bytes(8)), "larger than the payload"),
        (frame(spec(b"a", 0, 0, 1 << 62), b""), "larger than the payload"),
        (frame(spec(b"a", 3, 4, 4), bytes(16)), "do not fill"),
        (frame(spec(b"a", 0, 8), bytes(16)), "do not fill"),
        (frame(spec(b"a", 0, 1), b"\0" + b"\1" * 7), "padding"),
        (frame(spec(b"a", 6, 1), struct.pack("<d", float("nan"))), "not finite"),
        (frame(spec(b"a", 6, 1), struct.pack("<d", float("-inf"))), "not finite"),
        (frame(spec(b"a", 5, 2), struct.pack("<ff", 1, float("inf"))), "not finite"),
    ],
)
def test_anything_else_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FrameInvalid, match=why):
        frames.read(io.BytesIO(data), LIMITS)


class Counting(io.RawIOBase):
    """A stream that remembers the largest read it was asked for."""

    def __init__(self, data: bytes) -> None:
        self.source = io.BytesIO(data)
        self.largest = 0

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size)
        return self.source.read(size)


def test_nothing_is_read_for_a_frame_over_its_limit() -> None:
    stream = Counting(struct.pack("<4sHHIQ", b"GLFR", 1, 1, 12, 1 << 60))
    with pytest.raises(FrameInvalid):
        frames.read(stream, LIMITS)
    assert stream.largest == frames.PREFIX_BYTES


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 8), st.binary(max_size=64))
def test_random_headers_give_arrays_or_a_refusal(header: bytes, count: int, data: bytes) -> None:
    try:
        back = frames.read(io.BytesIO(frame(header, data, arrays=count)), LIMITS)
    except FrameInvalid:
        return
    assert sum(-(-array.nbytes // 8) * 8 for array in back.values()) == len(data)


def test_an_array_of_another_type_or_rank_is_not_taken() -> None:
    arrays = through({"a": np.arange(4)})
    assert frames.array(arrays, "a", "<i8").tolist() == [0, 1, 2, 3]
    for name, dtype, rank in (("b", "<i8", 1), ("a", "<f8", 1), ("a", "<i8", 2)):
        with pytest.raises(FrameInvalid):
            frames.array(arrays, name, dtype, rank)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.floats(-1e15, 1e15)
VALUES = {
    AnswerKind.TEXT: TEXT,
    AnswerKind.LABEL: TEXT,
    AnswerKind.CODE: TEXT,
    AnswerKind.LABELS: st.lists(TEXT, max_size=4),
    AnswerKind.RANKING: st.lists(TEXT, max_size=4),
    AnswerKind.NUMBER: NUMBER,
    AnswerKind.SERIES: st.lists(NUMBER, max_size=4),
}


@pytest.mark.parametrize("kind", list(VALUES))
def test_answers_come_back_as_they_were(kind: AnswerKind) -> None:
    @settings(max_examples=50, deadline=None)
    @given(st.dictionaries(st.text(min_size=1, max_size=5), VALUES[kind], max_size=6))
    def check(answers: dict[str, Any]) -> None:
        ids = [item for item in answers if item.isprintable()]
        given_answers = Answers(ids, [answers[item] for item in ids], list(range(len(ids))))
        arrays = through(columns.pack(kind, given_answers))
        assert columns.unpack(kind, arrays) == given_answers

    check()


def packed() -> dict[str, Any]:
    return columns.pack(AnswerKind.LABELS, Answers(["1", "2"], [["a"], ["b", "é"]], [0, 1]))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("ids.offsets", np.array([0, 2, 1, 2])),
        ("ids.offsets", np.array([1, 1, 2])),
        ("ids.offsets", np.array([0, 1, 3])),
        ("ids.offsets", np.array([0, 1])),
        ("ids.offsets", np.array([0, -1, 2])),
        ("ids.offsets", np.array([], dtype=np.int64)),
        ("ids.offsets", np.array([0, 0, 2])),  # an empty id
        ("ids.offsets", np.array([0, 1, 2], dtype=np.int32)),
        ("ids.text", np.frombuffer(b"11", dtype=np.uint8)),  # one id twice
        ("ids.text", np.frombuffer(b"1\xff", dtype=np.uint8)),
        ("values.offsets", np.array([0, 1, 3, 4])),  # cuts a character in two
        ("values.groups", np.array([0, 1, 4])),
        ("values.groups", np.array([0, 2])),
        ("values.groups", np.array([0, 2, 1, 3])),
        ("rows", np.array([0])),
        ("rows", np.array([0, -1])),
        ("rows", np.array([0.0, 1.0])),
    ],
)
def test_columns_that_contradict_themselves_are_refused(name: str, array: Any) -> None:
    with pytest.raises(FrameInvalid):
        columns.unpack(AnswerKind.LABELS, {**packed(), name: array})
    assert columns.unpack(AnswerKind.LABELS, packed()).values == [["a"], ["b", "é"]]


def test_an_absent_column_is_refused() -> None:
    for name in packed():
        arrays = packed()
        del arrays[name]
        with pytest.raises(FrameInvalid):
            columns.unpack(AnswerKind.LABELS, arrays)
