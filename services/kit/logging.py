"""Structured logs: JSON lines when nobody watches, readable lines on a terminal."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog


def configure_logging(
    service: str, *, level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Sends every log event of this process to ``stream`` (standard error by default).

    Events carry ``service``, ``level`` and an ISO 8601 UTC ``timestamp``; ids such as
    ``submission_id`` and ``job_id`` are keys of their own, so that one search follows a submission.
    An event that cannot be written is lost.
    """
    out = stream or sys.stderr
    render: list[structlog.typing.Processor]
    if out.isatty():
        # Not the formatter that shows local variables: they may hold anything.
        render = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        render = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Lossy(out))),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)


class _Lossy:
    """A stream that raises nothing: no work ends because a full disk does not take what it says."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def get_logger(**values: object) -> structlog.typing.FilteringBoundLogger:
    """A logger with these values bound."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**values)
    return logger
