"""A document of historical results is taken whole or refused with the place of the first fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from services.kit.history import (
    DOCUMENT_BYTES_MAX,
    HistoryInvalid,
    is_history_id,
    parse_history,
)
from services.operations.shipped import shipped_history
from tests.support.histories import history, told

MODALITIES = ("image", "video", "audio", "3d")
#: Models whose printed figures are known not to follow from the published scores of their tasks.
UNEXPLAINED = {
    "Vitron-V1": {(2, "image")},
    "NExT-GPT-V1.5": {(2, "video")},
    "Sa2VA-8B": {(2, "video"), (3, "video")},
    "AnyGPT": {(2, "audio"), (3, "audio")},
    "ModaVerse-7b-v0": {(2, "audio"), (3, "audio")},
    "ImageBind-LLM": {(2, "audio"), (3, "audio")},
    "PandaGPT-13B": {(3, "audio")},
    "Unified-io-2-XXL": {(3, "audio")},
    "AvatarGPT": {(3, "3d")},
    "VidAgent": {(3, "video")},
    "MotionGPT-T5": {(2, "3d"), (3, "3d")},
    "MotionGPT-LLaMA": {(2, "3d"), (3, "3d")},
}


def test_the_shipped_document_has_every_model_and_row_of_the_paper() -> None:
    document = parse_history(shipped_history())
    assert (document.board, document.benchmark.catalogue) == ("A-full", "general-bench")
    assert (document.date, document.convention) == ("2025-05", "published-2024-12")
    assert len(document.models) == 102
    assert {table.level: len(table.rows) for table in document.tables} == {2: 102, 3: 102, 4: 3}
    assert {table.level: table.source for table in document.tables} == {
        2: "Table 12", 3: "Table 14", 4: "Table 16",
    }  # fmt: skip
    first = document.tables[0].rows[0]
    assert (first.model, first.rank, first.overall) == ("unified-io-2-xxl", 1, "13.70")
    # Nothing is rounded: this figure is printed with three places.
    assert "6.975" in {row.overall for row in document.tables[0].rows}


def test_the_shipped_remarks_are_at_what_is_known_to_be_unexplained() -> None:
    models = {model.name: model for model in parse_history(shipped_history()).models}
    for name, places in UNEXPLAINED.items():
        for level, modality in places:
            assert any(
                "follow from the published scores of the tasks" in remark.text
                and (not remark.levels or level in remark.levels)
                and (not remark.modalities or modality in remark.modalities)
                for remark in models[name].remarks
            ), (name, level, modality)


def test_every_other_contradiction_of_the_shipped_tables_has_a_remark() -> None:
    """An overall figure is the mean of four, and no level is above the one below it."""
    document = parse_history(shipped_history())
    models = {model.slug: model for model in document.models}
    below: dict[tuple[str, str], float] = {}
    found = set()
    for table in document.tables:
        for row in table.rows:
            mean = sum(float(row.scores[name]) for name in MODALITIES) / len(MODALITIES)
            if abs(mean - float(row.overall)) > 0.01:
                found.add((row.model, table.level))
            for name, figure in row.scores.items():
                if float(figure) > below.get((row.model, name), 100.0):
                    found.add((row.model, table.level))
                below[row.model, name] = float(figure)
    assert {slug for slug, _ in found} == {
        "qwen-vl-chat", "long-llava-9b", "deepseek-vl-2", "deepseek-vl-2-small", "modaverse-7b-v0",
    }  # fmt: skip
    for slug, level in found:
        assert any(level in remark.levels for remark in models[slug].remarks)


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.pop(key)


def put(value: object, *path: str | int) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def twice(*path: str | int) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path:
            place = place[step]
        place.append(place[0])

    return change


ROW = ("tables", 0, "rows", 0)
BAD = {
    "another format": (put("general-level/history/v2", "format"), "form", "$.format"),
    "no id": (without("id"), "form", "`id`"),
    "an id with capitals": (put("The-Paper", "id"), "form", "$.id"),
    "an id that is a path": (put("a/b", "id"), "form", "$.id"),
    "no mark of what is not supported": (without("not_supported"), "form", "not_supported"),
    "an unknown key": (put(1, "rows"), "form", "rows"),
    "no date": (put("May 2025", "date"), "form", "$.date"),
    "a link that is none": (put("javascript:alert(1)", "source", "link"), "form", "$.source.link"),
    "a figure as a number": (put(12.5, *ROW, "overall"), "form", "$.tables[0].rows[0].overall"),
    "a figure that is none": (put("nan", *ROW, "overall"), "form", "overall"),
    "a figure above 100": (put("100.01", *ROW, "overall"), "range", "$.tables[0].rows[0]"),
    "a modality that is none": (put("1.0", *ROW, "scores", "smell"), "form", "scores"),
    "a rank of 0": (put(0, *ROW, "rank"), "form", "rank"),
    "a level of 1": (put(1, "tables", 0, "level"), "form", "level"),
    "a level twice": (twice("tables"), "twice", "$.tables[2]"),
    "a model twice": (twice("models"), "twice", "$.models[2]"),
    "a row twice": (twice("tables", 0, "rows"), "twice", "$.tables[0].rows[2]"),
    "a row of no model": (put("other", *ROW, "model"), "model", "$.tables[0].rows[0]"),
    "a model in no table": (
        lambda document: document["models"].append({"slug": "x", "name": "X", "paradigms": []}),
        "model",
        "$.models[2]",
    ),
    "a name with a line": (put("a\nb", "models", 0, "name"), "text", "$.models[0].name"),
    "a name that turns": (put("a\u202eb", "models", 0, "name"), "text", "$.models[0].name"),
    "a name that is long": (put("x" * 101, "models", 0, "name"), "form", "$.models[0].name"),
    "a remark that is long": (
        put([{"text": "x" * 501}], "models", 0, "remarks"),
        "form",
        "$.models[0].remarks[0].text",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_with_its_place(case: str) -> None:
    change, problem, where = BAD[case]
    document = told()
    change(document)
    with pytest.raises(HistoryInvalid) as caught:
        parse_history(json.dumps(document).encode())
    assert caught.value.metadata["problem"] == problem
    assert where in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(HistoryInvalid):
        parse_history(data)


def test_a_document_has_a_size() -> None:
    padded = history().ljust(DOCUMENT_BYTES_MAX)
    assert parse_history(padded).id == "old-table"
    with pytest.raises(HistoryInvalid) as caught:
        parse_history(padded + b" ")
    assert caught.value.metadata["problem"] == "size"


def test_an_id_is_words_joined_by_hyphens() -> None:
    assert is_history_id("general-level-paper")
    for other in ("", "-a", "a/b", "A", "a" * 61, "a\n"):
        assert not is_history_id(other)
