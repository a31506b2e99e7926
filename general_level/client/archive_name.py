"""What an archive's file name says: ``<Model Name>-<Board ID>.zip``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from general_level.errors import InvalidRequest

SUFFIX = ".zip"


class ArchiveName(NamedTuple):
    """The two parts of an archive's name."""

    model_name: str
    board_id: str


def split_archive_name(name: str, board_ids: Iterable[str]) -> ArchiveName:
    """The model's name and the board; the board is the longest known id that the name ends in.

    InvalidRequest for another form and for a board that is not among ``board_ids``.
    """
    if not name.endswith(SUFFIX):
        raise InvalidRequest(f"The archive must be named <Model Name>-<Board ID>.zip, not {name!r}")
    stem = name[: -len(SUFFIX)]
    fitting = [board for board in board_ids if stem.endswith(f"-{board}")]
    if not fitting:
        raise InvalidRequest(
            f"The name {name!r} ends in no known board id; it must be <Model Name>-<Board ID>.zip"
        )
    board_id = max(fitting, key=len)
    model_name = stem[: -len(board_id) - 1]
    if not model_name.strip():
        raise InvalidRequest(f"The name {name!r} has no model name before the board id.")
    return ArchiveName(model_name, board_id)
