"""The family of each metric: the package of ``services.grader.metrics`` that computes it.

Written down apart from the functions, so that a process that only names families, such as the
worker, loads none of their libraries. The tests hold it against the tables of metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_METRICS: Final[Mapping[str, str]] = {
    "text": (
        "accuracy macro-accuracy exact-match contains-accuracy micro-f1 token-f1 weighted-f1 "
        "bleu-1 bleu-1-corpus bleu-4-corpus rouge-1 rouge-l cider codebleu anls wer "
        "recall-at-k"
    ),
    "numbers": "mae mse rmse",
    "ratings": "gpt-score mos user-preference",
    "detection": "ap50 ap75 ap50-masks ap50-keypoints grounding-accuracy map-3d ap50-points",
    "regions": "pixel-ap map-roc-auc s-measure matting-sad matting-mse",
    "segmentation": "miou dice pq video-miou miou-points instance-miou",
    "relations": "scene-graph-recall",
    "tracking": "tube-viou success-auc amota",
    "geometry": "depth-rms abs-rel epe rte normal-rmse",
    "shape": "chamfer-distance",
    "features": (
        "motion-fid fid clip-score clip-image-score classified-image-accuracy "
        "appearance-style aesthetic-score musiq clip-style fvd frame-accuracy fad render-clip-text "
        "render-clip-image"
    ),
    "fidelity": "psnr ms-ssim shadow-rmse video-psnr",
    "motion": (
        "dino-score background-consistency l1-distance optical-flow-score "
        "single-object-success multi-object-success spatial-relation-success "
        "camera-motion-success color-success material-success action-success i2v-quality"
    ),
    "sound": (
        "wer-speech cider-speech clap-score style-clap mcd event-accuracy pitch-class-consistency"
    ),
}
#: Metrics that a catalogue of an operator's own may have and this list does not know.
OTHER: Final = "other"
FAMILIES: Final = (*_METRICS, OTHER)
_FAMILY_OF: Final = MappingProxyType(
    {metric_id: family for family, ids in _METRICS.items() for metric_id in ids.split()}
)


def family_of(metric_id: str) -> str:
    """One of `FAMILIES`."""
    return _FAMILY_OF.get(metric_id, OTHER)
