"""The manifest: every network that a metric needs, where it comes from, and what proves it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from services.grader.weights.errors import WeightsInvalid

PACKAGED: Final = Path(__file__).with_name("manifest.toml")

#: Bytes of one parameter as published; all weights here are float32.
BYTES_PER_PARAMETER: Final = 4

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
#: What a reader may open: tensors without code, and the small texts beside them.
_SUFFIXES: Final = (".safetensors", ".json", ".txt")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file of a network. ``sha256`` is empty where the operator pins it, ``size_bytes`` 0."""

    name: str
    sha256: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """One network. ``id`` is its folder's name.

    ``architecture`` names the module of ``services.grader.models`` that opens it. ``extractors``
    are the names that the metrics know, each with the part of the network that serves it.
    ``parameters`` is the number of learned numbers at the published size (0: unknown).
    """

    id: str
    name: str
    architecture: str
    licence: str
    source: str
    parameters: int
    files: tuple[WeightsFile, ...]
    extractors: Mapping[str, str]
    metrics: tuple[str, ...]

    @property
    def about_bytes(self) -> int:
        """The size of the tensors in bytes, from the number of parameters; 0 where unknown."""
        return self.parameters * BYTES_PER_PARAMETER


@dataclass(frozen=True)
class Manifest:
    """All networks, by id."""

    weights: tuple[Weights, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Weights]:
        """The networks by id."""
        return MappingProxyType({each.id: each for each in self.weights})

    @cached_property
    def by_extractor(self) -> Mapping[str, Weights]:
        """Which network serves an extractor."""
        return MappingProxyType({name: each for each in self.weights for name in each.extractors})

    def needed_by(self, metric_id: str) -> tuple[Weights, ...]:
        """The networks that a metric needs; none for a metric without weights."""
        return tuple(each for each in self.weights if metric_id in each.metrics)


def load_manifest(path: Path = PACKAGED) -> Manifest:
    """The manifest in a TOML file; WeightsInvalid where it contradicts itself."""
    with path.open("rb") as file:
        table = tomllib.load(file)
    weights = tuple(_weights(each) for each in table["weights"])
    names = [each.id for each in weights]
    served = [name for each in weights for name in each.extractors]
    for kind, values in (("id", names), ("extractor", served)):
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise WeightsInvalid(f"The manifest names the {kind} {twice[0]} twice.", name=twice[0])
    return Manifest(weights)


def read_pins(path: Path) -> Mapping[str, str]:
    """The operator's digests by ``<weights id>/<file>``, as ``sha256sum */*`` prints them.

    Raises WeightsInvalid for a line of another form and for a file named twice.
    """
    pins: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        digest, _, name = line.partition(" ")
        # sha256sum marks a file read in binary mode by a star.
        name = name.lstrip(" *").removeprefix("./")
        if not _DIGEST.fullmatch(digest) or not name or name in pins:
            raise WeightsInvalid(
                f"Line {number} of the pins is not a SHA-256 and a new file.", line=number
            )
        pins[name] = digest
    return MappingProxyType(pins)


def _weights(row: dict[str, Any]) -> Weights:
    files = tuple(WeightsFile(**each) for each in row["files"])
    for file in files:
        if not file.name.endswith(_SUFFIXES) or Path(file.name).name != file.name:
            raise WeightsInvalid(
                f"{file.name} is neither safetensors nor text.", weights=row["id"], file=file.name
            )
        if file.sha256 and not _DIGEST.fullmatch(file.sha256):
            raise WeightsInvalid(
                f"The digest of {file.name} is no SHA-256.", weights=row["id"], file=file.name
            )
    if not _NAME.fullmatch(row["id"]):
        raise WeightsInvalid("An id is lower-case letters, digits, dot and dash.", name=row["id"])
    return Weights(
        id=row["id"],
        name=row["name"],
        architecture=row["architecture"],
        licence=row["licence"],
        source=row["source"],
        parameters=row.get("parameters", 0),
        files=files,
        extractors=MappingProxyType(dict(row["extractors"])),
        metrics=tuple(row["metrics"]),
    )
