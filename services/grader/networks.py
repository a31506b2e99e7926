"""The networks that metrics are given, opened in the scorer when the first job needs one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from general_level.errors import GeneralLevelError, InvalidRequest
from services.grader.weights.errors import WeightsMissing
from services.grader.weights.folder import WeightsFolder, open_folder
from services.grader.weights.manifest import load_manifest, read_pins

#: The device that every machine has.
CPU: Final = "cpu"


class DeviceUnavailable(InvalidRequest):
    """The device that the setting names is not there."""

    reason = "DEVICE_UNAVAILABLE"


class OutOfMemory(GeneralLevelError):
    """A batch did not fit into memory, nor half of it."""

    reason = "OUT_OF_MEMORY"


class Networks(Protocol):
    """Gives an extractor by the name that a metric knows it by."""

    @property
    def label(self) -> str:
        """The device class that networks run on, as the signed statement shows it."""

    def __call__(self, name: str, /) -> Any:
        """The extractor; WeightsInvalid where the weights lack or cannot be used."""


class NoNetworks:
    """Where there are none at all."""

    label = ""

    def __call__(self, name: str, /) -> Any:
        raise WeightsMissing("No network is open here.", weights="", file="", extractor=name)


NO_NETWORKS = NoNetworks()


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Where weights lie and what runs them.

    ``weights`` is the operator's folder and ``pins`` the file of its digests; without a folder only
    extractors without weights are served. ``device`` is ``cpu``, ``cuda`` or ``cuda:<index>``,
    ``threads`` are those of one operation on the CPU.
    """

    weights: Path | None = None
    pins: Path | None = None
    device: str = CPU
    threads: int = 1

    def open_folder(self) -> WeightsFolder:
        """The folder with every file's digest checked; an empty one where there is none.

        Raises WeightsInvalid as ``weights.folder.open_folder`` does; OSError where the pins cannot
        be read.
        """
        if self.weights is None:
            return WeightsFolder()
        pins = read_pins(self.pins) if self.pins is not None else {}
        return open_folder(load_manifest(), self.weights, pins)


@dataclass
class HeldNetworks:
    """Networks of the operator's folder, each read when it is first asked for, and kept.

    So are the features that they make, as far as they fit. The libraries are imported then too, so
    a grader of other metrics never waits for them. Raises DeviceUnavailable where the setting names
    a device that is not there.
    """

    settings: NetworkSettings

    @cached_property
    def _opened(self) -> tuple[Callable[[str], Any], str]:
        from services.grader.device import open_device  # noqa: PLC0415
        from services.grader.media.feature_cache import CachedNetworks  # noqa: PLC0415
        from services.grader.models.extractors import Extractors  # noqa: PLC0415

        device = open_device(self.settings.device, self.settings.threads)
        extractors = Extractors(load_manifest(), self.settings.open_folder(), device)
        return CachedNetworks(extractors.get), device.label

    def open(self) -> None:
        """Opens the device and checks the folder now."""
        self._opened  # noqa: B018 - it is made when it is first read

    @property
    def label(self) -> str:
        """The device class; it opens the device."""
        return self._opened[1]

    def __call__(self, name: str, /) -> Any:
        return self._opened[0](name)
