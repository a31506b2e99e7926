"""What the fleet believes of a gateway and of a grader that answers over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from general_level.catalogue.model import Modality
from services.gateway.queue_telemetry import QueueTelemetry
from services.grader.fleet_policy import Reading
from services.grader.fleet_readings import TelemetryUnavailable, read_jobs_held, read_queue
from services.grader.telemetry import Telemetry as GraderTelemetry
from services.kit.telemetry import MetricsServer, Registry


@contextmanager
def _answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of one connection that says what ``answer`` sends; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    answer(connection)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/metrics"
        finally:
            thread.join()


def _body(text: str, status: str = "200 OK") -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(
        f"HTTP/1.0 {status}\r\n\r\n{text}".encode("utf-8", "surrogateescape")
    )


def _why(url: str, **limits: float) -> str:
    with pytest.raises(TelemetryUnavailable) as caught:
        read_queue(url, **limits)  # type: ignore[arg-type]
    return caught.value.metadata["why"]


def test_a_gateways_own_telemetry_is_read() -> None:
    registry = Registry()
    telemetry = QueueTelemetry(registry)
    for state, jobs in (("ready", 7), ("leased", 2)):
        telemetry.queue_jobs.labels(Modality.IMAGE, state).set(jobs)
    telemetry.queue_oldest.labels(Modality.IMAGE).set(12.5)
    telemetry.queue_oldest.remove(Modality.VIDEO)
    server = MetricsServer(registry, 0, "127.0.0.1")
    try:
        # A modality without an age is not told of: that is no empty queue.
        told = dict.fromkeys(Modality, Reading(0, 0.0)) | {Modality.IMAGE: Reading(9, 12.5)}
        del told[Modality.VIDEO]
        assert read_queue(f"http://127.0.0.1:{server.port}/metrics") == told
    finally:
        server.close()


def test_a_graders_own_telemetry_is_read() -> None:
    telemetry = GraderTelemetry("image")
    telemetry.held(3)
    server = MetricsServer(telemetry.registry, 0, "127.0.0.1")
    try:
        assert read_jobs_held(f"http://127.0.0.1:{server.port}/metrics") == 3
    finally:
        server.close()


@pytest.mark.parametrize("number", ["NaN", "+Inf", "-1", "1e300", "many"])
def test_a_number_that_cannot_be_one_is_not_believed(number: str) -> None:
    with _answering(
        _body(f'gateway_queue_jobs{{modality="image",state="ready"}} {number}\n')
    ) as url:
        assert _why(url) == "unreadable"


@pytest.mark.parametrize(
    "text", ["{", 'gateway_queue_jobs{modality="image" 1\n', "\udcff\udcfe 3 4 5"]
)
def test_what_is_no_telemetry_is_told_so(text: str) -> None:
    with _answering(_body(text)) as url:
        assert _why(url) == "unreadable"


def test_another_answer_is_no_empty_queue() -> None:
    with _answering(_body("", "503 Busy")) as url:
        assert _why(url) == "status"
    with _answering(_body("", "302 Found\r\nLocation: http://127.0.0.1:1/")) as url:
        assert _why(url) == "status"
    with _answering(lambda connection: connection.sendall(b"\x00" * 100)) as url:
        assert _why(url) == "unreachable"
    assert _why("http://127.0.0.1:1/metrics") == "unreachable"


def test_an_answer_is_bounded_in_bytes() -> None:
    with _answering(_body("# " + "x" * 5000)) as url:
        assert _why(url, bytes_max=1000) == "too-large"


def test_an_answer_is_bounded_in_seconds_however_it_drips() -> None:
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        # A piece long before each limit on a piece, for as long as somebody listens.
        while not ended.wait(0.05):
            connection.sendall(b"#\n")

    with _answering(drip) as url:
        try:
            assert _why(url, seconds_max=0.5) == "too-slow"
        finally:
            ended.set()
