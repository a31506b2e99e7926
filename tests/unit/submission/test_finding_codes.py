"""Every finding code has an archive that produces it, and a place on the page of codes."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import msgspec
import pytest

from general_level.submission import (
    RULES,
    CheckReport,
    Code,
    Limits,
    Severity,
    check_archive,
)
from general_level.submission.__main__ import main
from general_level.submission.codes import CONTENT_CODES
from tests.unit.submission.archive_maker import (
    GOOD,
    IMAGE_FOLDER,
    NUMBER_PATH,
    TEXT_PATH,
    RawEntry,
    answers,
    catalogue,
    check,
    pack,
    raw_pack,
)

PAGE = Path(__file__).parents[3] / "docs" / "labs" / "findings.md"
NAME = TEXT_PATH.encode()


def text_file(content: bytes) -> bytes:
    return pack({TEXT_PATH: content})


def number_file(content: bytes) -> bytes:
    return pack({NUMBER_PATH: content})


def image_file(path: str, **files: bytes) -> bytes:
    media = {f"{IMAGE_FOLDER}/{name}": content for name, content in files.items()}
    return pack({f"{IMAGE_FOLDER}/prediction.json": answers(path), **media})


def zeros() -> bytes:
    return pack({**GOOD, f"{IMAGE_FOLDER}/a.png": bytes(3000)})


def damaged() -> bytes:
    return raw_pack([RawEntry(NAME, answers("x"), crc=1)])


#: code → (archive, options of the check)
CASES: dict[Code, tuple[bytes, dict[str, object]]] = {
    Code.NOT_A_ZIP: (b"\x1f\x8bgzip", {}),
    Code.DAMAGED_DIRECTORY: (pack(GOOD)[:-30], {}),
    Code.EMPTY_ARCHIVE: (pack({}), {}),
    Code.TOO_MANY_MEMBERS: (pack({"a": b"", "b": b""}), {"limits": Limits(members=1)}),
    Code.UNPACKED_TOO_LARGE: (pack(GOOD), {"limits": Limits(unpacked_bytes=10)}),
    Code.MEMBER_TOO_LARGE: (pack(GOOD), {"limits": Limits(member_bytes=10)}),
    Code.RATIO_TOO_HIGH: (
        zeros(),
        {"limits": Limits(ratio_checked_bytes=1000, compression_ratio=50)},
    ),
    Code.OVERLAPPING_MEMBERS: (
        raw_pack([RawEntry(NAME, answers("x")), RawEntry(b"b", offset=10)]),
        {},
    ),
    Code.HEADER_MISMATCH: (raw_pack([RawEntry(NAME, local={"name": NAME[:-1] + b"x"})]), {}),
    Code.PATH_ESCAPES: (raw_pack([RawEntry(b"../a")]), {}),
    Code.SPECIAL_FILE: (raw_pack([RawEntry(NAME, mode=0o120777)]), {}),
    Code.DUPLICATE_NAME: (raw_pack([RawEntry(NAME), RawEntry(NAME)]), {}),
    Code.COLLIDING_NAMES: (raw_pack([RawEntry(b"nlp/A"), RawEntry(b"nlp/a")]), {}),
    Code.ENCRYPTED: (raw_pack([RawEntry(NAME, flags=0x0801)]), {}),
    Code.UNSUPPORTED_METHOD: (pack(GOOD, zipfile.ZIP_BZIP2), {}),
    Code.NAME_NOT_UTF8: (raw_pack([RawEntry(b"nlp/\xe9t\xe9")]), {}),
    Code.NAME_UNPRINTABLE: (raw_pack([RawEntry(b"nlp/\x1b[31m")]), {}),
    Code.PATH_TOO_LONG: (raw_pack([RawEntry(b"a" * 600)]), {}),
    Code.NESTED_TOO_DEEP: (raw_pack([RawEntry(b"a/" * 20 + b"b")]), {}),
    Code.MULTI_DISK: (raw_pack([RawEntry(NAME)], disk=1), {}),
    Code.CONTENT_DAMAGED: (damaged(), {}),
    Code.JUNK_IGNORED: (pack({**GOOD, "__MACOSX/._x": b"", "nlp/.DS_Store": b""}), {}),
    Code.ENCLOSING_FOLDER: (pack({f"out/{TEXT_PATH}": answers("x")}), {}),
    Code.ENCLOSING_FOLDER_STRIPPED: (
        pack({f"out/{TEXT_PATH}": answers("x")}),
        {"allow_strip": True},
    ),
    Code.ARCHIVE_TOO_LARGE: (pack(GOOD), {"limits": Limits(archive_bytes=10)}),
    Code.BAD_ARCHIVE_NAME: (pack(GOOD), {"name": "Model X-A-full.tar"}),
    Code.UNKNOWN_BOARD: (pack(GOOD), {"name": "Model X-A-fulll.zip"}),
    Code.BAD_MODEL_NAME: (pack(GOOD), {"name": "A-full.zip"}),
    Code.MISSPELT_FOLDER: (pack({TEXT_PATH.replace(" ", "_"): answers("x")}), {}),
    Code.MISPLACED_FOLDER: (pack({"language/Entity Tagging/prediction.json": b"[]"}), {}),
    Code.UNKNOWN_FOLDER: (pack({**GOOD, "README.md": b"hello"}), {}),
    Code.TASK_NOT_ON_BOARD: (
        pack({**GOOD, "nlp/Entity Tagging/prediction.json": b"[]"}),
        {"name": "Model X-B-image.zip"},
    ),
    Code.NO_PREDICTION_FILE: (pack({TEXT_PATH.replace("tion.", "tions."): b"[]"}), {}),
    Code.UNUSED_FILES: (image_file("a.png", **{"a.png": b"1", "b.png": b"1"}), {}),
    Code.MEDIA_MISSING: (image_file("a.png"), {}),
    Code.MEDIA_EMPTY: (image_file("a.png", **{"a.png": b""}), {}),
    Code.JSON_TOO_LARGE: (pack(GOOD), {"limits": Limits(prediction_json_bytes=10)}),
    Code.NOT_UTF8: (text_file(b'[{"id":"1","prediction":"\xe9"}]'), {}),
    Code.BYTE_ORDER_MARK: (text_file(b"\xef\xbb\xbf" + answers("x")), {}),
    Code.NOT_JSON: (text_file(b'[{"id":"1","prediction":"x"'), {}),
    Code.NOT_A_LIST: (text_file(b'{"1": "x"}'), {}),
    Code.EMPTY_LIST: (text_file(b"[ ]"), {}),
    Code.TOO_MANY_ITEMS: (text_file(answers("x", "y")), {"limits": Limits(items_per_task=1)}),
    Code.JSON_TOO_DEEP: (text_file(b'[{"id":"1","prediction":' + b"[" * 100), {}),
    Code.ROW_NOT_AN_OBJECT: (text_file(b'["x", "y"]'), {}),
    Code.DUPLICATE_KEY: (text_file(b'[{"id":"1","id":"2","prediction":"x"}]'), {}),
    Code.MISSING_KEY: (text_file(b'[{"id":"1"}]'), {}),
    Code.EXTRA_KEY: (text_file(b'[{"id":"1","prediction":"x","score":1}]'), {}),
    Code.BAD_ID: (text_file(b'[{"id":1.5,"prediction":"x"}]'), {}),
    Code.DUPLICATE_ID: (
        text_file(b'[{"id":"1","prediction":"x"},{"id":1,"prediction":"y"}]'),
        {},
    ),
    Code.UNKNOWN_ID: (text_file(answers("x", "y")), {"item_ids": {"image-c-1": ["0"]}}),
    Code.ABSENT_IDS: (text_file(answers("x")), {"item_ids": {"image-c-1": ["0", "7"]}}),
    Code.WRONG_TYPE: (text_file(answers(["x"])), {}),
    Code.NULL_PREDICTION: (text_file(answers(None)), {}),
    Code.NUMBER_AS_TEXT: (number_file(answers("3.5")), {}),
    Code.NOT_FINITE: (number_file(b'[{"id":"1","prediction":NaN}]'), {}),
    Code.TOO_LONG: (text_file(answers("x" * 100_001)), {}),
    Code.BAD_UNICODE: (text_file(b'[{"id":"1","prediction":"\\udc00 "}]'), {}),
    Code.BAD_MEDIA_PATH: (image_file("../a.png"), {}),
    Code.BAD_MEDIA_FORMAT: (image_file("a.exe", **{"a.exe": b"1"}), {}),
    Code.INCONSISTENT_ANSWER: (
        pack(
            {
                "image/comprehension/Crack Masks/prediction.json": answers(
                    [{"mask": {"size": [2, 2], "counts": [1, 2]}}]
                )
            }
        ),
        {},
    ),
}


def test_every_code_has_a_case() -> None:
    # What is inside a media file only a grader finds; tests/unit/grader/decode has those cases.
    assert set(CASES) == set(Code) - CONTENT_CODES
    assert set(Code) == set(RULES)


@pytest.mark.parametrize("code", CASES, ids=lambda code: f"{code.value}-{code.name}")
def test_the_case_produces_its_code(code: Code) -> None:
    archive, options = CASES[code]
    report = check(archive, **options)  # type: ignore[arg-type]
    found = {finding.code for finding in report.findings}
    assert code.value in found, found
    finding = next(f for f in report.findings if f.code == code.value)
    assert finding.warning == (RULES[code].severity is Severity.WARNING)
    assert report.ok == (not any(not f.warning for f in report.findings))
    assert finding.message
    assert finding.remedy
    assert (finding.message + finding.remedy + finding.path).isprintable()


def test_the_page_has_an_entry_for_every_code_and_no_other() -> None:
    page = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^### (GL\d{3}) (.+)$", page, re.MULTILINE)
    assert headings == [(code.value, rule.title) for code, rule in RULES.items()]


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.value)
def test_the_page_says_what_why_and_what_to_do(code: Code) -> None:
    page = PAGE.read_text(encoding="utf-8")
    entry = page.split(f"### {code.value} ")[1].split("\n### ")[0].split("\n## ")[0]
    assert f"**Severity:** {RULES[code].severity.value}" in entry
    for part in ("**What:**", "**Why:**", "**What to do:**"):
        assert part in entry


def test_all_findings_come_at_once() -> None:
    archive = pack(
        {
            TEXT_PATH: b'[{"id":"1","prediction":3},{"id":"1"},{"prediction":"x"}]',
            NUMBER_PATH: answers("7"),
            "image/comprehension/Car_Detection/prediction.json": b"[]",
            "notes.txt": b"",
        }
    )
    report = check(archive, name="X-A-ful.zip")
    assert {f.code for f in report.findings} == {
        "GL131", "GL133", "GL135", "GL160", "GL170", "GL172",
    }  # fmt: skip
    assert report.finding_count == 7


def test_an_archive_without_fault_has_no_finding() -> None:
    report = check(pack(GOOD), item_ids={"image-c-1": ["0", "1"]})
    assert report.ok
    assert report.findings == ()
    assert (report.model_name, report.board_id) == ("Model X", "A-full")
    assert report.tasks["image-c-1"].item_count == 2
    assert [m.path for m in report.tasks["image-c-1"].members] == [TEXT_PATH]
    assert report.unsupported_task_ids[0] == "image-c-2"


def test_an_empty_archive_of_a_wrong_name_has_both_findings() -> None:
    assert {f.code for f in check(pack({}), name="x.zip").findings} == {"GL103", "GL131"}


def test_a_zip_in_a_zip_is_only_a_file_of_no_task() -> None:
    report = check(pack({**GOOD, "inner.zip": pack({"x": bytes(10_000)})}))
    assert [f.code for f in report.findings] == ["GL135"]


def test_the_findings_table_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(RULES) + 2
    assert all(line.count("|") == 4 for line in lines)


def test_the_report_passes_between_processes() -> None:
    report = check(text_file(answers(3, "x")))
    assert pickle.loads(pickle.dumps(report)) == report
    assert msgspec.json.decode(msgspec.json.encode(report), type=CheckReport) == report


def test_names_in_messages_cannot_act_on_a_terminal() -> None:
    hostile = "\x1b]0;owned\x07" + "\u202e" + "A" * 5000
    data = json.dumps([{"id": "1", "prediction": "x", hostile: 1}]).encode()
    (finding,) = check(text_file(data)).findings
    assert finding.message.isprintable()
    assert len(finding.message) < 400


def test_reading_stops_at_the_directory_for_media() -> None:
    """Media files are looked up in the directory; their bytes are not read."""

    class Counting(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.read_bytes += len(data)
            return data

    archive = pack(
        {
            f"{IMAGE_FOLDER}/prediction.json": answers("a.png"),
            f"{IMAGE_FOLDER}/a.png": bytes(10**6),
        },
        zipfile.ZIP_STORED,
    )
    file = Counting(archive)
    report = check_archive(file, catalogue=catalogue(), archive_name="X-A-full.zip")
    assert report.ok
    assert file.read_bytes < 70_000
