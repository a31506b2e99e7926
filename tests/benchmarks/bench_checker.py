"""How fast the checker is: ``python tests/benchmarks/bench_checker.py``.

Prints one line for each measurement: seconds, items per second, and the process's peak memory.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from general_level.catalogue import load
from general_level.catalogue.model import AnswerKind, Catalogue
from general_level.submission import FindingSink, check_archive, index_archive

MEMBERS = 70_000
ITEMS = 130_000
SPARSE_BYTES = 5 * 1024**3  # the archive's size, most of it one hole

_TEXT_VALUES = {
    AnswerKind.TEXT: "a man in a red coat walks along the river",
    AnswerKind.LABEL: "river bank",
    AnswerKind.LABELS: "person<p>place<p>organisation",
    AnswerKind.CODE: "def answer(x):\n    return x + 1\n",
    AnswerKind.NUMBER: 12.5,
    AnswerKind.SERIES: [1.5, 2.5, 3.25, 4.0],
    AnswerKind.RANKING: ["left of", "above", "inside"],
}


def measure(label: str, count: int, action: Callable[[], object]) -> None:
    """Runs ``action`` once and prints what it took."""
    start = time.perf_counter()
    action()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{label:48} {seconds:7.3f} s {count / seconds:12,.0f}/s   peak {peak:6.0f} MiB")


def many_members(path: Path) -> None:
    """70,000 stored members; a hole in front of the directory makes it 5 GiB."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(MEMBERS - 1):
            archive.writestr(f"image/generation/Some Task/output/{number:06}.png", b"x")
        archive.writestr("image/generation/Some Task/output/last.png", b"x")
        hole = SPARSE_BYTES - archive.start_dir
        archive.fp.seek(archive.start_dir + hole)  # type: ignore[union-attr]
        archive.start_dir += hole


def text_submission(path: Path, catalogue: Catalogue, extra: Mapping[str, object]) -> int:
    """All text-like tasks of the catalogue with 130,000 items; returns the number of items.

    Each task's first row gets the keys ``extra``, which sends the file the careful way.
    """
    tasks = [task for task in catalogue.tasks.values() if task.answer_kind in _TEXT_VALUES]
    each = ITEMS // len(tasks) + 1
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for task in tasks:
            value = _TEXT_VALUES[task.answer_kind]
            rows: list[dict[str, object]] = [
                {"id": f"{i:06}", "prediction": value} for i in range(each)
            ]
            rows[0].update(extra)
            archive.writestr(f"{task.archive_path}/prediction.json", json.dumps(rows))
    return each * len(tasks)


def main() -> None:
    """Makes the archives in a temporary folder and measures."""
    catalogue = load()
    with tempfile.TemporaryDirectory() as folder:
        members = Path(folder) / "members.zip"
        many_members(members)
        size = os.stat(members).st_size
        with members.open("rb") as file:
            measure(
                f"index of {MEMBERS:,} members, {size / 1024**3:.1f} GiB",
                MEMBERS,
                lambda: _index(file),
            )
        for label, extra in (("text items", {}), ("text items, row by row", {"note": 1})):
            text = Path(folder) / "text.zip"
            count = text_submission(text, catalogue, extra)
            with text.open("rb") as file:
                check = functools.partial(
                    check_archive, file, catalogue=catalogue, archive_name="X-A-full.zip"
                )
                measure(f"check of {count:,} {label}", count, check)


def _index(file: object) -> None:
    sink = FindingSink()
    index = index_archive(file, sink)  # type: ignore[arg-type]
    assert (len(index.members), sink.count) == (MEMBERS, 0), sink.findings


if __name__ == "__main__":
    main()
