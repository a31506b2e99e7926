"""A sound folder loads; every contradiction is refused with its file and row."""

from __future__ import annotations

from pathlib import Path

import pytest

from general_level import catalogue
from general_level.catalogue import AnswerKind, Modality, Paradigm
from general_level.errors import CatalogueError


def test_a_sound_folder_loads(write) -> None:
    tiny = catalogue.read(write({}))
    assert tiny.id == "tiny"
    assert list(tiny.boards) == ["A-full", "C-image-comprehension", "D-I-C-1", "D-L-1"]
    assert tiny.boards["C-image-comprehension"].task_ids == ("image-c-001", "image-c-002")
    assert tiny.boards["C-image-comprehension"].paradigm is Paradigm.COMPREHENSION
    assert tiny.boards["D-L-1"].name == "Questions"
    assert tiny.boards["A-full"].modalities == (Modality.IMAGE, Modality.LANGUAGE)
    assert tiny.references().references["image-c-002"].score == 5.9
    assert tiny.metric_of("image-c-002").scale == 50.0


def test_optional_columns_have_defaults(write) -> None:
    task = catalogue.read(write({})).tasks["image-c-001"]
    assert (task.short_name, task.aliases, task.options) == ("Cats", (), None)
    assert task.answer_kind is AnswerKind.LABEL


def test_options_are_a_mapping(write) -> None:
    options = catalogue.read(write({})).tasks["image-c-002"].options
    assert options == {"k": "50", "language": "python"}


def test_the_archive_path_of_language_has_no_paradigm(write) -> None:
    tasks = catalogue.read(write({})).tasks
    assert tasks["image-c-001"].archive_path == "image/comprehension/Cats"
    assert tasks["language-001"].archive_path == "nlp/Cats"


def test_a_catalogue_cannot_be_changed(write) -> None:
    tiny = catalogue.read(write({}))
    with pytest.raises(TypeError):
        tiny.tasks["image-c-001"] = tiny.tasks["image-c-002"]


def test_load_reads_a_folder_once(write) -> None:
    folder = write({})
    first = catalogue.load(folder)
    (folder / "tasks.csv").unlink()
    assert catalogue.load(folder) is first


T, M, S, B, C, R = (
    "tasks.csv",
    "metrics.toml",
    "skills.csv",
    "boards.toml",
    "catalogue.toml",
    "references/first.csv",
)

