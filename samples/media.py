"""Small media files as bytes, the same bytes for the same content, and the way back."""

from __future__ import annotations

import io
import wave

import numpy as np
from PIL import Image, ImageSequence

from samples.example import Bytes, Floats

#: Samples a second of every sound, a WAV file of 16-bit mono.
AUDIO_RATE_HZ = 4000
FULL_SCALE = 32767
#: Milliseconds that a frame of a video is shown.
FRAME_MS = 100
#: How far the clip itself and not its frame is described: endless repetition.
_LOOP_FOREVER = 0


def png(picture: Bytes) -> bytes:
    """A grey picture [height, width] as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def read_png(data: bytes) -> Bytes:
    """The grey picture [height, width] of a PNG file."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"), dtype=np.uint8)


def gif(frames: Bytes) -> bytes:
    """A grey clip [frames, height, width] as an animated GIF; ValueError for two equal neighbours.

    The format's writer would melt equal neighbours into one frame.
    """
    if (frames[1:] == frames[:-1]).all(axis=(1, 2)).any():
        raise ValueError("two frames in a row are equal")
    first, *others = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=others,
        duration=FRAME_MS,
        loop=_LOOP_FOREVER,
        optimize=False,
    )
    return buffer.getvalue()


def distinct(frames: Bytes) -> Bytes:
    """The frames with one corner changed by one level where two neighbours are equal."""
    changed = frames.copy()
    for at in range(1, len(changed)):
        if (changed[at] == changed[at - 1]).all():
            changed[at, 0, 0] ^= 1
    return changed


def read_gif(data: bytes) -> Bytes:
    """The grey clip [frames, height, width] of an animated GIF."""
    with Image.open(io.BytesIO(data)) as image:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
    return np.stack(frames)


def wav(sound: Floats) -> bytes:
    """A sound in [-1, 1] as a WAV file."""
    samples = np.round(np.clip(sound, -1, 1) * FULL_SCALE).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(AUDIO_RATE_HZ)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def read_wav(data: bytes) -> Floats:
    """The sound in [-1, 1] of a WAV file of 16-bit mono."""
    with wave.open(io.BytesIO(data), "rb") as file:
        content = file.readframes(file.getnframes())
    return np.frombuffer(content, dtype="<i2").astype(np.float64) / FULL_SCALE


def xyz(points: Floats) -> bytes:
    """Points [n, 3] as an XYZ text file, three decimals."""
    return "".join(f"{x:.3f} {y:.3f} {z:.3f}\n" for x, y, z in points + 0.0).encode()


def read_xyz(data: bytes) -> Floats:
    """The points [n, 3] of an XYZ text file."""
    return np.array([line.split() for line in data.decode().splitlines()], dtype=np.float64)
