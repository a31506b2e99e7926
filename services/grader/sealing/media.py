"""Which strings of an input or output name files of the task's folder."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.grader.sealing.layout import ANNOTATION_NAME

#: Longer strings are taken for text without a look at the disk; common systems stop at 255 a name.
MAX_PATH_CHARS: Final = 512

#: A string with one of these endings is meant as a file even if there is none.
MEDIA_ENDINGS: Final = frozenset({
    ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".exr", ".pdf",
    ".mp4", ".webm", ".mkv", ".mov", ".avi", ".flo",
    ".wav", ".flac", ".mp3", ".ogg", ".m4a", ".mid", ".midi",
    ".ply", ".obj", ".glb", ".gltf", ".off", ".stl", ".npy", ".npz", ".xyz", ".pcd",
})  # fmt: skip


@dataclass(slots=True)
class NamedFiles:
    """The files that one value names, as normalised paths relative to the task's folder.

    ``missing`` are not there. ``unsafe`` leave the folder, are links or lie behind one, or are the
    annotation itself: such a file is never copied anywhere.
    """

    found: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    unsafe: set[str] = field(default_factory=set)


def named_files(folder: Path, value: object) -> NamedFiles:
    """Looks up every string inside ``value`` (not the keys of objects) in ``folder``."""
    files = NamedFiles()
    for text in _strings(value):
        if not 0 < len(text) <= MAX_PATH_CHARS or "\0" in text or "\n" in text:
            continue
        path = posixpath.normpath(text)
        if _escapes(text, path) or path.casefold() == ANNOTATION_NAME:
            if _looks_like_file(folder, text) or path.casefold() == ANNOTATION_NAME:
                files.unsafe.add(path)
        elif _exists(folder / path):
            (files.found if _is_plain(folder, path) else files.unsafe).add(path)
        elif _looks_like_file(folder, text):
            files.missing.add(path)
    return files


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for element in value.values():
            yield from _strings(element)
    elif isinstance(value, list):
        for element in value:
            yield from _strings(element)


def _escapes(text: str, path: str) -> bool:
    return text.startswith("/") or "\\" in text or path == ".." or path.startswith("../")


def _exists(path: Path) -> bool:
    try:
        return path.is_symlink() or path.is_file()
    except (OSError, ValueError):  # a text that no file could be called
        return False


def _is_plain(folder: Path, path: str) -> bool:
    """Whether neither the file nor a folder on the way to it is a link."""
    step = folder
    for part in path.split("/"):
        step /= part
        if step.is_symlink():
            return False
    return step.is_file()


def _looks_like_file(folder: Path, text: str) -> bool:
    if posixpath.splitext(text)[1].casefold() not in MEDIA_ENDINGS or "://" in text:
        return False
    # A sentence can end in a file's name; with spaces it is a path if it begins at a folder.
    return not any(map(str.isspace, text)) or _is_directory(folder / text.partition("/")[0])


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
