"""Videos of answers and keys as metrics and their networks take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.grader.decode.values import Video
from services.grader.media import frame_choice, prompts
from services.grader.media.accepted import all_accepted, firsts
from services.grader.media.binding import LazyColumn, MediaJob
from services.grader.media.key_reader import KeyReader
from services.grader.media.pictures import middle, read_seen
from services.grader.media.reading import columns_of

Frames = NDArray[np.uint8]
Columns = tuple[Any, ...]


def seen(video: Video) -> Frames:
    """The frames that networks of pictures get."""
    return middle(frame_choice.for_pictures(video))


def read_frames(key: KeyReader, value: object) -> Frames:
    """All frames of the video of a path."""
    return frame_choice.all_frames(key.video(value))


def fit(answer: Video, reference: Frames) -> Frames | None:
    """All frames of a video whose frames have the size of its reference's."""
    frames = frame_choice.all_frames(answer)
    return frames if frames.shape[1:] == reference.shape[1:] else None


#: Videos beside their target video.
beside_target = columns_of(read_frames, fit)


def alone(job: MediaJob) -> Columns:
    """The frames that networks of pictures get."""
    return (job.answered(seen),)


def over_time(job: MediaJob) -> Columns:
    """The same of videos that have two frames at least; another has no course, and is unfit."""
    return (_moving(job, seen),)


def still(job: MediaJob) -> Columns:
    """All frames of videos that have two at least."""
    return (_moving(job, frame_choice.all_frames),)


def flowing(job: MediaJob) -> Columns:
    """The frames of optical flow, of videos that have two at least."""
    return (_moving(job, frame_choice.for_flow),)


def of_pictures(job: MediaJob) -> Columns:
    """The frames of optical flow and the text: four measures see the same frames."""
    return job.answered(frame_choice.for_flow), firsts(job, prompts.text)


def of_camera(job: MediaJob) -> Columns:
    """The frames of a network of videos and texts, and the text."""
    return job.answered(frame_choice.for_video_text), firsts(job, prompts.text)


def with_style_texts(job: MediaJob) -> Columns:
    """Frames and the text of their style."""
    return job.answered(seen), firsts(job, prompts.text)


def with_style_pictures(job: MediaJob) -> Columns:
    """Frames and all pictures of their style."""
    return job.answered(seen), all_accepted(job, read_seen)


def translated(job: MediaJob) -> Columns:
    """Frames, their target texts and their source texts."""
    return (
        job.answered(seen),
        firsts(job, prompts.target_text),
        firsts(job, prompts.source_text),
    )


def with_actions(job: MediaJob) -> Columns:
    """The frames of a network of actions, and the numbers of the actions."""
    return job.answered(frame_choice.for_action), firsts(job, prompts.action_class)


def with_object(job: MediaJob) -> Columns:
    """The frames of a detector and the one object."""
    return _detected(job), firsts(job, prompts.one_object)


def with_objects(job: MediaJob) -> Columns:
    """The frames of a detector and the objects."""
    return _detected(job), firsts(job, prompts.several_objects)


def with_attribute(job: MediaJob) -> Columns:
    """The frames of a detector, the object, and what it is to look like."""
    wanted = firsts(job, prompts.described)
    return _detected(job), [name for name, _ in wanted], [attribute for _, attribute in wanted]


def with_relation(job: MediaJob) -> Columns:
    """The frames of a detector and the pair of objects."""
    return _detected(job), firsts(job, prompts.placed)


def _detected(job: MediaJob) -> LazyColumn[Frames | None]:
    return job.answered(frame_choice.for_detector)


def _moving(job: MediaJob, choose: Callable[[Video], Frames]) -> LazyColumn[Frames | None]:
    def chosen(video: Video) -> Frames | None:
        frames = choose(video)
        return frames if len(frames) > 1 else None

    return job.answered(chosen)
