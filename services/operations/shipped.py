"""The historical results that the platform carries: the levels of 102 models in the paper."""

from __future__ import annotations

from importlib.resources import files


def shipped_history() -> bytes:
    """The document, format ``general-level/history/v1``.

    Source: tables 12, 14 and 16 of arXiv 2505.04620. Its remarks say which printed figures do not
    follow from the published scores of the tasks.
    """
    return (files("services.operations") / "data" / "general-level-paper.json").read_bytes()
