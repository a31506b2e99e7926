"""The offline command: the published figures, both kinds of columns, and every fault by its row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.ranker.__main__ import main

PUBLISHED = Path(__file__).parents[2] / "golden" / "published" / "task_scores.csv"

#: Printed in arXiv 2505.04620, Tables 12, 14 and 16: S2, S3, S4; None is not compared.
FIGURES = {
    ("GPT-4o", "image"): (19.67, 14.51, 0.0),
    ("Emu2-32B", "image"): (30.90, 5.18, 1.25),
    ("Qwen-Audio-Chat", "audio"): (28.40, 10.57, 0.0),
    ("AudioGPT", "audio"): (8.80, 3.02, 0.0),
    ("3D-LLM", "3d"): (5.41, 1.38, 0.0),
    ("LLaMA-Mesh", "3d"): (1.60, None, 0.0),
    ("LM4LV", "video"): (6.74, None, 0.0),
    ("InternVL-2.5-8B", "video"): (5.77, 1.24, 0.0),
}


def run(*arguments: str | Path):
    return CliRunner().invoke(main, ["rank", *map(str, arguments)])


def rows_of(*arguments: str | Path) -> dict[str, dict]:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return {row["model"]: row for row in json.loads(result.stdout)}


@pytest.fixture(scope="module")
def published():
    return rows_of("--scores", PUBLISHED, "--convention", "published-2024-12")


@pytest.mark.parametrize(("model", "modality"), FIGURES)
def test_published_figures_are_reproduced(published, model, modality):
    found = published[model]["by_modality"][modality]
    for name, printed in zip(("s2", "s3", "s4"), FIGURES[model, modality], strict=True):
        if printed is not None:
            assert found[name] == pytest.approx(printed, abs=0.01), name


def test_the_json_has_the_documented_fields(published):
    for row in published.values():
        assert list(row) == [
            *("model", "level", "s2", "s3", "s4", "s5", "by_modality", "supported", "wins")
        ]
        assert set(row["by_modality"]) == {"image", "video", "audio", "3d"}
    assert (published["Emu2-32B"]["level"], published["GPT-4o"]["level"]) == (4, 3)


def test_no_published_model_reaches_level_five_by_the_paper_s_references(published):
    assert published["Emu2-32B"]["s5"] == 0
    by_workbook = rows_of(
        *("--scores", PUBLISHED, "--convention", "published-2024-12", "--references", "workbook")
    )
    assert by_workbook["Emu2-32B"]["s5"] > 0


def test_the_default_convention_refuses_a_printed_infinity(tmp_path):
    result = run("--scores", PUBLISHED)
    assert result.exit_code == 2
    assert f"{PUBLISHED}:49: INFINITE_SCORE" in result.stderr


def test_our_own_task_ids_with_errors(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "\ufeffmodel,task,score,n,stderr\nM,image-c-001,21.7,100,4.1\nM,image-c-002,1,,\n"
    )
    row = rows_of("--scores", path, "--board", "D-I-C-1")["M"]
    assert (row["level"], row["wins"], row["supported"]) == (3, 1, 2)
    assert row["s3"] == pytest.approx(21.7 / 3)


def test_the_table_is_for_people(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("model,task,score\nM,image-c-001,30\n")
    result = run("--scores", path, "--board", "C-image-comprehension")
    assert result.exit_code == 0
    assert "C-image-comprehension · paper · general-level" in result.stdout
    assert "1/271" in result.stdout


OWN = "model,task,score,n,stderr\n"
PRINTED = "model,modality,paradigm,workbook_row,score\n"
GOOD = "M,image-c-001,30,,\n"


@pytest.mark.parametrize(
    ("text", "row", "code"),
    [
        (OWN + GOOD + "M,image-c-1,30,,\n", 3, "UNKNOWN_TASK"),
        (OWN + GOOD + GOOD, 3, "DUPLICATE_SCORE"),
        (OWN + GOOD + "M,image-c-002,high,,\n", 3, "NOT_A_NUMBER"),
        (OWN + GOOD + "M,image-c-002,,,\n", 3, "NOT_A_NUMBER"),
        (OWN + GOOD + "M,image-c-002,nan,,\n", 3, "NOT_A_NUMBER"),
        (OWN + GOOD + "M,image-c-002,inf,,\n", 3, "INFINITE_SCORE"),
        (OWN + GOOD + "M,image-c-002,100.1,,\n", 3, "SCORE_OUT_OF_RANGE"),
        (OWN + GOOD + "M,image-c-002,30,-1,\n", 3, "NOT_A_COUNT"),
        (OWN + GOOD + "M,image-c-002,30,,-1\n", 3, "NOT_AN_ERROR"),
        (OWN + GOOD + ",image-c-002,30,,\n", 3, "MODEL_MISSING"),
        (OWN + GOOD + "M,image-c-002\n", 3, "WRONG_NUMBER_OF_COLUMNS"),
        (OWN + GOOD + "M,image-c-002,30,,,7\n", 3, "WRONG_NUMBER_OF_COLUMNS"),
        (OWN + GOOD + 'M,"image-c-002,30,,\n', 3, "NOT_CSV"),
        (OWN, 1, "NO_SCORES"),
        ("", 1, "COLUMNS_MISSING"),
        ("model,score\nM,3\n", 1, "COLUMNS_MISSING"),
        (
            "model,modality,paradigm,workbook_row,score\nM,Image,Comprehension,272,3\n",
            2,
            "UNKNOWN_TASK",
        ),
        (
            "model,modality,paradigm,workbook_row,score\nM,Smell,Comprehension,1,3\n",
            2,
            "UNKNOWN_TASK",
        ),
    ],
)
def test_a_fault_is_named_by_file_row_and_code(tmp_path, text, row, code):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    result = run("--scores", path, "--format", "json")
    assert result.exit_code == 2
    assert f"{path}:{row}: {code}: " in result.stderr
    assert result.stdout == ""


def test_all_faults_are_reported_at_once(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(OWN + "M,image-c-1,30,,\n" + GOOD + "M,image-c-002,x,,\n")
    stderr = run("--scores", path).stderr
    assert f"{path}:2: UNKNOWN_TASK" in stderr
    assert f"{path}:4: NOT_A_NUMBER" in stderr


def test_bytes_that_are_not_utf8(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_bytes(OWN.encode() + GOOD.encode() + b"M\xff,image-c-002,30,,\n")
    result = run("--scores", path)
    assert (result.exit_code, f"{path}:3: NOT_UTF8" in result.stderr) == (2, True)


def test_an_unknown_board_and_a_missing_file(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(OWN + GOOD)
    result = run("--scores", path, "--board", "A-half")
    assert (result.exit_code, "UNKNOWN_BOARD" in result.stderr) == (2, True)
    assert run("--scores", tmp_path / "absent.csv").exit_code == 2
