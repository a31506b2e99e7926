"""Snapshots are canonical, dated, digested, and parse back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from general_level.errors import InvalidRequest
from services.ranker.snapshot import content_digest, digest, from_bytes, take_snapshot, to_bytes

AT = "2025-06-02T00:00:00+00:00"


@pytest.fixture
def models(entry):
    return [
        entry("Süd ☀", {"image-c-001": (80.0, 1.5), "image-g-002": 0.6, "language-001": 71.0}),
        entry("Other", {"image-c-001": 10.0}),
    ]


@pytest.fixture
def snapshot(models, rank):
    return take_snapshot(rank(models), AT, 42)


def test_a_recomputation_in_any_order_gives_the_same_bytes(models, rank, snapshot):
    again = take_snapshot(rank(models[::-1]), AT, 42)
    assert to_bytes(again) == to_bytes(snapshot)


def test_a_snapshot_parses_back_to_itself(snapshot):
    assert from_bytes(to_bytes(snapshot)) == snapshot


def test_the_form_is_sorted_compact_utf8(snapshot):
    data = to_bytes(snapshot)
    document = json.loads(data)
    again = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert data == again.encode()
    assert "Süd ☀".encode() in data
    assert (document["computed_at"], document["ledger_position"]) == (AT, 42)
    assert digest(data) == hashlib.sha256(data).hexdigest()


def test_the_content_digest_ignores_when_but_not_what(snapshot):
    later = replace(snapshot, computed_at="2025-06-03T00:00:00+00:00", ledger_position=43)
    assert content_digest(later) == content_digest(snapshot)
    assert digest(to_bytes(later)) != digest(to_bytes(snapshot))
    fewer = replace(snapshot, rows=snapshot.rows[:1])
    assert content_digest(fewer) != content_digest(snapshot)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\n",
        lambda data: data.replace(b'"level":5', b'"level": 5'),
        lambda data: data[:-1],
        lambda data: data.replace(b"standings/v2", b"standings/v9"),
        lambda data: data.replace(b'"wins"', b'"won"'),
        lambda data: b"[]",
        lambda data: b"\xff",
    ],
)
def test_anything_else_is_refused(snapshot, spoil):
    data = to_bytes(snapshot)
    assert spoil(data) != data
    with pytest.raises(InvalidRequest):
        from_bytes(spoil(data))
