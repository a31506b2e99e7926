"""One job from its bytes to its outcome: box, then scorer, with the digests taken on the way.

The worker runs several jobs through one pipeline: while the scorer is at one, the next are read and
decoded.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from general_level.catalogue.limits import MAX_MEMBER_BYTES, MAX_MEMBERS, MAX_PATH_BYTES
from general_level.catalogue.model import Catalogue, Grading, Task
from general_level.submission.codes import Code
from services.grader import golden
from services.grader.computing import wants_content
from services.grader.decode.box import BoxRefusal, DecodeBox, Decoded, IncomingMember, MemberFault
from services.grader.decode.columns import FORMS
from services.grader.decode.contents import CONTENT_KINDS
from services.grader.decode.protocol import BoxFinding, DecodeRequest
from services.grader.metrics.families import family_of
from services.grader.outcomes import Fault, GraderFault, JobFinding, Refused, Scored
from services.grader.scorer_process import ScorerProcess
from services.grader.scoring import JobFacts
from services.grader.telemetry import Telemetry
from services.kit import tracing

#: One golden case may take this long; the first that asks a network waits until it is read.
SELF_TEST_SECONDS: Final = 600.0
#: Boxes that one attempt at a job may end: four media files, at each of which two end.
MAX_BOXES_PER_JOB: Final = 9
#: What a lab is told of a file that ends boxes, by how they ended.
_CULPRITS: Final = {Fault.OUT_OF_MEMORY: Code.MEDIA_TOO_LARGE}

#: Reads the members of a job from the start, each time that it is called.
Members = Callable[[], AsyncIterator[IncomingMember]]


def served_metrics(
    catalogue: Catalogue, modality: str, waiting: Collection[str] = ()
) -> tuple[str, ...]:
    """The metrics that this code can compute for the tasks of a modality.

    Those ``waiting`` for weights are left out.
    """
    used = {
        task.metric_id
        for task in catalogue.tasks.values()
        if task.modality.value == modality and is_served(catalogue, task)
    }
    return tuple(metric for metric in catalogue.metrics if metric in used.difference(waiting))


def is_served(catalogue: Catalogue, task: Task) -> bool:
    """Whether this code can grade a task: a scorer, a decoder for its answers, a golden case."""
    metric = catalogue.metrics[task.metric_id]
    return (
        metric.grading is not Grading.PLANNED
        and (task.answer_kind in FORMS or task.answer_kind in CONTENT_KINDS)
        and task.answer_kind in metric.answer_kinds
        and metric.id in golden.CASES
    )


@dataclass(frozen=True, slots=True)
class Job:
    """What the pipeline needs to know of a leased job."""

    job_id: str
    submission_id: str
    task_id: str
    catalogue_id: str
    archive_sha256: str
    ratings: bytes = field(repr=False)
    attempt: int


@dataclass(slots=True)
class _Box:
    """A box of one submission; jobs of the submission take turns in it."""

    box: DecodeBox | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Boxes:
    """The open boxes of submissions, the least recently used closed over ``capacity``.

    A submission has one, and a second one where it has media whose content is decoded: a box that
    loads the libraries for that takes far longer to start. ``start`` is told which is wanted.
    """

    def __init__(self, start: Callable[[bool], Awaitable[DecodeBox]], capacity: int) -> None:
        self._start = start
        self._capacity = capacity
        self._slots: OrderedDict[tuple[str, bool], _Box] = OrderedDict()

    async def decode(
        self, submission_id: str, request: DecodeRequest, members: AsyncIterator[IncomingMember]
    ) -> Decoded | BoxRefusal:
        """Decodes in the submission's box, which is started if there is none that lives."""
        key = (submission_id, request.content)
        slot = self._slots.setdefault(key, _Box())
        self._slots.move_to_end(key)
        slot.users += 1
        try:
            await self._shrink()
            async with slot.turn:
                if slot.box is None or not slot.box.alive:
                    await _close(slot)
                    with tracing.stage("box start"):
                        slot.box = await self._start(request.content)
                with tracing.stage("box decode"):
                    return await slot.box.decode(request, members)
        finally:
            slot.users -= 1

    async def _shrink(self) -> None:
        while len(self._slots) > self._capacity and await self._close_oldest_idle():
            pass

    async def close_idle(self) -> None:
        """Closes every box that no job uses now."""
        while await self._close_oldest_idle():
            pass

    async def _close_oldest_idle(self) -> bool:
        """Whether there was one. Looked for anew each time: a job may come while one closes."""
        key = next((key for key, slot in self._slots.items() if not slot.users), None)
        if key is None:
            return False
        await _close(self._slots.pop(key))
        return True

    async def close(self) -> None:
        """Closes all boxes."""
        while self._slots:
            _, slot = self._slots.popitem()
            await _close(slot)


async def _close(slot: _Box) -> None:
    box, slot.box = slot.box, None
    if box is not None:
        await box.close()


class MembersRead:
    """Passes members on to the box, checks their announced sizes, and keeps their digests.

    ``digests`` maps each member's path to its SHA-256 in hex, in the order of arrival.
    """

    def __init__(self, source: AsyncIterator[IncomingMember]) -> None:
        self._source = source
        self.digests: dict[str, str] = {}

    async def __aiter__(self) -> AsyncIterator[IncomingMember]:
        async for member in self._source:
            path_bytes = len(member.path.encode())
            if (
                not 0 < path_bytes <= MAX_PATH_BYTES
                or not 0 <= member.size_bytes <= MAX_MEMBER_BYTES
                or member.path in self.digests
                or len(self.digests) >= MAX_MEMBERS
            ):
                raise GraderFault(Fault.INTERNAL, "reading-members")
            yield IncomingMember(member.path, member.size_bytes, self._digesting(member))
            if member.path not in self.digests:
                raise GraderFault(Fault.INTERNAL, "reading-members")

    async def _digesting(self, member: IncomingMember) -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        size = 0
        async for chunk in member.chunks:
            size += len(chunk)
            if size > member.size_bytes:
                break
            digest.update(chunk)
            yield chunk
        if size != member.size_bytes:
            raise GraderFault(Fault.INTERNAL, "reading-members")
        self.digests[member.path] = digest.hexdigest()


