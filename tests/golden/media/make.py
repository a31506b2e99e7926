"""Freezes what other people's evaluators say about small cases of pictures, videos and 3D data.

    python tests/golden/media/make.py

Writes ``vectors.json`` beside this file: for each case the metric, the columns, and the value that
the named evaluator gives; the versions are in the file. The evaluators pin older libraries than
ours, so they live in an environment of their own and the tests read the file without them:

    pip install numpy scipy pandas scikit-learn matplotlib opencv-python-headless scikit-image \
        pillow shapely descartes fire motmetrics rosbags natsort numexpr
    pip install --no-deps nuscenes-devkit==1.2.0 pyquaternion evo==1.38.1 pysodmetrics==1.6.2
"""

from __future__ import annotations

import importlib.metadata
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from evo.core import lie_algebra
from evo.core import metrics as evo_metrics
from evo.core.trajectory import PosePath3D
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.data_classes import EvalBoxes
from nuscenes.eval.common.utils import center_distance
from nuscenes.eval.detection.algo import accumulate, calc_ap
from nuscenes.eval.detection.data_classes import DetectionBox
from nuscenes.eval.tracking.algo import TrackingEvaluation
from nuscenes.eval.tracking.data_classes import TrackingBox
from py_sod_metrics import Smeasure

VECTORS = Path(__file__).with_name("vectors.json")
LIBRARIES = ("numpy", "nuscenes-devkit", "motmetrics", "evo", "pysodmetrics")
NAMES = ("car", "pedestrian", "truck")
DISTANCES_M = (0.5, 1.0, 2.0, 4.0)


def space_boxes(rng: np.random.Generator, count: int) -> dict[str, Any]:
    return {
        "centres": rng.uniform(-12, 12, (count, 3)).round(3).tolist(),
        "labels": rng.integers(0, len(NAMES), count).tolist(),
        "scores": rng.permutation(1000)[:count].astype(int).tolist(),
    }