REFUSALS = [
    # tasks
    (T, "image-c-002", "image-c-001", 3, "duplicate id image-c-001"),
    (T, "I-C-1,Dogs", "I-C-9,Dogs", 3, "unknown skill 'I-C-9'"),
    (T, "I-C-1,Dogs", "L-1,Dogs", 3, "skill L-1 is of language none"),
    (T, "mae,number", "mse,number", 3, "unknown metric 'mse'"),
    (T, "mae,number", "mae,text", 3, "metric mae does not grade answers of kind text"),
    (T, "mae,number", "mae,poem", 3, "unknown answer_kind 'poem'"),
    (T, "002,image", "002,smell", 3, "unknown modality 'smell'"),
    (T, "language,none", "language,generation", 4, "paradigm generation does not fit"),
    (T, "Dogs,Dogs", "Dogs,cATS", 3, "folder 'cATS' is already that of image-c-001"),
    (T, "Dogs,Dogs", "Dogs,../Dogs", 3, "folder '../Dogs' is not words"),
    (T, "Dogs,Dogs", "Dogs,.dogs", 3, "folder '.dogs' is not words"),
    (T, "CLIP,2", "CLIP,1", 3, "workbook_row 1 is already that of image-c-001"),
    (T, "CLIP,2", "CLIP,two", 3, "workbook_row must be a whole number"),
    (T, "CLIP,2", ",2", 3, "specialist is missing"),
    (T, "k=50;language=python", "k=50;language", 3, "options must read key=value"),
    (T, "k=50;language=python", "k=50,more", 3, "12 cells where the header has 11"),
    (T, "folder,", "dossier,", 1, "column folder is missing"),
    (T, "options", "remarks", 1, "unknown column 'remarks'"),
    # skills
    (S, "L-1,", "I-C-1,", 3, "duplicate id I-C-1"),
    (S, "L-1,", "L 1,", 3, "id 'L 1' is not words"),
    (S, "language,none", "language,poetry", 3, "unknown paradigm 'poetry'"),
    # metrics
    (M, 'id = "mae"', 'id = "accuracy"', 15, "duplicate id accuracy"),
    (M, "scale = 50.0\n", "", 15, "mapping tanh-inverse needs a scale above 0"),
    (M, "scale = 50.0", "scale = 0", 15, "mapping tanh-inverse needs a scale above 0"),
    (M, "scale = 50.0", "scale = nan", 15, "scale must be a finite number"),
    (M, 'mapping = "identity"', 'mapping = "identity"\nscale = 2', 1, "has no scale"),
    (M, 'direction = "lower"', 'direction = "higher"', 15, "does not fit direction higher"),
    (M, 'direction = "lower"', 'direction = "down"', 15, "unknown direction 'down'"),
    (M, "maximum = 100.0", "maximum = 0.0", 1, "minimum 0.0 is not below maximum 0.0"),
    (M, '["label"]', '["word"]', 1, "unknown answer_kinds 'word'"),
    (M, '["label"]', "[]", 1, "answer_kinds is empty"),
    (M, '["label"]', '"label"', 1, "answer_kinds must be a list of texts"),
    (M, "version = 1", 'colour = "red"\nversion = 1', 1, "unknown key colour"),
    (M, "name = ", "name ", 1, "not TOML"),
    # boards
    (B, '"D-{skill}"', '"A-full"', 15, "duplicate id A-full"),
    (B, 'modalities = ["image"]', 'modalities = ["audio"]', 7, "match no task"),
    (B, '["image"]', '["image", "audio"]', 7, "modalities 'audio' matches no task"),
    (B, '["image"]', '["image"]\nskills = ["X-1"]', 7, "unknown skill X-1"),
    (B, '["comprehension"]', '["generation"]', 7, "match no task"),
    (B, "highest_level = 5", "highest_level = 6", 1, "highest_level must be 2 to 5, not 6"),
    (B, 'for_each = "skill"', 'for_each = "task"', 15, 'for_each must be "skill"'),
    (B, 'scope = "A"', 'scope = "E"', 1, "unknown scope 'E'"),
    (B, 'scope = "A"', 'scope = "A"\nmodality = "image"', 1, "unknown key modality"),
    # references
    (R, "language-001", "image-c-001", 4, "second reference of task image-c-001"),
    (R, "language-001,70,a test,2025-05\n", "", 1, "no reference of task language-001"),
    (R, "language-001", "language-009", 4, "unknown task 'language-009'"),
    (R, "70", "nan", 4, "score must be a finite number"),
    (R, "70", "inf", 4, "score must be a finite number"),
    (R, "70", "100.1", 4, "reference 100.1 is outside the bounds of metric accuracy"),
    (R, "5.9", "-1", 3, "reference -1.0 is outside the bounds of metric mae"),
    (R, "a test", "", 2, "source is missing"),
    (R, "2025-05-01", "May 2025", 3, "date must read YYYY-MM"),
    (R, "a test", '"a test', 4, "not a CSV table"),
    # the catalogue itself
    (C, "tasks = 3", "tasks = 4", 1, "expects tasks = 4, found 3"),
    (C, "boards = 4", "cats = 4", 1, "unknown expectation cats"),
    (C, "boards = 4", "boards_of = {A = 1, D = 3}", 1, "expects boards_of C = 0, found 1"),
    (C, '= "first"', '= "second"', 1, "default_reference_list second is not"),
    (C, 'id = "first"', 'id = "second"', 1, "the file cannot be read"),
    (C, 'id = "first"', 'id = "../first"', 6, "id '../first' is not words"),
    (C, 'title = "Tiny"\n', "", 1, "title is missing"),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "row", "problem"),
    REFUSALS,
    ids=lambda value: str(value)[:40],
)
def test_a_contradiction_is_refused_with_file_and_row(
    refuse, file: str, old: str, new: str, row: int, problem: str
) -> None:
    problems = refuse(file, old, new).metadata["problems"].splitlines()
    where = "references/second.csv" if new == 'id = "second"' else file
    assert [line for line in problems if line.startswith(f"{where}:{row}: ") and problem in line]


def test_all_problems_are_told_at_once(write) -> None:
    with pytest.raises(CatalogueError) as caught:
        catalogue.read(
            write(
                {
                    "skills.csv": "id,name,modality,paradigm\nI-C-1,,image,comprehension\n",
                    "references/first.csv": "task,score,source,date\nimage-c-001,x,,2025\n",
                }
            )
        )
    error = caught.value
    lines = error.metadata["problems"].splitlines()
    assert (error.metadata["file"], error.metadata["row"]) == ("skills.csv", "2")
    assert error.metadata["problem"] == "name is missing"
    assert error.metadata["count"] == str(len(lines))
    assert {line.split(":")[0] for line in lines} >= {"skills.csv", "tasks.csv", R}
    assert all(line in str(error) for line in lines)


def test_an_empty_folder_names_each_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError) as caught:
        catalogue.read(tmp_path)
    lines = caught.value.metadata["problems"].splitlines()
    for file in (C, M, S, T, B):
        assert f"{file}:1: the file cannot be read" in lines


def test_bytes_that_are_not_utf8_are_a_problem(write) -> None:
    folder = write({})
    (folder / "tasks.csv").write_bytes(b"id,\xff\n")
    with pytest.raises(CatalogueError, match="not UTF-8 at byte 3"):
        catalogue.read(folder)


def test_a_line_separator_inside_a_cell_does_not_split_the_row(write) -> None:
    files = {
        S: "id,name,modality,paradigm\nI-C-1,A\u2028B,image,comprehension\nL-1,Q,language,none\n"
    }
    assert catalogue.read(write(files)).skills["I-C-1"].name == "A\u2028B"
