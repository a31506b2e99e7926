"""Points from lists and files to a value: scikit-learn and closed forms."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from services.grader.decode.formats.writers import npy
from tests.unit.grader.media.comprehension_jobs import score

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracle, not ours
    from sklearn import metrics as sklearn

TOLERANCE = 1e-9  # percent points, or degrees


def test_miou_of_points_is_the_macro_jaccard_of_all_points_that_are_not_void() -> None:
    rng = np.random.default_rng(0)
    wanted = [rng.integers(-1, 4, size) for size in (50, 70, 90)]
    found = [
        np.where(rng.random(len(key)) < 0.6, np.maximum(key, 0), rng.integers(-1, 6, len(key)))
        for key in wanted
    ]
    every, given = np.concatenate(wanted), np.concatenate(found)
    expected = sklearn.jaccard_score(
        every[every >= 0], given[every >= 0], labels=[0, 1, 2, 3], average="macro"
    )
    key_files = {"k.npy": npy(wanted[0]), "k.txt": "\n".join(map(str, wanted[1])).encode()}
    files = {"a.npy": npy(found[2].astype(np.float32))}

    result, unfit = score(
        "miou-points",
        [found[0].tolist(), found[1].tolist(), "a.npy"],
        ["k.npy", "k.txt", wanted[2].tolist()],
        files=files,
        key_files=key_files,
    )

    assert result.value == pytest.approx(100 * expected, abs=TOLERANCE)
    assert not unfit


def test_instances_instead_of_classes_and_other_points_are_missing() -> None:
    groups = {"instances": [0, 0], "labels": ["ape"], "scores": [1.0]}
    answers: list[Any] = [[1, 2], groups, [1, 2, 2], None]

    for metric in ("miou-points", "instance-miou"):
        result, unfit = score(metric, answers, [[1, 2]] * 4)
        assert unfit == {1, 2}
        assert (result.value, result.missing) == (25, 3)


def test_parts_are_those_of_the_shapes_category() -> None:
    rng = np.random.default_rng(4)
    parts = {"Chair": (0, 1, 2), "mug": (3, 4)}
    answers, keys, expected = [], [], []
    for shape in range(8):
        category = "Chair" if shape % 2 else "mug"
        labels = rng.choice(parts[category], 60)
        if shape == 1:
            labels[labels == 2] = 1
        found = np.where(rng.random(60) < 0.7, labels, rng.choice(parts[category][:2], 60))
        answers.append(found.tolist())
        keys.append({"labels": labels.tolist(), "category": category.lower()})
        keys[-1]["category"] = category if shape % 4 == 1 else category.upper()
        scores = sklearn.jaccard_score(
            labels, found, labels=parts[category], average=None, zero_division=1
        )
        expected.append(100 * np.mean(scores))
    files = {"k.npy": npy(keys[2]["labels"])}
    keys[2]["labels"] = "k.npy"

    result, _ = score("instance-miou", answers, keys, key_files=files)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)


def test_shapes_without_a_category_are_of_one() -> None:
    # The second shape lacks part 5, which the answer leaves out too: that counts 1.
    result, _ = score("instance-miou", [[1, 5], [1, 1], [1, 5]], [[1, 5], [1, 1], [1, 1]])

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx([100, 100, 25])


@pytest.mark.parametrize("degrees", [0.0, 17.0, 89.0, 163.0])
def test_normals_with_a_constant_tilt_have_that_angle(degrees: float) -> None:
    rng = np.random.default_rng(14)
    wanted = rng.normal(0, 1, (50, 3))
    axis = np.cross(wanted, rng.normal(0, 1, (50, 3)))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    found = Rotation.from_rotvec(np.radians(degrees) * axis).apply(wanted)
    files = {"a.npy": npy(found * 3), "k.npy": npy(np.hstack((rng.random((50, 3)), wanted)))}
    files["short.npy"] = npy(found[1:])

    result, unfit = score("normal-rmse", ["a.npy", "short.npy"], ["k.npy"] * 2, files=files)

    assert unfit == {1}
    assert result.per_sample is not None
    assert result.per_sample == pytest.approx([min(degrees, 180 - degrees), 90], abs=1e-9)
