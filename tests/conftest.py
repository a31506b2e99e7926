"""What every test has: no test's output holds what another test's gateway says."""

from __future__ import annotations

import threading

import pytest
import structlog

from tests.support.background import GATEWAY_THREAD


def _logger(*_arguments: object) -> structlog.PrintLogger | structlog.ReturnLogger:
    """Prints, except for the gateway of the contract tests, which outlives each of them."""
    if threading.current_thread().name == GATEWAY_THREAD:
        return structlog.ReturnLogger()
    return structlog.PrintLogger()


@pytest.fixture(autouse=True)
def _quiet_gateway() -> None:
    structlog.configure(logger_factory=_logger)
