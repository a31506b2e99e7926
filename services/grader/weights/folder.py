"""The operator's folder of weights: checked once, at start, then only read.

``FOLDER/<weights id>/<file>``, mounted read-only. Every file that a network may open is named by
the manifest and proved by SHA-256, the manifest's or the operator's pin; a folder that holds any
other file is refused, since a library may look for more than it is told. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from services.grader.weights.errors import (
    WeightsDigestMismatch,
    WeightsInvalid,
    WeightsMissing,
    WeightsUnpinned,
)
from services.grader.weights.manifest import Manifest, Weights, WeightsFile

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HeldWeights:
    """One network whose files were checked. ``digests`` are its files' SHA-256 by name."""

    weights: Weights
    folder: Path
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WeightsFolder:
    """What a grader holds, by weights id. An empty one is a grader without weights."""

    held: Mapping[str, HeldWeights] = field(default_factory=lambda: MappingProxyType({}))

    def get(self, weights_id: str) -> HeldWeights:
        """The network of this id; WeightsMissing where the folder has none."""
        if weights_id not in self.held:
            raise WeightsMissing(f"There is no {weights_id}.", weights=weights_id, file="")
        return self.held[weights_id]


@dataclass(frozen=True, slots=True)
class Availability:
    """What a grader can measure with the weights that it holds.

    ``served`` and the keys of ``waiting`` are the metrics of the manifest; a metric that no network
    of the manifest serves is in neither and waits for nothing. ``waiting`` says for which weights.
    """

    served: frozenset[str]
    waiting: Mapping[str, tuple[str, ...]]

    def waits_for(self, metric_id: str) -> tuple[str, ...]:
        """The ids of the weights that a metric lacks here; empty where it can be measured."""
        return self.waiting.get(metric_id, ())


def open_folder(manifest: Manifest, path: Path, pins: Mapping[str, str] = _NONE) -> WeightsFolder:
    """Checks every network that the folder holds, and gives those.

    ``pins`` are digests by ``<weights id>/<file>``. A network without a folder is not held. Raises
    WeightsMissing for a lacking file, WeightsUnpinned and WeightsDigestMismatch by the digests,
    WeightsInvalid for a folder or file that the manifest does not name, and for a pin that differs
    from the manifest's digest.
    """
    if not path.is_dir():
        raise WeightsMissing("There is no such folder.", weights="", file="")
    held: dict[str, HeldWeights] = {}
    for folder in sorted(each for each in path.iterdir() if each.is_dir()):
        weights = manifest.by_id.get(folder.name)
        if weights is None:
            raise WeightsInvalid(
                f"{folder.name} is not in the manifest.", weights=folder.name, file=""
            )
        held[weights.id] = _checked(weights, folder, pins)
    return WeightsFolder(MappingProxyType(held))


def available(manifest: Manifest, folder: WeightsFolder) -> Availability:
    """Which metrics of the manifest the folder serves, and which wait for what."""
    metrics = sorted({metric for each in manifest.weights for metric in each.metrics})
    lacking = {
        metric: tuple(each.id for each in manifest.needed_by(metric) if each.id not in folder.held)
        for metric in metrics
    }
    return Availability(
        served=frozenset(metric for metric, waits in lacking.items() if not waits),
        waiting=MappingProxyType({metric: waits for metric, waits in lacking.items() if waits}),
    )


def _checked(weights: Weights, folder: Path, pins: Mapping[str, str]) -> HeldWeights:
    known = {file.name for file in weights.files}
    for found in sorted(folder.iterdir()):
        if found.name not in known:
            raise WeightsInvalid(
                f"{weights.id}/{found.name} is not in the manifest.",
                weights=weights.id,
                file=found.name,
            )
    digests = {file.name: _check_file(weights, file, folder, pins) for file in weights.files}
    return HeldWeights(weights, folder, MappingProxyType(digests))


def _check_file(weights: Weights, file: WeightsFile, folder: Path, pins: Mapping[str, str]) -> str:
    path, where = folder / file.name, {"weights": weights.id, "file": file.name}
    label = f"{weights.id}/{file.name}"
    if not path.is_file():
        raise WeightsMissing(f"{label} is missing.", **where)
    pinned = pins.get(label, file.sha256)
    if not pinned:
        raise WeightsUnpinned(f"{label} has no pin.", **where)
    if file.sha256 and file.sha256 != pinned:
        raise WeightsInvalid(f"The pin of {label} is not the manifest's digest.", **where)
    if file.size_bytes and path.stat().st_size != file.size_bytes:
        raise WeightsDigestMismatch(f"{label} has another size.", **where)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != pinned:
        raise WeightsDigestMismatch(f"{label} has another SHA-256.", **where)
    return digest
