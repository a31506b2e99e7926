"""Findings: what is wrong with a lab's file, where, and what to do about it.

A finding is about the lab's file and never about the platform. Its code is stable for ever: a
code is never given another meaning. ``python -m general_level.submission`` prints all codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from general_level.submission.codes import RULES, Code, Rule, Severity
from general_level.submission.limits import DEFAULT_LIMITS, Limits

__all__ = ["RULES", "Code", "Finding", "FindingSink", "Rule", "Severity", "printable"]

#: Characters of one value of the lab's file that a message repeats.
MAX_SHOWN_CHARS = 160

#: Characters of a member's path that a finding repeats.
MAX_SHOWN_PATH_CHARS = 300


class Finding(msgspec.Struct, frozen=True):
    """One fault of an archive.

    ``path`` is a member of the archive, empty for the archive as a whole. ``row`` is the 0-based
    index in the JSON list, None where the finding is not about one row. ``remedy`` says what to
    do. A ``warning`` does not refuse the archive. ``data`` is what varies, for programs.
    Every text is printable and of bounded length, whatever the archive holds.
    """

    code: str
    path: str
    row: int | None
    message: str
    remedy: str
    warning: bool
    data: dict[str, str]


def printable(text: str, max_chars: int = MAX_SHOWN_CHARS) -> str:
    """``text`` cut to ``max_chars`` with everything that a terminal could act on escaped."""
    cut = text[:max_chars]
    if not cut.isprintable():
        cut = "".join(
            c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
            for c in cut
        )
    return cut if len(text) <= max_chars else f"{cut}…"


class FindingSink:
    """Collects the findings of one check: counts all, keeps at most the reported number.

    Errors are kept before warnings, and of one code in one member only the first
    ``findings_per_code_and_member``, so that no fault hides another.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._errors: list[Finding] = []
        self._warnings: list[Finding] = []
        self._counts: Counter[str] = Counter()
        self._per_place: Counter[tuple[str, str]] = Counter()
        self._error_count = 0

    def add(self, code: Code, path: str = "", row: int | None = None, /, **data: object) -> None:
        """Records one finding; ``data`` fills the message and remedy of the code."""
        rule = RULES[code]
        warning = rule.severity is Severity.WARNING
        self._counts[code.value] += 1
        self._error_count += not warning
        kept = self._warnings if warning else self._errors
        if len(kept) >= self._limits.findings_reported:
            return
        place = (code.value, path)
        self._per_place[place] += 1
        if self._per_place[place] > self._limits.findings_per_code_and_member:
            return
        shown = {key: printable(str(value)) for key, value in data.items()}
        kept.append(
            Finding(
                code=code.value,
                path=printable(path, MAX_SHOWN_PATH_CHARS),
                row=row,
                message=rule.message.format_map(shown),
                remedy=rule.remedy.format_map(shown),
                warning=warning,
                data=shown,
            )
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings kept, errors first, each group in the order of discovery."""
        return (*self._errors, *self._warnings)[: self._limits.findings_reported]

    @property
    def count(self) -> int:
        """All findings, also those that are not kept."""
        return self._counts.total()

    @property
    def error_count(self) -> int:
        """All findings that refuse the archive."""
        return self._error_count

    @property
    def ok(self) -> bool:
        """True as long as nothing refuses the archive."""
        return self._error_count == 0

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each code was found."""
        return dict(self._counts)
