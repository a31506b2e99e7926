"""OperationsService: what operators do; each change is one transaction with its audit entry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection

from general_level.catalogue.model import Catalogue, Modality
from general_level.errors import InvalidRequest, UnknownTask
from general_level.identifiers import is_id
from general_level.v1 import operations_pb2 as pb
from general_level.v1 import operations_pb2_grpc
from general_level.wire import to_rfc3339
from services.gateway import (
    audit,
    dead_letters,
    history,
    operations_views,
    paging,
    pauses,
    queue_status,
    rejudgements,
    rejudging,
)
from services.gateway.dead_letters import Chosen
from services.gateway.identity import Authenticator
from services.gateway.public_folder import PublishedCommitments
from services.gateway.rpc.operator_calls import OperatorCalls
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.kit.clock import Clock
from services.kit.history import is_history_id, parse_history

M = TypeVar("M", bound=Message)

#: Dead letters that one call looks at.
REQUEUE_MAX: Final = 500
REASON_CHARS_MAX: Final = 200
VERSION_CHARS_MAX: Final = 100

_MODALITIES: Final = frozenset(modality.value for modality in Modality)


class OperationsServicer(OperatorCalls, operations_pb2_grpc.OperationsServiceServicer):
    """Needs an operator token for every call."""

    def __init__(
        self,
        *,
        database: Database,
        signals: Signals,
        clock: Clock,
        catalogue: Catalogue,
        authenticator: Authenticator,
        trusted_keys: Sequence[bytes],
        commitments: PublishedCommitments,
    ) -> None:
        super().__init__(database=database, clock=clock, authenticator=authenticator)
        self._signals = signals
        self._catalogue = catalogue
        self._trusted_keys = tuple(trusted_keys)
        self._commitments = commitments

    async def GetQueueStatus(
        self, _request: pb.GetQueueStatusRequest, context: Any
    ) -> pb.GetQueueStatusResponse:
        await self._require(context)
        status = await self._database.run_read(queue_status.read_status, self._clock.now())
        return pb.GetQueueStatusResponse(
            modalities=[operations_views.modality_message(one) for one in status.modalities],
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
        _check_reason(request.reason)
        now = self._clock.now()

        def work(connection: Connection) -> pb.PauseModalityResponse:
            made = pauses.pause(connection, now, request.modality, request.reason, actor.name)
            return pb.PauseModalityResponse(pause=operations_views.pause_message(made))

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
        size = paging.page_size(request.page_size)
        before = paging.dead_letter_place(request.page_token) if request.page_token else None
        chosen = Chosen(task_id=request.task_id, modality=request.modality)

        def work(connection: Connection) -> pb.ListDeadLettersResponse:
            rows = dead_letters.list_page(connection, chosen, size + 1, before)
            page = rows[:size]
            return pb.ListDeadLettersResponse(
                dead_letters=[
                    operations_views.dead_letter_message(
                        row, dead_letters.obstacle(connection, row, self._catalogue.id)
                    )
                    for row in page
                ],
                next_page_token=(
                    paging.token(f"{to_rfc3339(page[-1].finish_time)} {page[-1].job_id}")
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

    async def StartRejudgement(
        self, request: pb.StartRejudgementRequest, context: Any
    ) -> pb.StartRejudgementResponse:
        actor = await self._require(context)
        _check_reason(request.reason)
        if request.task_id not in self._catalogue.tasks:
            raise UnknownTask(task_id=request.task_id)
        for name in ("key_version", "grader_image_digest"):
            if len(getattr(request, name)) > VERSION_CHARS_MAX:
                raise InvalidRequest(f"At most {VERSION_CHARS_MAX} characters.", field=name)
        now = self._clock.now()

        def work(connection: Connection) -> pb.StartRejudgementResponse:
            rejudgement_id = rejudging.start(
                connection,
                now,
                self._catalogue,
                request.task_id,
                reason=request.reason,
                operator=actor.name,
                key_version=request.key_version,
                grader_image_digest=request.grader_image_digest,
            )
            found = operations_views.rejudgement_message(connection, rejudgement_id)
            return pb.StartRejudgementResponse(rejudgement=found)

        response, _ = await self._carry_out(
            actor, "StartRejudgement", request, pb.StartRejudgementResponse, work
        )
        self._signals.notify(f"jobs/{self._catalogue.tasks[request.task_id].modality.value}")
        return response

    async def ListRejudgements(
        self, _request: pb.ListRejudgementsRequest, context: Any
    ) -> pb.ListRejudgementsResponse:
        await self._require(context)
        found = await self._database.run_read(operations_views.rejudgement_messages)
        return pb.ListRejudgementsResponse(rejudgements=found)

    async def GetRejudgement(
        self, request: pb.GetRejudgementRequest, context: Any
    ) -> pb.GetRejudgementResponse:
        await self._require(context)
        _check_rejudgement_id(request.rejudgement_id)
        return await self._database.run_read(
            operations_views.rejudgement_details, request.rejudgement_id
        )

    async def ApplyRejudgement(
        self, request: pb.ApplyRejudgementRequest, context: Any
    ) -> pb.ApplyRejudgementResponse:
        actor = await self._require(context)
        _check_rejudgement_id(request.rejudgement_id)
        now = self._clock.now()
        changed: list[str] = []

        def work(connection: Connection) -> pb.ApplyRejudgementResponse:
            changed[:] = rejudging.apply(
                connection,
                now,
                self._catalogue,
                request.rejudgement_id,
                preview_sha256=request.preview_sha256,
                allow_unscored=request.allow_unscored,
                trusted_keys=self._trusted_keys,
                commitments=self._commitments.by_key(),
            )
            found = operations_views.rejudgement_message(connection, request.rejudgement_id)
            return pb.ApplyRejudgementResponse(rejudgement=found, superseded_scores=len(changed))

        response, _ = await self._carry_out(
            actor, "ApplyRejudgement", request, pb.ApplyRejudgementResponse, work
        )
        self._signals.notify("ledger")
        self._signals.notify(rejudgements.TOPIC)
        for submission_id in changed:
            self._signals.notify(f"submission/{submission_id}")
        return response

    async def CancelRejudgement(
        self, request: pb.CancelRejudgementRequest, context: Any
    ) -> pb.CancelRejudgementResponse:
        actor = await self._require(context)
        _check_rejudgement_id(request.rejudgement_id)
        now = self._clock.now()

        def work(connection: Connection) -> pb.CancelRejudgementResponse:
            rejudging.cancel(connection, now, request.rejudgement_id)
            found = operations_views.rejudgement_message(connection, request.rejudgement_id)
            return pb.CancelRejudgementResponse(rejudgement=found)

        response, _ = await self._carry_out(
            actor, "CancelRejudgement", request, pb.CancelRejudgementResponse, work
        )
        return response

    async def ImportHistory(
        self, request: pb.ImportHistoryRequest, context: Any
    ) -> pb.ImportHistoryResponse:
        actor = await self._require(context)
        # Off the event loop: a document may have thousands of rows.
        document = await asyncio.to_thread(parse_history, request.document)
        told = history.about(
            request.document, document.id, request.request_id, replace=request.replace
        )
        now = self._clock.now()

        def work(connection: Connection) -> pb.ImportHistoryResponse:
            return history.import_document(
                connection, now, request.document, replace=request.replace
            )

        response, _ = await self._carry_out(
            actor, "ImportHistory", told, pb.ImportHistoryResponse, work
        )
        self._signals.notify(history.TOPIC)
        return response

    async def ListHistory(
        self, _request: pb.ListHistoryRequest, context: Any
    ) -> pb.ListHistoryResponse:
        await self._require(context)
        found = await self._database.run_read(history.list_all)
        return pb.ListHistoryResponse(results=[history.message(stored) for stored in found])

    async def RemoveHistory(
        self, request: pb.RemoveHistoryRequest, context: Any
    ) -> pb.RemoveHistoryResponse:
        actor = await self._require(context)
        if not is_history_id(request.history_id):
            raise InvalidRequest("Name a document of historical results.", field="history_id")

        def work(connection: Connection) -> pb.RemoveHistoryResponse:
            return history.remove(connection, request.history_id)

        response, _ = await self._carry_out(
            actor, "RemoveHistory", request, pb.RemoveHistoryResponse, work
        )
        self._signals.notify(history.TOPIC)
        return response

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Any
    ) -> pb.ListAuditEntriesResponse:
        await self._require(context)
        size = paging.page_size(request.page_size)
        before = paging.audit_place(request.page_token) if request.page_token else None
        rows = await self._database.run_read(audit.list_page, size + 1, before, request.action)
        return pb.ListAuditEntriesResponse(
            entries=[operations_views.audit_message(row) for row in rows[:size]],
            next_page_token=paging.token(str(rows[size - 1].entry_id)) if len(rows) > size else "",
        )

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


def _check_rejudgement_id(rejudgement_id: str) -> None:
    if not is_id(rejudgement_id, "rej"):
        raise InvalidRequest("Name a rejudgement, rej_….", field="rejudgement_id")


def _check_reason(reason: str) -> None:
    if not (0 < len(reason) <= REASON_CHARS_MAX and reason.isprintable()):
        raise InvalidRequest(
            f"Say why, in 1 to {REASON_CHARS_MAX} printable characters.", field="reason"
        )
