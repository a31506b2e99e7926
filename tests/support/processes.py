"""The child processes of a process, found as an operator would: in /proc."""

from __future__ import annotations

import os
from pathlib import Path


def children(word: str, parent: int | None = None) -> list[int]:
    """Process ids of the living children of ``parent``, or else of this process, by their command.

    One of its words is ``word``: the module in ``python -m module``.
    """
    parent = os.getpid() if parent is None else parent
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            its_parent = int(folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
            words = folder.joinpath("cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if its_parent == parent and word.encode() in words:
            found.append(int(folder.name))
    return sorted(found)
