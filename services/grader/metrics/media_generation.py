"""Every metric of generated pictures, videos, sound and 3D: a table from catalogue id to function.

A metric whose extractors are empty needs no weights. The names of the extractors are those of the
networks; two metrics that name the same one can share its features.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from services.grader.metrics.features.clip import (
    clip_image_score,
    clip_score,
    frame_accuracy,
    frame_image_score,
    frame_text_score,
)
from services.grader.metrics.features.distances import fad, fid, fvd, motion_fid
from services.grader.metrics.features.verdicts import aesthetic_score, classified_accuracy, musiq
from services.grader.metrics.fidelity.lab import shadow_error
from services.grader.metrics.fidelity.ms_ssim import ms_ssim
from services.grader.metrics.fidelity.psnr import psnr, video_psnr
from services.grader.metrics.media import MediaMetric
from services.grader.metrics.motion.consistency import background_consistency, dino_score
from services.grader.metrics.motion.detections import (
    attribute_success,
    objects_success,
    relation_success,
)
from services.grader.metrics.motion.dynamics import dynamic_degree
from services.grader.metrics.motion.stillness import l1_distance
from services.grader.metrics.motion.video_text import (
    action_success,
    image_to_video_quality,
    viclip_score,
)
from services.grader.metrics.shape.chamfer import chamfer
from services.grader.metrics.sound.cepstra import mcd
from services.grader.metrics.sound.clap import clap_score, style_clap
from services.grader.metrics.sound.rolls import event_accuracy, pitch_class_consistency
from services.grader.metrics.sound.speech import cider_speech, wer_speech

_SIZE = " A picture of another size than its reference counts as missing."
_FRECHET = "scipy.linalg.sqrtm; closed form of diagonal Gaussians"
_FRECHET_RULE = (
    " Missing items count for their share at the distance of answers whose features are all 0."
)
_COSINE = "scikit-learn cosine_similarity"
_COSINE_RULE = " An embedding of length 0 has cosine 0; a missing item scores -100."
_HAND = "hand-worked vectors"
_FRAMES_RULE = " A missing video, and one without a frame, scores 0."

_ALL = (
    # Pictures and videos against the true ones
    MediaMetric(
        "psnr",
        psnr,
        ("predictions", "references"),
        (),
        "scikit-image peak_signal_noise_ratio",
        "RGB of 8 bits, exact sums; identical pictures are left out of the mean, and where all are"
        " identical the value is the largest finite PSNR. A missing picture is 0 dB." + _SIZE,
        frozenset({"identical"}),
    ),
    MediaMetric(
        "video-psnr",
        video_psnr,
        ("predictions", "references"),
        (),
        "scikit-image peak_signal_noise_ratio",
        "As psnr over the frames of all videos; a frame that a video lacks is 0 dB, one beyond the"
        " reference's is not compared." + _SIZE,
        frozenset({"identical"}),
    ),
    MediaMetric(
        "ms-ssim",
        ms_ssim,
        ("predictions", "references"),
        (),
        "pytorch-msssim ms_ssim in float64",
        "Five scales, window of 11 pixels, per RGB channel or of the luma; a scale's negative mean"
        " counts 0. A missing picture scores -1." + _SIZE,
        frozenset({"colour"}),
    ),
    MediaMetric(
        "shadow-rmse",
        shadow_error,
        ("predictions", "references"),
        (),
        "scikit-image rgb2lab",
        "Mean over pixels of |dL| + |da| + |db| (form=mae, what the field prints as RMSE) or the"
        " root mean square (form=rmse). A missing picture costs the farthest sRGB reaches." + _SIZE,
        frozenset({"form"}),
    ),
    # Distances of sets
    MediaMetric(
        "fid",
        fid,
        ("pictures", "reference_statistics"),
        ("inception_pool",),
        _FRECHET,
        "Inception pool features of the answers against sealed statistics." + _FRECHET_RULE,
    ),
    MediaMetric(
        "fvd",
        fvd,
        ("videos", "reference_statistics"),
        ("video_resnet",),
        _FRECHET,
        "3D ResNet features of the answers against sealed statistics." + _FRECHET_RULE,
    ),
    MediaMetric(
        "fad",
        fad,
        ("sounds", "reference_statistics"),
        ("audio_embedding",),
        _FRECHET,
        "Audio embeddings of the answers against sealed statistics." + _FRECHET_RULE,
    ),
    MediaMetric(
        "motion-fid",
        motion_fid,
        ("motions", "reference_statistics"),
        ("motion_embedding",),
        _FRECHET,
        "Motion embeddings of the answers against sealed statistics." + _FRECHET_RULE,
    ),
    # Cosines
    MediaMetric(
        "clip-score",
        clip_score,
        ("pictures", "texts"),
        ("clip_image", "clip_text"),
        _COSINE,
        "100 times the cosine of picture and text." + _COSINE_RULE,
    ),
    MediaMetric(
        "clip-image-score",
        clip_image_score,
        ("pictures", "references"),
        ("clip_image",),
        _COSINE,
        "100 times the cosine of picture and target picture." + _COSINE_RULE,
    ),
    MediaMetric(
        "appearance-style",
        frame_text_score,
        ("frames", "texts"),
        ("clip_image", "clip_text"),
        _COSINE,
        "100 times the cosine of frame and style text, mean over frames." + _COSINE_RULE,
    ),
    MediaMetric(
        "clip-style",
        frame_image_score,
        ("frames", "references"),
        ("clip_image",),
        _COSINE,
        "100 times the cosine of frame and style picture, mean over frames and pictures."
        + _COSINE_RULE,
    ),
    MediaMetric(
        "render-clip-text",
        frame_text_score,
        ("frames", "texts"),
        ("clip_image", "clip_text"),
        _COSINE,
        "100 times the cosine of rendered view and text, mean over views." + _COSINE_RULE,
    ),
    MediaMetric(
        "render-clip-image",
        frame_image_score,
        ("frames", "references"),
        ("clip_image",),
        _COSINE,
        "100 times the cosine of rendered view and input picture, mean over views." + _COSINE_RULE,
    ),
    MediaMetric(
        "clap-score",
        clap_score,
        ("sounds", "texts"),
        ("clap_audio", "clap_text"),
        _COSINE,
        "100 times the cosine of sound and text." + _COSINE_RULE,
    ),
    MediaMetric(
        "style-clap",
        style_clap,
        ("sounds", "styles"),
        ("clap_audio", "clap_text"),
        _COSINE,
        "100 times the cosine of sound and style, a text or a sound." + _COSINE_RULE,
    ),
    MediaMetric(
        "frame-accuracy",
        frame_accuracy,
        ("videos", "targets", "sources"),
        ("clip_image", "clip_text"),
        _HAND,
        "Share of frames nearer to the target text than to the source text; a tie is not nearer."
        + _FRAMES_RULE,
    ),
    # Videos over time
    MediaMetric(
        "dino-score",
        dino_score,
        ("videos",),
        ("dino_image",),
        _COSINE,
        "Mean cosine of each frame with the first and with the previous one, below 0 counted 0. A"
        " missing video, and one of fewer than two frames, scores 0.",
    ),
    MediaMetric(
        "background-consistency",
        background_consistency,
        ("videos",),
        ("clip_image",),
        _COSINE,
        "As dino-score, with CLIP embeddings.",
    ),
    MediaMetric(
        "l1-distance",
        l1_distance,
        ("videos",),
        (),
        "scikit-learn mean_absolute_error",
        "(255 - L1) / 255 of neighbouring frames. A missing video, and one of fewer than two"
        " frames, scores 0.",
    ),
    MediaMetric(
        "optical-flow-score",
        dynamic_degree,
        ("videos",),
        ("optical_flow",),
        _HAND,
        "A video moves when, in a quarter of its frames, the fastest 5 % of pixels pass 6 pixels at"
        " a side of 256. A missing video, and one of fewer than two frames, does not move.",
    ),
    MediaMetric(
        "i2v-quality",
        image_to_video_quality,
        ("videos", "texts"),
        ("dino_image", "viclip_video", "viclip_text", "optical_flow", "middle_frames"),
        "arithmetic on the four parts",
        "Mean of subject consistency, overall consistency, dynamic degree and motion smoothness; a"
        " video too short for a part scores 0 in it.",
    ),
    MediaMetric(
        "camera-motion-success",
        viclip_score,
        ("videos", "texts"),
        ("viclip_video", "viclip_text"),
        _COSINE,
        "100 times the cosine of video and camera motion text, below 0 counted 0." + _FRAMES_RULE,
    ),
    # Verdicts
    MediaMetric(
        "aesthetic-score",
        aesthetic_score,
        ("videos",),
        ("clip_image_large", "aesthetic_head"),
        _HAND,
        "Linear head on unit CLIP ViT-L/14 embeddings, over 10, cut to 0..100, mean over frames."
        + _FRAMES_RULE,
    ),
    MediaMetric(
        "musiq",
        musiq,
        ("videos",),
        ("musiq_score",),
        _HAND,
        "Given scores of frames, cut to 0..100, mean over frames." + _FRAMES_RULE,
    ),
    MediaMetric(
        "classified-image-accuracy",
        classified_accuracy,
        ("pictures", "classes"),
        ("class_probabilities",),
        "scikit-learn accuracy_score (all classes); averaged random draws",
        "Expected accuracy of a choice among the true class and ways - 1 others, exact over all"
        " draws; a tie is lost. A missing picture scores 0.",
        frozenset({"ways", "top"}),
    ),
    MediaMetric(
        "single-object-success",
        objects_success,
        ("videos", "objects"),
        ("detector",),
        _HAND,
        "Share of frames in which the prompted object is found." + _FRAMES_RULE,
    ),
    MediaMetric(
        "multi-object-success",
        objects_success,
        ("videos", "objects"),
        ("detector",),
        _HAND,
        "Share of frames in which all prompted objects are found." + _FRAMES_RULE,
    ),
    MediaMetric(
        "color-success",
        attribute_success,
        ("videos", "objects", "attributes"),
        ("detector",),
        _HAND,
        "Share of frames in which the object is found with the colour in its caption."
        + _FRAMES_RULE,
    ),
    MediaMetric(
        "material-success",
        attribute_success,
        ("videos", "objects", "attributes"),
        ("detector",),
        _HAND,
        "Share of frames in which the object is found with the material in its caption."
        + _FRAMES_RULE,
    ),
    MediaMetric(
        "spatial-relation-success",
        relation_success,
        ("videos", "pairs"),
        ("detector",),
        _HAND,
        "Share of frames in which two boxes stand in the relation: centres further apart along its"
        " axis, in its direction, IoU below 0.1." + _FRAMES_RULE,
    ),
    MediaMetric(
        "action-success",
        action_success,
        ("videos", "actions"),
        ("action_probabilities",),
        "scikit-learn top_k_accuracy_score",
        "Share of videos whose action is among the five most probable, with 0.85 at least."
        + _FRAMES_RULE,
    ),
    # Speech and music
    MediaMetric(
        "wer-speech",
        wer_speech,
        ("sounds", "references"),
        ("transcriber",),
        "jiwer wer, cer, per item",
        "wer of the transcripts. A missing sound costs 100.",
        frozenset({"unit"}),
    ),
    MediaMetric(
        "cider-speech",
        cider_speech,
        ("sounds", "references"),
        ("transcriber",),
        "pycocoevalcap Cider",
        "cider of the transcripts. A missing sound scores 0.",
    ),
    MediaMetric(
        "mcd",
        mcd,
        ("sounds", "references"),
        ("mel_cepstra",),
        "published formula by scipy distances; all warping paths of short series",
        "Frames one to one, the shorter series continued by a flat spectrum; by warping where the"
        " option says so. A missing sound costs the most that a flat spectrum would, or the largest"
        " answered distortion.",
        frozenset({"alignment"}),
    ),
    MediaMetric(
        "event-accuracy",
        event_accuracy,
        ("predictions", "references"),
        (),
        "scikit-learn jaccard_score(average=micro) on the sounding notes",
        "TP / (TP + FP + FN) of sounding (pitch, part) pairs at the reference's onsets. Nothing"
        " against nothing is 100; a missing piece scores 0.",
    ),
    MediaMetric(
        "pitch-class-consistency",
        pitch_class_consistency,
        ("predictions",),
        (),
        "overlap by scipy distances over all pairs",
        "Mean overlap of the pitch-class histograms of all pairs of bars with notes. Fewer than two"
        " such bars, and a missing piece, score 0.",
        frozenset({"bar"}),
    ),
    # Shapes
    MediaMetric(
        "chamfer-distance",
        chamfer,
        ("predictions", "references"),
        (),
        "torch cdist; point-cloud-utils chamfer_distance",
        "Distances to nearest neighbours, both directions; meshes by points on their surface. A"
        " missing cloud costs the largest diagonal of a reference's bounding box, or the largest"
        " answered distance.",
        frozenset({"norm", "points", "directions", "scale"}),
    ),
)

#: The metrics of generated media by catalogue id.
GENERATION_METRICS: Mapping[str, MediaMetric] = MappingProxyType(
    {metric.id: metric for metric in _ALL}
)
