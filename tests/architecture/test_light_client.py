"""The labs' client stays light: what it imports, how long that takes, and which names it has."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import general_level.client

EXPORTED = [
    "Agreement",
    "Board",
    "Client",
    "Finding",
    "Interval",
    "KeyCommitment",
    "LevelScores",
    "ModalityScores",
    "ModelMetadata",
    "Progress",
    "Quota",
    "QuotaHolder",
    "QuotaStatus",
    "QuotaWindow",
    "RetryPolicy",
    "Standing",
    "Standings",
    "Submission",
    "SubmissionState",
    "Task",
    "TaskOutcome",
    "TaskResult",
    "TimelineEntry",
    "TransferProgress",
    "is_loopback",
]

#: Services, scoring, and the libraries of both.
HEAVY = ["torch", "numpy", "scipy", "sqlalchemy", "structlog", "services", "pyrage"]
#: What comes in only with the command that needs it.
LAZY = ["cryptography", "rich", "general_level.submission"]

IMPORT_SECONDS = 0.5


def modules_after(statement: str) -> tuple[set[str], float]:
    """The modules in a fresh interpreter after a statement, and the statement's CPU seconds."""
    code = (
        "import json, sys, time\n"
        "began = time.process_time()\n"
        f"{statement}\n"
        "print(json.dumps([sorted(sys.modules), time.process_time() - began]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    names, seconds = json.loads(done.stdout)
    return set(names), seconds


def test_the_exported_names_are_these() -> None:
    assert general_level.client.__all__ == EXPORTED
    assert all(hasattr(general_level.client, name) for name in EXPORTED)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import general_level.client", [*HEAVY, *LAZY, "click"]),
        ("import general_level.client.cli", [*HEAVY, *LAZY]),
        ("import general_level.testing", HEAVY),
        ("import general_level.receipts", HEAVY),
        ("import general_level.submission.check", HEAVY),
    ],
)
def test_what_labs_import_brings_nothing_heavy(statement: str, absent: list[str]) -> None:
    modules, _ = modules_after(statement)
    assert "general_level" in modules
    assert modules.isdisjoint(absent)


def test_the_client_imports_quickly() -> None:
    # The fastest of three, in CPU time: a busy machine must not decide.
    seconds = min(modules_after("import general_level.client")[1] for _ in range(3))
    assert seconds < IMPORT_SECONDS
