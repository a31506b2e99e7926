"""Specialists for what is drawn by formula: they follow the request."""

from __future__ import annotations

from collections.abc import Sequence

from samples.example import Answer, Example, Media, Question
from samples.fields import npy
from samples.media import gif, png, wav
from samples.tasks.drawing import ball_clip, disc, numbers_of, pure_tones
from samples.tasks.walk import Walk, motion


def _requests(questions: Sequence[Question]) -> list[str]:
    return [question.fields["request"] for question in questions]


def disc_drawing(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The disc."""
    return [Media(png(disc(*numbers_of(asked))), ".png") for asked in _requests(questions)]


def ball_drawing(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The ball's bounces."""
    return [Media(gif(ball_clip(*numbers_of(asked))), ".gif") for asked in _requests(questions)]


def tone_drawing(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The tones."""
    return [Media(wav(pure_tones(asked.split())), ".wav") for asked in _requests(questions)]


def walk_drawing(_train: Sequence[Example], questions: Sequence[Question]) -> list[Answer]:
    """The walk."""
    return [Media(npy(motion(Walk(*numbers_of(asked)))), ".npy") for asked in _requests(questions)]
