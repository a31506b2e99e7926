"""How every table of the pages is sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")


def ordered(
    items: Iterable[Item], key: Callable[[Item], Any], *, descending: bool = False
) -> list[Item]:
    """The items by their keys; those without one (None) stand last in either direction.

    The order in which they came decides between equals, whichever way the column runs.
    """
    keyed = [(key(item), item) for item in items]
    present = [pair for pair in keyed if pair[0] is not None]
    present.sort(key=lambda pair: pair[0], reverse=descending)
    absent = [pair for pair in keyed if pair[0] is None]
    return [item for _, item in present + absent]
