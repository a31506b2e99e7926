"""The check of a whole archive: the same code for a lab offline and in the gateway.

    with open("My Model-A-full.zip", "rb") as file:
        report = check_archive(file, catalogue=load(), archive_name="My Model-A-full.zip")
    for finding in report.findings:
        print(finding.code, finding.path, finding.row, finding.message, finding.remedy)

Nothing is extracted, one member at a time is in memory, and no state outlives the call; the
report is plain data that passes between processes by pickle or by msgspec.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import BinaryIO, Final

import msgspec

from general_level.catalogue.model import Board, Catalogue, Task
from general_level.submission.answer_forms import form_of
from general_level.submission.archive import (
    Member,
    MemberDamaged,
    index_archive,
    open_member,
    read_member,
)
from general_level.submission.codes import Code
from general_level.submission.findings import Finding, FindingSink
from general_level.submission.layout import (
    PREDICTION_FILE,
    assign_members,
    prediction_file_hint,
)
from general_level.submission.limits import DEFAULT_LIMITS, Limits
from general_level.submission.naming import parse_archive_name
from general_level.submission.schema import Predictions, parse_predictions

__all__ = ["CheckReport", "CheckedTask", "check_archive"]

#: Absent item ids that a report names.
MAX_ABSENT_IDS_SHOWN: Final = 5


class CheckedTask(msgspec.Struct, frozen=True):
    """What the archive has for one task.

    ``members`` is the prediction.json first, then the media files that its rows name.
    ``missing_id_count`` and ``unknown_id_count`` are 0 where the task's ids are not known.
    ``missing_ids`` names the first few.
    """

    task_id: str
    members: tuple[Member, ...]
    item_count: int
    missing_id_count: int = 0
    missing_ids: tuple[str, ...] = ()
    unknown_id_count: int = 0


class CheckReport(msgspec.Struct, frozen=True):
    """The outcome of a check.

    ``ok`` is False where any finding is an error. ``board_id`` and ``model_name`` are empty where
    the name does not tell them. ``findings`` are at most the limit, errors first;
    ``finding_count`` counts all, ``counts`` by code. ``tasks`` are the board's tasks that have a
    prediction.json, ``unsupported_task_ids`` those that have none, both in the board's order.
    ``enclosing_folder`` was taken off every path where it is not empty.
    """

    archive_name: str
    board_id: str
    model_name: str
    ok: bool
    findings: tuple[Finding, ...]
    finding_count: int
    error_count: int
    counts: dict[str, int]
    tasks: dict[str, CheckedTask]
    unsupported_task_ids: tuple[str, ...]
    enclosing_folder: str = ""


def check_archive(
    file: BinaryIO,
    *,
    catalogue: Catalogue,
    archive_name: str,
    item_ids: Mapping[str, Collection[str]] | None = None,
    allow_strip: bool = False,
    read_media: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> CheckReport:
    """Checks the archive in the seekable ``file`` and reports all findings at once.

    ``item_ids`` are the ids of each task's items by task id; without them ids are checked for
    form and duplicates only. ``allow_strip`` accepts one folder around everything. ``read_media``
    also unpacks every media file that a row names to prove its checksum, which reads the whole
    archive. Raises what ``file`` raises, and nothing for what it holds.
    """
    sink = FindingSink(limits)
    name = parse_archive_name(archive_name, catalogue.boards, sink)
    board = catalogue.boards.get(name.board_id)
    index = index_archive(file, sink, allow_strip=allow_strip, limits=limits)
    board_task_ids = board.task_ids if board else tuple(catalogue.tasks)
    found = assign_members(index.members, catalogue, board_task_ids, sink)
    check = _Check(file, item_ids or {}, sink, limits, read_media=read_media)
    on_board = frozenset(board_task_ids)
    tasks: dict[str, CheckedTask] = {}
    for task_id, members in found.items():
        task = catalogue.tasks[task_id]
        if board and task_id not in on_board:
            _report_off_board(task, board, sink)
        elif PREDICTION_FILE not in members:
            sink.add(
                Code.NO_PREDICTION_FILE,
                task.archive_path,
                hint=prediction_file_hint(members),
                expected=f"{task.archive_path}/{PREDICTION_FILE}",
            )
        else:
            tasks[task_id] = check.task(task, members)
    return CheckReport(
        archive_name=archive_name,
        board_id=name.board_id,
        model_name=name.model_name,
        ok=sink.ok,
        findings=sink.findings,
        finding_count=sink.count,
        error_count=sink.error_count,
        counts=dict(sink.counts),
        tasks={task_id: tasks[task_id] for task_id in board_task_ids if task_id in tasks},
        unsupported_task_ids=tuple(t for t in board.task_ids if t not in tasks) if board else (),
        enclosing_folder=index.enclosing_folder,
    )


def _report_off_board(task: Task, board: Board, sink: FindingSink) -> None:
    sink.add(Code.TASK_NOT_ON_BOARD, task.archive_path, None, task=task.id, board=board.id)


class _Check:
    """The check of single tasks, with what is common to all of them."""

    def __init__(
        self,
        file: BinaryIO,
        item_ids: Mapping[str, Collection[str]],
        sink: FindingSink,
        limits: Limits,
        *,
        read_media: bool,
    ) -> None:
        self._file = file
        self._item_ids = item_ids
        self._sink = sink
        self._limits = limits
        self._read_media = read_media

    def task(self, task: Task, members: Mapping[str, Member]) -> CheckedTask:
        """Checks the prediction.json of one task and the media files that it names."""
        answer_file = members[PREDICTION_FILE]
        errors_before = self._sink.error_count
        predictions = self._predictions(task, answer_file)
        clean = self._sink.error_count == errors_before
        media = self._media(task, members, predictions)
        if clean:
            self._report_unused(task, members, media)
        known = self._item_ids.get(task.id)
        absent: list[str] = []
        unknown_count = 0
        if known is not None:
            unknown_count = self._report_unknown(answer_file, predictions, frozenset(known))
            if clean:
                absent = self._report_absent(answer_file, predictions, known)
        return CheckedTask(
            task_id=task.id,
            members=(answer_file, *media.values()),
            item_count=len(predictions.ids),
            missing_id_count=len(absent),
            missing_ids=tuple(absent[:MAX_ABSENT_IDS_SHOWN]),
            unknown_id_count=unknown_count,
        )

    def _predictions(self, task: Task, member: Member) -> Predictions:
        limit = self._limits.prediction_json_bytes
        if member.size_bytes > limit:
            self._sink.add(Code.JSON_TOO_LARGE, member.path, size=member.size_bytes, limit=limit)
            return Predictions([], [], [])
        try:
            data = read_member(self._file, member)
        except MemberDamaged as damaged:
            self._sink.add(damaged.code, damaged.path, None, **damaged.data)
            return Predictions([], [], [])
        return parse_predictions(
            task.answer_kind,
            task.options,
            data,
            path=member.path,
            sink=self._sink,
            limits=self._limits,
        )

    def _media(
        self, task: Task, members: Mapping[str, Member], predictions: Predictions
    ) -> dict[str, Member]:
        """The media members that the rows name, each once, in the order of the rows."""
        paths_of = form_of(task.answer_kind, task.options).media_paths
        named: dict[str, Member] = {}
        if paths_of is None:
            return named
        answer_path = members[PREDICTION_FILE].path
        folded: dict[str, str] = {}
        for row, value in zip(predictions.rows, predictions.values, strict=True):
            for path in paths_of(value):
                member = members.get(path)
                if member is None:
                    folded = folded or {name.casefold(): name for name in members}
                    inside = path.removeprefix(f"{task.archive_path}/")
                    near = inside if inside in members else folded.get(path.casefold(), "")
                    hint = f"; it has {near}" if near else ""
                    self._sink.add(Code.MEDIA_MISSING, answer_path, row, value=path, hint=hint)
                elif member.size_bytes == 0:
                    self._sink.add(Code.MEDIA_EMPTY, answer_path, row, value=path)
                elif path not in named:
                    named[path] = member
                    self._prove(member)
        return named

    def _prove(self, member: Member) -> None:
        if not self._read_media:
            return
        try:
            for _ in open_member(self._file, member):
                pass
        except MemberDamaged as damaged:
            self._sink.add(damaged.code, damaged.path, None, **damaged.data)

    def _report_unused(
        self, task: Task, members: Mapping[str, Member], media: Mapping[str, Member]
    ) -> None:
        unused = [path for path in members if path != PREDICTION_FILE and path not in media]
        if unused:
            self._sink.add(
                Code.UNUSED_FILES, task.archive_path, None, count=len(unused), example=unused[0]
            )

    def _report_unknown(
        self, member: Member, predictions: Predictions, known: frozenset[str]
    ) -> int:
        count = 0
        for row, item_id in zip(predictions.rows, predictions.ids, strict=True):
            if item_id not in known:
                count += 1
                self._sink.add(Code.UNKNOWN_ID, member.path, row, id=item_id)
        return count

    def _report_absent(
        self, member: Member, predictions: Predictions, known: Collection[str]
    ) -> list[str]:
        present = frozenset(predictions.ids)
        absent = [item_id for item_id in known if item_id not in present]
        if absent:
            example = ", ".join(absent[:MAX_ABSENT_IDS_SHOWN])
            self._sink.add(
                Code.ABSENT_IDS,
                member.path,
                None,
                count=len(absent),
                total=len(known),
                example=example,
            )
        return absent
