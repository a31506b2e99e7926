"""Values for pixels from files to a value: scikit-learn, torchmetrics, scipy, by hand."""

from __future__ import annotations

import struct
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from services.grader.decode.formats import writers
from services.grader.decode.formats.flows import read_known_depth, read_known_flow
from services.grader.decode.formats.writers import flo, npy, npz
from tests.unit.grader.media.comprehension_jobs import png, score

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracles, not ours
    import torch
    from sklearn import metrics as sklearn
    from sklearn.linear_model import LinearRegression
    from torchmetrics.functional.detection import panoptic_quality

TOLERANCE = 1e-9  # percent points, or the metric's unit
Floats = NDArray[np.float64]


def named(
    prefix: str, data: list[bytes], ending: str = "png"
) -> tuple[list[str], dict[str, bytes]]:
    files = {f"{prefix}{place}.{ending}": one for place, one in enumerate(data)}
    return list(files), files


# --- Mattes and graded maps ---


@pytest.mark.parametrize("bits", [8, 16])
def test_mattes_are_alpha_by_their_bits(bits: int) -> None:
    rng = np.random.default_rng(0)
    top = 2**bits - 1
    kind = np.uint8 if bits == 8 else np.uint16
    wanted = [rng.integers(0, 256, (9, 11), dtype=np.uint8) for _ in range(4)]
    found = [rng.integers(0, top + 1, (9, 11)).astype(kind) for _ in wanted]
    answers, files = named("a", [png(side) for side in found])
    keys, key_files = named("k", [png(key) for key in wanted])
    pairs = [
        (key.ravel() / 255, side.ravel() / top) for key, side in zip(wanted, found, strict=True)
    ]

    sad, _ = score("matting-sad", answers, keys, files=files, key_files=key_files)
    mse, _ = score("matting-mse", answers, keys, files=files, key_files=key_files)

    assert sad.per_sample is not None
    assert mse.per_sample is not None
    assert sad.per_sample == pytest.approx(
        [sklearn.mean_absolute_error(*pair) * 99 / 1000 for pair in pairs], abs=TOLERANCE
    )
    assert mse.per_sample == pytest.approx(
        [1000 * sklearn.mean_squared_error(*pair) for pair in pairs], abs=TOLERANCE
    )


def test_a_matte_in_colour_is_its_luma_and_one_of_another_size_is_missing() -> None:
    colour = np.zeros((2, 3, 3), np.uint8)
    colour[:, :, 1] = 255  # green: 0.587 of 255 is 149.7
    files = {"c.png": png(colour), "turned.png": png(colour[:, :2])}
    keys, key_files = named("k", [png(np.full((2, 3), 150, np.uint8))] * 2)

    result, unfit = score(
        "matting-sad", ["c.png", "turned.png"], keys, files=files, key_files=key_files
    )

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx([0, 6 * 150 / 255 / 1000])
    assert (result.missing, unfit) == (1, {1})


def test_graded_maps_are_ranked_as_scikit_learn_ranks_them() -> None:
    rng = np.random.default_rng(7)
    keys = [rng.random((13, 17)) < share for share in (0.05, 0.2, 0.0, 0.5)]
    maps = [np.clip(rng.normal(0.4, 0.2, key.shape) + 0.2 * key, 0, 1) * 65535 // 1 for key in keys]
    deep = [side.astype(np.uint16) for side in maps]
    answers, files = named("a", [png(side) for side in deep])
    colour = np.zeros((13, 17, 3), np.uint8)
    colour[keys[1], 2] = 1  # blue, too faint for luma to see
    paths, key_files = named(
        "k",
        [png(keys[0].astype(np.uint8)), png(colour)]
        + [png(key * np.uint8(255)) for key in keys[2:]],
    )
    wanted, found = np.concatenate(keys).ravel(), np.concatenate([side.ravel() for side in deep])

    ap, unfit = score("pixel-ap", answers, paths, files=files, key_files=key_files)
    auc, _ = score("map-roc-auc", answers, paths, files=files, key_files=key_files)

    expected = 100 * sklearn.average_precision_score(wanted.ravel(), found)
    assert ap.value == pytest.approx(expected, abs=TOLERANCE)
    expected = 100 * sklearn.roc_auc_score(wanted.ravel(), found)
    assert auc.value == pytest.approx(expected, abs=TOLERANCE)
    assert not unfit


def test_a_graded_map_of_another_size_ranks_every_pixel_wrongly() -> None:
    key = np.array([[0, 1, 1]], np.uint8)
    keys, key_files = named("k", [png(key)] * 2)
    files = {"good.png": png(key * 99), "wide.png": png(np.tile(key, 2) * 99)}

    result, unfit = score(
        "map-roc-auc", ["good.png", "wide.png"], keys, files=files, key_files=key_files
    )

    assert unfit == {1}
    # True at 99, 99, below, below against one at 0 and one above all: each beats the zero if above.
    assert result.value == pytest.approx(100 * 2 / 8)


# --- Depth ---


def depth_maps(seed: int, shape: tuple[int, ...], low: float, high: float) -> list[Floats]:
    """Depth with void pixels."""
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(shape) < 0.2, 0, rng.uniform(low, high, shape)) for _ in range(4)]


