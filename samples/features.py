"""General descriptions of questions as vectors: what all baselines share, one for each form."""

from __future__ import annotations

import re

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from samples.example import Floats, Question
from samples.media import read_gif, read_png, read_wav, read_xyz

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LETTERS = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=1024)
_DISTANCE_BINS = 24
#: Every 0.25 of a unit a bin: distances between the points of a solid are below 6.
_LARGEST_DISTANCE = 6.0


def pixels(question: Question) -> Floats:
    """The grey levels of all pictures in the question, 0..1."""
    pictures = [read_png(data).ravel() for data in question.media.values()]
    return np.concatenate(pictures) / 255.0


def frames(question: Question) -> Floats:
    """The grey levels of the clip and the differences of its neighbouring frames."""
    clip = read_gif(question.media["video"]) / 255.0
    return np.concatenate([clip.ravel(), np.diff(clip, axis=0).ravel()])


def samples(question: Question) -> Floats:
    """The sound as it is, -1..1."""
    return read_wav(question.media["audio"])


def spectrum(question: Question) -> Floats:
    """The logarithm of the sound's magnitude spectrum."""
    sound = samples(question)
    magnitudes = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return np.log1p(magnitudes)


def spectra(question: Question) -> Floats:
    """The spectra of the sound's tenths of a second, one after the other."""
    parts = samples(question).reshape(-1, 400)
    return np.log1p(np.abs(np.fft.rfft(parts * np.hanning(400), axis=1))).ravel()


def coordinates(question: Question) -> Floats:
    """The coordinates of all points in their order."""
    return read_xyz(question.media["points"]).ravel()


def distances(question: Question) -> Floats:
    """How far the points are apart, as a histogram, and the cloud's three extents."""
    points = read_xyz(question.media["points"])
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    upper = apart[np.triu_indices(len(points), 1)]
    counts, _ = np.histogram(upper, bins=_DISTANCE_BINS, range=(0, _LARGEST_DISTANCE))
    extents = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return np.concatenate([counts / len(upper), extents / np.sqrt(len(points))])


def spans(question: Question) -> Floats:
    """Along each axis how low the tenths of the points lie: nine heights and both ends."""
    points = read_xyz(question.media["points"])
    return np.quantile(points, np.linspace(0, 1, 11), axis=0).ravel()


def letters(question: Question) -> Floats:
    """The letter groups of the text, hashed."""
    return np.asarray(_LETTERS.transform([question.text]).toarray()[0], dtype=np.float64)


def numbers(question: Question) -> Floats:
    """The numbers of the question's last text."""
    text = list(question.fields.values())[-1]
    return np.array([float(found) for found in _NUMBER.findall(text)])
