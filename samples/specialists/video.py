"""Specialists for clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares
from sklearn.svm import SVC

from samples.example import Answer, Example, Floats, Question, rounded
from samples.media import read_gif
from samples.tasks.video import BALL_PREDICTED, DIRECTIONS, STRAIGHT, bounce

_REACH = 2  # pixels that block matching looks for in each direction


def _clip(question: Question) -> Floats:
    return read_gif(question.media["video"]).astype(np.float64)


def _shift(clip: Floats) -> tuple[int, int]:
    """The one shift per frame that all neighbouring frames agree with best."""
    inner = slice(_REACH, -_REACH)
    costs = {}
    for dy in range(-_REACH, _REACH + 1):
        for dx in range(-_REACH, _REACH + 1):
            height, width = clip.shape[1:]
            later = clip[1:, inner, inner]
            rows = slice(_REACH + dy, height - _REACH + dy)
            columns = slice(_REACH + dx, width - _REACH + dx)
            # What is at y, x now was at y + dy, x + dx before.
            costs[dy, dx] = float(np.mean((later - clip[:-1, rows, columns]) ** 2))
    return min(costs, key=lambda shift: (costs[shift], shift))


def motion_direction(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Block matching of neighbouring frames."""
    names = {step: name for name, step in DIRECTIONS.items()}
    steps = [_shift(_clip(question)) for question in questions]
    return [names.get((int(np.sign(y)), int(np.sign(x))), "up") for y, x in steps]


def cut_detection(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Where the grey levels of neighbouring frames differ most."""
    clips = (_clip(question) for question in questions)
    return [int(np.abs(np.diff(clip, axis=0)).mean(axis=(1, 2)).argmax()) + 1 for clip in clips]


def _tracked(clip: Floats) -> tuple[str, Floats]:
    """The direction of the digit, and its mean picture [64] along the likeliest track."""
    frames, height, width = clip.shape
    room_y, room_x = height - 8, width - 8
    best: tuple[float, str, Floats] = (-1.0, "", np.zeros(64))
    for direction in STRAIGHT:
        dy, dx = DIRECTIONS[direction]
        for y in range(room_y + 1):
            for x in range(room_x + 1):
                mean = np.zeros((8, 8))
                for t in range(frames):
                    a, b = min(max(y + dy * t, 0), room_y), min(max(x + dx * t, 0), room_x)
                    mean += clip[t, a : a + 8, b : b + 8] / frames
                # The sharpest mean has most contrast: a wrong track blurs the digit.
                contrast = float((mean**2).sum())
                if contrast > best[0]:
                    best = (contrast, direction, mean.ravel())
    return best[1], best[2]


def _named(words: Sequence[str], train: Sequence[Example], pictures: Sequence[Floats]) -> list[str]:
    known = np.stack([_tracked(_clip(example.question))[1] for example in train])
    model = SVC(gamma="scale", C=10.0).fit(known, words)
    return [str(name) for name in model.predict(np.stack(pictures))]


def moving_digit(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The digit averaged along the likeliest track, by a support vector machine."""
    pictures = [_tracked(_clip(question))[1] for question in questions]
    return list(_named([example.answer for example in train], train, pictures))


def motion_captioning(train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The same, with the track's direction."""
    tracked = [_tracked(_clip(question)) for question in questions]
    words = [example.answer.split()[2] for example in train]
    names = _named(words, train, [picture for _, picture in tracked])
    return [f"the digit {n} moves {d}" for n, (d, _) in zip(names, tracked, strict=True)]


def next_frame(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The last frame moved on by the clip's shift, its edge pixels repeated where it has none."""
    answers = []
    for question in questions:
        clip = _clip(question)
        dy, dx = _shift(clip)
        rows, columns = (np.arange(size) for size in clip.shape[1:])
        y = np.clip(rows + dy, 0, len(rows) - 1)
        x = np.clip(columns + dx, 0, len(columns) - 1)
        answers.append(rounded(clip[-1][np.ix_(y, x)].ravel(), 3))
    return answers


def ball_trajectory(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """Centroids of the bright pixels, and the throw whose simulation passes them most closely."""
    dark = 40  # grey levels that noise hardly reaches
    answers = []
    for question in questions:
        clip = np.maximum(_clip(question) - dark, 0)
        rows, columns = np.mgrid[: clip.shape[1], : clip.shape[2]]
        mass = clip.sum(axis=(1, 2)) + 1e-9
        seen = np.stack([(clip * at).sum(axis=(1, 2)) / mass for at in (rows, columns)], axis=1)

        def misses(start: Floats, seen: Floats = seen) -> Floats:
            return np.asarray((bounce(start[:2], start[2:], len(seen)) - seen).ravel())

        start = least_squares(misses, np.concatenate([seen[0], seen[1] - seen[0]]), max_nfev=40).x
        path = bounce(start[:2], start[2:], len(clip) + BALL_PREDICTED)
        answers.append(rounded(path[len(clip) :].ravel(), 3))
    return answers
