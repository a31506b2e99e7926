"""A value for each pixel: mattes, graded maps, depth, optical flow, panoptic pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from general_level.submission.answers import Segment
from services.grader.decode.formats.flows import read_known_depth, read_known_flow
from services.grader.decode.media_decoders import reader_of
from services.grader.decode.values import PanopticMap, as_grey
from services.grader.media.binding import LazyColumn, MediaJob
from services.grader.media.key_reader import KeyReader
from services.grader.media.labels import OpenClasses
from services.grader.media.masks import read_foreground
from services.grader.media.reading import (
    Reading,
    beside,
    columns_of,
    crowd_marks,
    measurable,
    remembered,
)
from services.grader.metrics.geometry.depth import FARTHEST_M, NEAREST_M, abs_rel, depth_rms
from services.grader.metrics.geometry.flow import end_point_error
from services.grader.metrics.result import MetricResult
from services.grader.metrics.segmentation.panoptic import PanopticPicture

_Floats = NDArray[np.floating[Any]]
_Picture = NDArray[Any]


# Mattes and graded maps


def _read_matte(key: KeyReader, value: object) -> _Floats:
    return _alpha(key.image(value))


def _alpha(picture: _Picture) -> NDArray[np.float64]:
    """Alpha 0..1 of a picture, [height, width]: grey or luma over the highest level of its bits."""
    grey = as_grey(picture)
    return np.asarray(grey / float(np.iinfo(grey.dtype).max))


def _fit_matte(answer: _Picture, reference: _Floats) -> NDArray[np.float64] | None:
    return _alpha(answer) if answer.shape[:2] == reference.shape else None


def _fit_graded(answer: _Picture, reference: NDArray[np.bool_]) -> _Picture | None:
    return as_grey(answer) if answer.shape[:2] == reference.shape else None


# Depth and flow


def _frames(values: _Floats, dimensions: int) -> _Floats:
    """A map with an axis of frames in front, also where it is one picture."""
    return values if values.ndim > dimensions else values[None]


def _fit(dimensions: int) -> Callable[[_Floats, _Floats], _Floats | None]:
    """Finite answers of the reference's shape; one picture and a list of one are the same."""

    def fit(answer: _Floats, reference: _Floats) -> _Floats | None:
        answer = _frames(answer, dimensions)
        return answer if answer.shape == reference.shape and np.isfinite(answer).all() else None

    return fit


def _depth(
    function: Callable[..., MetricResult], wanted: str
) -> Callable[[KeyReader, object], _Floats]:
    """Reads depth in metres [frames, height, width], of which ``function`` can measure some."""

    def read(key: KeyReader, value: object) -> _Floats:
        usual = reader_of(AnswerKind.DEPTH, key.options)

        def known(data: bytes, ending: str) -> dict[str, NDArray[Any]]:
            return usual(data, ending) if ending == ".png" else read_known_depth(data, ending)

        depth = np.asarray(key.answer(value, AnswerKind.DEPTH, known))
        return measurable(function, _frames(depth, 2), wanted)

    return read


def _read_flow(key: KeyReader, value: object) -> _Floats:
    flow = np.asarray(key.answer(value, AnswerKind.FLOW, read_known_flow))
    return measurable(end_point_error, _frames(flow, 3), "a pixel whose flow is known")


# Panoptic pictures


def _read_panoptic(key: KeyReader, value: object) -> PanopticMap:
    found: PanopticMap = key.answer(value, AnswerKind.PANOPTIC)
    crowd_marks(_segments(key, value))
    return found


def _segments(key: KeyReader, value: object) -> Any:
    return key.fields(value, segments=Any)["segments"]


def _segment_labels(key: KeyReader, value: object) -> list[str]:
    return [segment.label for segment in key.fields(value, segments=list[Segment])["segments"]]


def _panoptic_columns(
    job: MediaJob,
) -> tuple[LazyColumn[PanopticPicture | None], LazyColumn[PanopticPicture]]:
    classes = OpenClasses(label for labels in job.expected(_segment_labels) for label in labels)

    def picture(found: PanopticMap, crowd: NDArray[np.bool_]) -> PanopticPicture:
        return PanopticPicture(found.pixels, found.segments, classes.numbers(found.labels), crowd)

    def known(key: KeyReader, value: object) -> PanopticPicture:
        return picture(_read_panoptic(key, value), crowd_marks(_segments(key, value)))

    def convert(answer: PanopticMap, reference: PanopticPicture) -> PanopticPicture | None:
        if answer.pixels.shape != reference.pixels.shape:
            return None
        return picture(answer, np.zeros(0, np.bool_))

    references = remembered(job.expected(known))
    return beside(job, references, convert), references


_MATTE: Final = Reading(
    columns_of(_read_matte, _fit_matte),
    _read_matte,
    "the path of a picture whose grey is alpha, 0 to the highest level of 8 or 16 bits",
)
_GRADED: Final = Reading(
    columns_of(read_foreground, _fit_graded),
    read_foreground,
    "the path of a .png whose pixels that are not zero are those to be found",
)
_DEPTH_FILE: Final = (
    "the path of a file (.png, .npy, .npz), or a list with one for each frame, of depth in metres;"
    " void is 0 or not finite"
)


def _depth_reading(function: Callable[..., MetricResult], valid: str) -> Reading:
    read = _depth(function, valid)
    return Reading(columns_of(read, _fit(2)), read, f"{_DEPTH_FILE}; {valid}")


#: By the metrics' catalogue ids.
DENSE_READINGS: Final[Mapping[str, Reading]] = MappingProxyType(
    {
        "matting-sad": _MATTE,
        "matting-mse": _MATTE,
        "pixel-ap": _GRADED,
        "map-roc-auc": _GRADED,
        "depth-rms": _depth_reading(depth_rms, "one pixel at least is not void"),
        "abs-rel": _depth_reading(
            abs_rel, f"one pixel at least is between {NEAREST_M} and {FARTHEST_M:g}"
        ),
        "epe": Reading(
            columns_of(_read_flow, _fit(3)),
            _read_flow,
            "the path of a file (.flo, .png, .npy, .npz), or a list with one for each frame; void"
            " is B = 0 in a .png, above 1e9 or not finite elsewhere, and not all of it",
        ),
        "pq": Reading(
            _panoptic_columns,
            _read_panoptic,
            '{"file": "….png", "segments": [{"segment": 1, "label": …}, …]}, with "crowd": 1 for a'
            " region of many objects; pixels of other numbers are void",
        ),
    }
)
