"""What the pages tell Prometheus. No address of a reader and none of a page is ever a label."""

from __future__ import annotations

from typing import Final

from services.kit.telemetry import Registry

#: The first segment of a route tells the kind of page; streams of events and uploads are kinds of
#: their own.
OTHER: Final = "other"
EVENTS: Final = "events"
UPLOADS: Final = "uploads"
HEALTH: Final = "healthz"
PAGES: Final = (
    *("home", "boards", "models", "tasks", "skills", "compare", "versions", "rules", "published"),
    "acknowledgements",
    *("take-part", "findings", "sign-in", "portal", "pictures", "static"),
    *(HEALTH, EVENTS, UPLOADS, OTHER),
)
#: Last as long as the reader likes, or as the archive is large.
_LASTING: Final = frozenset({EVENTS, UPLOADS})
CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")
#: What refuses a reader.
REQUESTS: Final = "requests"
SEARCHES: Final = "searches"
RENDERS: Final = "renders"
SIGN_INS: Final = "sign-ins"
STREAMS: Final = "streams"
CONNECTIONS: Final = "connections"
WAITING: Final = "waiting"
LIMITS: Final = (REQUESTS, SEARCHES, RENDERS, SIGN_INS, STREAMS, CONNECTIONS, WAITING)
#: From a page that is kept to one that waits for a busy database.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


class WebTelemetry:
    """The series of one gateway's pages."""

    def __init__(self, registry: Registry) -> None:
        self._requests = registry.counter(
            "gateway_web_requests_total",
            "Requests that the pages answered, by kind of page and class of status; a stream "
            "counts when it ends.",
            page=PAGES,
            status=CLASSES,
        )
        self._seconds = registry.histogram(
            "gateway_web_request_seconds",
            "Time from a request to the end of its answer, without streams and uploads.",
            _SECONDS,
            page=(page for page in PAGES if page not in _LASTING),
        )
        self._streams = registry.gauge(
            "gateway_web_streams", "Open pages that listen for news at this gateway."
        )
        self._refused = registry.counter(
            "gateway_web_refused_total",
            "Refused by a limit: `requests` of an address, `searches` made for it alone, `renders` "
            "of pages that it reads first, `sign-ins`, `streams`, its `connections`, or a page "
            "because too many were `waiting` to be made.",
            limit=LIMITS,
        )

    def answered(self, page: str, status: int, seconds: float) -> None:
        """A request of this kind of page was answered."""
        self._requests.labels(page, f"{status // 100}xx").inc()
        if page not in _LASTING:
            self._seconds.labels(page).observe(seconds)

    def streams(self, change: int) -> None:
        """So many streams more, or less."""
        self._streams.inc(change)

    def refused(self, limit: str) -> None:
        """This limit refused a request."""
        self._refused.labels(limit).inc()


def kind_of(path: str) -> str:
    """The kind of page at an address."""
    if path.endswith("/events"):
        return EVENTS
    if path.endswith("/archive"):
        return UPLOADS
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return (first or "home") if (first or "home") in PAGES else OTHER