def test_the_error_of_depth_is_over_the_pixels_that_the_key_knows() -> None:
    wanted = [depth.round(3) for depth in depth_maps(1, (7, 8), 1, 9)]
    found = [np.abs(depth + 0.3).astype(np.float32) for depth in depth_maps(2, (7, 8), 1, 9)]
    expected = [
        100 * sklearn.root_mean_squared_error(key[key > 0], side[key > 0].astype(np.float64))
        for side, key in zip(found, wanted, strict=True)
    ]
    unknown = np.where(wanted[1] == 0, np.nan, wanted[1])
    negative = np.where(wanted[3] == 0, -np.inf, wanted[3])
    key_files = {
        "k0.png": png((wanted[0] * 1000).round().astype(np.uint16)),
        "k1.npy": npy(unknown),
        "k2.npz": npz(depth=wanted[2], other=np.zeros(3)),
        "k3.npz": npz(anything=negative),
    }
    answers, files = named("a", [npy(side) for side in found], "npy")

    result, unfit = score("depth-rms", answers, list(key_files), files=files, key_files=key_files)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(expected, abs=1e-5)  # PNG: float32 metres
    assert not unfit


def test_the_steps_of_a_depth_png_are_the_tasks_on_both_sides() -> None:
    files = {"a.png": png(np.full((2, 2), 512, np.uint16)), "k.npy": npy(np.full((2, 2), 2.5))}

    result, _ = score(
        "depth-rms", ["a.png"], ["k.npy"], files=files, options={"depth_scale": "256"}
    )
    same, _ = score("depth-rms", ["a.png"], ["a.png"], files=files, options={"depth_scale": "256"})

    assert result.value == pytest.approx(50)
    assert same.value == 0


def test_relative_depth_is_fitted_over_all_frames_at_once() -> None:
    wanted = depth_maps(3, (3, 7, 8), 1, 90)
    rng = np.random.default_rng(4)
    found = [3 - 0.01 * key + rng.normal(0, 0.3, key.shape) for key in wanted]
    expected = []
    for side, key in zip(found, wanted, strict=True):
        valid = (key > 1e-3) & (key < 80)
        given, target = side[valid][:, None], key[valid]
        aligned = LinearRegression().fit(given, target).predict(given)
        expected.append(sklearn.mean_absolute_percentage_error(target, np.clip(aligned, 1e-3, 80)))
    files = {f"k{place}.npy": npy(key) for place, key in enumerate(wanted)}
    files |= {
        f"k3/{frame}.npy": npy(np.where(depth == 0, np.nan, depth))
        for frame, depth in enumerate(wanted[3])
    }
    files |= {f"a{place}.npy": npy(side) for place, side in enumerate(found)}
    files |= {f"a2/{frame}.npy": npy(depth) for frame, depth in enumerate(found[2])}
    keys: list[Any] = ["k0.npy", "k1.npy", "k2.npy", [f"k3/{frame}.npy" for frame in range(3)]]
    answers: list[Any] = ["a0.npy", "a1.npy", [f"a2/{frame}.npy" for frame in range(3)], "a3.npy"]
    mentioned = {path: files[path] for path in ("a0.npy", "a1.npy", *answers[2], "a3.npy")}

    result, _ = score("abs-rel", answers, keys, files=mentioned, key_files=files)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)


