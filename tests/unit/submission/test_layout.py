"""The name of an archive and the place of its folders: exact, or a finding with what was meant."""

from __future__ import annotations

import pytest

from general_level.submission import Finding, FindingSink, Limits
from general_level.submission.naming import parse_archive_name
from general_level.submission.paths import enclosing_folder
from tests.unit.submission.archive_maker import (
    GOOD,
    IMAGE_FOLDER,
    TEXT_PATH,
    answers,
    check,
    pack,
)

BOARDS = ("A-full", "A-quick", "C-image-comprehension", "C-1", "D-I-C-1", "D-I-C-11")


def named(name: str) -> tuple[str, str, tuple[Finding, ...]]:
    sink = FindingSink()
    model, board = parse_archive_name(name, BOARDS, sink)
    return model, board, sink.findings


@pytest.mark.parametrize(
    ("name", "model", "board"),
    [
        ("GPT X-A-full.zip", "GPT X", "A-full"),
        ("a-b-c-D-I-C-11.zip", "a-b-c", "D-I-C-11"),
        ("X-A-full-D-I-C-1.zip", "X-A-full", "D-I-C-1"),
        ("X-I-C-1.zip", "X-I", "C-1"),
        ("模型-A-quick.zip", "模型", "A-quick"),
    ],
)
def test_the_board_is_the_longest_known_suffix(name: str, model: str, board: str) -> None:
    assert named(name) == (model, board, ())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("X-a-full.zip", "A-full"),
        ("X_A_full.zip", "A-full"),
        ("X A full.zip", "A-full"),
        ("X-A-fulll.zip", "A-full"),
        ("X-D-I-C-1 (1).zip", "D-I-C-11"),
        ("X-C-image-comprehesion.zip", "C-image-comprehension"),
    ],
)
def test_near_misses_of_boards_are_named(name: str, meant: str) -> None:
    model, board, (finding,) = named(name)
    assert (model, board, finding.code) == ("", "", "GL131")
    assert f"did you mean {meant}" in finding.message


def test_a_name_without_any_board_has_no_guess() -> None:
    _, _, (finding,) = named("something.zip")
    assert finding.code == "GL131"
    assert "did you mean" not in finding.message


@pytest.mark.parametrize("name", ["X-A-full", "X-A-full.ZIP", "X-A-full.zip.gz", ""])
def test_names_that_are_no_zip(name: str) -> None:
    assert [f.code for f in named(name)[2]] == ["GL130"]


@pytest.mark.parametrize(
    "model", ["", " ", " X", "X ", "x" * 101, "a/b", "a\\b", "a\x1bb", "a:b", "a<b"]
)
def test_unusable_model_names(model: str) -> None:
    _, board, findings = named(f"{model}-A-full.zip")
    assert [f.code for f in findings] == ["GL132"]
    assert board == "A-full"


ENTITY = "nlp/Entity Tagging"
LEAF = "image/comprehension/Leaf Disease Naming"


@pytest.mark.parametrize(
    ("folder", "code", "expected"),
    [
        ("image/comprehension/leaf disease naming", "GL133", LEAF),
        ("image/comprehension/Leaf_Disease-Naming", "GL133", LEAF),
        ("image/comprehension/LeafDiseaseNaming", "GL133", LEAF),
        ("image/comprehension/Leaf Illness", "GL133", LEAF),
        ("image/comprehension/image-c-1", "GL133", LEAF),
        ("image/comprehension/Leaf Desease Naming", "GL133", LEAF),
        ("image/generation/Leaf Disease Naming", "GL134", LEAF),
        ("video/comprehension/Leaf Disease Naming", "GL134", LEAF),
        ("image/Leaf Disease Naming", "GL134", LEAF),
        ("Leaf Disease Naming", "GL134", LEAF),
        ("Image/Comprehension/Leaf Disease Naming", "GL134", LEAF),
        ("image/comprehension/results/Leaf Disease Naming", "GL134", LEAF),
        ("language/Entity Tagging", "GL134", ENTITY),
        ("nlp/comprehension/Entity Tagging", "GL134", ENTITY),
        ("nlp/entity_tagging", "GL133", ENTITY),
        ("image/comprehension/Moon Phases", "GL135", ""),
        ("image/comprehension", "GL135", ""),
        ("stuff", "GL135", ""),
    ],
)
def test_folders_that_are_not_exactly_a_task(folder: str, code: str, expected: str) -> None:
    report = check(pack({**{f"{IMAGE_FOLDER}/prediction.json": answers("a.png")},
                         f"{IMAGE_FOLDER}/a.png": b"1",
                         f"{folder}/prediction.json": b"[]", f"{folder}/x.png": b"1"}))  # fmt: skip
    (finding,) = report.findings
    assert (finding.code, finding.path) == (code, folder)
    assert finding.data["expected"] == expected
    assert finding.data["count"] == "2"
    assert expected in finding.remedy


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("predictions.json", "it has predictions.json"),
        ("Prediction.json", "it has Prediction.json"),
        ("output/prediction.json", "it has output/prediction.json"),
        ("prediction.jsonl", "it has prediction.jsonl"),
        ("a.png", "no prediction.json."),
    ],
)
def test_a_task_folder_without_its_prediction_file(file: str, hint: str) -> None:
    report = check(pack({f"{LEAF}/{file}": b"[]"}))
    (finding,) = report.findings
    assert finding.code == "GL137"
    assert hint in finding.message
    assert TEXT_PATH in finding.remedy
    assert "image-c-1" in report.unsupported_task_ids


