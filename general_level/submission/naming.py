"""``<Model Name>-<Board ID>.zip``: what the name of an archive says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from general_level.catalogue.limits import MAX_MODEL_NAME_CHARS
from general_level.submission.codes import Code
from general_level.submission.findings import FindingSink

_ENDING: Final = ".zip"
_SEPARATORS: Final = re.compile(r"[\s_\-]+")
#: How alike a wrong board id must be to be taken for a slip of the keyboard, 0 to 1.
_BOARD_LIKENESS: Final = 0.8
_FORBIDDEN_IN_MODEL_NAMES: Final = frozenset('/\\:*?"<>|')


class ArchiveName(NamedTuple):
    """Model name and board id; each is empty where the name does not tell it."""

    model_name: str
    board_id: str


def fold(name: str) -> str:
    """Equal for names that differ in case, spaces, hyphens and underscores only."""
    return _SEPARATORS.sub("", name).casefold()


def parse_archive_name(name: str, board_ids: Collection[str], sink: FindingSink) -> ArchiveName:
    """Splits an archive's name at the longest known board id and reports what is wrong with it."""
    if not name.endswith(_ENDING):
        sink.add(Code.BAD_ARCHIVE_NAME, name=name, example=min(board_ids, default="A-full"))
        return ArchiveName("", "")
    stem = name.removesuffix(_ENDING)
    matching = [board for board in board_ids if stem.endswith(f"-{board}") or stem == board]
    if not matching:
        near = _nearest_board(stem, board_ids)
        sink.add(Code.UNKNOWN_BOARD, name=name, hint=f"; did you mean {near}" if near else "")
        return ArchiveName("", "")
    board_id = max(matching, key=len)
    model_name = stem[: -len(board_id) - 1]
    reason = _model_name_fault(model_name)
    if reason:
        sink.add(Code.BAD_MODEL_NAME, reason=reason)
    return ArchiveName(model_name, board_id)


def _model_name_fault(name: str) -> str:
    if not name.strip():
        return "it is empty"
    if name != name.strip():
        return "it begins or ends with a space"
    if len(name) > MAX_MODEL_NAME_CHARS:
        return f"it has more than {MAX_MODEL_NAME_CHARS} characters"
    if not name.isprintable() or _FORBIDDEN_IN_MODEL_NAMES & set(name):
        return 'it has an unprintable character or one of / \\ : * ? " < > |'
    return ""


def _nearest_board(stem: str, board_ids: Iterable[str]) -> str:
    """The board that the lab probably meant, or an empty string."""
    by_fold = {fold(board): board for board in board_ids}
    folded = fold(stem)
    ends = [key for key in by_fold if folded.endswith(key)]
    if ends:
        return by_fold[max(ends, key=len)]
    parts = _SEPARATORS.split(stem[-4 * MAX_MODEL_NAME_CHARS :])
    for count in range(min(5, len(parts)), 0, -1):
        tail = fold("".join(parts[-count:]))
        near = difflib.get_close_matches(tail, by_fold, n=1, cutoff=_BOARD_LIKENESS)
        if near:
            return by_fold[near[0]]
    return ""
