"""What the ranker tells Prometheus. Label sets are bounded: scopes, levels, kinds of refusal."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from general_level.catalogue.model import Catalogue, Scope
from services.kit.telemetry import Certificates, Registry
from services.ranker.standings import BoardStandings

#: 0 means that the model has no score on the board.
LEVELS: Final = (0, 2, 3, 4, 5)
#: What of a statement may not verify; ``other`` is what this list does not know.
REFUSALS: Final = (
    "archive", "envelope", "metric", "mismatch", "payload-type", "signature", "statement", "task",
    "value", "other",
)  # fmt: skip
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Telemetry:
    """The series of one ranker, in a registry of its own.

    ``certificate`` is the file that it shows to the gateway.
    """

    def __init__(self, catalogue: Catalogue, certificate: Path | None = None) -> None:
        self.registry = Registry()
        self.registry.register(Certificates("ranker", {"client": certificate}))
        self._scopes: Mapping[str, Scope] = {
            board.id: board.scope for board in catalogue.boards.values()
        }
        self._boards: dict[str, Tally[int]] = {}
        self.lag = self.registry.gauge(
            "ranker_ledger_lag_entries",
            "Entries of the ledger that the published standings do not reflect yet; scores of a "
            "submission that is still being graded are none of them.",
        )
        self.checkpoint = self.registry.gauge(
            "ranker_checkpoint_position",
            "Position up to which a restart needs not verify again; 0 without a checkpoint.",
        )
        self.publications = self.registry.counter(
            "ranker_publications_total", "Publications made since the ranker started."
        )
        self.publication_failures = self.registry.counter(
            "ranker_publication_failures_total",
            "Publications that the gateway did not take; each is tried again.",
        )
        self.compute = self.registry.histogram(
            "ranker_compute_seconds",
            "Time from a change of the ledger to its boards' snapshots, without sending them.",
            _SECONDS,
        )
        self.models = self.registry.gauge("ranker_models", "Completed submissions that are ranked.")
        self.by_level = self.registry.gauge(
            "ranker_models_by_level",
            "Rows of all boards of a scope together, by level; 0 is a model without a score.",
            board_scope=Scope,
            level=map(str, LEVELS),
        )
        self._refused = self.registry.counter(
            "ranker_statements_refused_total",
            "Statements in the ledger that did not verify, by what was wrong; a ranker that starts "
            "reads the whole ledger again.",
            what=REFUSALS,
        )
        self.reconnects = self.registry.counter(
            "ranker_reconnects_total", "Times that the stream of the ledger broke."
        )

    def refuse(self, what: str) -> None:
        """A statement did not verify."""
        self._refused.labels(what if what in REFUSALS else "other").inc()

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
