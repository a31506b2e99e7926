"""Extractors by the names that metrics know them by, opened when they are first asked for."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from services.grader.device import Device
from services.grader.models.clap import open_clap
from services.grader.models.clip import open_clip
from services.grader.models.dinov2 import open_dinov2
from services.grader.models.florence import open_florence
from services.grader.models.inception import open_inception
from services.grader.models.linear_head import open_linear_head
from services.grader.models.mel_cepstra import open_mel_cepstra
from services.grader.models.motion_encoder import open_motion_encoder
from services.grader.models.musiq import open_musiq
from services.grader.models.raft import open_raft
from services.grader.models.umt import open_umt
from services.grader.models.vggish import open_vggish
from services.grader.models.viclip import open_viclip
from services.grader.models.video_resnet import open_video_resnet
from services.grader.models.vit import open_vit
from services.grader.models.whisper import open_whisper
from services.grader.weights.errors import WeightsMissing
from services.grader.weights.folder import WeightsFolder
from services.grader.weights.manifest import Manifest

#: The rate of the sounds of a column, where the caller does not say; extractors resample.
SOUND_RATE_HZ: Final = 48_000

#: How a network of an architecture is opened: to its parts by name.
OPENERS: Mapping[str, Callable[..., Mapping[str, Any]]] = MappingProxyType(
    {
        "clap": open_clap,
        "clip": open_clip,
        "dinov2": open_dinov2,
        "florence2": open_florence,
        "inception-v3": open_inception,
        "linear-head": open_linear_head,
        "motion-encoder": open_motion_encoder,
        "musiq": open_musiq,
        "raft": open_raft,
        "umt": open_umt,
        "vggish": open_vggish,
        "viclip": open_viclip,
        "video-resnet": open_video_resnet,
        "vit": open_vit,
        "whisper": open_whisper,
    }
)

#: Extractors that no network serves and no weights: formulas, opened with the rate of the sounds.
WEIGHTLESS: Mapping[str, Callable[[int], Any]] = MappingProxyType({"mel_cepstra": open_mel_cepstra})


class Extractors:
    """The extractors that a weights folder serves, on one device, and those that need no weights.

    Safe to share between threads. A network is read once, when one of its extractors is first
    asked for, and kept. All sounds are taken to be at ``sound_rate_hz``.
    """

    def __init__(
        self,
        manifest: Manifest,
        folder: WeightsFolder,
        device: Device,
        sound_rate_hz: int = SOUND_RATE_HZ,
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        self._device = device
        self._options = {"sound_rate_hz": sound_rate_hz}
        self._weightless = {name: opener(sound_rate_hz) for name, opener in WEIGHTLESS.items()}
        self._open: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Any:
        """The extractor of this name; WeightsMissing where the folder does not serve it."""
        if name in self._weightless:
            return self._weightless[name]
        weights = self._manifest.by_extractor.get(name)
        if weights is None:
            raise WeightsMissing(f"No network serves {name}.", weights="", file="")
        held = self._folder.get(weights.id)
        with self._lock:
            if weights.id not in self._open:
                opener = OPENERS[weights.architecture]
                known = inspect.signature(opener).parameters
                options = {key: value for key, value in self._options.items() if key in known}
                self._open[weights.id] = opener(held, self._device, **options)
        return self._open[weights.id][weights.extractors[name]]

    def for_metric(self, names: Iterable[str]) -> dict[str, Any]:
        """The keyword arguments of a metric that wants extractors of these names."""
        return {name: self.get(name) for name in names}
