"""Submissions: create, move, withdraw, read. The only writer of a submission's state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, insert, or_, select, update

from general_level.errors import (
    AgreementRequired,
    AlreadyExists,
    IllegalTransition,
    InvalidRequest,
    NotFound,
    ResourceExhausted,
    SubmissionPending,
)
from general_level.v1 import submission_pb2 as pb
from services.gateway import ledger, pauses, quotas
from services.gateway.agreement import accepted_version
from services.gateway.states import (
    FINAL,
    MOVES,
    OVERDUE,
    PENDING,
    REOPENED,
    STATE_AGE_MAX,
    Outcome,
    State,
)
from services.gateway.storage.database import after_commit, serialise
from services.gateway.storage.tables import jobs, submissions, task_results, timeline
from services.kit import tracing

SubmissionRow = Row[Any]

#: Submissions that a lab may open in `CREATES_WINDOW`, those given back included: a slot that is
#: free again costs an upload, a check and perhaps grading all the same.
CREATES_MAX: Final = 50
CREATES_WINDOW: Final = timedelta(hours=24)

#: Models that one query gives: databases bound the number of its parameters.
MODELS_IN_QUERY: Final = 500

#: Final states of submissions that no board ever ranks.
_NEVER_SHOWN: Final = frozenset({State.REJECTED, State.EXPIRED, State.CANCELLED})
#: Final states in which the lab's slot is given back.
_REFUNDED: Final = frozenset({State.REJECTED, State.FAILED, State.EXPIRED})


def create(
    connection: Connection,
    now: datetime,
    lab_id: str,
    request: pb.CreateSubmissionRequest,
    *,
    catalogue_id: str,
    agreement_version: str,
    new_submission_id: Callable[[], str],
) -> str:
    """Reserves a slot and opens a submission; the same request_id gives the same one again.

    The request itself was validated. Raises AlreadyExists, AgreementRequired, SubmissionPending,
    QuotaExceeded, ResourceExhausted, and InvalidRequest for a name that is open in one submission
    and withheld in another; the lab's lock makes the answer exact under parallel calls.
    """
    serialise(connection, f"lab/{lab_id}")
    digest = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
    earlier = connection.execute(
        select(submissions.c.submission_id, submissions.c.request_sha256).where(
            submissions.c.lab_id == lab_id, submissions.c.request_id == request.request_id
        )
    ).one_or_none()
    if earlier is not None:
        if earlier.request_sha256 != digest:
            raise AlreadyExists(
                "The request_id was used before; choose a new one.", request_id=request.request_id
            )
        return str(earlier.submission_id)
    if accepted_version(connection, lab_id) != agreement_version:
        raise AgreementRequired(version=agreement_version)
    pending = pending_submission(connection, lab_id)
    if pending:
        raise SubmissionPending(pending_submission_id=pending)
    quotas.require_free_slot(connection, lab_id, now)
    _require_few_creates(connection, lab_id, now)
    _require_one_kind(connection, lab_id, request.model)
    submission_id = new_submission_id()
    connection.execute(
        insert(submissions).values(
            submission_id=submission_id,
            lab_id=lab_id,
            request_id=request.request_id,
            request_sha256=digest,
            board_id=request.board_id,
            catalogue_id=catalogue_id,
            model=request.model.SerializeToString(),
            archive_name=request.archive_name,
            archive_bytes=request.archive_bytes,
            archive_sha256=request.archive_sha256,
            state=State.CREATED,
            state_deadline=now + STATE_AGE_MAX[State.CREATED],
            create_time=now,
            update_time=now,
            revision=1,
            tasks_total=0,
            tasks_done=0,
            finding_count=0,
            failure_reason="",
        )
    )
    _record_state(connection, now, submission_id, State.CREATED, "")
    quotas.record(connection, now, lab_id, submission_id, quotas.RESERVE)
    return submission_id


def _require_few_creates(connection: Connection, lab_id: str, now: datetime) -> None:
    count = connection.scalar(
        select(func.count())
        .select_from(submissions)
        .where(submissions.c.lab_id == lab_id, submissions.c.create_time > now - CREATES_WINDOW)
    )
    if (count or 0) >= CREATES_MAX:
        hours = int(CREATES_WINDOW.total_seconds() // 3600)
        raise ResourceExhausted(
            f"A lab opens at most {CREATES_MAX} submissions in {hours} h, refunded ones included.",
            limit=CREATES_MAX,
        )


def _require_one_kind(connection: Connection, lab_id: str, model: pb.ModelMetadata) -> None:
    """InvalidRequest where the name is open in an earlier submission and not here, or the reverse.

    Two rows of one model, one with and one without its name, would tell who the other is.
    """
    # Of those that never came to a board, and never will, nobody knows.
    earlier = connection.scalars(
        select(submissions.c.model).where(
            submissions.c.lab_id == lab_id, submissions.c.state.not_in(sorted(_NEVER_SHOWN))
        )
    )
    for known in map(pb.ModelMetadata.FromString, earlier):
        if known.model_name == model.model_name and known.anonymous != model.anonymous:
            raise InvalidRequest(
                "Your earlier submission of this model is anonymous: reveal it first, or submit "
                "this one anonymously as well."
                if known.anonymous
                else "You submitted a model of this name openly: it cannot be hidden again.",
                field="model.anonymous",
            )


def pending_submission(connection: Connection, lab_id: str) -> str:
    """The lab's submission that is not finished; empty if there is none."""
    found = connection.scalar(
        select(submissions.c.submission_id)
        .where(submissions.c.lab_id == lab_id, submissions.c.state.in_(sorted(PENDING)))
        .limit(1)
    )
    return found or ""


