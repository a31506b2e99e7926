"""What a dashboard is made of: panels, units, and expressions that many panels share.

Expressions name series of `tools.telemetry_registries`. What all gateways tell alike is taken by
``max``, what each counts itself is added up. ``$__rate_interval`` is Grafana's, ``$modality`` the
dashboard's own choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: Units as Grafana names them.
SECONDS: Final = "s"
BYTES: Final = "bytes"
COUNT: Final = "short"
PER_SECOND: Final = "ops"
SHARE: Final = "percentunit"
#: Bounds of a warning and of an alarm.
Thresholds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. ``queries`` are pairs of expression and legend; ``about`` says how to read it.

    ``thresholds`` are (warning, alarm): more is worse, or less is where warning is the greater.
    ``alert`` names the entry of the runbook that belongs to it. ``single`` shows the newest values
    as numbers instead of a graph.
    """

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    thresholds: Thresholds | None = None
    alert: str = ""
    single: bool = False
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard: its rows of panels, by title. ``by_modality`` offers a choice of them."""

    name: str
    title: str
    about: str
    rows: tuple[tuple[str, Sequence[Panel]], ...]
    by_modality: bool = False


M: Final = 'modality=~"$modality"'
RATE: Final = "[$__rate_interval]"


def quantiles(series: str, by: str, legend: str, matchers: str = "") -> tuple[tuple[str, str], ...]:
    """Median, 95 % and 99 % of a histogram that each process counts itself."""
    return tuple(
        (
            f"histogram_quantile({share}, sum by ({by}, le) "
            f"(rate({series}_bucket{{{matchers}}}{RATE})))",
            f"{legend} {name}",
        )
        for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )


def state_quantile(share: float, by: str, matchers: str = "") -> str:
    """A quantile of the times in a state, which all gateways count alike."""
    return (
        f"histogram_quantile({share}, sum by ({by}, le) (max by (state, modality, le) "
        f"(rate(gateway_submission_state_seconds_bucket{{{matchers}}}[1h]))))"
    )
