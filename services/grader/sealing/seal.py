"""Sealing: from the benchmark's folder to public inputs, sealed keys and a report.

    OUT/public/boards/<board id>.zip   the inputs of a board
    OUT/public/ids.json                item ids by task, for the checker
    OUT/public/commitments.json        what the keys are bound to
    OUT/keys/<modality>.keys           the sealed keys (`services.grader.keys`)
    OUT/report.json                    what matched and what did not

OUT appears at once and complete, or not at all. Plain answers are never written to disk.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from general_level.catalogue import Board, Catalogue, Modality
from general_level.commitments import SALT_BYTES, PublishedCommitment
from general_level.errors import GeneralLevelError
from services.grader.identities import encrypt_to
from services.grader.key_files import KEY_FILE_NAMES
from services.grader.keys import ManifestEntry, seal_answers, write_bundle
from services.grader.sealing.layout import TaskNames, find_task_folders
from services.grader.sealing.prepare import PreparedTask, prepare, read_annotation
from services.grader.sealing.public import write_public
from services.grader.sealing.report import Problem, SealedTask, SealReport, Trouble

REPORT_NAME: Final = "report.json"

RandomBytes = Callable[[int], bytes]


class SealingRefused(GeneralLevelError):
    """The benchmark cannot be sealed like this."""

    reason = "SEALING_REFUSED"


def seal(
    benchmark: Path,
    out: Path,
    *,
    catalogue: Catalogue,
    recipients: Mapping[Modality, Sequence[str]],
    key_version: str = "1",
    board_ids: Sequence[str] | None = None,
    allow_unmatched: bool = False,
    random: RandomBytes = secrets.token_bytes,
) -> SealReport:
    """Seals the benchmark in the folder ``benchmark`` into the new folder ``out``.

    ``recipients`` are the age recipients (``age1…``) that can open each modality's keys.
    ``board_ids`` are the boards to make inputs bundles for; None is all that have an item.
    With problems and without ``allow_unmatched`` nothing is written and the report says so.
    Raises SealingRefused where ``out`` exists, ``benchmark`` is no folder, a board is unknown, the
    key version is empty, or a recipient is missing or none.
    """
    if not benchmark.is_dir():
        raise SealingRefused("There is no such folder.", path=benchmark)
    if out.exists() or out.is_symlink():
        raise SealingRefused("The folder for the result is there already.", path=out)
    if not key_version.strip():
        raise SealingRefused("A key version is not empty.")
    boards = _boards(catalogue, board_ids)
    prepared, problems, items_seen = _prepare_all(benchmark, catalogue)
    if board_ids is None:
        boards = [board for board in boards if not prepared.keys().isdisjoint(board.task_ids)]
    _check_recipients(recipients, {task.task.modality for task in prepared.values()})
    written = bool(prepared) and (allow_unmatched or not problems)
    report = SealReport(
        catalogue_id=catalogue.id,
        key_version=key_version,
        written=written,
        items_seen=items_seen,
        items_sealed=sum(len(task.keys) for task in prepared.values()),
        board_ids=[board.id for board in boards],
        tasks=[_sealed(task) for task in prepared.values()],
        problems=problems,
    )
    if report.items_sealed + sum(problem.items for problem in problems) != items_seen:
        raise AssertionError("an item is neither sealed nor reported")
    if written:
        with _NewFolder(out) as folder:
            commitments = _write_keys(
                folder, catalogue.id, key_version, recipients, prepared, random
            )
            write_public(
                folder / "public",
                catalogue=catalogue,
                boards=boards,
                tasks=prepared,
                commitments=commitments,
            )
            (folder / REPORT_NAME).write_bytes(report.to_json())
    return report


def _boards(catalogue: Catalogue, board_ids: Sequence[str] | None) -> list[Board]:
    if board_ids is None:
        return list(catalogue.boards.values())
    unknown = sorted(set(board_ids) - catalogue.boards.keys())
    if unknown:
        raise SealingRefused("There is no board of this id.", board_id=unknown[0])
    return [catalogue.boards[board_id] for board_id in dict.fromkeys(board_ids)]


def _check_recipients(
    recipients: Mapping[Modality, Sequence[str]], modalities: set[Modality]
) -> None:
    for modality in sorted(modalities):
        try:
            encrypt_to(recipients.get(modality, ()), b"")
        except ValueError as error:
            raise SealingRefused(f"The recipient: {error}.", modality=modality.value) from None


def _prepare_all(
    benchmark: Path, catalogue: Catalogue
) -> tuple[dict[str, PreparedTask], list[Problem], int]:
    """The sealable tasks in the catalogue's order, all problems, and the number of items seen."""
    folders, stray = find_task_folders(benchmark)
    problems = [Problem(Trouble.UNUSED_FILE, folder=path) for path in stray]
    names = TaskNames(catalogue)
    prepared: dict[str, PreparedTask] = {}
    items_seen = 0
    for folder in folders:
        annotation = read_annotation(folder.path)
        if annotation is None:
            problems.append(Problem(Trouble.UNREADABLE_ANNOTATION, folder=folder.relative))
            continue
        count = len(annotation.data)
        items_seen += count
        task = names.find(folder, annotation.task)
        if not isinstance(task, Trouble) and task.id in prepared:
            task = Trouble.TASK_TWICE
        if isinstance(task, Trouble):
            problems.append(Problem(task, folder=folder.relative, items=count))
            continue
        prepared[task.id], found = prepare(task, folder, annotation)
        problems += found
    for task in catalogue.tasks.values():
        if task.id not in prepared or not prepared[task.id].keys:
            problems.append(Problem(Trouble.TASK_WITHOUT_DATA, task_id=task.id))
    in_order = {t: prepared[t] for t in catalogue.tasks if t in prepared and prepared[t].keys}
    return in_order, problems, items_seen


