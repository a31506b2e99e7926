"""OperationsService: what operators do; each change is one transaction with its audit entry."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection, Row

from general_level.catalogue.model import Catalogue, Modality
from general_level.errors import GeneralLevelError, InvalidRequest, UnknownTask
from general_level.identifiers import is_request_id
from general_level.v1 import operations_pb2 as pb
from general_level.v1 import operations_pb2_grpc
from general_level.wire import from_rfc3339, to_duration, to_rfc3339, to_timestamp
from services.gateway import audit, certificates, dead_letters, pauses, queue_status
from services.gateway.audit import Actor
from services.gateway.dead_letters import Chosen
from services.gateway.identity import Authenticator
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.kit.clock import Clock
from services.kit.logging import get_logger

M = TypeVar("M", bound=Message)

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 500
#: Dead letters that one call looks at.
REQUEUE_MAX: Final = 500
REASON_CHARS_MAX: Final = 200

_MODALITIES: Final = frozenset(modality.value for modality in Modality)


class _OnlyLooked(Exception):
    """Undoes the transaction of a call that only says what it would do."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


class OperationsServicer(operations_pb2_grpc.OperationsServiceServicer):
    """Needs an operator token for every call."""

    def __init__(
        self,
        *,
        database: Database,
        signals: Signals,
        clock: Clock,
        catalogue: Catalogue,
        authenticator: Authenticator,
    ) -> None:
        self._database = database
        self._signals = signals
        self._clock = clock
        self._catalogue = catalogue
        self._authenticator = authenticator

    async def GetQueueStatus(
        self, _request: pb.GetQueueStatusRequest, context: Any
    ) -> pb.GetQueueStatusResponse:
        await self._require(context)
        status = await self._database.run_read(queue_status.read_status, self._clock.now())
        return pb.GetQueueStatusResponse(
            modalities=[_modality_message(one) for one in status.modalities],
            submissions=[
                pb.SubmissionCount(state=state.upper(), submissions=count)
                for state, count in status.submissions.items()
            ],
            ledger_position=status.ledger_position,
        )

    async def PauseModality(
        self, request: pb.PauseModalityRequest, context: Any
    ) -> pb.PauseModalityResponse:
        actor = await self._require(context)
        _check_modality(request.modality)
        if not (0 < len(request.reason) <= REASON_CHARS_MAX and request.reason.isprintable()):
            raise InvalidRequest(
                f"Say why, in 1 to {REASON_CHARS_MAX} printable characters.", field="reason"
            )
        now = self._clock.now()

        def work(connection: Connection) -> pb.PauseModalityResponse:
            made = pauses.pause(connection, now, request.modality, request.reason, actor.name)
            return pb.PauseModalityResponse(pause=_pause_message(made))

        response, _ = await self._carry_out(
            actor, "PauseModality", request, pb.PauseModalityResponse, work
        )
        return response

    async def ResumeModality(
        self, request: pb.ResumeModalityRequest, context: Any
    ) -> pb.ResumeModalityResponse:
        actor = await self._require(context)
        _check_modality(request.modality)
        now = self._clock.now()
        extended: list[str] = []

        def work(connection: Connection) -> pb.ResumeModalityResponse:
            extended[:] = pauses.resume(connection, now, request.modality)
            return pb.ResumeModalityResponse(extended_submissions=len(extended))

        response, _ = await self._carry_out(
            actor, "ResumeModality", request, pb.ResumeModalityResponse, work
        )
        self._signals.notify(f"jobs/{request.modality}")
        for submission_id in extended:
            self._signals.notify(f"submission/{submission_id}")
        return response

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Any
    ) -> pb.ListDeadLettersResponse:
        await self._require(context)
        size = _page_size(request.page_size)
        before = _dead_letter_place(request.page_token) if request.page_token else None
        chosen = Chosen(task_id=request.task_id, modality=request.modality)

        def work(connection: Connection) -> pb.ListDeadLettersResponse:
            rows = dead_letters.list_page(connection, chosen, size + 1, before)
            page = rows[:size]
            return pb.ListDeadLettersResponse(
                dead_letters=[
                    _dead_letter_message(
                        row, dead_letters.obstacle(connection, row, self._catalogue.id)
                    )
                    for row in page
                ],
                next_page_token=(
                    _token(f"{to_rfc3339(page[-1].finish_time)} {page[-1].job_id}")
                    if len(rows) > size
                    else ""
                ),
            )

        return await self._database.run_read(work)

    async def RequeueDeadLetters(
        self, request: pb.RequeueDeadLettersRequest, context: Any
    ) -> pb.RequeueDeadLettersResponse:
        actor = await self._require(context)
        chosen = self._chosen(request)
        now = self._clock.now()
        requeued: list[dead_letters.Requeued] = []

        def work(connection: Connection) -> pb.RequeueDeadLettersResponse:
            found, remaining = dead_letters.requeue(
                connection, now, chosen, self._catalogue.id, REQUEUE_MAX
            )
            requeued[:] = [one for one in found if not one.obstacle]
            return pb.RequeueDeadLettersResponse(
                dead_letters=[
                    pb.RequeuedDeadLetter(
                        job_id=one.job_id,
                        submission_id=one.submission_id,
                        requeued_jobs=one.jobs,
                        obstacle=one.obstacle,
                    )
                    for one in found
                ],
                remaining=remaining,
            )

        if request.validate_only:
            return await self._look(work)
        response, _ = await self._carry_out(
            actor, "RequeueDeadLetters", request, pb.RequeueDeadLettersResponse, work
        )
        for one in requeued:
            self._signals.notify(f"submission/{one.submission_id}")
        for modality in {modality for one in requeued for modality in one.modalities}:
            self._signals.notify(f"jobs/{modality}")
        return response

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Any
    ) -> pb.ListAuditEntriesResponse:
        await self._require(context)
        size = _page_size(request.page_size)
        before = _audit_place(request.page_token) if request.page_token else None
        rows = await self._database.run_read(audit.list_page, size + 1, before, request.action)
        return pb.ListAuditEntriesResponse(
            entries=[_audit_message(row) for row in rows[:size]],
            next_page_token=_token(str(rows[size - 1].entry_id)) if len(rows) > size else "",
        )

    async def _require(self, context: Any) -> Actor:
        identity = await self._authenticator.require(context, "operator")
        return Actor(identity.label, identity.token_id, certificates.shown_id(context))

    async def _carry_out(
        self,
        actor: Actor,
        action: str,
        request: Any,
        response_type: type[M],
        work: Callable[[Connection], M],
    ) -> tuple[M, bool]:
        """Does what is asked for, once, with its audit entry; refusals are recorded, too."""
        if not is_request_id(request.request_id):
            raise InvalidRequest("The request_id must be a UUID.", field="request_id")
        # One UUID has two spellings.
        request.request_id = request.request_id.lower()
        now = self._clock.now()
        about = {
            "action": action,
            "operator": actor.name,
            "token_id": actor.token_id,
            "request_id": request.request_id,
        }
        try:
            response, new = await self._database.run_write(
                audit.carry_out, now, actor, action, request, response_type, work
            )
        except GeneralLevelError as error:
            await self._database.run_write(
                audit.record_refusal, now, actor, action, request, error.reason
            )
            get_logger().warning("operation refused", reason=error.reason, **about)
            raise
        get_logger().info("operation done" if new else "operation repeated", **about)
        return response, new

    async def _look(self, work: Callable[[Connection], M]) -> M:
        """What the work would answer; nothing of it stays."""

        def undone(connection: Connection) -> None:
            raise _OnlyLooked(work(connection))

        try:
            await self._database.run_write(undone)
        except _OnlyLooked as looked:
            response: M = looked.response
            return response
        raise AssertionError("a look never commits")

    def _chosen(self, request: pb.RequeueDeadLettersRequest) -> Chosen:
        given = (request.job_ids, request.task_id, request.modality)
        if sum(map(bool, given)) != 1:
            raise InvalidRequest("Choose by job_ids, by task_id or by modality.", field="job_ids")
        if len(request.job_ids) > REQUEUE_MAX:
            raise InvalidRequest(f"At most {REQUEUE_MAX} jobs.", field="job_ids")
        if request.task_id and request.task_id not in self._catalogue.tasks:
            raise UnknownTask(task_id=request.task_id)
        if request.modality:
            _check_modality(request.modality)
        return Chosen(tuple(request.job_ids), request.task_id, request.modality)


