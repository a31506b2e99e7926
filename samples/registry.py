"""Every task of the sample benchmark: who makes its examples and how they are described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from samples import features
from samples.example import Features, Maker
from samples.tasks import (
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


@dataclass(frozen=True, slots=True)
class SampleTask:
    """One task. ``features`` describes a question as a vector, for the baselines."""

    id: str
    make: Maker
    features: Features


_ALL = (
    SampleTask("image-c-001", image.digit_recognition, features.pixels),
    SampleTask("image-c-002", image.number_reading, features.pixels),
    SampleTask("image-c-003", image.digit_properties, features.pixels),
    SampleTask("image-c-004", image.coin_counting, features.pixels),
    SampleTask("image-c-005", image.texture_recognition, features.pixels),
    SampleTask("image-c-006", scenes.digit_captioning, features.pixels),
    SampleTask("image-c-007", coins.coin_detection, features.pixels),
    SampleTask("image-c-008", coins.coin_segmentation, features.pixels),
    SampleTask("image-c-009", scenes.digit_panoptic, features.pixels),
    SampleTask("image-c-010", scenes.digit_scene_graph, features.pixels),
    SampleTask("image-c-011", warps.card_corners, features.pixels),
    SampleTask("image-c-012", image.defect_localisation, features.pixels),
    SampleTask("image-g-001", image.digit_completion, features.pixels),
    SampleTask("image-g-002", image.row_continuation, features.pixels),
    SampleTask("image-g-003", image.picture_denoising, features.pixels),
    SampleTask("image-g-004", drawing.disc_drawing, features.numbers),
    SampleTask("video-c-001", video.motion_direction, features.frames),
    SampleTask("video-c-002", video.cut_detection, features.frames),
    SampleTask("video-c-003", video.moving_digit, features.frames),
    SampleTask("video-c-004", video.motion_captioning, features.frames),
    SampleTask("video-c-005", warps.picture_flow, features.frames),
    SampleTask("video-c-006", video.digit_tube, features.frames),
    SampleTask("video-c-007", coins.coin_tracking, features.numbers),
    SampleTask("video-g-001", video.next_frame, features.frames),
    SampleTask("video-g-002", video.ball_trajectory, features.frames),
    SampleTask("video-g-003", video.clip_denoising, features.frames),
    SampleTask("video-g-004", drawing.ball_drawing, features.numbers),
    SampleTask("audio-c-001", audio.pitch_class, features.spectrum),
    SampleTask("audio-c-002", audio.chord_recognition, features.spectrum),
    SampleTask("audio-c-003", audio.melody_transcription, features.spectra),
    SampleTask("audio-c-004", audio.note_transcription, features.spectra),
    SampleTask("audio-g-001", audio.waveform_continuation, features.samples),
    SampleTask("audio-g-002", audio.melody_continuation, features.letters),
    SampleTask("audio-g-003", drawing.tone_drawing, features.letters),
    SampleTask("audio-g-004", audio.melody_denoising, features.samples),
    SampleTask("3d-c-001", space.solid_recognition, features.distances),
    SampleTask("3d-c-002", space.stereo_disparity, features.pixels),
    SampleTask("3d-c-003", space.stereo_depth, features.pixels),
    SampleTask("3d-c-004", solids.part_labels, features.spans),
    SampleTask("3d-c-005", solids.surface_normals, features.coordinates),
    SampleTask("3d-g-001", space.surface_completion, features.coordinates),
    SampleTask("3d-g-002", space.throw_continuation, features.coordinates),
    SampleTask("3d-g-003", solids.solid_completion, features.spans),
    SampleTask("3d-g-004", solids.surface_mesh, features.spans),
    SampleTask("3d-g-005", drawing.walk_drawing, features.numbers),
    SampleTask("language-001", language.fact_reading, features.letters),
    SampleTask("language-002", language.unit_conversion, features.letters),
    SampleTask("language-003", language.fact_retrieval, features.letters),
    SampleTask("language-004", language.transcript_repair, features.letters),
    SampleTask("language-005", language.python_functions, features.letters),
    SampleTask("language-006", language.wine_cultivar, features.numbers),
    SampleTask("language-007", language.diabetes_progression, features.numbers),
    SampleTask("language-008", language.sentence_on_demand, features.letters),
)

#: The tasks by catalogue id, in the catalogue's order.
TASKS: Mapping[str, SampleTask] = MappingProxyType({task.id: task for task in _ALL})
