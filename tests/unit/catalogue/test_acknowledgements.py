"""Who contributed what: an optional file of a catalogue, and what two versions differ in."""

from __future__ import annotations

import pytest

from general_level import catalogue
from general_level.catalogue.acknowledgements import ACKNOWLEDGEMENTS_MAX
from general_level.catalogue.differences import compare_catalogues, compare_lists
from general_level.errors import CatalogueError
from tests.unit.catalogue.conftest import FILES, Write

FILE = "acknowledgements.csv"
HEAD = "who,what,of,link\n"


def test_a_catalogue_may_thank_nobody(write: Write) -> None:
    assert catalogue.read(write({})).acknowledgements == ()


def test_contributors_are_read_with_their_tasks_and_skills(write: Write) -> None:
    text = HEAD + "A lab,Pictures,image-c-001|I-C-1,https://example.org/data\nAnother,All,,\n"
    first, second = catalogue.read(write({FILE: text})).acknowledgements
    assert (first.who, first.what, first.link) == ("A lab", "Pictures", "https://example.org/data")
    assert first.of == ("image-c-001", "I-C-1")
    assert (second.of, second.link) == ((), "")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (",Pictures,,", "who is missing"),
        ("A lab,,,", "what is missing"),
        ("A lab,Pictures,image-c-009,", "neither a task nor a skill"),
        ("A lab,Pictures,,http://example.org", "https"),
        ("A lab,Pictures,,javascript:alert(1)", "https"),
        (f"{'x' * 201},Pictures,,", "more than 200"),
        (f"A lab,{'x' * 501},,", "more than 500"),
        ("A\u202elab,Pictures,,", "cannot be printed"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(write: Write, row: str, problem: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        catalogue.read(write({FILE: f"{HEAD}{row}\n"}))
    assert caught.value.metadata["file"] == FILE
    assert caught.value.metadata["row"] == "2"
    assert problem in caught.value.metadata["problem"]


def test_there_are_not_too_many(write: Write) -> None:
    rows = "A lab,Pictures,,\n" * (ACKNOWLEDGEMENTS_MAX + 1)
    with pytest.raises(CatalogueError):
        catalogue.read(write({FILE: HEAD + rows}))


def test_the_two_lists_of_general_bench_differ_in_72_tasks() -> None:
    bench = catalogue.load()
    found = compare_lists(bench.reference_lists["paper"], bench.reference_lists["workbook"])
    assert len(found) == 72
    # The same value in two units of measure: nothing differs but what is printed.
    (odometry,) = [one for one in found if one.first.score == one.second.score]
    assert (odometry.first.printed, odometry.second.printed) == ("55.00", "0.55")
    language = [one for one in found if one.task_id.startswith("language-")]
    assert len(language) == 63
    assert sum(one.first.score > one.second.score for one in language) == 61


def test_two_versions_differ_in_tasks_metrics_and_references(write: Write) -> None:
    older = catalogue.read(write({}))
    newer = catalogue.read(
        write(
            {
                "tasks.csv": FILES["tasks.csv"]
                .replace("image-c-002,", "image-c-003,")
                .replace("language-001,language,none,L-1,Cats,Cats,accuracy,label", "")
                .replace(",T5,1,", "language-001,language,none,L-1,Cats,Cats,mae,number,T5,1,"),
                "references/first.csv": FILES["references/first.csv"]
                .replace("image-c-002", "image-c-003")
                .replace("image-c-001,50.0", "image-c-001,51"),
            }
        )
    )
    found = compare_catalogues(older, newer)
    assert (found.added_tasks, found.removed_tasks) == (("image-c-003",), ("image-c-002",))
    assert found.other_metrics == ("language-001",)
    ((list_id, (one,)),) = found.references
    assert (list_id, one.task_id) == ("first", "image-c-001")
    assert (one.first.score, one.second.score) == (50.0, 51.0)


def test_a_version_follows_a_shipped_one(write: Write) -> None:
    head = FILES["catalogue.toml"]
    assert catalogue.read(write({"catalogue.toml": f'follows = "sample"\n{head}'})).follows == (
        "sample"
    )
    for name in ("none", "../sample"):
        with pytest.raises(CatalogueError):
            catalogue.read(write({"catalogue.toml": f'follows = "{name}"\n{head}'}))
    assert catalogue.read(write({})).follows == ""
