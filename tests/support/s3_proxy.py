"""Stands before a server of S3 and makes it ill: 503 for every request, late answers, or none.

It also mends the one thing in which rclone is none: the answer to a range has status 200 there,
with the right bytes and ``Content-Range``; S3 and every client of it have 206.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class IllS3:
    """``endpoint`` passes requests on while it is well. Use it as a context."""

    def __init__(self, target: str) -> None:
        self._server = _Server(urlsplit(target).netloc)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def answers(self) -> Counter[int]:
        """How many answers of each status were given."""
        return self._server.answers

    def refuse(self, methods: str = "GET HEAD PUT POST DELETE") -> None:
        """503 until `recover`, for these methods."""
        self._server.refused = frozenset(methods.split())

    def hold(self) -> None:
        """No answer until `recover`."""
        self._server.well.clear()

    def slow_down(self, seconds: float) -> None:
        """Every answer comes so much later until `recover`."""
        self._server.delay_seconds = seconds

    def recover(self) -> None:
        self._server.refused = frozenset()
        self._server.delay_seconds = 0.0
        self._server.well.set()

    @property
    def requests(self) -> int:
        """How many requests were answered."""
        return self._server.answers.total()

    def refused(self, times: int) -> bool:
        """Whether so many requests were refused."""
        return self._server.answers[503] >= times

    def __enter__(self) -> IllS3:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.recover()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.refused: frozenset[str] = frozenset()
        self.delay_seconds = 0.0
        self.well = threading.Event()
        self.well.set()
        self.answers: Counter[int] = Counter()

    def handle_error(self, *_about: object) -> None:
        """A client that gave up is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.well.wait()
        time.sleep(self.server.delay_seconds)
        if self.command in self.server.refused:
            self._answer(503, [("content-type", "application/xml")], _BUSY)
            return
        connection = http.client.HTTPConnection(self.server.target, timeout=30)
        try:
            # With the client's own Host: it is signed.
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            ranged = answer.getheader("content-range") is not None
            status = 206 if ranged and answer.status == 200 else answer.status
            self._answer(status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.server.answers[status] += 1
        self.send_response_only(status)
        length = next((v for k, v in headers if k.lower() == "content-length"), str(len(body)))
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
