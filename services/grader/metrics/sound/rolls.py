"""Piano rolls: event-level accuracy of an orchestration, pitch-class consistency of a piece.

A roll is an array [notes, 4] float64 of onset, duration (beats), pitch (0..127) and part (a number
for each instrument, the same in answers and key). Both metrics are in percent, 0..100, higher is
better, mean over pieces; a missing piece scores 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.media import check_aligned
from services.grader.metrics.result import PERCENT, MetricResult, mean_result

Roll = NDArray[np.float64]

#: Times nearer than this are one time, in beats: half of a 1/1024 note at 4 beats a bar.
SAME_TIME_BEATS = 1 / 512
PITCHES = 128
PITCH_CLASSES = 12
#: The beats of a bar where the task does not say.
BAR_BEATS = 4.0

ONSET, DURATION, PITCH, PART = range(4)


def event_accuracy(predictions: Sequence[Roll | None], references: Sequence[Roll]) -> MetricResult:
    """TP / (TP + FP + FN) of the sounding notes at the events of the reference.

    The events are the distinct onsets of the reference. At each, the (pitch, part) pairs that sound
    in the answer (onset at or before it, end after it) are compared with those of the reference;
    the counts are summed over a piece's events. What an answer plays between events is not
    compared. 0/0: a reference without notes is 100 for an answer without notes, else 0. Source: L.
    Crestel, P. Esling, "Live orchestral piano", SMC 2017 (event-level evaluation); G. Poliner, D.
    Ellis, 2007 (the accuracy).
    """
    n = check_aligned(predictions, references)
    samples = np.zeros(n)
    missing = 0
    for item, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        if prediction is None:
            missing += 1
        else:
            samples[item] = PERCENT * piece_event_accuracy(_roll(prediction), _roll(reference))
    return mean_result(samples, missing)


def piece_event_accuracy(prediction: Roll, reference: Roll) -> float:
    """The event-level accuracy of one piece; 0..1."""
    if len(reference) == 0:
        return float(len(prediction) == 0)
    hits = played = wanted = 0
    for time in _events(reference):
        ours, theirs = _sounding(prediction, time), _sounding(reference, time)
        hits += len(ours & theirs)
        played += len(ours)
        wanted += len(theirs)
    return hits / (played + wanted - hits)


def pitch_class_consistency(
    predictions: Sequence[Roll | None], *, bar: float = BAR_BEATS
) -> MetricResult:
    """How alike the pitch classes of a piece's bars are; there is no reference.

    A bar's histogram has the 12 pitch classes of the notes that start in it, each note counted
    once, over their number. The piece scores 100 times the mean over all pairs of bars with notes
    of the overlap sum_k min(h_k, g_k). ``bar`` is a bar's length in beats. 0/0: a piece with fewer
    than two such bars has no pair and scores 0. Source: arXiv 2505.04620, Table 17; overlap of
    histograms as in L.-C. Yang, A. Lerch, "On the evaluation of generative models in music", 2020.
    """
    n = check_aligned(predictions)
    if not bar > 0:
        raise ValueError("a bar lasts longer than 0 beats")
    samples = np.zeros(n)
    missing = 0
    for item, prediction in enumerate(predictions):
        if prediction is None:
            missing += 1
        else:
            samples[item] = PERCENT * piece_consistency(_roll(prediction), bar)
    return mean_result(samples, missing)


def piece_consistency(roll: Roll, bar: float = BAR_BEATS) -> float:
    """The pitch-class consistency of one piece; 0..1."""
    position = np.floor((roll[:, ONSET] + SAME_TIME_BEATS) / bar)
    bars, index = np.unique(position, return_inverse=True)
    cell = index * PITCH_CLASSES + roll[:, PITCH].astype(np.int64) % PITCH_CLASSES
    counts = np.bincount(cell, minlength=len(bars) * PITCH_CLASSES).reshape(-1, PITCH_CLASSES)
    if len(counts) < 2:
        return 0.0
    shares = counts / counts.sum(axis=1, keepdims=True)
    pairs = len(shares) * (len(shares) - 1) / 2
    # The sum over pairs of min(a, b): in ascending order each value is the smaller in as many pairs
    # as there are values after it.
    later = np.arange(len(shares) - 1, -1, -1)
    return float((np.sort(shares, axis=0) * later[:, None]).sum() / pairs)


def _events(roll: Roll) -> list[float]:
    """The distinct onsets, those within SAME_TIME_BEATS of the one before it left out."""
    events: list[float] = []
    for onset in np.unique(roll[:, ONSET]).tolist():
        if not events or onset - events[-1] > SAME_TIME_BEATS:
            events.append(onset)
    return events


def _sounding(roll: Roll, time: float) -> set[int]:
    """The (pitch, part) pairs that sound at a time, each as one number."""
    start = roll[:, ONSET] - SAME_TIME_BEATS <= time
    last = roll[:, ONSET] + roll[:, DURATION] - SAME_TIME_BEATS > time
    begins = np.abs(roll[:, ONSET] - time) <= SAME_TIME_BEATS
    rows = roll[(start & last) | begins]
    return set((rows[:, PART] * PITCHES + rows[:, PITCH]).astype(np.int64).tolist())


def _roll(notes: Roll) -> Roll:
    roll = np.asarray(notes, dtype=np.float64).reshape(-1, 4)
    if not np.isfinite(roll).all():
        raise ValueError("a roll has finite numbers")
    return roll
