"""What the database says of queue, submissions and standings, as gauges.

Every gateway reads the same database, so all of them tell the same: take one of them or the
greatest, never the sum.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from general_level.catalogue import Catalogue, Modality
from services.gateway import fair_share, pauses
from services.gateway.endings import LACKING
from services.gateway.fencing import DEAD, LEASED, READY
from services.gateway.state_times import Left, StateTimes
from services.gateway.states import PENDING, STATE_AGE_MAX, State
from services.gateway.storage.tables import jobs, publications, score_ledger, submissions
from services.kit.telemetry import Registry

#: The board of a submission has several modalities, or this catalogue has no such board any more.
SEVERAL: Final = "several"
_PENDING: Final = tuple(state for state in State if state in PENDING)
#: From a state that is only passed through to one that lasts as long as it may.
_STATE_SECONDS: Final = (
    0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0,
)  # fmt: skip


class QueueTelemetry:
    """Gauges that `refresh` sets from the database, and the times of states that were left."""

    def __init__(self, registry: Registry, catalogue: Catalogue | None = None) -> None:
        self._modalities: Mapping[str, str] = {
            board.id: board.modalities[0] if len(board.modalities) == 1 else SEVERAL
            for board in (catalogue.boards.values() if catalogue else ())
        }
        self._times = StateTimes()
        self.submissions = registry.gauge(
            "gateway_submissions", "Submissions by state.", state=State
        )
        self.submissions_oldest = registry.gauge(
            "gateway_submissions_oldest_seconds",
            "For how long the submission that entered this state first has been in it; 0 if none "
            "is. In `ranking` it is how long a complete submission waits for its publication.",
            state=_PENDING,
        )
        self.state_seconds = registry.histogram(
            "gateway_submission_state_seconds",
            "How long submissions were in a state that they left since the gateway started, by the "
            "modality of their board; `several` is a board of more than one.",
            _STATE_SECONDS,
            state=_PENDING,
            modality=(*Modality, SEVERAL),
        )
        self.queue_jobs = registry.gauge(
            "gateway_queue_jobs",
            "Jobs that wait (`ready`, those in their backoff too) or are with a grader (`leased`).",
            modality=Modality,
            state=(READY, LEASED),
        )
        self.queue_oldest = registry.gauge(
            "gateway_queue_oldest_seconds",
            "How long the oldest job that could be leased now has been so; 0 if there is none.",
            modality=Modality,
        )
        self.queue_labs = registry.gauge(
            "gateway_queue_labs", "Labs that have a job that waits.", modality=Modality
        )
        self.largest_lab = registry.gauge(
            "gateway_queue_largest_lab_jobs",
            "Jobs that wait of the lab that has the most of them.",
            modality=Modality,
        )
        self.share_spread = registry.gauge(
            "gateway_queue_share_spread_jobs",
            "By how many jobs the best served of the labs that wait is ahead of the worst served, "
            "since both wait; about one lease call's jobs (at most 64) while shares are fair.",
            modality=Modality,
        )
        self.dead_letters = registry.gauge(
            "gateway_dead_letter_jobs",
            "Jobs that failed all their attempts, unless they were queued again. Each failed its "
            "submission by our fault, or was of ratings that could not be used.",
            modality=Modality,
        )
        self.lacking = registry.gauge(
            "gateway_queue_lacking_jobs",
            "Jobs that wait because a grader lacked their key or the weights of their metric, or "
            "opened another key than the published one.",
            modality=Modality,
            fault=sorted(LACKING),
        )
        self.modality_paused = registry.gauge(
            "gateway_modality_paused",
            "1 while operators have paused the modality, else 0.",
            modality=Modality,
        )
        self.ledger_position = registry.gauge(
            "gateway_ledger_position", "Newest position of the score ledger; 0 while it is empty."
        )
        self.publication_time = registry.gauge(
            "gateway_publication_timestamp_seconds",
            "When standings were last published, in seconds since 1970; 0 before the first time.",
        )

    def refresh(self, connection: Connection, now: datetime) -> None:
        """Sets every gauge; one that nothing is known of is 0."""
        self._refresh_submissions(connection, now)
        self._refresh_jobs(connection, now)
        self._refresh_shares(connection)
        head = connection.scalar(select(func.max(score_ledger.c.position)))
        self.ledger_position.set(head or 0)
        newest = connection.scalar(
            select(publications.c.publish_time)
            .order_by(publications.c.publication_id.desc())
            .limit(1)
        )
        self.publication_time.set(newest.timestamp() if newest is not None else 0)
        for left in self._times.read(connection, now):
            self._observe(left)

    def _observe(self, left: Left) -> None:
        modality = self._modalities.get(left.board_id, SEVERAL)
        self.state_seconds.labels(left.state, modality).observe(left.seconds)

    def _refresh_submissions(self, connection: Connection, now: datetime) -> None:
        rows = connection.execute(
            select(
                submissions.c.state, func.count().label("number"),
                func.min(submissions.c.state_deadline).label("first_deadline"),
            ).group_by(submissions.c.state)
        )  # fmt: skip
        found = {State(row.state): row for row in rows}
        for state in State:
            self.submissions.labels(state).set(found[state].number if state in found else 0)
        for state in _PENDING:
            age = 0.0
            if state in found and found[state].first_deadline is not None:
                entered = found[state].first_deadline - STATE_AGE_MAX[state]
                age = max(0.0, (now - entered).total_seconds())
            self.submissions_oldest.labels(state).set(age)

    def _refresh_jobs(self, connection: Connection, now: datetime) -> None:
        counted: Tally[tuple[str, str]] = Tally()
        waiting: defaultdict[str, list[int]] = defaultdict(list)
        grouped = (
            select(jobs.c.modality, jobs.c.state, func.count())
            .where(jobs.c.state.in_((READY, LEASED, DEAD)))
            .group_by(jobs.c.modality, jobs.c.state, jobs.c.lab_id)
        )
        for modality, job_state, count in connection.execute(grouped):
            counted[modality, job_state] += count
            if job_state == READY:
                waiting[modality].append(count)
        lacking: dict[tuple[str, str], int] = {
            (modality, fault): count
            for modality, fault, count in connection.execute(
                select(jobs.c.modality, jobs.c.fault, func.count())
                .where(jobs.c.state == READY, jobs.c.fault.in_(sorted(LACKING)))
                .group_by(jobs.c.modality, jobs.c.fault)
            )
        }
        first_ready = (
            select(jobs.c.modality, func.min(jobs.c.available_time))
            .where(jobs.c.state == READY, jobs.c.available_time <= now)
            .group_by(jobs.c.modality)
        )
        oldest = {row[0]: row[1] for row in connection.execute(first_ready)}
        paused = pauses.list_paused(connection)
        for modality in Modality:
            self.modality_paused.labels(modality).set(modality in paused)
            for job_state in (READY, LEASED):
                self.queue_jobs.labels(modality, job_state).set(counted[modality, job_state])
            self.dead_letters.labels(modality).set(counted[modality, DEAD])
            for fault in LACKING:
                self.lacking.labels(modality, fault).set(lacking.get((modality, fault), 0))
            age = (now - oldest[modality]).total_seconds() if modality in oldest else 0
            self.queue_oldest.labels(modality).set(age)
            self.queue_labs.labels(modality).set(len(waiting[modality]))
            self.largest_lab.labels(modality).set(max(waiting[modality], default=0))

    def _refresh_shares(self, connection: Connection) -> None:
        spreads = fair_share.spreads(connection)
        for modality in Modality:
            self.share_spread.labels(modality).set(spreads.get(modality, 0))
