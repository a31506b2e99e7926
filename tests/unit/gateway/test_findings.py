"""Findings keep their place on the way to the lab; a grader's words do not get through."""

from __future__ import annotations

from general_level.submission.codes import RULES, Code, Severity
from general_level.submission.findings import Finding
from general_level.v1 import submission_pb2 as pb
from services.gateway import findings

CANARY = "canary-90d2"
ROWED = Finding("GL999", "a/b.json", 0, "Wrong.", "Mend it.", True, {"key": "value"})
WHOLE = Finding("GL998", "", None, "Wrong, too.", "Mend that.", False, {})


def test_findings_come_back_as_they_were_stored():
    assert findings.load(findings.dump([ROWED, WHOLE])) == (ROWED, WHOLE)
    assert findings.load(None) == findings.load(findings.dump([])) == ()


def test_a_lab_reads_row_zero_as_a_row_and_no_row_as_none():
    rowed, whole = findings.to_proto(ROWED), findings.to_proto(WHOLE)
    assert rowed.HasField("row")
    assert rowed.row == 0
    assert not whole.HasField("row")
    assert (rowed.code, rowed.path, rowed.message, rowed.remedy, rowed.warning) == (
        "GL999", "a/b.json", "Wrong.", "Mend it.", True,
    )  # fmt: skip


def test_text_of_a_grader_reaches_no_lab():
    code = next(iter(Code))
    (kept,) = findings.from_grader(
        [pb.Finding(code=code.value, path="p", row=3, message=CANARY, remedy=CANARY)]
    )
    assert (kept.code, kept.path, kept.row) == (code.value, "p", 3)
    assert CANARY not in repr(kept)
    assert kept.message.startswith(RULES[code].title)


def test_a_code_that_no_table_knows_is_left_out():
    assert findings.from_grader([pb.Finding(code=CANARY, path="p")]) == ()


def test_the_severity_is_the_tables_and_not_the_graders():
    for severity in Severity:
        code = next(code for code, rule in RULES.items() if rule.severity is severity)
        for claimed in (False, True):
            (kept,) = findings.from_grader([pb.Finding(code=code.value, warning=claimed)])
            assert kept.warning == (severity is Severity.WARNING)


def test_a_grader_cannot_flood_or_colour_a_terminal():
    code = next(iter(Code)).value
    flood = [pb.Finding(code=code, path="\x1b[31m" + "x" * 5_000)] * 500
    kept = findings.from_grader(flood)
    assert len(kept) == findings.FINDINGS_MAX
    assert all(len(one.path) < 2 * findings.PATH_CHARS_MAX for one in kept)
    assert "\x1b" not in kept[0].path
