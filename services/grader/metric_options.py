"""How a task's options of the catalogue become a metric's keywords."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

#: Option of a task to keyword and conversion; every other option belongs to the answers' form.
OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    # Answers in words
    "k": ("k", int),
    "threshold": ("threshold", float),
    "tokens": ("unit", {"characters": "character", "words": "word"}.__getitem__),
    # Media
    "iou": ("iou", float),
    "ways": ("ways", int),
    "top": ("top", int),
    "bar": ("bar", float),
    "norm": ("norm", str),
    "points": ("points", str),
    "directions": ("directions", str),
    "scale": ("scale", float),
    "error": ("form", str),
    "colour": ("colour", str),
    "identical": ("identical", str),
    "alignment": ("alignment", str),
}


def metric_options(given: Mapping[str, str], known: Collection[str]) -> dict[str, Any]:
    """The keywords of a metric that knows ``known``, from its task's options."""
    return {
        keyword: convert(given[option])
        for option, (keyword, convert) in OPTIONS.items()
        if option in given and keyword in known
    }
