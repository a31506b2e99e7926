"""Places for calls that last: bounded for each caller, and free again however a call ends."""

from __future__ import annotations

import pytest

from general_level.errors import ResourceExhausted
from services.gateway.places import Places


def test_a_caller_has_so_many_places_and_takes_none_of_anothers():
    places = Places(2)
    with places.take("a"), places.take("a"):
        with pytest.raises(ResourceExhausted) as refused, places.take("a"):
            pass
        assert refused.value.metadata["limit"] == "2"
        with places.take("b"):
            assert (places.taken("a"), places.taken("b")) == (2, 1)
    assert (places.taken("a"), places.taken("b")) == (0, 0)


def test_a_call_that_fails_gives_its_place_back():
    places = Places(1)
    with pytest.raises(ValueError, match="broken"), places.take("a"):
        raise ValueError("broken")
    with places.take("a"):
        assert places.taken("a") == 1
