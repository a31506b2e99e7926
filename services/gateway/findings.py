"""Findings on their way from the checker and the graders to the lab: stored and sent bounded.

A grader names only codes and places; message and remedy come from the table of codes here, so no
text of a scoring process ever reaches a lab.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from general_level.submission.findings import RULES, Finding, Severity, printable
from general_level.v1 import submission_pb2 as pb

#: Findings kept of one task's grading.
FINDINGS_MAX: Final = 100
PATH_CHARS_MAX: Final = 300

_decoder = msgspec.json.Decoder(tuple[Finding, ...])


def dump(findings: Iterable[Finding]) -> bytes:
    """As stored in a row."""
    return msgspec.json.encode(tuple(findings))


def load(data: bytes | None) -> tuple[Finding, ...]:
    """From a row; none for NULL."""
    return _decoder.decode(data) if data else ()


def to_proto(finding: Finding) -> pb.Finding:
    """As a lab reads it."""
    return pb.Finding(
        code=finding.code,
        path=finding.path,
        row=finding.row,
        message=finding.message,
        remedy=finding.remedy,
        warning=finding.warning,
    )


def to_protos(data: bytes | None) -> list[pb.Finding]:
    """Those of a row as a lab reads them."""
    return [to_proto(finding) for finding in load(data)]


def from_grader(findings: Iterable[pb.Finding]) -> tuple[Finding, ...]:
    """Findings that a grader reported, in our own words; a code that no table knows is left out."""
    known = {code.value: rule for code, rule in RULES.items()}
    return tuple(
        Finding(
            code=finding.code,
            path=printable(finding.path, PATH_CHARS_MAX),
            row=finding.row if finding.HasField("row") else None,
            message=f"{known[finding.code].title}.",
            remedy="The list of findings in the labs' documentation says what to do.",
            warning=known[finding.code].severity is Severity.WARNING,
            data={},
        )
        for finding in list(findings)[:FINDINGS_MAX]
        if finding.code in known
    )
