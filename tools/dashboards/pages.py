"""The public pages and the portal: how many read, how fast, and who is refused."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panel import COUNT, PER_SECOND, RATE, SECONDS, Dashboard, Panel, quantiles

PAGES: Final = Dashboard(
    "pages",
    "General-Level: pages",
    "Do readers get their pages, at once, and does anyone ask for more than a reader would?",
    (
        (
            "Readers",
            (
                Panel(
                    "Answers by status",
                    "5xx is ours; 4xx is an address that does not exist, or a limit.",
                    PER_SECOND,
                    (
                        (
                            f"sum by (status) (rate(gateway_web_requests_total{RATE}))",
                            "{{status}}",
                        ),
                    ),
                    alert="PagesFail",
                    stacked=True,
                ),
                Panel(
                    "Answers by kind of page",
                    "What is read.",
                    PER_SECOND,
                    ((f"sum by (page) (rate(gateway_web_requests_total{RATE}))", "{{page}}"),),
                    stacked=True,
                ),
                Panel(
                    "Open pages",
                    "Pages that listen for news; a gateway keeps 1,000 streams of them.",
                    COUNT,
                    (("sum(gateway_web_streams)", "streams"),),
                ),
            ),
        ),
        (
            "Speed and limits",
            (
                Panel(
                    "Time of an answer",
                    "A page that is kept takes milliseconds, one that is made up to a second.",
                    SECONDS,
                    quantiles("gateway_web_request_seconds", "page", "{{page}}"),
                ),
                Panel(
                    "Refused, per second",
                    "By the limit. `connections` and `requests` are one address, which may be a "
                    "proxy that GATEWAY_WEB_TRUSTED_PROXIES does not name.",
                    PER_SECOND,
                    ((f"sum by (limit) (rate(gateway_web_refused_total{RATE}))", "{{limit}}"),),
                ),
            ),
        ),
    ),
)
