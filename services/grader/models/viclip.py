"""ViCLIP: videos and texts in one space (Y. Wang et al., "InternVid", ICLR 2024).

CLIP's two transformers, the one of pictures over the patches of eight frames at once, each frame
with an embedding of its place in time. Names of tensors are those of the published checkpoint.
Frames are made as the published scorer makes them, with CLIP's mean and deviation.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from services.grader.device import Device
from services.grader.models import hub
from services.grader.models.clips import ClipProcessor
from services.grader.models.pictures import CLIP_MEAN, CLIP_STD, Picture
from services.grader.models.tensors import TENSORS_FILE, fill, read_tensors
from services.grader.models.transformer import HEAD, attend, depth
from services.grader.weights.folder import HeldWeights

VIDEOS_PER_BATCH: Final = 2
TEXTS_PER_BATCH: Final = 64

#: Of the sigmoid that stands for a GELU here.
_QUICK: Final = 1.702


@dataclass(frozen=True, slots=True)
class ViclipSizes:
    """The size of the network; the published one by default, a ViT-L/14 and CLIP's text part."""

    width: int = 1024
    layers: int = 24
    patch: int = 14
    grid: int = 16
    frames: int = 8
    words: int = 49_408
    tokens: int = 32
    text_width: int = 768
    text_layers: int = 12
    out: int = 768


class Viclip(nn.Module):
    """Clips [n, t, 3, h, w] and token numbers [n, tokens] to [n, out] each, by its two parts."""

    def __init__(self, sizes: ViclipSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or ViclipSizes()
        self.vision_encoder = _Vision(self.sizes)
        self.text_encoder = _Text(self.sizes)


class _Vision(nn.Module):
    def __init__(self, sizes: ViclipSizes) -> None:
        super().__init__()
        width, kernel = sizes.width, (1, sizes.patch, sizes.patch)
        self.conv1 = nn.Conv3d(3, width, kernel, kernel, bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(sizes.grid**2 + 1, width))
        self.temporal_positional_embedding = nn.Parameter(torch.zeros(1, sizes.frames, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = _Transformer(width, sizes.layers)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.zeros(width, sizes.out))

    def forward(self, clips: Tensor) -> Tensor:
        patches = self.conv1(clips.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)
        patches = patches + self.positional_embedding[1:]
        patches = (patches + self.temporal_positional_embedding[0, :, None]).flatten(1, 2)
        first = self.class_embedding + self.positional_embedding[0]
        x = torch.cat([first.expand(len(clips), 1, -1), patches], dim=1)
        x = self.transformer(self.ln_pre(x))
        found: Tensor = self.ln_post(x[:, 0]) @ self.proj
        return found


class _Text(nn.Module):
    def __init__(self, sizes: ViclipSizes) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(sizes.words, sizes.text_width)
        self.positional_embedding = nn.Parameter(torch.zeros(sizes.tokens, sizes.text_width))
        self.transformer = _Transformer(sizes.text_width, sizes.text_layers)
        self.ln_final = nn.LayerNorm(sizes.text_width)
        self.text_projection = nn.Parameter(torch.zeros(sizes.text_width, sizes.out))

    def forward(self, tokens: Tensor, ends: Tensor) -> Tensor:
        """``ends`` [n] are the places of the end tokens; what stands after them is not seen."""
        x = self.token_embedding(tokens) + self.positional_embedding
        x = self.ln_final(self.transformer(x, causal=True))
        found: Tensor = x[torch.arange(len(x), device=x.device), ends] @ self.text_projection
        return found


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(width) for _ in range(layers))

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        for block in self.resblocks:
            x = block(x, causal)
        return x


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = _Attention(width)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, 4 * width),
                gelu=_QuickGelu(),
                c_proj=nn.Linear(4 * width, width),
            )
        )
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        x = x + self.attn(self.ln_1(x), causal)
        found: Tensor = x + self.mlp(self.ln_2(x))
        return found


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        query, key, value = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(
            3, dim=-1
        )
        found: Tensor = self.out_proj(attend(query, key, value, causal))
        return found


class _QuickGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(_QUICK * x)


def open_viclip(held: HeldWeights, device: Device) -> Mapping[str, Any]:
    """``video``: videos [t, h, w, 3] uint8 to [n, 768]; ``text``: texts to [n, 768]; float64.

    Eight frames of a video count, the middles of its eighths; of a shorter one the last is
    repeated. A text is cut to 32 tokens. Embeddings are not scaled to length 1.
    """
    tensors = read_tensors(held.folder / TENSORS_FILE)
    network = Viclip(_sizes_of(tensors))
    # The temperature of training.
    fill(network, tensors, held.weights.id, ignored=r"^temp$")
    network.to(device.place)
    sizes = network.sizes
    side = sizes.patch * sizes.grid
    processor = ClipProcessor(sizes.frames, side, side, CLIP_MEAN, CLIP_STD, cubic=True)
    tokenizer = hub.open_part(hub.CLIPTokenizer, held.folder)

    def video_batch(videos: Sequence[Picture]) -> Tensor:
        clips = torch.stack([processor(video) for video in videos])
        found: Tensor = network.vision_encoder(clips.to(device.place))
        return found

    def video(videos: Sequence[Picture]) -> NDArray[np.float64]:
        return device.features(videos, VIDEOS_PER_BATCH, video_batch)

    def text_batch(texts: Sequence[str]) -> Tensor:
        tokens = tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=sizes.tokens,
            return_tensors="pt",
        ).input_ids
        # The first of each row: padding repeats the end token.
        ends = (tokens == tokenizer.eos_token_id).int().argmax(dim=1)
        found: Tensor = network.text_encoder(tokens.to(device.place), ends.to(device.place))
        return found

    def text(texts: Sequence[str]) -> NDArray[np.float64]:
        return device.features(texts, TEXTS_PER_BATCH, text_batch)

    return {"video": video, "text": text}


def _sizes_of(tensors: Mapping[str, Tensor]) -> ViclipSizes:
    """The sizes that a file's tensors say; the published ones where they say none."""
    vision, text = "vision_encoder.", "text_encoder."
    try:
        width, _, _, patch, _ = tensors[f"{vision}conv1.weight"].shape
        places = tensors[f"{vision}positional_embedding"].shape[0]
        frames = tensors[f"{vision}temporal_positional_embedding"].shape[1]
        words, text_width = tensors[f"{text}token_embedding.weight"].shape
        tokens = tensors[f"{text}positional_embedding"].shape[0]
        out = tensors[f"{text}text_projection"].shape[1]
    except (KeyError, ValueError, IndexError):
        return ViclipSizes()
    if width % HEAD or text_width % HEAD:
        return ViclipSizes()
    return ViclipSizes(
        width=width,
        layers=depth(tensors, f"{vision}transformer.resblocks."),
        patch=patch,
        grid=math.isqrt(max(places - 1, 0)),
        frames=frames,
        words=words,
        tokens=tokens,
        text_width=text_width,
        text_layers=depth(tensors, f"{text}transformer.resblocks."),
        out=out,
    )
