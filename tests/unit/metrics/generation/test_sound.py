"""Speech, cepstra and piano rolls against jiwer, pycocoevalcap, scipy, scikit-learn."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from sklearn.metrics import jaccard_score

from services.grader.metrics.sound.cepstra import DECIBELS, distortion, mcd
from services.grader.metrics.sound.rolls import (
    event_accuracy,
    pitch_class_consistency,
)
from services.grader.metrics.sound.speech import cider_speech, transcripts, wer_speech

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracles, not ours
    import jiwer
    from pycocoevalcap.cider.cider import Cider

SAID = ["the cat sat on the mat", "a dog", "three old birds fly over the sea", "one two"]
HEARD = ["the cat sat on a mat", "a dog barks loud now", "three birds fly over sea", ""]
SOUNDS = [np.full(4, float(index)) for index in range(len(SAID))]


def recogniser(sounds):
    return [HEARD[int(sound[0])] for sound in sounds]


# --- speech -----------------------------------------------------------------------------------


def test_word_errors_of_the_transcripts_are_jiwers():
    references = [[text] for text in SAID]

    words = wer_speech(SOUNDS, references, transcriber=recogniser)
    characters = wer_speech(SOUNDS, references, transcriber=recogniser, unit="character")

    np.testing.assert_allclose(
        words.per_sample, [100 * jiwer.wer(*pair) for pair in zip(SAID, HEARD, strict=True)]
    )
    closed = [(a.replace(" ", ""), b.replace(" ", "")) for a, b in zip(SAID, HEARD, strict=True)]
    np.testing.assert_allclose(characters.per_sample, [100 * jiwer.cer(*pair) for pair in closed])


def test_cider_of_the_transcripts_is_pycocoevalcaps():
    references = [[text] for text in SAID]

    ours = cider_speech(SOUNDS, references, transcriber=recogniser).value

    theirs, _ = Cider().compute_score(
        dict(enumerate(references)), {index: [text] for index, text in enumerate(HEARD)}
    )
    assert ours == pytest.approx(100 * theirs)


def test_a_missing_sound_is_not_heard():
    sounds = [None, SOUNDS[1], None, SOUNDS[3]]

    heard = transcripts(sounds, SAID, recogniser)
    result = wer_speech(sounds, [[text] for text in SAID], transcriber=recogniser)

    assert heard == [None, HEARD[1], None, HEARD[3]]
    assert transcripts([None], ["x"], lambda sounds: 1 / 0) == [None]
    np.testing.assert_allclose(result.per_sample, [100, 150, 100, 100])
    assert result.missing == 2


def test_a_transcriber_that_loses_a_sound_is_refused():
    with pytest.raises(ValueError, match="transcriber"):
        wer_speech(SOUNDS[:2], [["a"], ["b"]], transcriber=lambda sounds: [])


# --- cepstra ----------------------------------------------------------------------------------


def cepstra(seed, frames, d=13):
    return np.random.default_rng(seed).normal(size=(frames, d))


def as_they_are(sounds):
    return sounds


def test_distortion_is_the_published_formula():
    first, second = cepstra(0, 30), cepstra(1, 30)

    expected = 10 / np.log(10) * np.sqrt(2) * np.diag(cdist(first, second)).mean()

    assert distortion(first, second) == pytest.approx(expected, abs=1e-12)
    assert pytest.approx(6.141851463713754) == DECIBELS  # 10 sqrt(2) / ln 10


def test_a_shorter_series_goes_on_flat():
    first, second = cepstra(2, 10), cepstra(3, 14)
    padded = np.concatenate([first, np.zeros((4, 13))])

    assert distortion(first, second) == distortion(padded, second) == distortion(second, first)


def all_paths(rows, columns):
    """Every warping path from the first pair of frames to the last."""
    if rows == columns == 1:
        yield [(0, 0)]
        return
    for back in ((1, 0), (0, 1), (1, 1)):
        before = rows - back[0], columns - back[1]
        if min(before) > 0:
            for path in all_paths(*before):
                yield [*path, (rows - 1, columns - 1)]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5), (4, 4), (5, 3), (3, 6)])
def test_warping_is_the_best_of_all_paths(rows, columns):
    first, second = cepstra(4, rows, 3), cepstra(5, columns, 3)
    costs = cdist(first, second)

    best = min((sum(costs[cell] for cell in path), len(path)) for path in all_paths(rows, columns))

    assert distortion(first, second, "dtw") == pytest.approx(DECIBELS * best[0] / best[1])


def test_warping_forgives_a_slower_speaker():
    first = cepstra(6, 20)
    slow = np.repeat(first, 2, axis=0)

    assert distortion(slow, first, "dtw") == pytest.approx(0, abs=1e-12)
    assert distortion(slow, first) > 1


def test_mcd_is_the_mean_over_items_and_missing_costs_a_flat_spectrum():
    references = [cepstra(seed, 8) for seed in range(4)]
    near = [series + 0.01 for series in references]

    result = mcd([near[0], None, near[2], near[3][:0]], references, mel_cepstra=as_they_are)

    assert result.per_sample[0] == pytest.approx(DECIBELS * 0.01 * np.sqrt(13))
    flat = max(DECIBELS * np.linalg.norm(series, axis=1).mean() for series in references)
    assert result.per_sample[1] == pytest.approx(flat)
    assert result.missing == 2
    assert mcd(references, references, mel_cepstra=as_they_are).value == 0


def test_a_missing_sound_costs_the_largest_answered_distortion_where_that_is_more():
    references = [cepstra(7, 8), cepstra(8, 8)]

    result = mcd([references[0] + 100, None], references, mel_cepstra=as_they_are)

    assert result.per_sample[1] == result.per_sample[0]


def test_cepstra_are_finite_and_one_series_for_each_sound():
    for wrong in ([], [np.zeros(3)], [np.full((2, 3), np.inf)]):
        with pytest.raises(ValueError, match="cepstra"):
            mcd([None], [np.zeros(3)], mel_cepstra=lambda sounds, w=wrong: w)


# --- piano rolls ------------------------------------------------------------------------------


def roll(*notes):
    return np.array(notes, dtype=np.float64).reshape(-1, 4)


def test_event_accuracy_by_hand():
    reference = roll((0, 2, 60, 0), (0, 1, 64, 0), (1, 1, 67, 1))
    prediction = roll((0, 1, 60, 0), (1, 1, 67, 1), (1, 1, 67, 0), (1.5, 0.5, 10, 0))

    # Event 0: {60, 64} against {60}: 1 of 2. Event 1: {60, 67b} against {67b, 67a}: 1 of 3.
    result = event_accuracy([prediction, reference, None], [reference] * 3)

    np.testing.assert_allclose(result.per_sample, [100 * 2 / 5, 100, 0])
    assert result.missing == 1


def grid_roll(seed, notes=40):
    generator = np.random.default_rng(seed)
    return np.stack(
        [
            generator.integers(0, 24, notes) / 4,
            generator.integers(1, 9, notes) / 4,
            generator.integers(58, 64, notes),
            generator.integers(0, 2, notes),
        ],
        axis=1,
    ).astype(np.float64)


def rastered(notes, steps=40):
    """Sounding (step, pitch, part) as booleans, steps of a quarter beat."""
    grid = np.zeros((steps, 128, 2), dtype=bool)
    for onset, duration, pitch, part in notes:
        grid[int(onset * 4) : int((onset + duration) * 4), int(pitch), int(part)] = True
    return grid


def test_event_accuracy_is_scikit_learns_jaccard_of_the_rolls_at_the_events():
    for seed in range(5):
        prediction, reference = grid_roll(seed), grid_roll(seed + 100)
        events = np.unique(reference[:, 0] * 4).astype(int)

        ours = event_accuracy([prediction], [reference]).value

        theirs = jaccard_score(
            rastered(reference)[events].ravel(), rastered(prediction)[events].ravel()
        )
        assert ours == pytest.approx(100 * theirs)


def test_times_within_a_512th_of_a_beat_are_one():
    reference = roll((0, 1, 60, 0), (0.001, 1, 64, 0))

    assert event_accuracy([roll((0, 1, 60, 0), (0, 1, 64, 0))], [reference]).value == 100


def test_silence_against_silence_is_right_and_against_music_wrong():
    silence, music = roll(), roll((0, 1, 60, 0))

    result = event_accuracy([silence, music, silence], [silence, silence, music])

    np.testing.assert_array_equal(result.per_sample, [100, 0, 0])


def histograms(notes, bar):
    bars = {}
    for onset, _, pitch, _ in notes:
        bars.setdefault(int(onset // bar), np.zeros(12))[int(pitch) % 12] += 1
    return np.stack([counts / counts.sum() for counts in bars.values()])


@pytest.mark.parametrize("bar", [1.0, 2.0, 4.0])
def test_pitch_class_consistency_is_the_mean_overlap_of_all_pairs_of_bars(bar):
    for seed in range(4):
        notes = grid_roll(seed)

        ours = pitch_class_consistency([notes], bar=bar).value

        # The overlap of two distributions is 1 minus half of their L1 distance.
        theirs = 1 - pdist(histograms(notes, bar), "cityblock") / 2
        assert ours == pytest.approx(100 * theirs.mean())


def test_a_repeated_bar_is_consistent_another_key_is_not_and_an_octave_is():
    def bars(*pitches):
        return roll(*((4 * bar, 1, pitch, 0) for bar, pitch in enumerate(pitches)))

    result = pitch_class_consistency(
        [bars(60, 60), bars(60, 61), bars(60, 72), bars(60), bars(), None]
    )

    np.testing.assert_array_equal(result.per_sample, [100, 0, 100, 0, 0, 0])
    assert result.missing == 1


def test_the_order_of_notes_does_not_matter_and_bars_without_notes_are_no_bars():
    notes = roll((0, 1, 60, 0), (0, 1, 62, 0), (40, 1, 60, 0))

    values = {
        pitch_class_consistency([notes[list(order)]]).value
        for order in itertools.permutations(range(3))
    }

    assert values == {50.0}


def test_rolls_are_finite_and_bars_have_a_length():
    with pytest.raises(ValueError, match="finite"):
        event_accuracy([roll((np.nan, 1, 60, 0))], [roll((0, 1, 60, 0))])
    with pytest.raises(ValueError, match="longer than 0"):
        pitch_class_consistency([roll()], bar=0)
