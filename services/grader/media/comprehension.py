"""The bindings of every metric that compares an answer with a key, one for each of them.

What a metric is comes from its own table; the readings of its family say how its columns come from
the answers and the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.grader.media.binding import Binding
from services.grader.media.boxes import BOX_READINGS
from services.grader.media.dense import DENSE_READINGS
from services.grader.media.paths import PATH_READINGS
from services.grader.media.points import POINT_READINGS
from services.grader.media.poses import POSE_READINGS
from services.grader.media.reading import Reading
from services.grader.media.regions import REGION_READINGS
from services.grader.metrics.media_comprehension import COMPREHENSION_METRICS, MediaMetric

_READINGS: Final[Mapping[str, Reading]] = {
    **BOX_READINGS,
    **REGION_READINGS,
    **DENSE_READINGS,
    **POINT_READINGS,
    **POSE_READINGS,
    **PATH_READINGS,
}


def _binding(metric: MediaMetric, reading: Reading) -> Binding:
    return Binding(
        metric_id=metric.id,
        function=metric.function,
        columns=reading.columns,
        read=reading.read,
        key_form=reading.key_form,
        kinds=metric.kinds,
        oracle=metric.oracle,
        options=metric.options,
    )


#: The bindings by catalogue id.
COMPREHENSION_BINDINGS: Final[Mapping[str, Binding]] = MappingProxyType(
    {name: _binding(metric, _READINGS[name]) for name, metric in COMPREHENSION_METRICS.items()}
)