def read(connection: Connection, submission_id: str, lab_id: str | None = None) -> SubmissionRow:
    """One submission; NotFound also for another lab's, so that ids say nothing."""
    return _found(connection, _by_id(submission_id), submission_id, lab_id)


def lock(connection: Connection, submission_id: str, lab_id: str | None = None) -> SubmissionRow:
    """As `read`, and nobody else changes it until the transaction ends.

    Whoever decides by a submission's state and then writes locks it first, before its jobs.
    """
    query = _by_id(submission_id).with_for_update(key_share=True)
    return _found(connection, query, submission_id, lab_id)


def _by_id(submission_id: str) -> Select[Any]:
    return select(submissions).where(submissions.c.submission_id == submission_id)


def _found(
    connection: Connection, query: Select[Any], submission_id: str, lab_id: str | None
) -> SubmissionRow:
    row = connection.execute(query).one_or_none()
    if row is None or (lab_id is not None and row.lab_id != lab_id):
        raise NotFound("No submission of yours has this id.", submission_id=submission_id)
    return row


def move(
    connection: Connection,
    now: datetime,
    submission_id: str,
    to: State,
    *,
    note: str = "",
    failure_reason: str = "",
) -> None:
    """Takes a submission to another state; IllegalTransition if the table has no such move.

    In the same transaction: the timeline, the state's deadline, the settlement of the quota, and
    for a state that ends the grading the cancellation of jobs that still wait or run, and for one
    that fails after its completion a withdrawal, so that no board ranks what was given back.
    """
    row = lock(connection, submission_id)
    if to not in MOVES[State(row.state)]:
        raise IllegalTransition(
            f"It is {row.state}.", submission_id=submission_id, state=row.state, requested=to
        )
    _enter(connection, now, submission_id, to, note, failure_reason)
    if to in FINAL:
        _settle(connection, now, row, to)
        if to is not State.PUBLISHED:
            _cancel_jobs(connection, now, submission_id)
        if row.state == State.RANKING and to is State.FAILED:
            ledger.append_withdrawal(connection, now, submission_id, failure_reason)
        after_commit(connection, partial(_trace_end, row, to, failure_reason))


def reopen(connection: Connection, now: datetime, submission_id: str, note: str) -> None:
    """Takes a submission that ended by our fault back to the queue; IllegalTransition for others.

    The slot that was given back stays given back, however it ends. Its jobs are the caller's.
    """
    row = lock(connection, submission_id)
    to = REOPENED.get(State(row.state))
    if to is None:
        raise IllegalTransition(f"It is {row.state}.", submission_id=submission_id, state=row.state)
    _enter(connection, now, submission_id, to, note, "")


def _enter(
    connection: Connection,
    now: datetime,
    submission_id: str,
    to: State,
    note: str,
    failure_reason: str,
) -> None:
    connection.execute(
        update(submissions)
        .where(submissions.c.submission_id == submission_id)
        .values(
            state=to,
            state_deadline=now + STATE_AGE_MAX[to] if to in STATE_AGE_MAX else None,
            update_time=now,
            revision=submissions.c.revision + 1,
            failure_reason=failure_reason,
        )
    )
    _record_state(connection, now, submission_id, to, note)


