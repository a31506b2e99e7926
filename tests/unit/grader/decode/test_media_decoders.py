"""Items and their files: who names what, what is missing, and parts that lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import Code
from services.grader.decode import columns
from services.grader.decode.formats import writers
from services.grader.decode.formats.warm_up import SAMPLES, picture
from services.grader.decode.formats.writers import npy
from services.grader.decode.frames import FrameInvalid
from services.grader.decode.values import PanopticMap, PointGroups
from tests.support.decoding import Decoded, decode
from tests.support.media_box import decode as decode_in_box
from tests.support.media_box import naming, start_box

KIND = AnswerKind


def answers(kind: AnswerKind, decoded: Decoded) -> dict[str, Any]:
    assert decoded.arrays is not None
    found = columns.unpack(kind, decoded.arrays, {}, decoded.parts)
    return dict(zip(found.ids, found.values, strict=True))


@pytest.mark.parametrize("sample", SAMPLES[:32], ids=lambda sample: f"{sample[0]}{sample[1]}")
def test_a_file_of_each_format_is_an_answer(sample: tuple[AnswerKind, str, bytes]) -> None:
    kind, ending, data = sample
    decoded = decode(kind, [naming(kind, f"a{ending}")], {f"a{ending}": data}, content=True)
    assert list(answers(kind, decoded)) == ["0"]
    assert not decoded.findings


def test_files_come_in_any_order_are_shared_and_some_are_named_by_nobody() -> None:
    files = {
        "unused.png": b"not looked at",
        "b.png": picture("L", "PNG", 3),
        "a.png": picture("L", "PNG", 2),
    }
    decoded = decode(KIND.IMAGE, ["a.png", "b.png", "a.png"], files, content=True)
    found = answers(KIND.IMAGE, decoded)
    assert [found[item].shape for item in "012"] == [(2, 2), (3, 3), (2, 2)]
    assert len(decoded.parts) == 2


def test_a_bad_file_is_a_finding_of_each_row_that_names_it_with_its_member() -> None:
    files = {"a.png": picture("L", "PNG"), "b.png": b""}
    decoded = decode(KIND.IMAGE, ["b.png", "a.png", "b.png"], files, content=True)
    assert list(answers(KIND.IMAGE, decoded)) == ["1"]
    assert [(f.code, f.row, f.member, f.warning) for f in decoded.findings] == [
        (Code.MEDIA_UNREADABLE, 0, 2, True),
        (Code.MEDIA_UNREADABLE, 2, 2, True),
    ]


def test_no_usable_file_at_all_leaves_no_answer() -> None:
    decoded = decode(KIND.IMAGE, ["a.png"], {"a.png": b""}, content=True)
    assert answers(KIND.IMAGE, decoded) == {}


def test_a_file_that_is_not_there_refuses_the_archive_as_the_checker_does() -> None:
    decoded = decode(KIND.IMAGE, ["a.png", "b.png"], {"a.png": b""}, content=True)
    assert decoded.arrays is None
    assert (Code.MEDIA_MISSING, 1) in [(f.code, f.row) for f in decoded.findings]


def test_without_content_the_paths_are_the_answers() -> None:
    decoded = decode(KIND.AUDIO, ["a.wav"])
    assert decoded.arrays is not None
    assert columns.unpack(KIND.AUDIO, decoded.arrays).values == ["a.wav"]
    assert not decoded.parts


def test_frames_in_several_files_are_one_answer() -> None:
    one, two = (npy(np.full((2, 3), number)) for number in (1.0, 2.0))
    files = {"2.npy": two, "1.npy": one, "cube.npy": npy(np.zeros((5, 2, 3)))}
    decoded = decode(
        KIND.DEPTH, [["1.npy", "2.npy", "1.npy"], ["2.npy"], "cube.npy"], files, content=True
    )
    found = answers(KIND.DEPTH, decoded)
    assert found["0"][:, 0, 0].tolist() == [1.0, 2.0, 1.0]
    assert found["1"].shape == (2, 3)
    assert found["2"].shape == (5, 2, 3)


def test_frames_of_different_size_or_one_bad_frame_lose_the_item_only() -> None:
    files = {
        "a.npy": npy(np.zeros((2, 3))),
        "b.npy": npy(np.zeros((3, 2))),
        "c.npy": npy(np.zeros((1, 2, 3))),
        "d.npy": b"",
    }
    rows = [["a.npy", "b.npy"], ["a.npy", "c.npy"], ["a.npy", "d.npy"], ["a.npy", "a.npy"]]
    decoded = decode(KIND.DEPTH, rows, files, content=True)
    assert list(answers(KIND.DEPTH, decoded)) == ["3"]
    assert [(f.code, f.row) for f in decoded.findings] == [
        (Code.MEDIA_WRONG_SHAPE, 0),
        (Code.MEDIA_WRONG_SHAPE, 1),
        (Code.MEDIA_UNREADABLE, 2),
    ]


def test_depth_in_the_steps_of_the_task() -> None:
    data = writers.png(1, 1, 16, 0, b"\0\x01\x00")
    decoded = decode(
        KIND.DEPTH, ["a.png"], {"a.png": data}, options={"depth_scale": "256"}, content=True
    )
    assert answers(KIND.DEPTH, decoded)["0"].tolist() == [[1.0]]


def test_point_labels_in_the_answer_itself() -> None:
    groups = {"instances": [0, -1, 1], "labels": ["chair", 7], "scores": [0.5, 1]}
    decoded = decode(
        KIND.POINT_LABELS, [[1, 2, -1], groups, [], "a.txt"], {"a.txt": b"4\n5\n"}, content=True
    )
    found = answers(KIND.POINT_LABELS, decoded)
    assert found["0"].tolist() == [1, 2, -1]
    assert isinstance(found["1"], PointGroups)
    assert found["1"].instances.tolist() == [0, -1, 1]
    assert (found["1"].labels, found["1"].scores.tolist()) == (["chair", "7"], [0.5, 1.0])
    assert found["3"].tolist() == [4, 5]
    assert [(f.code, f.row) for f in decoded.findings] == [(Code.MEDIA_NO_CONTENT, 2)]


def test_panoptic_pictures_keep_their_segments() -> None:
    rows = [
        {"file": "a.png", "segments": [{"segment": 5, "label": "sky"}]},
        {"file": "bad.png", "segments": [{"segment": 1, "label": "lost"}]},
        {"file": "a.png", "segments": []},
    ]
    files = {"a.png": picture("RGB", "PNG"), "bad.png": b""}
    found = answers(KIND.PANOPTIC, decode(KIND.PANOPTIC, rows, files, content=True))
    assert list(found) == ["0", "2"]
    assert isinstance(found["0"], PanopticMap)
    assert (found["0"].segments.tolist(), found["0"].labels) == ([5], ["sky"])
    assert found["2"].labels == []


def test_no_more_room_for_parts_is_a_finding() -> None:
    files = {"a.png": picture("L", "PNG"), "b.png": picture("L", "PNG")}
    decoded = decode(KIND.IMAGE, ["a.png", "b.png"], files, content=True, max_parts=1)
    assert list(answers(KIND.IMAGE, decoded)) == ["0"]
    assert [(f.code, f.row) for f in decoded.findings] == [(Code.ANSWERS_TOO_LARGE, 1)]


F4 = np.float32


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (KIND.IMAGE, {"pixels": np.zeros((2, 2, 4), np.uint8)}),
        (KIND.IMAGE, {"pixels": np.zeros((2, 2), np.int32)}),
        (KIND.IMAGE, {"pixels": np.zeros((0, 2), np.uint8)}),
        (KIND.IMAGE, {"other": np.zeros((2, 2), np.uint8)}),
        (KIND.VIDEO, {"frames": np.zeros((2, 2, 2, 3), np.uint8)}),
        (KIND.VIDEO, {"frames": np.zeros((2, 2, 3), np.uint8), "rate": np.array(1.0)}),
        (KIND.VIDEO, {"frames": np.zeros((1, 2, 2, 3), np.uint8), "rate": np.array(-1.0)}),
        (KIND.AUDIO, {"samples": np.zeros((2, 1), F4), "rate": np.array(0)}),
        (KIND.AUDIO, {"samples": np.zeros(2, F4), "rate": np.array(8000)}),
        (KIND.FLOW, {"flow": np.zeros((2, 2, 3), F4)}),
        (KIND.DEPTH, {"depth": np.zeros(4, F4)}),
        (KIND.NORMALS, {"normals": np.zeros((4, 2), F4)}),
        (KIND.POINT_CLOUD, {"points": np.zeros((0, 3), F4)}),
        (KIND.MESH, {"vertices": np.zeros((2, 3)), "faces": np.array([[0, 1, 2]], np.int32)}),
        (KIND.MESH, {"vertices": np.zeros((2, 3)), "faces": np.array([[0, 1, -1]], np.int32)}),
        (KIND.MOTION, {"motion": np.zeros((2, 2, 4), F4)}),
        (KIND.POINT_LABELS, {"classes": np.zeros((2, 2), np.int32)}),
        (KIND.POINT_LABELS, {"instances": np.array([1], np.int32), "scores": np.zeros(0)}),
    ],
)
def test_parts_that_lie_are_refused(kind: AnswerKind, part: dict[str, Any]) -> None:
    ending, data = next((e, d) for k, e, d in SAMPLES if k is kind)
    decoded = decode(kind, [f"a{ending}"], {f"a{ending}": data}, content=True)
    answers(kind, decoded)
    with pytest.raises(FrameInvalid):
        answers(kind, Decoded(decoded.arrays, [part], ()))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("parts", np.array([1])),
        ("parts", np.array([-1])),
        ("parts", np.array([0, 0])),
        ("groups", np.array([0, 0])),
        ("groups", np.array([0, 1, 1])),
    ],
)
def test_items_of_parts_that_are_not_there_are_refused(name: str, array: Any) -> None:
    decoded = decode(KIND.IMAGE, ["a.png"], {"a.png": picture("L", "PNG")}, content=True)
    assert decoded.arrays is not None
    lying = {**decoded.arrays, f"values.{name}": array}
    with pytest.raises(FrameInvalid):
        answers(KIND.IMAGE, Decoded(lying, decoded.parts, ()))


async def test_more_leaves_a_box_than_its_pipes_hold_while_more_comes_in() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    files = {f"{n}.npy": npy(pixels[:, :, :2] + float(n)) for n in range(12)}
    box = await start_box()
    try:
        outcome = await decode_in_box(box, KIND.FLOW, list(files), files)
        assert len(outcome.values) == 12
        for number in range(12):
            np.testing.assert_array_equal(
                outcome.values[str(number)], pixels[:, :, :2] + float(number)
            )
    finally:
        await box.close()
