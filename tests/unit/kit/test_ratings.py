"""A file of ratings is taken whole or refused with the place of the first fault."""

from __future__ import annotations

import json

import pytest

from general_level.catalogue.limits import MAX_ITEMS_PER_TASK
from services.kit.ratings import (
    RATERS_PER_ITEM_MAX,
    RATINGS_BYTES_MAX,
    RatingsInvalid,
    parse_ratings,
)


def file_of(*rows: object) -> bytes:
    return json.dumps({"raters": "three, blind", "ratings": rows}).encode()


def row(identifier: object = "a", *verdicts: object) -> dict[str, object]:
    return {"id": identifier, "ratings": list(verdicts or (3,))}


GOOD = [
    file_of(row("a", 1, 5), row("b", 2.5)),
    file_of(row(17, 1)),
    file_of(row("ü", *[4] * RATERS_PER_ITEM_MAX)),
    b'{"ratings": [{"id": "a", "ratings": [1e0], "note": null}], "more": {}}',
]
BAD = {
    "empty": b"",
    "cut": b'{"ratings": [',
    "deep": b"[" * 100_000,
    "another form": b"[]",
    "no list": b'{"ratings": {}}',
    "no row": file_of(),
    "a row that is none": file_of("a"),
    "no id": file_of({"ratings": [3]}),
    "an empty id": file_of(row("")),
    "an id that is a truth value": file_of(row(True)),
    "an id that is a fraction": file_of(row(1.5)),
    "the same id twice": file_of(row("a"), row("a")),
    "the same id as a text and a number": file_of(row("7"), row(7)),
    "no verdict": b'{"ratings": [{"id": "a", "ratings": []}]}',
    "a verdict that is a text": file_of(row("a", "3")),
    "a verdict that is a truth value": file_of(row("a", True)),
    "a verdict below": file_of(row("a", 0.999)),
    "a verdict above": file_of(row("a", 5.001)),
    "not a number": b'{"ratings": [{"id": "a", "ratings": [NaN]}]}',
    "infinite": b'{"ratings": [{"id": "a", "ratings": [1e999]}]}',
    "huge": b'{"ratings": [{"id": "a", "ratings": [1%s]}]}' % (b"0" * 5000),
    "too many verdicts": file_of(row("a", *[3] * (RATERS_PER_ITEM_MAX + 1))),
    "too many items": file_of(*(row(i) for i in range(MAX_ITEMS_PER_TASK + 1))),
    "too many bytes": file_of(row()) + b" " * RATINGS_BYTES_MAX,
    "no text": b'{"ratings": [{"id": "\xff", "ratings": [3]}]}',
}


@pytest.mark.parametrize("data", GOOD, ids=range(len(GOOD)))
def test_a_good_file_is_read_as_it_is_written(data):
    written = {str(entry["id"]): entry["ratings"] for entry in json.loads(data)["ratings"]}
    assert parse_ratings(data, 1, 5) == written


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused(data):
    with pytest.raises(RatingsInvalid):
        parse_ratings(data, 1, 5)


def test_a_refusal_says_where_and_not_what():
    for bad in (row("a", 99.25), row("secret-item", "secret-verdict")):
        with pytest.raises(RatingsInvalid, match=r"\$\.ratings\[1\]") as caught:
            parse_ratings(file_of(row("x"), bad), 1, 5)
        assert "secret" not in str(caught.value)
        assert "99.25" not in str(caught.value)


def test_the_bounds_themselves_are_within():
    assert parse_ratings(file_of(row("a", 1, 5)), 1, 5) == {"a": [1.0, 5.0]}
