"""Videos as frames in RGB, by PyAV, on one thread and from memory only.

The container is the one that the file's name says, so that no other demuxer of the library is
reached: some open further files or addresses.
"""

from __future__ import annotations

import io
from typing import Any, Final

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from general_level.submission.codes import Code
from services.grader.decode.formats.images import check_size
from services.grader.decode.formats.unusable import Content, check
from services.grader.decode.limits import (
    MAX_VIDEO_FILE_BYTES,
    MAX_VIDEO_FRAMES,
    MAX_VIDEO_PIXELS,
)

#: Ending of a file's name → the library's name of its container.
CONTAINERS: Final = {
    ".mp4": "mov",
    ".mov": "mov",
    ".m4a": "mov",
    ".webm": "matroska",
    ".mkv": "matroska",
    ".avi": "avi",
    ".gif": "gif",
}

#: Frames per second that are believed; anything else is unknown.
_MAX_RATE: Final = 1000.0

#: Pixels that codecs add to a side at most.
_MARGIN: Final = 256

#: How colours are brought to RGB: the same on every processor.
_CONVERSION: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT

av.logging.set_level(None)


def open_container(data: bytes, container: str) -> Any:
    """The opened file; it may not open any other."""
    return av.open(
        io.BytesIO(data),
        format=container,
        options={"protocol_whitelist": ""},
        metadata_errors="ignore",
    )


def read_video(data: bytes, ending: str) -> Content:
    """``frames`` uint8 [frames, height, width, 3] and ``rate`` float64 [] per second, 0 unknown."""
    check(len(data) <= MAX_VIDEO_FILE_BYTES, Code.MEDIA_TOO_LARGE)
    with open_container(data, CONTAINERS[ending]) as container:
        check(container.streams.video)
        stream = container.streams.video[0]
        context = stream.codec_context
        context.thread_type = "NONE"
        context.thread_count = 1
        width, height = context.width, context.height
        check_size(width, height)
        room = min(MAX_VIDEO_FRAMES, MAX_VIDEO_PIXELS // (width * height))
        # No frame may be larger than the header said, the codec's own margins aside.
        context.options = {"max_pixels": str((width + _MARGIN) * (height + _MARGIN))}
        rate = float(stream.average_rate or 0)
        frames = np.empty((room, height, width, 3), dtype=np.uint8)
        count = 0
        for frame in container.decode(stream):
            check(count < room, Code.MEDIA_TOO_LARGE)
            frames[count] = _rgb(frame, width, height)
            count += 1
    check(count, Code.MEDIA_NO_CONTENT)
    known = rate if 0.0 < rate <= _MAX_RATE else 0.0
    return {"frames": frames[:count], "rate": np.array(known)}


def _rgb(frame: VideoFrame, width: int, height: int) -> Any:
    check((frame.width, frame.height) == (width, height), Code.MEDIA_WRONG_SHAPE)
    return frame.to_ndarray(format="rgb24", interpolation=_CONVERSION, threads=1)
