"""The rules as the pages tell them, from the code and the catalogue that apply them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from general_level.catalogue import Catalogue, Direction, Metric, ScoreMapping
from general_level.fairness import Window

#: What each mapping does, in words; its formula stands in `rules.html`.
MAPPINGS: Final[Mapping[ScoreMapping, str]] = {
    ScoreMapping.IDENTITY: "as it is: already in points of 100",
    ScoreMapping.TANH_INVERSE: "falls with the error; a perfect 0 is 100",
    ScoreMapping.TANH: "rises and flattens",
    ScoreMapping.ONE_MINUS_PERCENT: "100 less the percentage, which counts up to 100",
    ScoreMapping.SIGNED_UNIT: "from −1 to 1 onto 0 to 100",
    ScoreMapping.OPINION: "from 1 to 5 onto 0 to 100",
}


@dataclass(frozen=True, slots=True)
class MappingRule:
    """One mapping with one scale, and the metrics that it maps."""

    mapping: ScoreMapping
    scale: float | None
    direction: Direction
    metrics: tuple[Metric, ...]
    tasks: int

    @property
    def words(self) -> str:
        """What it does."""
        return MAPPINGS[self.mapping]


def mapping_rules(catalogue: Catalogue) -> list[MappingRule]:
    """Every mapping of the catalogue, the one of most tasks first."""
    tasks: dict[str, int] = dict.fromkeys(catalogue.metrics, 0)
    for task in catalogue.tasks.values():
        tasks[task.metric_id] += 1
    found: dict[tuple[ScoreMapping, float | None, Direction], list[Metric]] = {}
    for metric in catalogue.metrics.values():
        found.setdefault((metric.mapping, metric.scale, metric.direction), []).append(metric)
    rules = [
        MappingRule(mapping, scale, direction, tuple(metrics), sum(tasks[m.id] for m in metrics))
        for (mapping, scale, direction), metrics in found.items()
    ]
    return sorted(rules, key=lambda rule: -rule.tasks)


def window_text(window: Window) -> str:
    """``2 submissions in any 24 hours``, ``4 submissions in any 7 days``."""
    hours = round(window.length.total_seconds() / 3600)
    whole_days = hours % 24 == 0 and hours > 24
    length = f"{hours // 24} days" if whole_days else f"{hours} hours"
    return f"{window.limit} submissions in any {length}"