def _trace_end(row: SubmissionRow, to: State, failure_reason: str) -> None:
    tracing.record_submission(
        row.submission_id,
        tracing.to_ns(row.create_time),
        failure_reason if to is State.FAILED else "",
        board_id=row.board_id,
        size_bytes=row.archive_bytes,
        state=str(to),
    )


def touch(connection: Connection, now: datetime, submission_id: str, **values: object) -> None:
    """Marks a change that is not a move, so that watchers see it; ``values`` are set with it."""
    connection.execute(
        update(submissions)
        .where(submissions.c.submission_id == submission_id)
        .values(update_time=now, revision=submissions.c.revision + 1, **values)
    )


def cancel(connection: Connection, now: datetime, lab_id: str, submission_id: str) -> None:
    """Withdraws a submission that is not finished; repeating it is no error."""
    row = lock(connection, submission_id, lab_id)
    if row.state != State.CANCELLED:
        move(connection, now, submission_id, State.CANCELLED, failure_reason="withdrawn")


def end_overdue(connection: Connection, now: datetime, limit: int = 100) -> list[str]:
    """Ends submissions whose state outlived its maximum age; returns their ids.

    One that somebody else is changing at this moment is left for the next round; one that a pause
    holds, until that ends.
    """
    rows = connection.execute(
        select(submissions.c.submission_id, submissions.c.state)
        .where(
            submissions.c.state.in_(sorted(PENDING)),
            submissions.c.state_deadline <= now,
            ~pauses.is_held(),
        )
        .order_by(submissions.c.submission_id)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    ).all()
    for submission_id, state in rows:
        to, reason = OVERDUE[State(state)]
        move(connection, now, submission_id, to, note=reason, failure_reason=reason)
    return [str(row.submission_id) for row in rows]


def list_page(
    connection: Connection, lab_id: str, page_size: int, before: tuple[datetime, str] | None
) -> list[SubmissionRow]:
    """A page of a lab's submissions, newest first, from before ``(create_time, id)``."""
    query = select(submissions).where(submissions.c.lab_id == lab_id)
    if before is not None:
        time, submission_id = before
        query = query.where(
            or_(
                submissions.c.create_time < time,
                and_(
                    submissions.c.create_time == time,
                    submissions.c.submission_id < submission_id,
                ),
            )
        )
    order = (submissions.c.create_time.desc(), submissions.c.submission_id.desc())
    return list(connection.execute(query.order_by(*order).limit(page_size)))


def models_of(connection: Connection, submission_ids: Sequence[str]) -> dict[str, pb.ModelMetadata]:
    """What the labs say about the models of `MODELS_IN_QUERY` submissions at most, by their ids."""
    rows = connection.execute(
        select(submissions.c.submission_id, submissions.c.model).where(
            submissions.c.submission_id.in_(submission_ids[:MODELS_IN_QUERY])
        )
    )
    return {row.submission_id: pb.ModelMetadata.FromString(row.model) for row in rows}


def read_timeline(connection: Connection, submission_id: str) -> list[Row[Any]]:
    """All states that were entered, in order."""
    return list(
        connection.execute(
            select(timeline)
            .where(timeline.c.submission_id == submission_id)
            .order_by(timeline.c.entry_id)
        )
    )


def _record_state(
    connection: Connection, now: datetime, submission_id: str, state: State, note: str
) -> None:
    connection.execute(
        insert(timeline).values(submission_id=submission_id, state=state, enter_time=now, note=note)
    )


def _settle(connection: Connection, now: datetime, row: SubmissionRow, to: State) -> None:
    if quotas.status(connection, row.submission_id) == quotas.REFUND:
        # It was reopened: what our fault gave back is not taken again.
        return
    refund = to in _REFUNDED or (
        to is State.CANCELLED and not _scored_any(connection, row.submission_id)
    )
    action = quotas.REFUND if refund else quotas.COMMIT
    quotas.record(connection, now, row.lab_id, row.submission_id, action)


def _scored_any(connection: Connection, submission_id: str) -> bool:
    count = connection.scalar(
        select(func.count())
        .select_from(task_results)
        .where(
            task_results.c.submission_id == submission_id,
            task_results.c.outcome == Outcome.SCORED,
        )
    )
    return bool(count)


def _cancel_jobs(connection: Connection, now: datetime, submission_id: str) -> None:
    connection.execute(
        update(jobs)
        .where(jobs.c.submission_id == submission_id, jobs.c.state.in_(("ready", "leased")))
        .values(state="cancelled", lease_token=None, finish_time=now)
    )
