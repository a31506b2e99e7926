"""The names of members: which are refused, which are junk, and whether one folder encloses all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from general_level.catalogue.model import LANGUAGE_FOLDER, Modality
from general_level.submission.codes import Code
from general_level.submission.limits import Limits

#: The top folders of an archive, and ``language``, which some write instead of ``nlp``.
TOP_FOLDERS: Final = frozenset({*(m.value for m in Modality), LANGUAGE_FOLDER})

_DRIVE: Final = re.compile(r"[A-Za-z]:")
#: Everything that can make a path unacceptable; a path without a match needs no closer look.
_SUSPECT: Final = re.compile(r"[^ -.0-9;-\[\]-~/]|^/|//|(?:^|/)\.{1,2}(?:/|$)")
_JUNK: Final = re.compile(
    r"(?:^|/)(?:__MACOSX(?:/|$)|\._[^/]*$|\.DS_Store$|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE
)

#: Unicode categories of characters that act on a terminal or cannot be seen at all.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

#: A code and what fills its message.
Fault = tuple[Code, Mapping[str, object]]


def path_fault(path: str, limits: Limits) -> Fault | None:
    """Why this member path is refused, as a code and its data, or None."""
    if _SUSPECT.search(path) and (fault := _character_fault(path)):
        return fault
    size = len(path) if path.isascii() else len(path.encode())
    if size > limits.path_bytes or (
        size > limits.name_bytes
        and max(len(part.encode()) for part in path.split("/")) > limits.name_bytes
    ):
        return Code.PATH_TOO_LONG, {"size": size, "limit": limits.path_bytes}
    depth = path.count("/") + 1
    if depth > limits.nesting_depth:
        return Code.NESTED_TOO_DEEP, {"depth": depth, "limit": limits.nesting_depth}
    return None


def _character_fault(path: str) -> Fault | None:
    for character in path:
        if unicodedata.category(character) in _INVISIBLE:
            return Code.NAME_UNPRINTABLE, {"character": f"U+{ord(character):04X}"}
    if "\\" in path:
        reason = "it has a backslash"
    elif path.startswith("/"):
        reason = "it is absolute"
    elif _DRIVE.match(path):
        reason = "it begins with a drive letter"
    elif not path:
        reason = "it is empty"
    else:
        parts = path.split("/")
        if ".." in parts:
            reason = "it has the part `..`"
        elif "." in parts or "" in parts:
            reason = "it has an empty part or the part `.`"
        else:
            return None
    return Code.PATH_ESCAPES, {"reason": reason}


def is_junk(path: str) -> bool:
    """Whether an operating system added this file by itself."""
    return _JUNK.search(path) is not None


def collision_key(path: str) -> str:
    """Equal for paths that are one file on a file system that ignores case or composes letters."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def enclosing_folder(paths: Iterable[str]) -> str:
    """The folder around the top folders that holds every path, or an empty string.

    Only a folder that directly holds ``image``, ``nlp`` or another top folder counts, so that
    nothing but the wrapping is ever offered for stripping.
    """
    prefix: list[str] | None = None
    for path in paths:
        folders = path.split("/")[:-1]
        if prefix is None:
            prefix = folders
            for index, part in enumerate(folders):
                if part in TOP_FOLDERS:
                    prefix = folders[:index]
                    break
            else:
                return ""
        if not prefix:
            return ""
        if folders[: len(prefix)] != prefix or folders[len(prefix) : len(prefix) + 1] == []:
            return ""
        if folders[len(prefix)] not in TOP_FOLDERS:
            return ""
    return "/".join(prefix or ())
