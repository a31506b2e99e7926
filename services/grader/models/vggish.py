"""VGGish: what a second of sound is like, the features of FAD.

S. Hershey et al., "CNN architectures for large-scale audio classification", ICASSP 2017; used as
K. Kilgour et al., "Fréchet audio distance", 2019, do: the 128 numbers of the last layer, without
its ReLU, without the later PCA. A sound has one embedding, the mean over its windows of 0.96 s.
Names of tensors are those of the published port to torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from services.grader.device import Device
from services.grader.models.sounds import Sound, mel_filters, resample
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.weights.folder import HeldWeights

WINDOWS_PER_BATCH: Final = 32
RATE_HZ: Final = 16_000
#: A frame of 25 ms each 10 ms; a window is 96 frames, one after the other.
FRAME: Final = 400
STEP: Final = 160
WINDOW_FRAMES: Final = 96
BANDS: Final = 64

_FOURIER: Final = 512
_LOW_HZ: Final = 125.0
_HIGH_HZ: Final = 7_500.0
_LOG_OFFSET: Final = 0.01
#: Samples of a window, the last frame's tail with it.
_WINDOW: Final = (WINDOW_FRAMES - 1) * STEP + FRAME
_DIMENSIONS: Final = 128


class Vggish(nn.Module):
    """Log-mel windows [n, 1, 96, 64] to [n, 128].

    ``channels`` are those of the first convolution, ``hidden`` of the layers before the last.
    """

    def __init__(self, channels: int = 64, hidden: int = 4096) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for part in (1, 0, 2, 0, 4, 4, 0, 8, 8, 0):
            if part:
                layers += [nn.Conv2d(before, part * channels, 3, padding=1), nn.ReLU()]
                before = part * channels
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(8 * channels * (WINDOW_FRAMES // 16) * (BANDS // 16), hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, _DIMENSIONS),
        )

    def forward(self, x: Tensor) -> Tensor:
        # Channels last, as the network was trained.
        found: Tensor = self.embeddings(self.features(x).permute(0, 2, 3, 1).flatten(1))
        return found


def open_vggish(held: HeldWeights, device: Device, sound_rate_hz: int) -> Mapping[str, Any]:
    """``embedding``: sounds [samples] at ``sound_rate_hz`` to [n, 128] float64."""
    tensors = read_tensors(held.folder / TENSORS_FILE)
    stem, wide = tensors.get("features.0.bias"), tensors.get("embeddings.0.bias")
    network = Vggish() if stem is None or wide is None else Vggish(stem.numel(), wide.numel())
    # The port carries the PCA of a later release with it.
    fill(network, tensors, held.weights.id, ignored=r"^pproc\.")
    network.to(device.place)

    def batch(windows: Sequence[NDArray[np.float32]]) -> Tensor:
        found: Tensor = network(torch.from_numpy(np.stack(windows))[:, None].to(device.place))
        return found

    def embedding(sounds: Sequence[Sound]) -> NDArray[np.float64]:
        cuts = [log_mel_windows(resample(sound, sound_rate_hz, RATE_HZ)) for sound in sounds]
        windows = [window for cut in cuts for window in cut]
        rows = device.features(windows, WINDOWS_PER_BATCH, batch)
        if not cuts:
            return rows
        ends = np.cumsum([len(cut) for cut in cuts])[:-1]
        return np.stack([part.mean(axis=0) for part in np.split(rows, ends)])

    return {"embedding": embedding}


def log_mel_windows(sound: NDArray[np.float64]) -> NDArray[np.float32]:
    """Windows [m, 96, 64] of a sound at 16 kHz: ln(mel + 0.01), m at least 1.

    Magnitudes of a Fourier transform of 512 points under a periodic Hann window of 400 samples, no
    padding, in 64 mel bands from 125 to 7500 Hz. A rest that is shorter than a window is left out;
    a sound that is shorter than one is filled up with silence.
    """
    samples = np.pad(sound, (0, max(_WINDOW - len(sound), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::STEP]
    windowed = frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME))
    magnitudes = np.abs(np.fft.rfft(windowed, _FOURIER))
    filters = mel_filters(BANDS, _FOURIER // 2 + 1, RATE_HZ, _LOW_HZ, _HIGH_HZ)
    log_mel = np.log(magnitudes @ filters + _LOG_OFFSET)
    count = len(log_mel) // WINDOW_FRAMES
    return log_mel[: count * WINDOW_FRAMES].reshape(count, WINDOW_FRAMES, BANDS).astype(np.float32)
