"""Jobs of the metrics of generated media from files as labs and operators write them, and small
networks that are complete: what they see is simple, and what they say of it is known."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
import soundfile  # type: ignore[import-untyped]
import trimesh
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from services.grader.decode.formats.writers import npy, npz
from services.grader.media.binding import MediaJob
from services.grader.media.generation import GENERATION_BINDINGS
from services.grader.media.key_reader import KeyReader
from services.grader.metrics.result import MetricResult
from services.grader.networks import NO_NETWORKS, Networks
from tests.unit.grader.media.comprehension_jobs import decoded, png

__all__ = ["decoded", "npy", "npz", "png"]

Files = Mapping[str, bytes]

#: Colours as texts, as ``colour_words`` knows them.
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255,) * 3}


@dataclass
class Served:
    """Networks by name; ``asked`` counts the media that each was given."""

    by_name: Mapping[str, Callable[..., Any]]
    label: str = "cpu/test"
    asked: dict[str, int] = field(default_factory=dict)

    def __call__(self, name: str, /) -> Any:
        network = self.by_name[name]

        def counted(media: Any) -> Any:
            self.asked[name] = self.asked.get(name, 0) + len(media)
            return network(media)

        return counted


def mean_colour(pictures: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Pictures or videos [..., 3] to the mean of each channel, [n, 3]."""
    rows = [picture.reshape(-1, 3).mean(axis=0) for picture in pictures]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def colour_words(texts: Sequence[str]) -> NDArray[np.float64]:
    """Texts that are colours to the colour, [n, 3]."""
    return np.array([COLOURS[text] for text in texts], dtype=np.float64)


def kind_of(metric_id: str, kind: AnswerKind | None = None) -> AnswerKind:
    if kind is not None:
        return kind
    (only,) = GENERATION_BINDINGS[metric_id].kinds
    return only


def reader(metric_id: str, files: Files | None = None, kind: AnswerKind | None = None) -> KeyReader:
    return KeyReader(kind_of(metric_id, kind), {}, files or {})


def job_of(
    metric_id: str,
    answers: Sequence[Any],
    references: Sequence[Sequence[Any]],
    *,
    files: Files | None = None,
    key_files: Files | None = None,
    networks: Networks = NO_NETWORKS,
    options: Mapping[str, str] | None = None,
    kind: AnswerKind | None = None,
) -> MediaJob:
    """A job whose answers went through the decoders of a box; ``references`` list all accepted."""
    kind = kind_of(metric_id, kind)
    key = KeyReader(kind, options or {}, key_files or {})
    values = decoded(kind, answers, files, options)
    return MediaJob(kind, options or {}, values, references, key, networks)


def score(
    metric_id: str, answers: Sequence[Any], references: Sequence[Sequence[Any]], **more: Any
) -> tuple[MetricResult, set[int]]:
    """The metric over a job, and the items whose answer did not fit."""
    job = job_of(metric_id, answers, references, **more)
    return GENERATION_BINDINGS[metric_id].compute(job), job.unfit


def mkv(frames: NDArray[np.uint8], rate: float = 8.0) -> bytes:
    """Frames [t, h, w, 3] as a lossless video."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=Fraction(rate).limit_denominator(1000))
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "bgr0"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


def wav(samples: NDArray[Any], rate: int) -> bytes:
    """Samples [n] or [n, channels] as a WAV file of floats."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def ply(vertices: NDArray[Any], faces: NDArray[Any] | None = None) -> bytes:
    """A cloud or a mesh as a PLY file, by trimesh."""
    if faces is None:
        solid: Any = trimesh.PointCloud(vertices)  # type: ignore[no-untyped-call]
    else:
        solid = trimesh.Trimesh(vertices, faces, process=False)
    exported = solid.export(file_type="ply")
    assert isinstance(exported, bytes)
    return exported


def filled(colour: str, height: int = 12, width: int = 16) -> NDArray[np.uint8]:
    """A picture of one colour."""
    return np.full((height, width, 3), COLOURS[colour], dtype=np.uint8)


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
