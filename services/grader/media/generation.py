"""The bindings of all metrics of generated pictures, videos, sound and solids.

What a metric is stands in ``metrics.media_generation``; here is which answers it grades, what its
key holds, and how both become its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from general_level.catalogue.model import AnswerKind
from services.grader.decode.values import as_rgb
from services.grader.media import (
    frame_choice,
    motions,
    pictures,
    prompts,
    rolls,
    solids,
    sounds,
    videos,
)
from services.grader.media.binding import Binding, MediaJob
from services.grader.media.key_reader import KeyReader
from services.grader.media.statistics import RealSet
from services.grader.metrics.fidelity.ms_ssim import SMALLEST_SIDE
from services.grader.metrics.media_generation import GENERATION_METRICS

_IMAGE: Final = frozenset({AnswerKind.IMAGE})
_VIDEO: Final = frozenset({AnswerKind.VIDEO})
_AUDIO: Final = frozenset({AnswerKind.AUDIO})
_SOLID: Final = frozenset({AnswerKind.POINT_CLOUD, AnswerKind.MESH})
_MOTION: Final = frozenset({AnswerKind.MOTION})
_ROLL: Final = frozenset({AnswerKind.PIANO_ROLL})

_FIRST = "; of several the first counts"
_ALL = "; all accepted ones count"
_TARGET_PICTURE = "the path of the target picture, which has the size that answers must have"
_STATISTICS = (
    ", or for every item the same path of an .npz file of statistics: mean [d] and covariance"
    " [d, d] (over count - 1), floats, and count, a whole number, of {width} features; not both in"
    " one task" + _ALL
)
_ANYTHING = "anything, for example the prompt: the metric compares with nothing"
_TEXT = "the text that {what} is to show" + _FIRST
_ATTRIBUTE = '{{"object": "car", "attribute": "{example}"}}' + _FIRST

#: Real sets by metric; widths are those of the published networks.
_REAL_PICTURES: Final = RealSet("inception_pool", 2048, as_rgb, KeyReader.rgb)
_REAL_VIDEOS: Final = RealSet(
    "video_resnet",
    512,
    frame_choice.for_set_distance,
    lambda key, value: frame_choice.for_set_distance(key.video(value)),
)
_REAL_SOUNDS: Final = RealSet("audio_embedding", 128, sounds.heard, sounds.read_sound)
_REAL_MOTIONS: Final = RealSet("motion_embedding", 512, motions.features, motions.read_motion)


def _binding(
    metric_id: str,
    kinds: frozenset[AnswerKind],
    columns: Callable[[MediaJob], tuple[Any, ...]],
    read: Callable[[KeyReader, Any], Any],
    key_form: str,
) -> Binding:
    metric = GENERATION_METRICS[metric_id]
    return Binding(
        metric_id=metric_id,
        function=metric.function,
        columns=columns,
        read=read,
        key_form=key_form,
        kinds=kinds,
        oracle=metric.oracle,
        extractors=metric.extractors,
        options=metric.options,
    )


def _against_real(
    metric_id: str, kinds: frozenset[AnswerKind], real: RealSet, medium: str
) -> Binding:
    key_form = f"the path of a real {medium}{_STATISTICS.format(width=real.width)}"
    return _binding(metric_id, kinds, real.columns, real.read_answer, key_form)


_BINDINGS = (
    # Pictures
    _binding("psnr", _IMAGE, pictures.beside_target, KeyReader.rgb, _TARGET_PICTURE + _FIRST),
    _binding(
        "ms-ssim",
        _IMAGE,
        pictures.beside_wide_target,
        pictures.read_wide,
        f"{_TARGET_PICTURE}, {SMALLEST_SIDE} pixels a side at least{_FIRST}",
    ),
    _binding(
        "shadow-rmse", _IMAGE, pictures.beside_target, KeyReader.rgb, _TARGET_PICTURE + _FIRST
    ),
    _binding(
        "clip-score", _IMAGE, pictures.with_texts, prompts.text, _TEXT.format(what="the picture")
    ),
    _binding(
        "clip-image-score",
        _IMAGE,
        pictures.with_pictures,
        pictures.read_seen,
        "the path of the target picture, of any size" + _FIRST,
    ),
    _binding(
        "classified-image-accuracy",
        _IMAGE,
        pictures.with_classes,
        prompts.image_class,
        "the number of the true class of ImageNet-1k, 0 to 999" + _FIRST,
    ),
    # Distances of sets
    _against_real("fid", _IMAGE, _REAL_PICTURES, "picture"),
    _against_real("fvd", _VIDEO, _REAL_VIDEOS, "video"),
    _against_real("fad", _AUDIO, _REAL_SOUNDS, "sound"),
    _against_real("motion-fid", _MOTION, _REAL_MOTIONS, "motion [frames, 263]"),
    # Videos
    _binding(
        "video-psnr",
        _VIDEO,
        videos.beside_target,
        videos.read_frames,
        "the path of the target video, whose frames have the size that answers must have" + _FIRST,
    ),
    _binding(
        "appearance-style",
        _VIDEO,
        videos.with_style_texts,
        prompts.text,
        "the text of the style" + _FIRST,
    ),
    _binding(
        "clip-style",
        _VIDEO,
        videos.with_style_pictures,
        pictures.read_seen,
        "the path of a picture in the style" + _ALL,
    ),
    _binding(
        "frame-accuracy",
        _VIDEO,
        videos.translated,
        prompts.two_texts,
        '{"target": "what the video is to show", "source": "what the input shows"}' + _FIRST,
    ),
    _binding("dino-score", _VIDEO, videos.over_time, prompts.anything, _ANYTHING),
    _binding("background-consistency", _VIDEO, videos.over_time, prompts.anything, _ANYTHING),
    _binding("l1-distance", _VIDEO, videos.still, prompts.anything, _ANYTHING),
    _binding("optical-flow-score", _VIDEO, videos.flowing, prompts.anything, _ANYTHING),
    _binding("aesthetic-score", _VIDEO, videos.alone, prompts.anything, _ANYTHING),
    _binding("musiq", _VIDEO, videos.alone, prompts.anything, _ANYTHING),
    _binding(
        "i2v-quality", _VIDEO, videos.of_pictures, prompts.text, _TEXT.format(what="the video")
    ),
    _binding(
        "camera-motion-success",
        _VIDEO,
        videos.of_camera,
        prompts.text,
        "the text of the camera's motion" + _FIRST,
    ),
    _binding(
        "single-object-success",
        _VIDEO,
        videos.with_object,
        prompts.one_object,
        '{"objects": ["dog"]}: one name, as the detector calls it' + _FIRST,
    ),
    _binding(
        "multi-object-success",
        _VIDEO,
        videos.with_objects,
        prompts.several_objects,
        '{"objects": ["dog", "cat"]}: two names or more, as the detector calls them' + _FIRST,
    ),
    _binding(
        "color-success",
        _VIDEO,
        videos.with_attribute,
        prompts.described,
        _ATTRIBUTE.format(example="red"),
    ),
    _binding(
        "material-success",
        _VIDEO,
        videos.with_attribute,
        prompts.described,
        _ATTRIBUTE.format(example="wooden"),
    ),
    _binding(
        "spatial-relation-success",
        _VIDEO,
        videos.with_relation,
        prompts.placed,
        '{"first": "dog", "relation": "left of", "second": "car"}, the relation one of left of,'
        " right of, above, below" + _FIRST,
    ),
    _binding(
        "action-success",
        _VIDEO,
        videos.with_actions,
        prompts.action_class,
        "the number of the action's class of Kinetics-400, 0 to 399" + _FIRST,
    ),
    # Sounds and music
    _binding("clap-score", _AUDIO, sounds.with_texts, prompts.text, _TEXT.format(what="the sound")),
    _binding(
        "style-clap",
        _AUDIO,
        sounds.with_styles,
        sounds.read_style,
        "the text of the style, or the path of a sound in it" + _FIRST,
    ),
    _binding(
        "wer-speech",
        _AUDIO,
        sounds.with_transcripts,
        prompts.text,
        "the text that is to be said; of several the closest counts",
    ),
    _binding(
        "cider-speech",
        _AUDIO,
        sounds.with_rare_words,
        prompts.text,
        "a text that is to be said, in a task of two items at least" + _ALL,
    ),
    _binding(
        "mcd",
        _AUDIO,
        sounds.beside_recording,
        sounds.read_sound,
        "the path of the true recording" + _FIRST,
    ),
    _binding(
        "event-accuracy",
        _ROLL,
        rolls.beside_score,
        rolls.read_notes,
        'the notes as answers have them: a list of {"onset", "duration", "pitch", "part"}' + _FIRST,
    ),
    _binding("pitch-class-consistency", _ROLL, rolls.alone, prompts.anything, _ANYTHING),
    # Solids
    _binding(
        "chamfer-distance",
        _SOLID,
        solids.beside_shape,
        solids.read_points,
        "the path of the true point cloud or mesh, of the kind that answers have" + _FIRST,
    ),
    _binding(
        "render-clip-text", _SOLID, solids.with_texts, prompts.text, _TEXT.format(what="the object")
    ),
    _binding(
        "render-clip-image",
        _SOLID,
        solids.with_pictures,
        pictures.read_seen,
        "the path of a picture of the object" + _ALL,
    ),
)

#: The bindings of the metrics of generated media by catalogue id.
GENERATION_BINDINGS: Final[Mapping[str, Binding]] = MappingProxyType(
    {binding.metric_id: binding for binding in _BINDINGS}
)
