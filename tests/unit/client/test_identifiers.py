"""Ids: their form, their order, and what is refused."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from general_level.identifiers import is_id, is_request_id, new_id, new_request_id

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_an_id_is_made_of_its_prefix_time_and_randomness() -> None:
    made = new_id("sub", NOW, random=lambda n: b"\0" * n)
    assert made == "sub_01ke6p4ym00000000000000000"
    assert new_id("sub", NOW, random=lambda n: b"\xff" * n) == "sub_01ke6p4ym0zzzzzzzzzzzzzzzz"


def test_ids_sort_by_time() -> None:
    made = [new_id("sub", NOW + timedelta(milliseconds=n)) for n in range(50)]
    assert made == sorted(made)
    assert len({new_id("sub", NOW) for _ in range(1000)}) == 1000


def test_an_id_is_recognised_by_its_form() -> None:
    made = new_id("job", NOW)
    assert is_id(made, "job")
    assert not is_id(made, "sub")
    for other in ("", "job_", made[:-1], made + "0", made.upper(), made.replace("_", "-")):
        assert not is_id(other, "job")


@pytest.mark.parametrize("prefix", ["", "Sub", "1a", "a_b", "a" * 17])
def test_a_prefix_is_a_short_word(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        new_id(prefix, NOW)


def test_an_id_needs_a_time_with_its_zone_after_1970() -> None:
    with pytest.raises(ValueError, match="zone"):
        new_id("sub", datetime(2026, 1, 5))  # noqa: DTZ001 - the fault under test
    with pytest.raises(ValueError, match="1970"):
        new_id("sub", datetime(1969, 1, 5, tzinfo=UTC))


def test_a_request_id_is_a_random_uuid() -> None:
    made = new_request_id()
    assert uuid.UUID(made).version == 4
    assert is_request_id(made)
    assert is_request_id(made.upper())
    for other in ("", "once", made[:-1], made.replace("-", ""), f"{{{made}}}"):
        assert not is_request_id(other)
