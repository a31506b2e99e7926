"""What one media answer may hold at most, looked up in its header before anything is allocated.

Every name ends in its unit. The limits are wide for honest answers and keep one item well inside
the memory of a box (2 GiB) and inside one frame of its pipe (512 MiB).
"""

from __future__ import annotations

from typing import Final

from general_level.catalogue import limits

_MIB: Final = 1024 * 1024

# The same as in a prediction.json.
MAX_NUMBER_MAGNITUDE: Final = limits.MAX_NUMBER_MAGNITUDE  # absolute value
MAX_IMAGE_SIDE_PIXELS: Final = limits.MAX_IMAGE_SIDE_PIXELS

# Files as they arrive.
MAX_IMAGE_FILE_BYTES: Final = 128 * _MIB
MAX_VIDEO_FILE_BYTES: Final = 512 * _MIB
MAX_AUDIO_FILE_BYTES: Final = 512 * _MIB
MAX_ARRAY_FILE_BYTES: Final = 512 * _MIB  # NPY, NPZ, FLO, text, point clouds and meshes

# Pictures, and the pictures that masks cover.
MAX_IMAGE_PIXELS: Final = 64 * 1024 * 1024  # 8192 x 8192
MAX_MASK_PIXELS: Final = MAX_IMAGE_PIXELS  # of one mask
MAX_RUNS_PER_TASK: Final = 64 * 1024 * 1024  # runs of all masks of all items together

# Videos.
MAX_VIDEO_FRAMES: Final = 20_000
MAX_VIDEO_PIXELS: Final = 160 * 1024 * 1024  # of all frames together: 160 of 1024 x 1024

# Sound.
MAX_AUDIO_SECONDS: Final = 1_200
MAX_AUDIO_CHANNELS: Final = 8
MAX_AUDIO_RATE_HZ: Final = 384_000
MIN_AUDIO_RATE_HZ: Final = 1_000
MAX_AUDIO_SAMPLES: Final = 64 * 1024 * 1024  # of all channels together

# Arrays, point clouds, meshes.
MAX_ARRAY_BYTES: Final = 384 * _MIB  # as numbers in memory
MAX_POINTS: Final = limits.MAX_POINTS_PER_ANSWER
MAX_FACES: Final = 10_000_000
MAX_MOTION_FRAMES: Final = limits.MAX_FRAMES_PER_ANSWER
MAX_ARCHIVE_MEMBERS: Final = 64  # arrays in one NPZ
MAX_HEADER_BYTES: Final = 64 * 1024  # of an NPY, PLY, PCD or OFF file
MAX_SCENE_JSON_BYTES: Final = 16 * _MIB  # the description inside a GLB file
MAX_SCENE_NODES: Final = 10_000
