"""Archives and a catalogue for the checker's tests, made in memory."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from general_level.catalogue.model import (
    AnswerKind,
    Board,
    Catalogue,
    Direction,
    Grading,
    Metric,
    Modality,
    Paradigm,
    Reference,
    ReferenceList,
    Scope,
    ScoreMapping,
    Skill,
    Task,
)
from general_level.submission import CheckReport, check_archive

C, G = Paradigm.COMPREHENSION, Paradigm.GENERATION


def _task(task_id: str, modality: Modality, paradigm: Paradigm, folder: str, kind: AnswerKind,
          aliases: tuple[str, ...] = ()) -> Task:  # fmt: skip
    return Task(
        id=task_id,
        modality=modality,
        paradigm=paradigm,
        skill_id="S-1",
        name=folder,
        short_name=folder[:10],
        folder=folder,
        metric_id="accuracy",
        answer_kind=kind,
        specialist="",
        workbook_row=1,
        aliases=aliases,
    )


TASKS = (
    _task(
        "image-c-1", Modality.IMAGE, C, "Leaf Disease Naming", AnswerKind.TEXT, ("Leaf Illness",)
    ),
    _task("image-c-2", Modality.IMAGE, C, "Crowd Counting", AnswerKind.NUMBER),
    _task("image-c-3", Modality.IMAGE, C, "Car Detection", AnswerKind.BOXES),
    _task("image-c-4", Modality.IMAGE, C, "Crack Masks", AnswerKind.MASKS),
    _task("image-g-1", Modality.IMAGE, G, "Sketch Colouring", AnswerKind.IMAGE),
    _task("audio-c-1", Modality.AUDIO, C, "Bird Song Naming", AnswerKind.LABEL),
    _task("language-1", Modality.LANGUAGE, Paradigm.NONE, "Entity Tagging", AnswerKind.LABELS),
    _task("language-2", Modality.LANGUAGE, Paradigm.NONE, "Forecasting", AnswerKind.SERIES),
)


def catalogue(tasks: Iterable[Task] = TASKS) -> Catalogue:
    """A small catalogue: boards A-full (all tasks), B-image and C-image."""
    by_id = {task.id: task for task in tasks}
    image = tuple(task_id for task_id in by_id if task_id.startswith("image"))

    def board(board_id: str, task_ids: tuple[str, ...]) -> Board:
        return Board(board_id, board_id, Scope(board_id[0]), task_ids, (), C, None, 3)

    metric = Metric(
        "accuracy", "Accuracy", Direction.HIGHER, "percent", ScoreMapping.IDENTITY, None, 0, 100,
        Grading.AUTOMATIC, 1, "", "",
    )  # fmt: skip
    references = ReferenceList(
        "paper", "", "", {task_id: Reference(task_id, 50.0, "", "") for task_id in by_id}
    )
    boards = (board("A-full", tuple(by_id)), board("B-image", image), board("C-image", image[:2]))
    return Catalogue(
        id="test",
        title="Test",
        date="2025-01-01",
        metrics={"accuracy": metric},
        skills={"S-1": Skill("S-1", "", "", Modality.IMAGE, C)},
        tasks=by_id,
        boards={b.id: b for b in boards},
        reference_lists={"paper": references},
        default_reference_list="paper",
    )


TEXT_PATH = "image/comprehension/Leaf Disease Naming/prediction.json"
NUMBER_PATH = "image/comprehension/Crowd Counting/prediction.json"
IMAGE_FOLDER = "image/generation/Sketch Colouring"


def answers(*values: object) -> bytes:
    """A prediction.json with the ids 0, 1, 2, …"""
    return json.dumps([{"id": str(i), "prediction": v} for i, v in enumerate(values)]).encode()


def pack(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An ordinary archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


GOOD = {TEXT_PATH: answers("rust", "mildew")}


def check(archive: bytes, name: str = "Model X-A-full.zip", **options: object) -> CheckReport:
    """Checks an archive in memory against the small catalogue."""
    options.setdefault("catalogue", catalogue())
    return check_archive(io.BytesIO(archive), archive_name=name, **options)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RawEntry:
    """One entry whose local and directory records are written as told, true or not."""

    name: bytes
    content: bytes = b"[]"
    method: int = 0
    flags: int = 0x0800
    mode: int = 0o100644
    size: int | None = None  # what both records claim; None: the truth
    crc: int | None = None
    local: Mapping[str, object] = field(default_factory=dict)  # what only the local header claims
    offset: int | None = None  # what the directory claims
    disk: int = 0

    def packed(self) -> bytes:
        if self.method != 8:
            return self.content
        squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return squeezer.compress(self.content) + squeezer.flush()

    def records(self, position: int) -> tuple[bytes, bytes]:
        """Local header with content, and directory record."""
        packed = self.packed()
        size = len(self.content) if self.size is None else self.size
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        lied = replace(self, local={}, **self.local) if self.local else self  # type: ignore[arg-type]
        local_size = size if lied.size is None else lied.size
        local = struct.pack(
            "<4s5H3L2H", b"PK\x03\x04", 20, lied.flags, lied.method, 0, 0x21,
            crc if lied.crc is None else lied.crc, len(packed), local_size, len(lied.name), 0,
        )  # fmt: skip
        central = struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 0x0314, 20, self.flags, self.method, 0, 0x21, crc,
            len(packed), size, len(self.name), 0, 0, self.disk, 0, self.mode << 16,
            position if self.offset is None else self.offset,
        )  # fmt: skip
        return local + lied.name + packed, central + self.name


def raw_pack(entries: Iterable[RawEntry], /, **end: int) -> bytes:
    """An archive of raw entries; ``end`` overrides fields of the end record."""
    body, directory, count = b"", b"", 0
    for entry in entries:
        local, central = entry.records(len(body))
        body += local
        directory += central
        count += 1
    fields = {"disk": 0, "directory_disk": 0, "disk_entries": count, "entries": count,
              "size": len(directory), "offset": len(body), "comment": 0, **end}  # fmt: skip
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", *fields.values())
