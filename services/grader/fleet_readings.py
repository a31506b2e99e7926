"""What the fleet asks over HTTP: the gateway's queue, and what a grader holds.

Both answer in Prometheus' text form. A grader reads untrusted bytes, so its answer is bounded in
bytes and seconds as the gateway's is, and nothing of it is used but one number.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from general_level.catalogue.model import Modality
from general_level.errors import Unavailable
from services.grader.fleet_policy import Reading

#: Of the gateway's telemetry, some 50 kB as it is.
TELEMETRY_BYTES_MAX: Final = 4 * 1024 * 1024
#: From the connection to the last byte.
TELEMETRY_SECONDS_MAX: Final = 5.0
#: A grader is beside us, and answers at once or is busy.
GRADER_SECONDS_MAX: Final = 2.0
#: More jobs than any queue holds; a number beyond it is none.
_JOBS_MAX: Final = 10**12

_QUEUE_JOBS: Final = "gateway_queue_jobs"
_QUEUE_OLDEST: Final = "gateway_queue_oldest_seconds"
_JOBS_HELD: Final = "grader_jobs_held"


class TelemetryUnavailable(Unavailable):
    """The telemetry of another service cannot be read now."""

    reason = "FLEET_TELEMETRY_UNAVAILABLE"


def read_queue(
    url: str, *, bytes_max: int = TELEMETRY_BYTES_MAX, seconds_max: float = TELEMETRY_SECONDS_MAX
) -> dict[Modality, Reading]:
    """The queue of each modality of which the gateway tells both jobs and age.

    Raises TelemetryUnavailable with ``why``: unreachable, status, too-large, too-slow, unreadable.
    """
    jobs: dict[str, float] = {}
    oldest: dict[str, float] = {}
    for sample in _samples(_fetched(url, bytes_max, seconds_max)):
        modality = sample.labels.get("modality", "")
        if sample.name == _QUEUE_JOBS:
            jobs[modality] = jobs.get(modality, 0.0) + _plain(sample)
        elif sample.name == _QUEUE_OLDEST:
            oldest[modality] = _plain(sample)
    return {
        modality: Reading(int(jobs[modality]), oldest[modality])
        for modality in Modality
        if modality in jobs and modality in oldest
    }


def read_jobs_held(
    url: str, *, bytes_max: int = TELEMETRY_BYTES_MAX, seconds_max: float = GRADER_SECONDS_MAX
) -> int | None:
    """The jobs that a grader holds; None where it does not say. TelemetryUnavailable, as above."""
    for sample in _samples(_fetched(url, bytes_max, seconds_max)):
        if sample.name == _JOBS_HELD:
            return int(_plain(sample))
    return None


def _samples(text: str) -> Iterator[Sample]:
    try:
        for family in text_string_to_metric_families(text):
            yield from family.samples
    except (ValueError, IndexError, KeyError) as error:
        # The parser says what it could not read by whichever error came of it.
        raise TelemetryUnavailable(why="unreadable") from error


def _plain(sample: Sample) -> float:
    """A number of things or seconds; what cannot be one is not believed."""
    if not (math.isfinite(sample.value) and 0 <= sample.value <= _JOBS_MAX):
        raise TelemetryUnavailable(why="unreadable")
    return float(sample.value)


def _fetched(url: str, bytes_max: int, seconds_max: float) -> str:
    """The body, by one GET without proxy or redirect."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=seconds_max)
    cut = threading.Event()
    try:
        connection.connect()
        # The connection's own limit is for each piece; one who sends drops would never end.
        cutter = threading.Timer(seconds_max, _cut, (connection.sock, cut))
        cutter.daemon = True
        cutter.start()
        try:
            connection.request("GET", parts.path or "/")
            with connection.getresponse() as response:
                status, body = response.status, response.read(bytes_max + 1)
        finally:
            cutter.cancel()
    except (OSError, HTTPException) as error:
        slow = cut.is_set() or isinstance(error, TimeoutError)
        raise TelemetryUnavailable(why="too-slow" if slow else "unreachable") from error
    finally:
        connection.close()
    if cut.is_set():
        raise TelemetryUnavailable(why="too-slow")
    if status != HTTPStatus.OK:
        raise TelemetryUnavailable(why="status", status=status)
    if len(body) > bytes_max:
        raise TelemetryUnavailable(why="too-large", bytes_max=bytes_max)
    return body.decode("utf-8", errors="replace")


def _cut(sock: socket.socket, cut: threading.Event) -> None:
    cut.set()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
