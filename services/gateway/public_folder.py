"""What sealing published beside the inputs: the ids of the items, the commitments to the keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from general_level.commitments import PublishedCommitment, load_commitments
from general_level.errors import ReceiptInvalid, Unavailable

IDS_FILE: Final = "ids.json"
COMMITMENTS_FILE: Final = "commitments.json"


class CommitmentsUnreadable(Unavailable):
    """The published list of key commitments cannot be read."""

    reason = "COMMITMENTS_UNREADABLE"


class PublishedCommitments:
    """The list in ``commitments.json`` of a folder; read again when the file was replaced.

    Without a folder, or without the file in it, nothing is published.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / COMMITMENTS_FILE if folder else None
        self._read: tuple[tuple[int, int], tuple[PublishedCommitment, ...]] | None = None

    def entries(self) -> tuple[PublishedCommitment, ...] | None:
        """The published commitments, None where there is no list; CommitmentsUnreadable."""
        if self._path is None:
            return None
        try:
            info = self._path.stat()
            version = (info.st_size, info.st_mtime_ns)
            known = self._read
            if known is None or known[0] != version:
                known = self._read = (version, load_commitments(self._path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ReceiptInvalid) as error:
            raise CommitmentsUnreadable(kind=type(error).__name__) from error
        return known[1]

    def by_key(self) -> Mapping[tuple[str, str], str] | None:
        """The commitment of each (task id, key version), None where there is no list."""
        entries = self.entries()
        if entries is None:
            return None
        return {(entry.task_id, entry.key_version): entry.commitment for entry in entries}


@cache
def item_ids(path: str) -> Mapping[str, frozenset[str]] | None:
    """The public item ids by task, read once; None where no inputs were published."""
    if not path:
        return None
    data = json.loads(Path(path).read_bytes())
    return {task_id: frozenset(ids) for task_id, ids in data.items()}
