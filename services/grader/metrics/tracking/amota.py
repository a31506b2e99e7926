"""Many objects through a scene: AMOTA as nuScenes computes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from services.grader.metrics.detection.boxes import check_rows, check_width
from services.grader.metrics.media_items import check_items
from services.grader.metrics.result import PERCENT, MetricResult, count_missing

#: A track may match an object nearer than this on the ground, in metres.
MATCH_DISTANCE_M: Final = 2.0
#: The recalls at which tracking is judged: 40 from 0.1 to 1.
RECALLS: Final = np.linspace(0.1, 1.0, 40).round(12)

_NO_MATCH: Final = 1e6  # dearer than any number of matches


@dataclass(frozen=True, slots=True)
class SpaceTracks:
    """The tracks of one scene, one row for each box.

    ``frames`` int64 [n]; ``tracks`` int64 [n] the number of the track, each at most once in a
    frame; ``centres`` float64 [n, 3] in metres, z upward; ``labels`` int64 [n], one for each
    track; ``scores`` float64 [n]: a track's score is the mean of its boxes'. In a key the scores
    are not read.
    """

    frames: NDArray[np.int64]
    tracks: NDArray[np.int64]
    centres: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        check_width(self.centres, 3)
        check_rows(
            len(self.frames), self.frames, self.tracks, self.centres, self.labels, self.scores
        )
        if len(np.unique(np.stack((self.frames, self.tracks)), axis=1).T) != len(self.frames):
            raise ValueError("a track is in one place at a time")


class _Frame(NamedTuple):
    """One class in one frame; ``near`` float64 [objects, found], NaN where they cannot match."""

    objects: list[int]
    found: NDArray[np.int64]
    scores: NDArray[np.float64]
    near: NDArray[np.float64]


@dataclass(slots=True)
class _Tally:
    matches: int = 0
    switches: int = 0
    misses: int = 0
    alarms: int = 0


def amota(
    predictions: Sequence[SpaceTracks | None], references: Sequence[SpaceTracks]
) -> MetricResult:
    """The mean over classes of the mean MOTAR over 40 recalls, in percent, 0..100.

    For each recall from 0.1 to 1 the tracks below the score at which that recall is reached are
    dropped, and MOTAR = max(0, 1 - (IDS + FP + FN - (1 - r) P) / (r P)) with identity switches
    IDS, false alarms FP, misses FN, the P objects of the key and r = matches / P; a recall that is
    never reached, and r = 0 (0/0), count 0. In each frame a pair of the frame before stays where
    both are still nearer than 2 m on the ground, the rest is matched at the least total distance
    (CLEAR MOT). The mean is over the classes of the key. All scenes are pooled, so ``per_sample``
    and ``stderr`` are None. A missing scene has no tracks: all its objects are missed. Sources:
    Caesar et al., nuScenes, CVPR 2020; Weng et al., 3D Multi-Object Tracking, IROS 2020; Bernardin
    and Stiefelhagen, CLEAR MOT, 2008. Raises ValueError for a key without objects.
    """
    n = check_items(predictions, references)
    labels = np.unique(np.concatenate([key.labels for key in references])).tolist()
    if not labels:
        raise ValueError("the key holds no object")
    scenes = [_scene(*pair) for pair in zip(predictions, references, strict=True)]
    values = [_class_amota([scene[label] for scene in scenes]) for label in labels]
    return MetricResult(PERCENT * float(np.mean(values)), n, None, None, count_missing(predictions))


def _class_amota(scenes: Sequence[Sequence[_Frame]]) -> float:
    """The mean MOTAR, 0..1, of one class."""
    objects = sum(len(frame.objects) for frames in scenes for frame in frames)
    reached: list[float] = []
    for frames in scenes:
        _follow(frames, -np.inf, _Tally(), reached)
    if not reached:
        return 0.0
    scores = np.sort(np.array(reached))[::-1]
    recalls = np.arange(1, len(scores) + 1) / objects
    thresholds = np.interp(RECALLS, recalls, scores, right=0)[recalls.max() >= RECALLS]
    distinct, repeats = np.unique(thresholds, return_counts=True)
    return float(
        sum(
            repeat * _motar(scenes, threshold, objects)
            for threshold, repeat in zip(distinct.tolist(), repeats.tolist(), strict=True)
        )
        / len(RECALLS)
    )


def _motar(scenes: Sequence[Sequence[_Frame]], threshold: float, objects: int) -> float:
    tally = _Tally()
    for frames in scenes:
        _follow(frames, threshold, tally, [])
    if tally.matches == 0:
        return 0.0
    recall = tally.matches / objects
    wrong = tally.misses + tally.switches + tally.alarms - (1 - recall) * objects
    return max(0.0, 1 - wrong / (recall * objects))


def _follow(
    frames: Sequence[_Frame], threshold: float, tally: _Tally, reached: list[float]
) -> None:
    """Match one scene; add to ``tally``, and the scores of matched tracks to ``reached``."""
    paired: dict[int, int] = {}
    for frame in frames:
        kept = np.flatnonzero(frame.scores >= threshold)
        found = frame.found[kept].tolist()
        near = frame.near[:, kept].copy()
        matched: set[int] = set()
        done = 0
        for row, name in enumerate(frame.objects):
            column = found.index(paired[name]) if paired.get(name) in found else None
            if column is None or column in matched or np.isnan(near[row, column]):
                continue
            matched.add(column)
            done += 1
            tally.matches += 1
            near[row, :] = np.nan
            near[:, column] = np.nan
        switched: set[int] = set()
        for row, column in zip(*_assign(near), strict=True):
            name = frame.objects[row]
            if name in paired and paired[name] != found[column]:
                tally.switches += 1
                switched.add(column)
            else:
                tally.matches += 1
                matched.add(column)
            done += 1
            paired[name] = found[column]
        tally.misses += len(frame.objects) - done
        tally.alarms += len(found) - done
        reached += frame.scores[kept[sorted(matched - switched)]].tolist()


def _assign(near: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """As many pairs as can be, at the least total distance."""
    if near.size == 0 or np.isnan(near).all():
        return [], []
    rows, columns = linear_sum_assignment(np.where(np.isnan(near), _NO_MATCH, near))
    usable = ~np.isnan(near[rows, columns])
    return rows[usable].tolist(), columns[usable].tolist()


def _scene(found: SpaceTracks | None, key: SpaceTracks) -> dict[int, list[_Frame]]:
    """The frames of one scene in which a class occurs, by class."""
    scores = np.zeros(0)
    if found is not None and len(found.tracks):
        _, track = np.unique(found.tracks, return_inverse=True)
        scores = (np.bincount(track, found.scores) / np.bincount(track))[track]
    scene: dict[int, list[_Frame]] = defaultdict(list)
    for label in np.unique(key.labels).tolist() if found is None else _labels(found, key):
        rows = np.flatnonzero(key.labels == label)
        mine = (
            np.zeros(0, dtype=np.int64) if found is None else np.flatnonzero(found.labels == label)
        )
        my_frames = np.zeros(0, dtype=np.int64) if found is None else found.frames[mine]
        for frame in np.union1d(key.frames[rows], my_frames).tolist():
            wanted = rows[key.frames[rows] == frame]
            given = mine[my_frames == frame]
            if found is None:
                names, level = np.zeros(0, dtype=np.int64), np.zeros(0)
                near = np.zeros((len(wanted), 0))
            else:
                names, level = found.tracks[given], scores[given]
                apart = key.centres[wanted, None, :2] - found.centres[None, given, :2]
                near = np.hypot(apart[:, :, 0], apart[:, :, 1])
                near[near >= MATCH_DISTANCE_M] = np.nan
            scene[label].append(_Frame(key.tracks[wanted].tolist(), names, level, near))
    return scene


def _labels(found: SpaceTracks, key: SpaceTracks) -> list[int]:
    labels: list[int] = np.union1d(found.labels, key.labels).tolist()
    return labels