def test_a_task_that_is_not_on_the_board_is_named_and_not_parsed() -> None:
    archive = pack({**GOOD, f"{ENTITY}/prediction.json": b"broken"})
    report = check(archive, name="X-C-image.zip")
    (finding,) = report.findings
    assert (finding.code, finding.data["task"]) == ("GL136", "language-1")
    assert list(report.tasks) == ["image-c-1"]
    assert report.unsupported_task_ids == ("image-c-2",)


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["out/image/a", "out/nlp/b"], "out"),
        (["x/y/image/a"], "x/y"),
        (["image/a"], ""),
        (["image/image/a"], ""),
        (["out/image/a", "README.md"], ""),
        (["out/image/a", "out/README.md"], ""),
        (["out/image/a", "other/image/b"], ""),
        (["out/stuff/a"], ""),
        (["language/a/b"], ""),
        ([], ""),
    ],
)
def test_only_pure_wrapping_is_offered_for_stripping(paths: list[str], folder: str) -> None:
    assert enclosing_folder(paths) == folder


def test_with_leave_the_enclosing_folder_is_stripped_and_all_else_is_checked() -> None:
    archive = pack({f"My Model-A-full/{TEXT_PATH}": answers("x", 3)})
    report = check(archive, allow_strip=True)
    assert {f.code for f in report.findings} == {"GL124", "GL170"}
    assert report.enclosing_folder == "My Model-A-full"
    (member,) = report.tasks["image-c-1"].members
    assert (member.path, member.stored_path) == (TEXT_PATH, f"My Model-A-full/{TEXT_PATH}")
    refused = check(pack({f"out/{TEXT_PATH}": answers("x")}))
    assert [f.code for f in refused.findings] == ["GL123"]
    assert not refused.ok


def media(*names: str, files: dict[str, bytes]) -> bytes:
    content = {f"{IMAGE_FOLDER}/{name}": data for name, data in files.items()}
    return pack({f"{IMAGE_FOLDER}/prediction.json": answers(*names), **content})


def test_media_files_are_found_in_the_tasks_own_folder() -> None:
    report = check(media("out/a.png", "b.png", files={"out/a.png": b"1", "b.png": b"2"}))
    assert report.ok
    paths = [member.path.removeprefix(f"{IMAGE_FOLDER}/") for member in
             report.tasks["image-g-1"].members]  # fmt: skip
    assert paths == ["prediction.json", "out/a.png", "b.png"]


@pytest.mark.parametrize(
    ("named_file", "hint"), [("A.PNG", "it has a.png"), (f"{IMAGE_FOLDER}/a.png", "it has a.png")]
)
def test_a_missing_media_file_says_what_may_be_meant(named_file: str, hint: str) -> None:
    report = check(media(named_file, files={"a.png": b"1"}))
    finding, unused = report.findings
    assert (finding.code, finding.row, unused.code) == ("GL140", 0, "GL138")
    assert hint in finding.message


def test_ids_are_held_against_the_tasks_items() -> None:
    archive = pack({TEXT_PATH: answers("x", "y", "z")})
    known = {"image-c-1": ["0", "1", "8", "9"]}
    report = check(archive, item_ids=known)
    assert [(f.code, f.row) for f in report.findings] == [("GL164", 2), ("GL165", None)]
    task = report.tasks["image-c-1"]
    assert (task.item_count, task.unknown_id_count) == (3, 1)
    assert (task.missing_id_count, task.missing_ids) == (2, ("8", "9"))


def test_findings_are_capped_and_all_are_counted() -> None:
    archive = pack({TEXT_PATH: answers(*range(500)), "notes.txt": b""})
    report = check(archive, limits=Limits(findings_per_code_and_member=50))
    assert report.counts == {"GL170": 500, "GL135": 1}
    assert report.finding_count == 501
    assert len(report.findings) == 51
    report = check(archive, limits=Limits(findings_reported=10))
    assert len(report.findings) == 10
    assert "GL135" in {f.code for f in report.findings}
    assert not report.ok
