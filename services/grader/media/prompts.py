"""What a key says in words and numbers: texts, objects, attributes, relations, classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from services.grader.media.key_reader import KeyReader, ReferenceUnusable
from services.grader.metrics.motion.detections import PlacedPair, Relation

IMAGE_CLASSES: Final = 1000  # of ImageNet-1k
ACTION_CLASSES: Final = 400  # of Kinetics-400


def anything(_key: KeyReader, value: object) -> object:
    """The accepted answer of a metric that compares with none."""
    return value


def text(key: KeyReader, value: object) -> str:
    """A text that is not blank."""
    return key.text(value)


def target_text(key: KeyReader, value: object) -> str:
    """The prompt that a translated video is to show."""
    return two_texts(key, value)[0]


def source_text(key: KeyReader, value: object) -> str:
    """The prompt that its source shows."""
    return two_texts(key, value)[1]


def two_texts(key: KeyReader, value: object) -> tuple[str, str]:
    """``{"target": …, "source": …}``, neither of them blank."""
    found = key.fields(value, target=str, source=str)
    return key.text(found["target"]), key.text(found["source"])


def one_object(key: KeyReader, value: object) -> Sequence[str]:
    """``{"objects": ["dog"]}``: one name."""
    names = _names(key, value)
    if len(names) != 1:
        raise ReferenceUnusable("an object with one name in objects")
    return names


def several_objects(key: KeyReader, value: object) -> Sequence[str]:
    """``{"objects": ["dog", "cat"]}``: two names or more."""
    names = _names(key, value)
    if len(names) < 2:
        raise ReferenceUnusable("an object with two names or more in objects")
    return names


def described(key: KeyReader, value: object) -> tuple[str, str]:
    """``{"object": "car", "attribute": "red"}``, neither of them blank."""
    found = key.fields(value, object=str, attribute=str)
    return key.text(found["object"]), key.text(found["attribute"])


def placed(key: KeyReader, value: object) -> PlacedPair:
    """``{"first": "dog", "relation": "left of", "second": "car"}``."""
    found = key.fields(value, first=str, relation=Relation, second=str)
    return PlacedPair(key.text(found["first"]), found["relation"], key.text(found["second"]))


def image_class(_key: KeyReader, value: object) -> int:
    """A class number of ImageNet-1k."""
    return _class(value, IMAGE_CLASSES)


def action_class(_key: KeyReader, value: object) -> int:
    """A class number of Kinetics-400."""
    return _class(value, ACTION_CLASSES)


def _names(key: KeyReader, value: object) -> list[str]:
    found: list[str] = key.fields(value, objects=list[str])["objects"]
    return [key.text(name) for name in found]


def _class(value: Any, count: int) -> int:
    try:
        number: int = msgspec.convert(value, Annotated[int, Meta(ge=0, lt=count)])
    except msgspec.ValidationError:
        raise ReferenceUnusable(f"a whole number from 0 to {count - 1}") from None
    return number
