"""Specialists for clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from skimage.restoration import denoise_tv_chambolle
from sklearn.svm import SVC

from samples.example import Answer, Example, Floats, Media, Question, rounded
from samples.media import distinct, gif, read_gif
from samples.tasks.video import BALL_PREDICTED, DIRECTIONS, STRAIGHT, bounce

# scikit-image has no types for this.
_smooth: Callable[..., Any] = denoise_tv_chambolle

DIGIT_SIDE = 8
#: Grey levels of a window that may hold no digit, all pixels together.
_EMPTY_WINDOW = 3000.0
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


def digit_tube(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The straight track over some of the frames with the most ink above an empty window's."""
    answers = []
    for question in questions:
        clip = _clip(question)
        frames, height, width = clip.shape
        room = np.array([height - DIGIT_SIDE, width - DIGIT_SIDE])
        windows = np.lib.stride_tricks.sliding_window_view(clip, (DIGIT_SIDE, DIGIT_SIDE), (1, 2))
        # Half of a digit's pixels are ink, at half of its levels or so.
        gain = windows.sum(axis=(3, 4)) - _EMPTY_WINDOW
        best: tuple[float, Answer] = (-np.inf, [])
        for direction in STRAIGHT:
            step = np.array(DIRECTIONS[direction])
            for start in np.ndindex(*(room + 1)):
                for begin in range(frames - 2):
                    ahead = np.arange(frames - begin)[:, None]
                    places = np.clip(np.array(start) + ahead * step, 0, room)
                    sums = np.cumsum(gain[np.arange(begin, frames), places[:, 0], places[:, 1]])
                    last = int(sums.argmax())
                    if sums[last] > best[0]:
                        shown = list(range(begin, begin + last + 1))
                        boxes = [[x, y, DIGIT_SIDE, DIGIT_SIDE] for y, x in places.tolist()]
                        best = sums[last], [{"frames": shown, "boxes": boxes[: last + 1]}]
        answers.append(best[1])
    return answers


def clip_denoising(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The mean of the frames moved onto each other by block matching, then total variation."""
    answers = []
    for question in questions:
        clip = _clip(question)
        dy, dx = _shift(clip)
        rows, columns = (np.arange(size) for size in clip.shape[1:])
        means = []
        for at in range(len(clip)):
            total, count = np.zeros(clip.shape[1:]), np.zeros(clip.shape[1:])
            for other in range(len(clip)):
                # What is at y, x in one frame lies further on in an earlier one.
                y, x = rows + (at - other) * dy, columns + (at - other) * dx
                inside = np.ix_((y >= 0) & (y < len(rows)), (x >= 0) & (x < len(columns)))
                taken = np.ix_(y[(y >= 0) & (y < len(rows))], x[(x >= 0) & (x < len(columns))])
                total[inside] += clip[other][taken]
                count[inside] += 1
            # Where fewer frames were seen more noise is left.
            means.append(_smooth(total / count / 255.0, weight=0.03))
        levels = np.round(np.clip(np.stack(means), 0, 1) * 255).astype(np.uint8)
        answers.append(Media(gif(distinct(levels)), ".gif"))
    return answers


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
