"""One dedicated model for each task; their scores are the catalogue's references.

A specialist may know how its task is made (its vocabulary, its physics), never a test answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from samples.example import Answer, Example, Question
from samples.specialists import (
    audio,
    coins,
    drawing,
    image,
    language,
    scenes,
    solids,
    space,
    video,
    warps,
)

#: From training examples and questions to one answer for each question.
Specialist = Callable[[Sequence[Example], Sequence[Question]], list[Answer]]

SPECIALISTS: Mapping[str, Specialist] = MappingProxyType(
    {
        "image-c-001": image.digit_recognition,
        "image-c-002": image.number_reading,
        "image-c-003": image.digit_properties,
        "image-c-004": image.coin_counting,
        "image-c-005": image.texture_recognition,
        "image-c-006": scenes.digit_captioning,
        "image-c-007": coins.coin_detection,
        "image-c-008": coins.coin_segmentation,
        "image-c-009": scenes.digit_panoptic,
        "image-c-010": scenes.digit_scene_graph,
        "image-c-011": warps.card_corners,
        "image-c-012": image.defect_localisation,
        "image-g-001": image.digit_completion,
        "image-g-002": image.row_continuation,
        "image-g-003": image.picture_denoising,
        "image-g-004": drawing.disc_drawing,
        "video-c-001": video.motion_direction,
        "video-c-002": video.cut_detection,
        "video-c-003": video.moving_digit,
        "video-c-004": video.motion_captioning,
        "video-c-005": warps.picture_flow,
        "video-c-006": video.digit_tube,
        "video-c-007": coins.coin_tracking,
        "video-g-001": video.next_frame,
        "video-g-002": video.ball_trajectory,
        "video-g-003": video.clip_denoising,
        "video-g-004": drawing.ball_drawing,
        "audio-c-001": audio.pitch_class,
        "audio-c-002": audio.chord_recognition,
        "audio-c-003": audio.melody_transcription,
        "audio-c-004": audio.note_transcription,
        "audio-g-001": audio.waveform_continuation,
        "audio-g-002": audio.melody_continuation,
        "audio-g-003": drawing.tone_drawing,
        "audio-g-004": audio.melody_denoising,
        "3d-c-001": space.solid_recognition,
        "3d-c-002": space.stereo_disparity,
        "3d-c-003": space.stereo_depth,
        "3d-c-004": solids.part_labels,
        "3d-c-005": solids.surface_normals,
        "3d-g-001": space.surface_completion,
        "3d-g-002": space.throw_continuation,
        "3d-g-003": solids.solid_completion,
        "3d-g-004": solids.surface_mesh,
        "3d-g-005": drawing.walk_drawing,
        "language-001": language.fact_reading,
        "language-002": language.unit_conversion,
        "language-003": language.fact_retrieval,
        "language-004": language.transcript_repair,
        "language-005": language.python_functions,
        "language-006": language.wine_cultivar,
        "language-007": language.diabetes_progression,
        "language-008": language.sentence_on_demand,
    }
)
