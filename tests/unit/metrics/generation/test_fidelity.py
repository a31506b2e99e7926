"""PSNR, MS-SSIM and the LAB error against scikit-image and pytorch-msssim, and their rules."""

import warnings

import numpy as np
import pytest
import scipy.ndimage
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from services.grader.metrics.fidelity import lab
from services.grader.metrics.fidelity.lab import rgb_to_lab, shadow_error
from services.grader.metrics.fidelity.ms_ssim import (
    C1,
    C2,
    LUMA,
    SMALLEST_SIDE,
    WEIGHTS,
    ms_ssim,
    picture_ms_ssim,
)
from services.grader.metrics.fidelity.psnr import ceiling, picture_psnr, psnr, video_psnr
from tests.unit.metrics.generation.networks import pictures, videos

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracle, not ours
    import torch
    from pytorch_msssim import ms_ssim as oracle_ms_ssim


def noisy(picture, seed=1, size=20):
    noise = np.random.default_rng(seed).normal(0, size, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def smooth(seed, height, width):
    """A picture with structure at every scale."""
    generator = np.random.default_rng(seed)
    planes = sum(
        scipy.ndimage.gaussian_filter(generator.normal(size=(height, width, 3)), (s, s, 0)) * s
        for s in (1, 4, 16)
    )
    planes = (planes - planes.min()) / np.ptp(planes)
    return (planes * 255).astype(np.uint8)


# --- PSNR -------------------------------------------------------------------------------------


def test_psnr_is_scikit_images():
    references = pictures(0, 6, (31, 17, 3))
    predictions = [noisy(picture, seed) for seed, picture in enumerate(references)]

    result = psnr(predictions, references)

    expected = [
        peak_signal_noise_ratio(*pair) for pair in zip(references, predictions, strict=True)
    ]
    np.testing.assert_allclose(result.per_sample, expected, rtol=0, atol=1e-12)
    assert result.value == pytest.approx(np.mean(expected), abs=1e-12)
    assert result.stderr == pytest.approx(np.std(expected, ddof=1) / np.sqrt(6))


def test_psnr_of_the_worst_large_picture_is_exactly_0():
    black = np.zeros((3000, 4000, 3), dtype=np.uint8)

    assert picture_psnr(black, black + 255) == 0


def test_psnr_takes_pictures_that_are_not_contiguous():
    reference = pictures(2, 1, (20, 30, 3))[0]
    prediction = noisy(reference)

    flipped = picture_psnr(prediction[::-1, ::-1], reference[::-1, ::-1])

    assert flipped == picture_psnr(prediction, reference)


def test_an_identical_picture_is_left_out_of_the_mean():
    references = pictures(3, 3)
    predictions = [references[0].copy(), noisy(references[1]), noisy(references[2])]

    result = psnr(predictions, references)

    assert result.value == pytest.approx(result.per_sample[1:].mean())
    assert result.per_sample[0] == ceiling(references[0])
    assert psnr(predictions, references, identical="ceiling").value == pytest.approx(
        result.per_sample.mean()
    )


def test_a_perfect_submission_has_the_largest_finite_psnr():
    references = pictures(4, 2)
    one_off = [picture.copy() for picture in references]
    for picture in one_off:
        picture[0, 0, 0] ^= 1

    perfect = psnr(references, references)

    assert perfect.value == pytest.approx(10 * np.log10(255**2 * references[0].size))
    assert perfect.value >= psnr(one_off, references).value
    assert perfect.stderr == 0


@pytest.mark.parametrize("absent", [None, np.zeros((4, 4, 3), dtype=np.uint8)])
def test_a_missing_picture_and_one_of_another_size_are_0_db(absent):
    references = pictures(5, 2)

    result = psnr([absent, noisy(references[1])], references)

    assert result.per_sample[0] == 0
    assert result.missing == 1
    assert result.value == pytest.approx(result.per_sample.mean())


def test_video_psnr_is_the_mean_over_all_frames():
    references = [*videos(6, 2, 4), *videos(7, 1, 2)]
    predictions = [noisy(video, seed) for seed, video in enumerate(references)]

    result = video_psnr(predictions, references)

    frames = [
        peak_signal_noise_ratio(true, made)
        for reference, prediction in zip(references, predictions, strict=True)
        for true, made in zip(reference, prediction, strict=True)
    ]
    assert result.value == pytest.approx(np.mean(frames), abs=1e-12)
    assert result.per_sample is None
    assert result.stderr > 0


def test_frames_that_a_video_lacks_are_0_db_and_further_ones_are_not_compared():
    references = videos(8, 2, 4)
    whole = [noisy(video) for video in references]
    short, longer = whole[0][:3], np.concatenate([whole[1], whole[1]])

    result = video_psnr([short, longer], references)

    frames = [
        *(picture_psnr(a, b) for a, b in zip(short, references[0], strict=False)),
        0.0,
        *(picture_psnr(a, b) for a, b in zip(whole[1], references[1], strict=True)),
    ]
    assert result.value == pytest.approx(np.mean(frames))
    assert video_psnr([None, whole[1]], references).missing == 1


def test_a_picture_that_is_not_of_8_bits_is_no_reference():
    with pytest.raises(ValueError, match="8 bits"):
        psnr([None], [np.zeros((4, 4, 3))])


# --- MS-SSIM ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(176, 176), (256, 192), (208, 304)])
def test_ms_ssim_is_pytorch_msssims(size):
    reference = smooth(10, *size)
    prediction = noisy(reference, 11, 12)

    ours = ms_ssim([prediction], [reference]).value

    first, second = (
        torch.from_numpy(picture.astype(np.float64)).permute(2, 0, 1)[None]
        for picture in (prediction, reference)
    )
    assert ours == pytest.approx(oracle_ms_ssim(first, second, data_range=255).item(), abs=2e-6)


def by_definition(first, second):
    """MS-SSIM of one channel by scipy's filters, on sides of any parity."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2

    def mean(plane):
        return scipy.ndimage.convolve(plane, window)[5:-5, 5:-5]

    value = 1.0
    for scale, weight in enumerate(WEIGHTS):
        m1, m2 = mean(first), mean(second)
        v1, v2 = mean(first**2) - m1**2, mean(second**2) - m2**2
        cov = mean(first * second) - m1 * m2
        local = (2 * cov + C2) / (v1 + v2 + C2)
        if scale == 4:
            local *= (2 * m1 * m2 + C1) / (m1**2 + m2**2 + C1)
        value *= max(local.mean(), 0) ** weight
        first, second = (
            scipy.ndimage.uniform_filter(plane, 2, mode="nearest", origin=-1)[::2, ::2]
            for plane in (first, second)
        )
    return value


@pytest.mark.parametrize("size", [(161, 161), (177, 203), (190, 165)])
def test_ms_ssim_of_odd_sides_is_the_definition(size):
    reference = smooth(12, *size)
    prediction = noisy(reference, 13, 15)

    expected = np.mean(
        [
            by_definition(prediction[..., c].astype(float), reference[..., c].astype(float))
            for c in range(3)
        ]
    )

    assert ms_ssim([prediction], [reference]).value == pytest.approx(expected, abs=1e-10)


def test_ms_ssim_of_the_luma_compares_the_grey_picture():
    reference = smooth(14, 180, 180)
    prediction = noisy(reference, 15, 15)
    grey = [np.array(picture @ np.array(LUMA)) for picture in (prediction, reference)]

    ours = ms_ssim([prediction], [reference], colour="luma").value

    assert ours == pytest.approx(by_definition(*grey), abs=1e-10)


def test_ms_ssim_bounds_and_the_cost_of_a_missing_picture():
    reference = smooth(16, SMALLEST_SIDE, SMALLEST_SIDE)

    result = ms_ssim([reference, None, reference[:-1]], [reference] * 3)

    assert result.per_sample[0] == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(result.per_sample[1:], [-1, -1])
    assert result.missing == 2
    assert ms_ssim([255 - reference], [reference]).value == pytest.approx(0, abs=0.05)


def test_ms_ssim_is_symmetric():
    first, second = smooth(17, 170, 180).astype(float), smooth(18, 170, 180).astype(float)

    assert picture_ms_ssim(first, second) == pytest.approx(picture_ms_ssim(second, first))


def test_a_reference_too_small_for_five_scales_is_refused():
    small = np.zeros((160, 300, 3), dtype=np.uint8)

    with pytest.raises(ValueError, match="161"):
        ms_ssim([small], [small])


# --- LAB --------------------------------------------------------------------------------------


def test_lab_is_scikit_images():
    picture = pictures(20, 1, (64, 64, 3))[0]

    np.testing.assert_allclose(rgb_to_lab(picture), rgb2lab(picture), rtol=0, atol=1e-10)


def test_shadow_error_is_that_of_scikit_images_lab():
    references = pictures(21, 3)
    predictions = [noisy(picture) for picture in references]
    apart = [
        rgb2lab(made) - rgb2lab(true) for made, true in zip(predictions, references, strict=True)
    ]

    mae = shadow_error(predictions, references)
    rmse = shadow_error(predictions, references, form="rmse")

    assert mae.value == pytest.approx(np.mean([np.abs(d).sum(-1).mean() for d in apart]))
    assert rmse.value == pytest.approx(np.mean([np.sqrt((d**2).sum(-1).mean()) for d in apart]))
    assert shadow_error(references, references).value == 0


@pytest.mark.parametrize("form", ["mae", "rmse"])
def test_no_picture_costs_more_than_a_missing_one(form):
    references = pictures(22, 1)
    missing = shadow_error([None], references, form=form).value

    for level in (0, 255):
        assert shadow_error([np.full_like(references[0], level)], references, form=form).value < (
            missing
        )
    assert shadow_error([255 - references[0]], references, form=form).value < missing


def test_the_ends_of_lab_hold_all_colours():
    levels = np.arange(256, dtype=np.uint8)
    face = np.stack(np.meshgrid(levels, levels, indexing="ij"), axis=-1)
    for axis in range(3):
        for end in (0, 255):
            values = rgb_to_lab(np.insert(face, axis, end, axis=-1))
            assert (values >= lab.LOWEST - 1e-9).all()
            assert (values <= lab.HIGHEST).all()


def test_a_picture_in_grey_has_no_lab():
    with pytest.raises(ValueError, match="three channels"):
        rgb_to_lab(np.zeros((4, 4), dtype=np.uint8))
