"""The file of ratings that an operator imports: its form, its limits, and the range of a verdict.

    {"raters": "three annotators, blind", "ratings": [{"id": "17", "ratings": [1, 0, 1]}, …]}

Each number is one rater's verdict on one item, in the metric's unit (percent on 0..100, opinions
on 1..5). An error names the place in the file and never what stands there.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from general_level.catalogue.limits import MAX_ITEM_ID_CHARS, MAX_ITEMS_PER_TASK
from general_level.errors import InvalidRequest

#: One file of ratings.
RATINGS_BYTES_MAX: Final = 16 * 1024 * 1024
RATERS_PER_ITEM_MAX: Final = 1_000


class RatingsInvalid(InvalidRequest):
    """The ratings cannot be used."""

    reason = "RATINGS_INVALID"


class _Rated(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ITEM_ID_CHARS)] | int
    ratings: Annotated[list[float], msgspec.Meta(min_length=1, max_length=RATERS_PER_ITEM_MAX)]


class _File(msgspec.Struct):
    ratings: Annotated[list[_Rated], msgspec.Meta(min_length=1, max_length=MAX_ITEMS_PER_TASK)]


_decoder: Final = msgspec.json.Decoder(_File)


def parse_ratings(data: bytes, low: float, high: float) -> dict[str, list[float]]:
    """The verdicts by item id, every one a finite number within [low, high].

    Raises RatingsInvalid for another form, an item that is named twice, a verdict out of range,
    and more than `RATINGS_BYTES_MAX` bytes, 200,000 items or 1,000 verdicts on one item.
    """
    if len(data) > RATINGS_BYTES_MAX:
        raise RatingsInvalid(f"They have at most {RATINGS_BYTES_MAX} bytes.", problem="size")
    try:
        entries = _decoder.decode(data).ratings
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RatingsInvalid(f"{error}.", problem="form") from error
    found: dict[str, list[float]] = {}
    for place, entry in enumerate(entries):
        where = f"$.ratings[{place}]"
        # Ids of items are texts; a file may write those that are whole numbers as numbers.
        identifier = str(entry.id)
        if identifier in found:
            raise RatingsInvalid(f"The item of {where} has verdicts already.", problem="twice")
        if not all(low <= verdict <= high for verdict in entry.ratings):
            raise RatingsInvalid(
                f"A verdict of {where} is not within {low:g} to {high:g}.", problem="range"
            )
        found[identifier] = entry.ratings
    return found