def test_a_picture_and_a_list_of_one_frame_are_the_same_and_other_shapes_are_missing() -> None:
    depth = np.array([[1.0, 2.0], [3.0, 4.0]])
    files = {"one.npy": npy(depth), "framed.npy": npy(depth[None]), "two.npy": npy([depth, depth])}
    files["narrow.npy"] = npy(depth[:, :1])
    keys = ["one.npy", "framed.npy", "one.npy", "framed.npy"]
    answers: list[Any] = ["framed.npy", ["one.npy"], "two.npy", "narrow.npy"]

    result, unfit = score("depth-rms", answers, keys, files=files)

    assert unfit == {2, 3}
    assert result.per_sample is not None
    assert result.per_sample.tolist() == [0, 0, 300, 300]  # the range of the key's depths, in cm


# --- Flow ---


def kitti(flow: Floats, valid: NDArray[np.bool_]) -> bytes:
    """A PNG of 16 bits in R, G and B as KITTI's kit writes it."""
    height, width = valid.shape
    values = np.zeros((height, width, 3), np.uint16)
    values[:, :, :2] = (flow * 64 + 2**15).round()
    values[:, :, 2] = valid
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return writers.png(width, height, 16, 2, rows)


def flows(seed: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    wanted = (rng.normal(0, 9, (5, 6, 2)) * 64).round() / 64
    return rng.normal(0, 9, (5, 6, 2)), wanted, rng.random((5, 6)) < 0.7


def test_the_end_point_error_leaves_out_what_the_key_does_not_know() -> None:
    found, keys, expected = [], {}, []
    for place in range(5):
        side, wanted, valid = flows(place)
        lost = np.where(valid[:, :, None], wanted, np.nan)
        huge = np.where(valid[:, :, None], wanted, [0.5, 2e9])
        name, data, valid = [
            ("k0.png", kitti(wanted, valid), valid),
            ("k1.flo", flo(huge), valid),
            ("k2.npy", npy(lost), valid),
            ("k3.npz", npz(flow=huge, valid=valid), valid),
            ("k4.flo", flo(wanted), np.ones_like(valid)),
        ][place]
        keys[name] = data
        found.append(npy(side))
        distance = np.diag(cdist(side.reshape(-1, 2), wanted.reshape(-1, 2)))
        expected.append(distance[valid.ravel()].mean())
    answers, files = named("a", found, "npy")

    result, unfit = score("epe", answers, list(keys), files=files, key_files=keys)

    assert result.per_sample is not None
    assert result.per_sample == pytest.approx(expected, abs=TOLERANCE)
    assert not unfit


def test_in_an_answer_a_pixel_without_flow_still_does_not_move() -> None:
    _, wanted, valid = flows(0)
    valid[:2] = False
    data = {"a.png": kitti(wanted, valid), "k.flo": flo(wanted)}
    still = np.where(valid[:, :, None], wanted, 0)

    result, _ = score("epe", ["a.png"], ["k.flo"], files=data)

    expected = np.linalg.norm(still - wanted, axis=2).mean()
    assert result.value == pytest.approx(expected, abs=1e-6)


def test_what_a_key_does_not_know_of_flow_and_depth() -> None:
    header = struct.pack("<fii", 202021.25, 3, 1)
    vectors = np.array([[1, 2], [1e9, -1e9], [1, -1.1e9]], "<f4")

    found = read_known_flow(header + vectors.tobytes(), ".flo")["flow"]
    np.testing.assert_array_equal(found, [[[1, 2], [1e9, -1e9], [np.nan, np.nan]]])
    assert found.dtype == np.float32

    depth = read_known_depth(npy(np.array([[np.nan, np.inf, -1.0, 0.0, 2.0]])), ".npy")["depth"]
    assert depth.tolist() == [[0, 0, 0, 0, 2]]


def test_flow_of_other_frames_is_missing() -> None:
    flow = np.ones((2, 3, 4, 2))
    files = {
        "two.npy": npy(flow),
        "one.npy": npy(flow[0]),
        "turned.npy": npy(np.ones((2, 4, 3, 2))),
    }

    result, unfit = score("epe", ["two.npy", "one.npy", "turned.npy"], ["two.npy"] * 3, files=files)

    assert unfit == {1, 2}
    assert result.missing == 2
    assert result.per_sample is not None
    assert result.per_sample.tolist() == [0, np.sqrt(2), np.sqrt(2)]


# --- Panoptic pictures ---


NAMES = {0: "person", 1: "car", 2: "sky", 3: "road"}
VOID = 9


def panoptic(
    classes: NDArray[np.int64], instances: NDArray[np.int64]
) -> tuple[bytes, list[dict[str, Any]]]:
    """The PNG and the segments of classes and instances; VOID has no segment."""
    code = 1 + classes * 300 + instances  # more than one byte
    pixels = np.stack((code % 256, code // 256, np.zeros_like(code)), axis=2)
    segments = [
        {"segment": int(number), "label": NAMES[(int(number) - 1) // 300]}
        for number in np.unique(code[classes != VOID])
    ]
    return png(pixels.astype(np.uint8)), segments


def test_panoptic_quality_is_that_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.integers(0, 4, (3, 5, 6)).repeat(4, axis=1).repeat(4, axis=2)
    instance = rng.integers(0, 3, (3, 5, 6)).repeat(4, axis=1).repeat(4, axis=2)
    instance[wanted >= 2] = 0  # sky and road: one segment each
    noise = rng.random(wanted.shape) < 0.25
    found = np.where(noise, rng.integers(0, 4, wanted.shape), wanted)
    found_instance = np.where(found >= 2, 0, np.where(noise, 4, instance))
    wanted[:, :3, :3] = VOID
    expected = panoptic_quality(
        torch.tensor(np.stack((found, found_instance), axis=-1)),
        torch.tensor(np.stack((wanted, instance), axis=-1)),
        things={0, 1},
        stuffs={2, 3},
        allow_unknown_preds_category=True,
    )
    answers, files, keys, key_files = [], {}, [], {}
    for place in range(3):
        files[f"a{place}.png"], segments = panoptic(found[place], found_instance[place])
        answers.append({"file": f"a{place}.png", "segments": segments})
        key_files[f"k{place}.png"], segments = panoptic(wanted[place], instance[place])
        keys.append({"file": f"k{place}.png", "segments": segments})

    result, unfit = score("pq", answers, keys, files=files, key_files=key_files)

    assert result.value == pytest.approx(100 * float(expected), abs=1e-5)
    assert not unfit
    assert 5 < result.value < 95


def test_crowds_void_inventions_and_sizes_by_hand() -> None:
    grey = np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0, 0]], np.uint8)
    files = {"k.png": png(np.repeat(grey[:, :, None], 3, 2)), "wide.png": png(np.tile(grey, 2))}
    one, two, nothing = 0x010101, 0x020202, 0
    files["a.png"] = files["k.png"]
    person, crowd = {"segment": one, "label": "person"}, {"segment": two, "label": "person"}
    key = {"file": "k.png", "segments": [person, crowd | {"iscrowd": 1}]}

    def value(segments: list[dict[str, Any]], reference: dict[str, Any] = key) -> float:
        answer = {"file": "a.png", "segments": segments}
        return score("pq", [answer], [reference], files=files)[0].value

    # What lies in the crowd or in void is no false alarm.
    assert value([person | {"label": "Person"}, crowd, {"segment": nothing, "label": "x"}]) == 100
    # Without the crowd mark and without its segment: two invented classes beside two right ones.
    plain: dict[str, Any] = {
        "file": "k.png",
        "segments": [person, {"segment": two, "label": "car"}],
    }
    assert value(plain["segments"], plain) == 100
    dog, cat = {"segment": one, "label": "dog"}, {"segment": two, "label": "cat"}
    assert value([dog, cat], plain) == 0
    half = [person, {"segment": two, "label": "cat"}]
    assert value(half, plain) == pytest.approx(100 / 3)  # person; car missed; cat invented

    wide = {"file": "wide.png", "segments": [person]}
    result, unfit = score("pq", [wide, None], [key, plain], files=files)
    assert (result.value, result.missing, unfit) == (0, 2, {0})