def map_3d_case(seed: int, scenes: int, noise: float, with_ties: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    references = [space_boxes(rng, int(rng.integers(1, 12))) for _ in range(scenes)]
    predictions: list[dict[str, Any] | None] = []
    for key in references:
        false = space_boxes(rng, int(rng.integers(0, 5)))
        centres = (np.array(key["centres"]) + rng.normal(0, noise, (len(key["labels"]), 3))).round(
            3
        )
        kept = rng.random(len(centres)) < 0.85
        labels = np.array(key["labels"])[kept].tolist() + false["labels"]
        scores = rng.integers(0, 4 if with_ties else 10**6, len(labels)).tolist()
        predictions.append(
            {
                "centres": centres[kept].tolist() + false["centres"],
                "labels": labels,
                "scores": scores,
            }
        )
    if scenes > 3:
        predictions[2] = None
    return {
        "metric": "map-3d",
        "source": "nuscenes-devkit accumulate and calc_ap",
        "predictions": predictions,
        "references": references,
        "value": map_3d_oracle(predictions, references),
    }


def map_3d_oracle(
    predictions: list[dict[str, Any] | None], references: list[dict[str, Any]]
) -> float:
    def boxes(column: list[dict[str, Any] | None]) -> EvalBoxes:
        result = EvalBoxes()
        for item, scene in enumerate(column):
            rows = scene or {"centres": [], "labels": [], "scores": []}
            result.add_boxes(
                f"s{item:03}",
                [
                    DetectionBox(
                        sample_token=f"s{item:03}",
                        translation=tuple(centre),
                        size=(1.0, 1.0, 1.0),
                        rotation=(1.0, 0.0, 0.0, 0.0),
                        velocity=(0.0, 0.0),
                        detection_name=NAMES[label],
                        detection_score=float(score),
                        attribute_name="",
                    )
                    for centre, label, score in zip(
                        rows["centres"], rows["labels"], rows["scores"], strict=True
                    )
                ],
            )
        return result

    wanted, found = boxes(references), boxes(predictions)
    classes = sorted({label for scene in references for label in scene["labels"]})
    return 100 * float(
        np.mean(
            [
                calc_ap(accumulate(wanted, found, NAMES[label], center_distance, limit), 0.1, 0.1)
                for label in classes
                for limit in DISTANCES_M
            ]
        )
    )


def tracks(rows: list[tuple[int, int, float, float, int, float]]) -> dict[str, Any]:
    return {
        "frames": [row[0] for row in rows],
        "tracks": [row[1] for row in rows],
        "centres": [[round(row[2], 3), round(row[3], 3), 0.0] for row in rows],
        "labels": [row[4] for row in rows],
        "scores": [round(row[5], 3) for row in rows],
    }


def amota_case(
    seed: int, scenes: int, frames: int, noise: float, swap: float, classes: int
) -> dict[str, Any]:
    """Objects on straight paths; the tracker misses, drifts, swaps names and sees ghosts."""
    rng = np.random.default_rng(seed)
    predictions: list[dict[str, Any] | None] = []
    references: list[dict[str, Any]] = []
    for _ in range(scenes):
        wanted, found = [], []
        objects = int(rng.integers(2, 6))
        start, speed = rng.uniform(-8, 8, (objects, 2)), rng.uniform(-0.7, 0.7, (objects, 2))
        labels, sure = rng.integers(0, classes, objects), rng.random(objects)
        names = 100 + np.arange(objects)
        for frame in range(frames):
            if rng.random() < swap:
                names[rng.integers(objects)] = 200 + frame
            for one in range(objects):
                x, y = start[one] + frame * speed[one]
                if rng.random() < 0.9:
                    wanted.append((frame, one, x, y, int(labels[one]), 0.0))
                if rng.random() < 0.85:
                    dx, dy = rng.normal(0, noise, 2)
                    score = sure[one] + rng.uniform(-0.2, 0.2)
                    name = int(names[one])
                    found.append((frame, name, x + dx, y + dy, int(labels[one]), score))
            if rng.random() < 0.4:
                x, y = rng.uniform(-8, 8, 2)
                found.append((frame, 300 + frame, x, y, int(rng.integers(classes)), rng.random()))
        references.append(tracks(wanted))
        predictions.append(tracks(found))
    if scenes > 2:
        predictions[1] = None
    return {
        "metric": "amota",
        "source": "nuscenes-devkit TrackingEvaluation",
        "predictions": predictions,
        "references": references,
        "value": amota_oracle(predictions, references),
    }


def amota_oracle(
    predictions: list[dict[str, Any] | None], references: list[dict[str, Any]]
) -> float:
    config = config_factory("tracking_nips_2019")  # a TrackingBox needs its class names

    def by_frame(scene: dict[str, Any] | None, frames: list[int]) -> dict[int, list[TrackingBox]]:
        result: dict[int, list[TrackingBox]] = {frame: [] for frame in frames}
        if scene is None:
            return result
        score_of: dict[int, list[float]] = defaultdict(list)
        for track, score in zip(scene["tracks"], scene["scores"], strict=True):
            score_of[track].append(score)
        for frame, track, centre, label in zip(
            scene["frames"], scene["tracks"], scene["centres"], scene["labels"], strict=True
        ):
            result[frame].append(
                TrackingBox(
                    sample_token=str(frame),
                    translation=tuple(centre),
                    size=(1.0, 1.0, 1.0),
                    rotation=(1.0, 0.0, 0.0, 0.0),
                    velocity=(0.0, 0.0),
                    tracking_id=str(track),
                    tracking_name=NAMES[label],
                    tracking_score=float(np.mean(score_of[track])),
                )
            )
        return result

    wanted, found = {}, {}
    for item, (answer, key) in enumerate(zip(predictions, references, strict=True)):
        frames = sorted({*key["frames"], *(answer["frames"] if answer else [])})
        wanted[str(item)], found[str(item)] = by_frame(key, frames), by_frame(answer, frames)
    values = []
    for label in sorted({label for scene in references for label in scene["labels"]}):
        data = TrackingEvaluation(
            wanted,
            found,
            NAMES[label],
            config.dist_fcn_callable,
            config.dist_th_tp,
            config.min_recall,
            40,
            config.metric_worst,
            verbose=False,
        ).accumulate()
        motar = np.array(data.get_metric("motar"))
        motar[np.isnan(motar)] = config.metric_worst["amota"]
        values.append(float(np.mean(motar)))
    return 100 * float(np.mean(values))


#: Metres from pose to pose: no length of path is a whole number of steps.
STEP_M = 9.9


def track(frames: int, bend: float, drift: float) -> np.ndarray:
    """Poses [frames, 4, 4] of a winding drive by STEP_M, drifting in scale and heading."""
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for frame in range(1, frames):
        turn = np.array([0.0, bend * np.sin(frame / 7) + drift / 40, drift * np.cos(frame) / 50])
        move = np.array([0.0, 0.02 * drift, STEP_M * (1 + drift * np.sin(frame / 3))])
        step = lie_algebra.se3(lie_algebra.so3_exp(turn), move * STEP_M / np.linalg.norm(move))
        step[:3, 3] = move if drift else step[:3, 3]
        poses[frame] = poses[frame - 1] @ step
    return poses


def rte_case(frames: int, bend: float, drift: float) -> dict[str, Any]:
    key, found = track(frames, bend, 0.0), track(frames, bend, drift)
    errors: list[float] = []
    for length in range(100, 801, 100):
        apart = int(length / STEP_M) + 1
        if apart >= frames:
            continue
        rpe = evo_metrics.RPE(
            evo_metrics.PoseRelation.translation_part,
            delta=apart,
            delta_unit=evo_metrics.Unit.frames,
            all_pairs=True,
        )
        rpe.process_data((PosePath3D(poses_se3=list(key)), PosePath3D(poses_se3=list(found))))
        errors += (100 * rpe.error[::10] / length).tolist()
    return {
        "metric": "rte",
        "source": "evo RPE over pairs of KITTI's choice",
        "predictions": [found[:, :3].tolist()],
        "references": [key[:, :3].tolist()],
        "value": float(np.mean(errors)),
    }


def s_measure_case(seed: int, height: int, width: int, kind: str) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    middle = rng.uniform(0.2, 0.8, 2) * (height, width)
    inside = np.hypot(rows - middle[0], columns - middle[1]) < min(height, width) / 3
    key = {"empty": np.zeros_like(inside), "full": np.ones_like(inside)}.get(kind, inside)
    smooth = 255 * np.exp(-np.hypot(rows - middle[0] - 1, columns - middle[1]) / 6)
    found = np.clip(smooth + rng.normal(0, 30, key.shape), 0, 255).round().astype(int)
    if kind == "binary":
        found = 255 * (found > 100)
    if kind == "silent":
        found = np.zeros_like(found)
    measure = Smeasure()
    measure.step(found / 255, key, normalize=False)
    return {
        "metric": "s-measure",
        "source": "pysodmetrics Smeasure, not normalised",
        "predictions": [found.tolist()],
        "references": [key.astype(int).tolist()],
        "value": 100 * float(measure.get_results()["sm"]),
    }


def main() -> None:
    cases = [
        map_3d_case(1, 6, 0.5),
        map_3d_case(2, 4, 1.5),
        map_3d_case(3, 1, 0.0),
        map_3d_case(4, 8, 1.0, with_ties=True),
        amota_case(1, 1, 12, 0.2, 0.0, 1),
        amota_case(2, 3, 10, 0.5, 0.2, 2),
        amota_case(3, 2, 12, 1.2, 0.4, 3),
        amota_case(4, 1, 15, 0.9, 0.6, 1),
        rte_case(100, 0.05, 0.01),
        rte_case(60, 0.2, 0.3),
        *(
            s_measure_case(seed, *size, kind)
            for seed, (size, kind) in enumerate(
                [
                    ((16, 20), "grey"),
                    ((15, 11), "grey"),
                    ((16, 20), "binary"),
                    ((12, 12), "silent"),
                    ((9, 14), "empty"),
                    ((9, 14), "full"),
                ]
            )
        ),
    ]
    versions = {library: importlib.metadata.version(library) for library in LIBRARIES}
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    VECTORS.write_text(
        f'{{"versions":{json.dumps(versions)},\n"cases":[\n{lines}\n]}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    main()
