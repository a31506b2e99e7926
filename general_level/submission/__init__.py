"""The checker of submissions: the same code for a lab offline and in the gateway.

* `check_archive` checks a whole archive and returns a `CheckReport` with all findings;
* `index_archive` and `open_member` read an archive without extracting it;
* `parse_predictions` reads one prediction.json by the schema of its answer kind.

``docs/labs/format.md`` describes the format, ``docs/labs/findings.md`` every code.
"""

from general_level.submission.archive import (
    ArchiveIndex,
    Member,
    MemberDamaged,
    index_archive,
    open_member,
)
from general_level.submission.check import CheckedTask, CheckReport, check_archive
from general_level.submission.findings import RULES, Code, Finding, FindingSink, Rule, Severity
from general_level.submission.limits import DEFAULT_LIMITS, Limits
from general_level.submission.schema import Predictions, parse_predictions

__all__ = [
    "DEFAULT_LIMITS",
    "RULES",
    "ArchiveIndex",
    "CheckReport",
    "CheckedTask",
    "Code",
    "Finding",
    "FindingSink",
    "Limits",
    "Member",
    "MemberDamaged",
    "Predictions",
    "Rule",
    "Severity",
    "check_archive",
    "index_archive",
    "open_member",
    "parse_predictions",
]
