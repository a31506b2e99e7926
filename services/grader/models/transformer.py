"""What the transformers that are written here share: attention, and the layers after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

#: Numbers of one head: the published ViCLIP, MUSIQ and Unmasked Teacher all have it so.
HEAD: Final = 64


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, on tokens [..., width]."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return found


def attend(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
    """Softmax attention of tokens [n, t, width] in heads of 64 numbers: [n, t, width].

    Scores are divided by 64^(1/2). With ``causal`` a token sees itself and those before it only.
    Source: A. Vaswani et al., "Attention is all you need", 2017.
    """
    n, tokens, width = query.shape
    q, k, v = (
        part.reshape(n, tokens, width // HEAD, HEAD).transpose(1, 2) for part in (query, key, value)
    )
    found = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return found.transpose(1, 2).reshape(n, tokens, width)


def depth(tensors: Mapping[str, Tensor], before: str) -> int:
    """How many blocks a file has: the different numbers that follow ``before`` in its names."""
    return len(
        {name.removeprefix(before).partition(".")[0] for name in tensors if name.startswith(before)}
    )