def _write_keys(
    folder: Path,
    catalogue_id: str,
    key_version: str,
    recipients: Mapping[Modality, Sequence[str]],
    prepared: Mapping[str, PreparedTask],
    random: RandomBytes,
) -> list[PublishedCommitment]:
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    commitments: list[PublishedCommitment] = []
    for modality in Modality:
        tasks = [task for task in prepared.values() if task.task.modality is modality]
        if not tasks:
            continue

        def members(
            tasks: Sequence[PreparedTask] = tasks, to: Sequence[str] = recipients[modality]
        ) -> Iterator[tuple[ManifestEntry, bytes]]:
            for task in tasks:
                yield seal_answers(
                    recipients=to,
                    salt=random(SALT_BYTES).hex(),
                    task_id=task.task.id,
                    catalogue_id=catalogue_id,
                    key_version=key_version,
                    items=task.keys,
                    media={
                        name: (task.folder.path / name).read_bytes()
                        for name in sorted(task.answer_files)
                    },
                )

        entries = write_bundle(
            keys / KEY_FILE_NAMES[modality],
            modality=modality.value,
            catalogue_id=catalogue_id,
            key_version=key_version,
            members=members(),
        )
        commitments += [
            PublishedCommitment(
                entry.task_id, key_version, entry.commitment, entry.item_count, modality.value
            )
            for entry in entries
        ]
    return commitments


def _sealed(task: PreparedTask) -> SealedTask:
    return SealedTask(
        task_id=task.task.id,
        folder=task.folder.relative,
        item_count=len(task.keys),
        input_files=len(task.input_files),
        answer_files=len(task.answer_files),
    )


class _NewFolder:
    """A folder that is filled beside its place and takes its name when it is complete."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def __enter__(self) -> Path:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        # The random name of a dot folder keeps a broken run from being taken for a result.
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self._out.name}-", dir=self._out.parent))
        return self._folder

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                _make_durable(self._folder)
                self._folder.chmod(0o755)
                self._folder.rename(self._out)
                _sync(self._out.parent)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def _make_durable(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            _sync(Path(root) / name)
        _sync(Path(root))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
