"""Each answer kind: what is taken, what is refused, and that both ways of parsing agree."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from general_level.catalogue.model import AnswerKind
from general_level.submission import Finding, FindingSink, Limits, Predictions, parse_predictions
from general_level.submission.answer_forms import MEDIA_ENDINGS, form_of, rle_pixel_count
from general_level.submission.findings import MAX_SHOWN_CHARS

K = AnswerKind
RLE = {"size": [2, 3], "counts": [2, 4]}
BOX = [1, 2, 3, 4]
SOLID = [1, 2, 3, 4, 5, 6, 0.5]


def parse(
    kind: AnswerKind, data: bytes | list[object], options: dict[str, str] | None = None
) -> tuple[Predictions, tuple[Finding, ...]]:
    sink = FindingSink()
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return parse_predictions(kind, options, content, path="p", sink=sink), sink.findings


def rows(*values: object) -> list[object]:
    return [{"id": i, "prediction": value} for i, value in enumerate(values)]


GOOD: list[tuple[AnswerKind, object, dict[str, str]]] = [
    (K.TEXT, "", {}),
    (K.TEXT, "日本 😀 \x00", {}),
    (K.LABEL, "cat", {}),
    (K.NUMBER, 3, {}),
    (K.NUMBER, -2.5e-3, {}),
    (K.SERIES, [1, 2.5], {}),
    (K.CODE, "def f():\n    return 1\n", {}),
    (K.RANKING, ["a", "b"], {}),
    (K.BOXES, [{"box": BOX, "label": "cat", "score": 0.3, "area": 12}], {}),
    (K.BOXES, [{"box": SOLID, "label": "car"}], {"form": "boxes-3d"}),
    (K.BOXES, [], {}),
    (K.MASKS, [{"mask": RLE, "label": "cat", "frame": 3}], {}),
    (K.MASKS, [{"mask": {"size": [2, 3], "counts": "24"}}], {}),
    (K.PANOPTIC, {"file": "a.png", "segments": [{"segment": 1, "label": "sky"}]}, {}),
    (
        K.SCENE_GRAPH,
        {
            "objects": [{"label": "man", "box": BOX}, {"label": "hat", "box": BOX}],
            "relations": [{"subject": 0, "predicate": "wears", "object": 1}],
        },
        {},
    ),
    (K.TUBES, [{"frames": [0, 4], "boxes": [BOX, BOX]}], {}),
    (K.TRACKS, [{"track": 1, "frames": [0], "boxes": [BOX]}], {}),
    (K.TRACKS, [{"track": "a", "frames": [0], "masks": [RLE]}], {}),
    (K.TRACKS, [{"track": 1, "frames": [0], "boxes": [SOLID]}], {"form": "boxes-3d"}),
    (K.FLOW, "a.flo", {}),
    (K.FLOW, ["a.flo", "b.flo"], {}),
    (K.DEPTH, "d/a.png", {}),
    (K.POSE, [{"keypoints": [[1, 2, 1]], "score": 0.5}], {"form": "keypoints"}),
    (K.POSE, [[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]], {"form": "trajectory"}),
    (K.PIANO_ROLL, [{"onset": 0, "duration": 0.5, "pitch": 60}], {}),
    (K.POINT_LABELS, [0, 1, -1], {}),
    (K.POINT_LABELS, "labels.npy", {}),
    (K.POINT_LABELS, {"instances": [0, -1], "labels": ["chair"], "scores": [1]}, {}),
    (K.NORMALS, "n.npy", {}),
    (K.IMAGE, "out/a.PNG", {}),
    (K.VIDEO, "a.mp4", {}),
    (K.AUDIO, "a.wav", {}),
    (K.POINT_CLOUD, "a.ply", {}),
    (K.MESH, "a.obj", {}),
    (K.MOTION, "a.npy", {}),
    (K.LABELS, ["a", "b"], {}),
]

BAD: list[tuple[AnswerKind, object, dict[str, str], str]] = [
    (K.TEXT, 3, {}, "GL170"),
    (K.TEXT, True, {}, "GL170"),
    (K.LABEL, "x" * 1001, {}, "GL174"),
    (K.LABELS, {"a": 1}, {}, "GL170"),
    (K.LABELS, ["x"] * 1001, {}, "GL174"),
    (K.LABELS, "<p>".join("x" * 1001), {}, "GL174"),
    (K.LABELS, "x" * 1001, {}, "GL174"),
    (K.NUMBER, "3", {}, "GL172"),
    (K.NUMBER, "three", {}, "GL170"),
    (K.NUMBER, True, {}, "GL170"),
    (K.NUMBER, 1e16, {}, "GL173"),
    (K.SERIES, [1, "2"], {}, "GL172"),
    (K.SERIES, [1, None], {}, "GL170"),
    (K.SERIES, 1.0, {}, "GL170"),
    (K.RANKING, "a", {}, "GL170"),
    (K.RANKING, ["a"] * 1001, {}, "GL174"),
    (K.BOXES, [{"box": [1, 2, 3]}], {}, "GL170"),
    (K.BOXES, [{"box": [1, 2, -3, 4]}], {}, "GL173"),
    (K.BOXES, [{"label": "cat"}], {}, "GL170"),
    (K.BOXES, [{"box": BOX}], {"form": "boxes-3d"}, "GL170"),
    (K.MASKS, [{"mask": {"size": [2, 3], "counts": [2, 3]}}], {}, "GL178"),
    (K.MASKS, [{"mask": {"size": [2, 3], "counts": "~"}}], {}, "GL178"),
    (K.MASKS, [{"mask": {"size": [0, 3], "counts": []}}], {}, "GL173"),
    (K.MASKS, [{"mask": {"size": [2, 3], "counts": [-2, 8]}}], {}, "GL173"),
    (K.PANOPTIC, {"file": "a.jpg", "segments": []}, {}, "GL177"),
    (K.PANOPTIC, {"file": "a.png", "segments": [{"segment": 1, "label": ""}] * 2}, {}, "GL178"),
    (
        K.SCENE_GRAPH,
        {"objects": [], "relations": [{"subject": 0, "predicate": "on", "object": 0}]},
        {},
        "GL178",
    ),
    (K.TUBES, [{"frames": [0], "boxes": [BOX, BOX]}], {}, "GL178"),
    (K.TUBES, [{"frames": [4, 4], "boxes": [BOX, BOX]}], {}, "GL178"),
    (K.TRACKS, [{"track": 1, "frames": [0]}], {}, "GL178"),
    (K.TRACKS, [{"track": 1, "frames": [0], "boxes": [BOX], "masks": [RLE]}], {}, "GL178"),
    (K.TRACKS, [{"track": 1, "frames": [0], "boxes": [BOX]}] * 2, {}, "GL178"),
    (K.POSE, [], {"form": "trajectory"}, "GL170"),
    (K.POSE, [[1, 2, 3]], {"form": "trajectory"}, "GL170"),
    (K.PIANO_ROLL, [{"onset": 0, "duration": 1, "pitch": 128}], {}, "GL173"),
    (K.POINT_LABELS, {"instances": [1], "labels": ["a"], "scores": [1]}, {}, "GL178"),
    (K.POINT_LABELS, {"instances": [0], "labels": ["a"], "scores": []}, {}, "GL178"),
    (K.DEPTH, [], {}, "GL170"),
    (K.FLOW, ["a.flo", "b.mp4"], {}, "GL177"),
    (K.IMAGE, "", {}, "GL176"),
    (K.IMAGE, "/a.png", {}, "GL176"),
    (K.IMAGE, "a\\b.png", {}, "GL176"),
    (K.IMAGE, "x/../a.png", {}, "GL176"),
    (K.IMAGE, "https://example.org/a.png", {}, "GL176"),
    (K.VIDEO, "a.png", {}, "GL177"),
]


def test_the_good_cases_cover_every_kind() -> None:
    assert {kind for kind, _, _ in GOOD} == set(AnswerKind)


@pytest.mark.parametrize(("kind", "value", "options"), GOOD)
def test_good_values_are_taken(kind: AnswerKind, value: object, options: dict[str, str]) -> None:
    predictions, findings = parse(kind, rows(value), options)
    assert findings == ()
    assert predictions.ids == ["0"]


@pytest.mark.parametrize(("kind", "value", "options"), GOOD)
def test_the_careful_way_gives_the_same_values(
    kind: AnswerKind, value: object, options: dict[str, str]
) -> None:
    at_once, _ = parse(kind, rows(value), options)
    extra = [{"id": 0, "prediction": value, "note": 1}]
    by_row, findings = parse(kind, extra, options)
    assert [f.code for f in findings] == ["GL161"]
    assert by_row == at_once


@pytest.mark.parametrize(("kind", "value", "options", "code"), BAD)
def test_bad_values_are_refused(
    kind: AnswerKind, value: object, options: dict[str, str], code: str
) -> None:
    predictions, findings = parse(kind, rows(value), options)
    assert [(f.code, f.row) for f in findings] == [(code, 0)]
    assert predictions.ids == []
    assert "{" not in findings[0].message


def test_labels_come_apart_at_the_separator_of_the_task() -> None:
    predictions, _ = parse(K.LABELS, rows("a<p> b <p>", ["c", " d "], ""))
    assert predictions.values == [["a", "b"], ["c", "d"], []]
    predictions, _ = parse(K.LABELS, rows("a;b<p>"), {"separator": ";"})
    assert predictions.values == [["a", "b<p>"]]


def test_whole_number_ids_become_their_decimal_text() -> None:
    predictions, findings = parse(
        K.TEXT, b'[{"id":7,"prediction":"x"},{"id":"07","prediction":""}]'
    )
    assert (predictions.ids, findings) == (["7", "07"], ())


@pytest.mark.parametrize(
    "item_id", ["null", "1.5", "true", '""', '"a\\nb"', '"' + "x" * 257 + '"', str(2**63), "[1]"]
)
def test_unusable_ids(item_id: str) -> None:
    _, findings = parse(K.TEXT, b'[{"id":%s,"prediction":"x"}]' % item_id.encode())
    assert [(f.code, f.row) for f in findings] == [("GL162", 0)]


def test_wrong_rows_are_left_out_and_the_others_keep_their_place() -> None:
    data = b'[{"id":"a","prediction":"x"},3,{"id":"b","prediction":1},{"prediction":"y","id":"c"}]'
    predictions, findings = parse(K.TEXT, data)
    assert predictions == Predictions(["a", "c"], ["x", "y"], [0, 3])
    assert [(f.code, f.row) for f in findings] == [("GL158", 1), ("GL170", 2)]


def test_one_row_can_have_several_findings() -> None:
    _, findings = parse(K.NUMBER, b'[{"id":null,"prediction":"1","x":0}]')
    assert {f.code for f in findings} == {"GL161", "GL162", "GL172"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "[1, NaN]", "nan"])
def test_numbers_that_are_none(number: str) -> None:
    data = b'[{"id":"a","prediction":%s},{"id":"b","prediction":2}]' % number.encode()
    predictions, findings = parse(K.NUMBER, data)
    assert [(f.code, f.row) for f in findings] == [("GL173", 0)]
    assert predictions.values == [2.0]


def test_nan_in_a_text_is_a_text() -> None:
    predictions, findings = parse(K.TEXT, rows("NaN", "infinity"))
    assert (predictions.values, findings) == (["NaN", "infinity"], ())


@pytest.mark.parametrize(
    ("text", "good"),
    [("\\ud83d\\ude00", True), ("\\ud83d", False), ("\\ude00 ", False), ("\\\\ud83d", True),
     ("\\ude00\\ud83d", False)],
)  # fmt: skip
def test_halves_of_surrogate_pairs(text: str, good: bool) -> None:
    _, findings = parse(K.TEXT, b'[{"id":"a","prediction":"%s"}]' % text.encode())
    assert [f.code for f in findings] == ([] if good else ["GL175"])


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        (b"", "GL153", "empty"),
        (b"hello", "GL153", "begin"),
        (b'{"id":1}\n{"id":2}\n', "GL154", "line"),
        (b'"x"', "GL154", "text"),
        (b"17", "GL154", "value"),
        (b'[{"id":"1","prediction":"x"},]', "GL153", "comma"),
        (b'[{"id":"1","prediction":"x"} {"id":"2","prediction":"x"}]', "GL153", "comma"),
        (b'[{"id":"1","prediction":"x"', "GL153", "ends"),
        (b'[{"id":"1","prediction":"x', "GL153", "not closed"),
        (b'[{"id":"1","prediction":"x"]}', "GL153", "bracket"),
        (b'[{"id":"1","prediction":"x"}] []', "GL153", "after"),
        (b"[{'id':'1','prediction':'x'}]", "GL153", "quotes"),
        (b'[{"id":"1","prediction":None}]', "GL153", "Python"),
        (b'[{"id":"1","prediction":"a\nb"}]', "GL153", "line break"),
        (b'[{"id":"1","prediction":"x",}]', "GL153", "comma"),
    ],
)
def test_files_that_are_no_list_of_rows(data: bytes, code: str, word: str) -> None:
    _, findings = parse(K.TEXT, data)
    assert [f.code for f in findings] == [code]
    assert word in findings[0].message


def test_utf16_is_recognised_and_the_wrong_byte_is_counted() -> None:
    _, (finding,) = parse(K.TEXT, "[]".encode("utf-16"))
    assert "UTF-16" in finding.message
    text = "é" * 700_000  # the chunk's border falls inside a character
    data = b'[{"id":"1","prediction":"' + text.encode() + b'\xff"}]'
    _, (finding,) = parse(K.TEXT, data)
    assert finding.data["offset"] == str(data.index(b"\xff"))


def test_depth_and_item_limits() -> None:
    for depth, codes in ((3, []), (2, ["GL157"])):
        sink = FindingSink()
        data = b'[{"id":"1","prediction":[1,2],"x":0}]'
        limits = Limits(json_depth=depth)
        parse_predictions(K.SERIES, None, data, path="p", sink=sink, limits=limits)
        assert [f.code for f in sink.findings if not f.warning] == codes
    sink = FindingSink()
    data = json.dumps(rows("{", '"id"')).encode()
    result = parse_predictions(
        K.TEXT, None, data, path="p", sink=sink, limits=Limits(items_per_task=2)
    )
    assert (len(result.ids), sink.findings) == (2, ())


@given(
    st.lists(st.tuples(st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(min_size=1)), st.text()))
)
@settings(deadline=None)
def test_both_ways_accept_the_same_rows(pairs: list[tuple[object, str]]) -> None:
    usable = [(i, v) for i, v in pairs if str(i).isprintable() and len(str(i)) <= 256]
    data = [{"id": i, "prediction": v} for i, v in usable]
    encoded = msgspec.json.encode(data) if _encodable(data) else b"[]"
    at_once, _ = parse(K.TEXT, encoded)
    by_row, _ = parse(K.TEXT, encoded.replace(b"}]", b',"x":[]}]'))
    assert at_once == by_row


def _encodable(data: object) -> bool:
    try:
        msgspec.json.encode(data)
    except (UnicodeEncodeError, OverflowError):
        return False
    return True


def test_run_length_text_adds_up() -> None:
    # Runs 2, 3, 7, 5 and 40 in COCO's text; from the fourth on as differences to two before.
    assert rle_pixel_count("2372Q1") == 57
    assert rle_pixel_count([2, 3, 7, 5, 40]) == 57
    assert rle_pixel_count("") == 0
    assert rle_pixel_count("Q") is None
    assert rle_pixel_count("\x7f") is None


def test_what_is_expected_is_never_cut_in_a_message() -> None:
    special = [(K.BOXES, "boxes-3d"), (K.TRACKS, "boxes-3d"), (K.POSE, "trajectory")]
    for kind, name in [*((kind, "") for kind in AnswerKind), *special]:
        assert len(form_of(kind, {"form": name}).expected) <= MAX_SHOWN_CHARS


def test_every_kind_of_media_says_its_endings() -> None:
    for kind in MEDIA_ENDINGS:
        form = form_of(kind)
        assert form.media_paths is not None
        assert kind is K.PANOPTIC or MEDIA_ENDINGS[kind][0] in form.expected


def test_the_page_of_the_format_names_every_kind_and_every_ending() -> None:
    page = (Path(__file__).parents[3] / "docs" / "labs" / "format.md").read_text(encoding="utf-8")
    for kind in AnswerKind:
        lines = [line for line in page.splitlines() if line.startswith(f"| {kind.value}")]
        assert lines, kind
        for ending in MEDIA_ENDINGS.get(kind, ()):
            assert ending in "".join(lines), (kind, ending)