def _check_modality(modality: str) -> None:
    if modality not in _MODALITIES:
        raise InvalidRequest(
            f"A modality is one of {', '.join(sorted(_MODALITIES))}.", field="modality"
        )


def _page_size(asked: int) -> int:
    size = asked or PAGE_SIZE_DEFAULT
    if not 0 < size <= PAGE_SIZE_MAX:
        raise InvalidRequest(f"page_size is 1 to {PAGE_SIZE_MAX}.", field="page_size")
    return size


def _token(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _place(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise _bad_token() from error


def _dead_letter_place(token: str) -> tuple[datetime, str]:
    try:
        time, job_id = _place(token).split(" ")
        return from_rfc3339(time), job_id
    except (ValueError, OverflowError) as error:
        raise _bad_token() from error


def _audit_place(token: str) -> int:
    place = _place(token)
    if not (place.isdecimal() and place.isascii() and len(place) < 19):
        raise _bad_token()
    return int(place)


def _bad_token() -> InvalidRequest:
    return InvalidRequest("Use next_page_token of the page before.", field="page_token")


def _pause_message(pause: pauses.Pause) -> pb.Pause:
    return pb.Pause(
        pause_time=to_timestamp(pause.pause_time), reason=pause.reason, operator=pause.operator
    )


def _modality_message(status: queue_status.ModalityStatus) -> pb.ModalityStatus:
    return pb.ModalityStatus(
        modality=status.modality,
        pause=None if status.pause is None else _pause_message(status.pause),
        ready_jobs=status.ready,
        waiting_jobs=status.waiting,
        lacking_jobs=status.lacking,
        leased_jobs=status.leased,
        dead_jobs=status.dead,
        oldest_age=None if status.oldest_age is None else to_duration(status.oldest_age),
        recent_jobs=status.recent,
    )


def _dead_letter_message(row: Row[Any], obstacle: str) -> pb.DeadLetter:
    return pb.DeadLetter(
        job_id=row.job_id,
        submission_id=row.submission_id,
        lab_id=row.lab_id,
        task_id=row.task_id,
        modality=row.modality,
        fault=row.fault or "",
        attempts=row.attempt,
        end_time=to_timestamp(row.finish_time),
        obstacle=obstacle,
    )


def _audit_message(row: Row[Any]) -> pb.AuditEntry:
    return pb.AuditEntry(
        entry_id=row.entry_id,
        record_time=to_timestamp(row.record_time),
        operator=row.operator,
        token_id=row.token_id,
        certificate=row.certificate,
        action=row.action,
        request_id=row.request_id,
        parameters=row.parameters.decode(),
        outcome=row.outcome,
        result=(row.result or b"").decode(),
    )
