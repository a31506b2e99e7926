"""Networks of transformers from a checked local folder: safetensors only, never the network.

The library reads the setting that keeps it offline once, when it is imported; so it is imported
here only, after the setting is made.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    ClapFeatureExtractor,
    ClapModel,
    CLIPModel,
    CLIPTokenizer,
    Dinov2Model,
    Florence2ForConditionalGeneration,
    GenerationConfig,
    RobertaTokenizer,
    ViTForImageClassification,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from services.grader.weights.errors import WeightsInvalid

__all__ = [
    "CLIPModel",
    "CLIPTokenizer",
    "ClapFeatureExtractor",
    "ClapModel",
    "Dinov2Model",
    "Florence2ForConditionalGeneration",
    "GenerationConfig",
    "RobertaTokenizer",
    "ViTForImageClassification",
    "WhisperFeatureExtractor",
    "WhisperForConditionalGeneration",
    "WhisperTokenizer",
    "open_network",
    "open_part",
]

transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def open_network(kind: Any, folder: Path, model_type: str, device: torch.device) -> Any:
    """A transformers model of class ``kind``, float32, ready to answer on ``device``.

    Raises WeightsInvalid where the folder's configuration is of another model, where a tensor is
    lacking or has another shape, and where the files cannot be read.
    """
    try:
        config = kind.config_class.from_pretrained(folder, local_files_only=True)
        if config.model_type != model_type:
            raise WeightsInvalid(
                f"{folder.name} is a {config.model_type}, not a {model_type}.",
                weights=folder.name,
                file="config.json",
            )
        model, loading = kind.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            dtype=torch.float32,
            attn_implementation="eager",
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise WeightsInvalid(
            f"{folder.name} cannot be read as a {model_type}.", weights=folder.name, file=""
        ) from error
    wrong = sorted(loading["missing_keys"]) + sorted(str(k) for k in loading["mismatched_keys"])
    if wrong:
        raise WeightsInvalid(
            f"{folder.name} lacks {wrong[0]} (and {len(wrong) - 1} more).",
            weights=folder.name,
            tensor=wrong[0],
        )
    return model.eval().requires_grad_(False).to(device)


def open_part(kind: Any, folder: Path) -> Any:
    """A tokenizer or a feature extractor of class ``kind``; WeightsInvalid as above."""
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise WeightsInvalid(
            f"{folder.name} has no {kind.__name__}.", weights=folder.name, file=""
        ) from error
