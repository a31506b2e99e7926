"""What the ranker tells Prometheus. Label sets are bounded: scopes, levels, kinds of refusal."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from general_level.catalogue.model import Catalogue, Scope
from services.ranker.standings import BoardStandings

#: 0 means that the model has no score on the board.
LEVELS: Final = (0, 2, 3, 4, 5)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Telemetry:
    """Counters and gauges of one ranker, in a registry of its own."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.registry = CollectorRegistry()
        self._scopes: Mapping[str, Scope] = {
            board.id: board.scope for board in catalogue.boards.values()
        }
        self._boards: dict[str, Tally[int]] = {}
        self.lag = Gauge(
            "ranker_ledger_lag_entries",
            "Entries of the ledger that the published standings do not reflect yet.",
            registry=self.registry,
        )
        self.checkpoint = Gauge(
            "ranker_checkpoint_position",
            "Position up to which a restart needs not verify again; 0 without a checkpoint.",
            registry=self.registry,
        )
        self.publications = Counter(
            "ranker_publications_total", "Publications made.", registry=self.registry
        )
        self.compute = Histogram(
            "ranker_compute_seconds",
            "Time from a change to its snapshots, without sending them.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.models = Gauge(
            "ranker_models", "Completed submissions that are ranked.", registry=self.registry
        )
        self.by_level = Gauge(
            "ranker_models_by_level",
            "Rows of the boards of a scope, by level; 0 is a model without a score.",
            ["board_scope", "level"],
            registry=self.registry,
        )
        self.refused = Counter(
            "ranker_statements_refused_total",
            "Statements that did not verify, by what was wrong.",
            ["what"],
            registry=self.registry,
        )
        self.reconnects = Counter(
            "ranker_reconnects_total", "Times the ledger's stream broke.", registry=self.registry
        )
        for scope in Scope:
            for level in LEVELS:
                self.by_level.labels(scope, level).set(0)

    def count_boards(self, boards: Iterable[BoardStandings]) -> None:
        """Replaces what is known of these boards; the other boards keep their counts."""
        for board in boards:
            self._boards[board.board_id] = Tally(row.level for row in board.rows)
        totals: Tally[tuple[Scope, int]] = Tally()
        for board_id, tally in self._boards.items():
            for level, count in tally.items():
                totals[self._scopes[board_id], level] += count
        for scope in Scope:
            for level in LEVELS:
                self.by_level.labels(scope, level).set(totals[scope, level])
