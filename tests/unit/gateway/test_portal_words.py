"""Whatever may become of a submission has words in the portal."""

from __future__ import annotations

from datetime import timedelta

import pytest

from general_level.client.models import QuotaStatus, SubmissionState, TaskOutcome
from services.gateway.endings import Fault
from services.gateway.states import OVERDUE
from services.gateway.web import portal_words


def test_every_state_outcome_and_quota_status_has_words() -> None:
    assert set(portal_words.STATES) == set(SubmissionState)
    assert set(portal_words.OUTCOMES) == set(TaskOutcome)
    assert set(portal_words.QUOTA) == set(QuotaStatus)


@pytest.mark.parametrize(
    "code", [*(reason for _, reason in OVERDUE.values()), *(f"dead-letter:{one}" for one in Fault)]
)
def test_every_reason_of_an_end_has_words(code: str) -> None:
    said = portal_words.reason(code)
    assert said.endswith(".")
    assert code.rpartition(":")[2] not in said.split()


def test_a_code_of_a_newer_gateway_has_none() -> None:
    assert portal_words.reason("of-tomorrow") == ""
    assert portal_words.reason("") == ""


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (16 * 2**30, "17.2 GB")],
)
def test_sizes(count: int, said: str) -> None:
    assert portal_words.bytes_of(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than a minute"),
        (90, "about 2 min"),
        (7_100, "about 118 min"),
        (9_000, "about 2 h"),
    ],
)
def test_estimates_are_rounded(seconds: int, said: str) -> None:
    assert portal_words.duration(timedelta(seconds=seconds)) == said
