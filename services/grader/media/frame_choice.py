"""Which frames of a video a metric sees: every choice in one place.

| metric | frames |
|---|---|
| video-psnr, l1-distance | all |
| CLIP, DINO, aesthetic and MUSIQ scores | all; of more than 256 as many, evenly spaced |
| success of objects, colours, materials, relations; of actions | 16 evenly spaced |
| camera motion | 8 evenly spaced |
| optical flow score, image-to-video quality | 8 a second, the first 128 |
| fvd | the first 16, as the published scorer |

The numbers are those of VBench (Z. Huang et al., CVPR 2024), which the published scorer follows; it
bounds nothing, and 256 and 128 frames and the side below bound what one answer can cost. Image-to-
video quality is four measures of one choice of frames: optical flow, which decides by speed, needs
its own. Evenly spaced frames are the middles of equal parts. A video of fewer frames shows all.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.grader.decode.values import Video

Frames = NDArray[np.uint8]

#: Frames that networks of pictures see of one video.
MOST_FRAMES: Final = 256
DETECTOR_FRAMES: Final = 16
ACTION_FRAMES: Final = 16
VIDEO_TEXT_FRAMES: Final = 8
SET_DISTANCE_FRAMES: Final = 16
#: Frames a second of optical flow, and how many of them.
FLOW_RATE: Final = 8.0
MOST_FLOW_FRAMES: Final = 128
#: Larger frames are made smaller for optical flow, whose memory grows with the square of the area;
#: its threshold is a share of the shorter side, so the answer to "does it move" stays. In pixels.
MOST_FLOW_SIDE: Final = 1024


def all_frames(video: Video) -> Frames:
    """Every frame."""
    return video.frames


def for_pictures(video: Video) -> Frames:
    """For networks of single pictures."""
    return evenly(video.frames, MOST_FRAMES)


def for_detector(video: Video) -> Frames:
    """For a detector of objects."""
    return evenly(video.frames, DETECTOR_FRAMES)


def for_action(video: Video) -> Frames:
    """For a network that recognises actions."""
    return evenly(video.frames, ACTION_FRAMES)


def for_video_text(video: Video) -> Frames:
    """For a network of videos and texts."""
    return evenly(video.frames, VIDEO_TEXT_FRAMES)


def for_set_distance(video: Video) -> Frames:
    """For the network of FVD."""
    return video.frames[:SET_DISTANCE_FRAMES]


def for_flow(video: Video) -> Frames:
    """Eight frames a second, or every frame where the rate is unknown, at most 1024 a side."""
    step = max(1, round(video.rate / FLOW_RATE))
    frames = video.frames[::step][:MOST_FLOW_FRAMES]
    height, width = frames.shape[1:3]
    scale = MOST_FLOW_SIDE / max(height, width)
    if scale >= 1:
        return np.array(frames)  # tensors are made of memory that may be written to
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    smaller = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
    return np.stack(smaller).astype(np.uint8, copy=False)


def evenly(frames: Frames, count: int) -> Frames:
    """The middles of ``count`` equal parts of [t, h, w, 3]; all frames where t is no more."""
    if len(frames) <= count:
        return frames
    starts = np.arange(count + 1) * len(frames) // count
    return np.asarray(frames[(starts[:-1] + starts[1:] - 1) // 2])
