"""The names of the files of sealed keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from general_level.catalogue.model import Modality

#: The file of a modality's keys: ``3d`` is no good name for an image or a setting.
KEY_FILE_NAMES: Final[Mapping[Modality, str]] = {
    Modality.IMAGE: "image.keys",
    Modality.VIDEO: "video.keys",
    Modality.AUDIO: "audio.keys",
    Modality.THREE_D: "three_d.keys",
    Modality.LANGUAGE: "language.keys",
}