class Pipeline:
    """Grades one job after another of one catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        boxes: Boxes,
        scorer: ScorerProcess,
        telemetry: Telemetry,
        score_seconds: float,
    ) -> None:
        self._catalogue = catalogue
        self._boxes = boxes
        self._scorer = scorer
        self._telemetry = telemetry
        self._score_seconds = score_seconds

    async def grade(self, job: Job, members: Members) -> Scored | Refused:
        """The job's outcome; GraderFault where it has none by a fault of ours."""
        task = self._task(job)
        with self._telemetry.family(family_of(task.metric_id)):
            result = await self._grade(job, task, members)
        self._telemetry.found(finding.code for finding in result.findings)
        return result

    async def _grade(self, job: Job, task: Task, members: Members) -> Scored | Refused:
        metric = self._catalogue.metrics[task.metric_id]
        request = DecodeRequest(
            task.answer_kind, task.options or {}, wants_content(metric, task.answer_kind)
        )
        with self._telemetry.stage("decoding"):
            decoded, digests = await self._decode(job, request, members)
        paths = list(digests)
        findings = tuple(_finding(found, paths) for found in decoded.findings)
        if isinstance(decoded, BoxRefusal):
            return Refused(findings)
        facts = JobFacts(
            submission_id=job.submission_id,
            task_id=job.task_id,
            catalogue_id=job.catalogue_id,
            archive_sha256=job.archive_sha256,
            members={f"{task.archive_path}/{path}": digest for path, digest in digests.items()},
            ratings=job.ratings,
        )
        try:
            with self._telemetry.stage("scoring"):
                score = await self._scorer.score(
                    facts, decoded.arrays, self._score_seconds, decoded.parts
                )
        finally:
            decoded.close()
        about_rows = tuple(
            JobFinding(code.value, paths[0], row, warning=True)
            for code, rows in (
                (Code.UNKNOWN_ID, score.unknown_rows),
                (Code.ANSWER_DOES_NOT_FIT, score.unfit_rows),
            )
            for row in rows
        )
        return Scored(
            score.value,
            score.standard_error,
            score.item_count,
            score.missing_count,
            score.envelope,
            findings + about_rows,
        )

    async def _decode(
        self, job: Job, request: DecodeRequest, members: Members
    ) -> tuple[Decoded | BoxRefusal, Mapping[str, str]]:
        """What the box made of the members, and their digests by path.

        A media file at which two boxes ended is the cause: it becomes a finding of its items, and
        the others are decoded without it.
        """
        suspects: set[int] = set()
        for _ in range(MAX_BOXES_PER_JOB - 1):
            reading = MembersRead(members())
            try:
                decoded = await self._boxes.decode(job.submission_id, request, aiter(reading))
            except MemberFault as fault:
                # prediction.json is number 0: what ends a box there is no media file.
                if not request.content or not fault.member:
                    raise
                if fault.member in suspects:
                    code = _CULPRITS.get(fault.fault, Code.MEDIA_UNREADABLE)
                    request = replace(request, skip={**request.skip, fault.member: code})
                suspects.add(fault.member)
            else:
                return decoded, reading.digests
        reading = MembersRead(members())
        decoded = await self._boxes.decode(job.submission_id, request, aiter(reading))
        return decoded, reading.digests

    def _task(self, job: Job) -> Task:
        task = self._catalogue.tasks.get(job.task_id)
        if task is None or job.catalogue_id != self._catalogue.id:
            raise GraderFault(Fault.KEY_UNAVAILABLE, "reading-job")
        if not is_served(self._catalogue, task):
            raise GraderFault(Fault.INTERNAL, "reading-job")
        return task

    async def self_test(self, metric_ids: tuple[str, ...]) -> list[str]:
        """Grades the golden case of each metric; the metrics whose known score did not come out.

        Raises GraderFault where no box or no scorer can be started at all.
        """
        failed: list[str] = []
        for case in golden.for_metrics(metric_ids):
            content = wants_content(self._catalogue.metrics[case.metric_id], case.kind)
            request = DecodeRequest(case.kind, case.options, content)
            decoded = await self._boxes.decode("self-test", request, _members(case.members))
            if isinstance(decoded, BoxRefusal):
                failed.append(case.metric_id)
                continue
            try:
                await self._scorer.self_test(
                    case.metric_id, decoded.arrays, SELF_TEST_SECONDS, decoded.parts
                )
            except GraderFault as fault:
                if fault.stage == "starting-scorer":
                    raise
                failed.append(case.metric_id)
            finally:
                decoded.close()
        return failed

    async def close_idle(self) -> None:
        """Gives back what no job uses."""
        await self._boxes.close_idle()

    async def close(self) -> None:
        """Ends all child processes."""
        await self._boxes.close()
        await self._scorer.close()


async def _members(files: Mapping[str, bytes]) -> AsyncIterator[IncomingMember]:
    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        yield data

    for path, data in files.items():
        yield IncomingMember(path, len(data), chunks(data))


def _finding(found: BoxFinding, paths: list[str]) -> JobFinding:
    path = paths[found.member] if found.member < len(paths) else ""
    return JobFinding(found.code.value, path, found.row, found.warning)
