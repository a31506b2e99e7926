"""Small stand-ins for the networks that the metrics are given: fixed projections of the media."""

import numpy as np

DIMENSIONS = 12


class Projection:
    """Media to [n, DIMENSIONS] by a fixed random matrix of their first values."""

    def __init__(self, seed=0, values=64):
        self.values = values
        self.matrix = np.random.default_rng(seed).normal(size=(values, DIMENSIONS))

    def __call__(self, media):
        rows = np.zeros((len(media), self.values))
        for row, medium in zip(rows, media, strict=True):
            flat = np.asarray(medium, dtype=np.float64).reshape(-1)[: self.values]
            row[: len(flat)] = flat - 100
        return rows @ self.matrix


class Words:
    """Texts to [n, DIMENSIONS]: a fixed random vector for each text."""

    def __call__(self, texts):
        seeds = [int.from_bytes(text.encode()[:8], "big") for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=DIMENSIONS) for seed in seeds])


def as_they_are(media):
    """Media that are feature rows already."""
    return np.stack(media)


def pictures(seed, count=4, shape=(16, 12, 3)):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]


def videos(seed, count=3, frames=5, shape=(8, 6, 3)):
    return pictures(seed, count, (frames, *shape))
