"""Log events are JSON lines with service, level, time and the ids as keys of their own."""

from __future__ import annotations

import contextlib
import io
import json
from datetime import datetime, timedelta

import pytest
import structlog

from services.kit.logging import configure_logging, get_logger


@pytest.fixture
def stream():
    out = io.StringIO()
    configure_logging("gateway", stream=out)
    yield out
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_an_event_is_one_json_line_with_its_keys(stream):
    get_logger(submission_id="sub_1").info("checked", findings=2)
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (
        event.items()
        >= {
            "event": "checked",
            "service": "gateway",
            "level": "info",
            "submission_id": "sub_1",
            "findings": 2,
        }.items()
    )
    assert datetime.fromisoformat(event["timestamp"]).utcoffset() == timedelta(0)


def test_an_error_keeps_its_traceback_on_the_same_line(stream):
    try:
        raise ValueError("inside\nof two lines")
    except ValueError as error:
        get_logger().error("failed", exc_info=error)
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: inside\nof two lines" in json.loads(line)["exception"]


def test_debug_events_are_left_out_by_default(stream):
    get_logger().debug("noise")
    assert stream.getvalue() == ""


class Terminal(io.StringIO):
    """A stream that says that somebody reads it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_traceback_shows_no_local_variable(kind):
    out = kind()
    configure_logging("scorer", stream=out)
    try:
        answer = "canary-" + "3c11"
        raise ValueError(len(answer))
    except ValueError as error:
        get_logger().error("failed", exc_info=error)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    assert "ValueError: 11" in out.getvalue()
    assert "canary-3c11" not in out.getvalue()


def test_what_a_full_disk_does_not_take_is_lost_and_nothing_else() -> None:
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115 - closing it fails as well
    configure_logging("gateway", stream=full)
    try:
        get_logger().info("checked", submission_id="sub_1")
        get_logger().error("broken", exc_info=ValueError("wrong"))
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        with contextlib.suppress(OSError):
            full.close()
