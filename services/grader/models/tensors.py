"""Tensors from safetensors into a module, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from services.grader.weights.errors import WeightsInvalid

#: The tensors of a network that is written here.
TENSORS_FILE = "model.safetensors"
#: Left by training on several devices.
_PREFIX = "module."
#: Counters of training steps that no result depends on.
_COUNTERS = re.compile(r"(^|\.)num_batches_tracked$")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name; WeightsInvalid where it is something else."""
    try:
        found = load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        raise WeightsInvalid(
            f"{path.name} is not safetensors.", weights=path.parent.name, file=path.name
        ) from error
    return {name.removeprefix(_PREFIX): tensor for name, tensor in found.items()}


def fill(
    module: torch.nn.Module,
    tensors: Mapping[str, torch.Tensor],
    weights_id: str,
    ignored: str = r"(?!)",
) -> None:
    """Puts ``tensors`` into ``module`` as float32, and sets it to answer, not to learn.

    Every tensor of the module must be there in its shape, and nothing else but names that match
    ``ignored``. Raises WeightsInvalid with the first names that are lacking or not known.
    """
    own = module.state_dict()
    wanted = {name for name in own if not _COUNTERS.search(name)}
    given = {
        name: tensor
        for name, tensor in tensors.items()
        if not _COUNTERS.search(name) and not re.search(ignored, name)
    }
    lacking, unknown = sorted(wanted - given.keys()), sorted(given.keys() - wanted)
    misshapen = sorted(
        name for name in wanted & given.keys() if own[name].shape != given[name].shape
    )
    for problem, names in (("lacks", lacking), ("adds", unknown), ("misshapes", misshapen)):
        if names:
            raise WeightsInvalid(
                f"{weights_id} {problem} {names[0]} (and {len(names) - 1} more).",
                weights=weights_id,
                tensor=names[0],
            )
    module.load_state_dict({name: given[name].float() for name in wanted}, strict=False)
    module.eval().requires_grad_(False)
