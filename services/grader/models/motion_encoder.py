"""The motion network of text-to-motion evaluation: a motion of a body as 512 numbers.

C. Guo et al., "Generating diverse and natural 3D human motions from text", CVPR 2022: two strided
convolutions take four frames to a step, a bidirectional recurrent network the steps to one vector.
Motions are in the benchmark's representation, [frames, 263], already scaled by the mean and
deviation of the evaluation; its last four numbers, the contacts of the feet, are not seen. Names of
tensors are those of the published checkpoint, each under the name of its part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from services.grader.device import Device
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.weights.folder import HeldWeights

Motion = NDArray[Any]

#: Motions go one by one: of two lengths, none is padded.
MOTIONS_PER_BATCH: Final = 1
FRAMES_PER_STEP: Final = 4
CONTACTS: Final = 4
#: A longer motion is cut, as in the published evaluation.
LONGEST: Final = 196

_SLOPE: Final = 0.2


class MotionNetwork(nn.Module):
    """Motions [n, t, inputs] to [n, out], t at least 4."""

    def __init__(
        self, inputs: int = 259, movement: int = 512, hidden: int = 1024, out: int = 512
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.movement_encoder = _Movement(inputs, movement)
        self.motion_encoder = _Recurrent(movement, hidden, out)

    def forward(self, motions: Tensor) -> Tensor:
        found: Tensor = self.motion_encoder(self.movement_encoder(motions))
        return found


class _Movement(nn.Module):
    def __init__(self, inputs: int, out: int) -> None:
        super().__init__()
        # Positions 1 and 4 are dropout while the network learns.
        self.main = nn.Sequential(
            nn.Conv1d(inputs, out, 4, 2, 1),
            nn.Identity(),
            nn.LeakyReLU(_SLOPE),
            nn.Conv1d(out, out, 4, 2, 1),
            nn.Identity(),
            nn.LeakyReLU(_SLOPE),
        )
        self.out_net = nn.Linear(out, out)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.out_net(self.main(x.transpose(1, 2)).transpose(1, 2))
        return found


class _Recurrent(nn.Module):
    def __init__(self, inputs: int, hidden: int, out: int) -> None:
        super().__init__()
        self.input_emb = nn.Linear(inputs, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.output_net = nn.Sequential(
            nn.Linear(2 * hidden, hidden),
            nn.LayerNorm(hidden),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(hidden, out),
        )
        self.hidden = nn.Parameter(torch.zeros(2, 1, hidden))

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.gru(self.input_emb(x), self.hidden.repeat(1, len(x), 1))
        found: Tensor = self.output_net(torch.cat([last[0], last[1]], -1))
        return found


def open_motion_encoder(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``embedding``: motions [frames, 263] float to [n, 512] float64.

    The first 196 frames count, in whole steps of four; a motion shorter than that stands still at
    its last frame until it has four.
    """
    tensors = read_tensors(held.folder / TENSORS_FILE)
    network = _network_of(tensors)
    fill(network, tensors, held.weights.id)
    network.to(device.place)
    inputs = network.inputs

    def batch(motions: Sequence[NDArray[np.float32]]) -> Tensor:
        found: Tensor = network(torch.from_numpy(np.stack(motions)).to(device.place))
        return found

    def embedding(motions: Sequence[Motion]) -> NDArray[np.float64]:
        seen = [_seen(motion, inputs) for motion in motions]
        return device.features(seen, MOTIONS_PER_BATCH, batch)

    return {"embedding": embedding}


def _network_of(tensors: Mapping[str, Tensor]) -> MotionNetwork:
    first = tensors.get("movement_encoder.main.0.weight")
    start = tensors.get("motion_encoder.hidden")
    last = tensors.get("motion_encoder.output_net.3.bias")
    if first is None or start is None or last is None or first.ndim != 3 or start.ndim != 3:
        return MotionNetwork()
    return MotionNetwork(first.shape[1], first.shape[0], start.shape[2], last.numel())


def _seen(motion: Motion, inputs: int) -> NDArray[np.float32]:
    if motion.ndim != 2 or len(motion) == 0 or motion.shape[1] != inputs + CONTACTS:
        raise ValueError(f"a motion is [frames, {inputs + CONTACTS}], not {motion.shape}")
    frames = max(min(len(motion), LONGEST) // FRAMES_PER_STEP, 1) * FRAMES_PER_STEP
    rows = np.minimum(np.arange(frames), len(motion) - 1)
    return np.ascontiguousarray(motion[rows, :inputs], dtype=np.float32)
