"""How the platform is: what whoever is on call looks at first."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panel import (
    BYTES,
    COUNT,
    RATE,
    SECONDS,
    SHARE,
    Dashboard,
    Panel,
    state_quantile,
)

OVERVIEW: Final = Dashboard(
    "overview",
    "General-Level: overview",
    "Is the platform healthy, and do labs get what they wait for?",
    (
        (
            "Now",
            (
                Panel(
                    "Gateways",
                    "Gateways that Prometheus reaches.",
                    COUNT,
                    (("count(gateway_ledger_position)", "gateways"),),
                    (1, 0.5),
                    "GatewayAbsent",
                    single=True,
                ),
                Panel(
                    "Graders ready",
                    "Graders that passed their self-test and take jobs.",
                    COUNT,
                    (("sum by (modality) (grader_ready)", "{{modality}}"),),
                    (1, 0.5),
                    "NoGraderReady",
                    single=True,
                ),
                Panel(
                    "Oldest job",
                    "How long the oldest job that could be leased has waited.",
                    SECONDS,
                    (("max by (modality) (gateway_queue_oldest_seconds)", "{{modality}}"),),
                    (300, 900),
                    "QueueIsOld",
                    single=True,
                ),
                Panel(
                    "Dead letters, 24 h",
                    "Jobs that failed all attempts; their labs are refunded.",
                    COUNT,
                    (("max by (modality) (delta(gateway_dead_letter_jobs[24h]))", "{{modality}}"),),
                    (1, 1),
                    "DeadLetters",
                    single=True,
                ),
                Panel(
                    "Waits for publication",
                    "How long the oldest complete submission waits for its boards.",
                    SECONDS,
                    (('max(gateway_submissions_oldest_seconds{state="ranking"})', "oldest"),),
                    (60, 600),
                    "StandingsStale",
                    single=True,
                ),
                Panel(
                    "Alerts",
                    "Alerts that fire now.",
                    COUNT,
                    (('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),),
                    (1, 3),
                    single=True,
                ),
            ),
        ),
        (
            "Submissions",
            (
                Panel(
                    "Under way, by state",
                    "Submissions that are not in a final state.",
                    COUNT,
                    (
                        (
                            "max by (state) (gateway_submissions"
                            '{state=~"created|uploading|checking|queued|grading|ranking"})',
                            "{{state}}",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "Ended in the last hour",
                    "`failed` is our fault and refunded.",
                    COUNT,
                    (
                        (
                            "max by (state) (delta(gateway_submissions"
                            '{state=~"published|rejected|failed|cancelled|expired"}[1h]))',
                            "{{state}}",
                        ),
                    ),
                    alert="SubmissionsFail",
                ),
                Panel(
                    "Time in each state, p95",
                    "Of the submissions that left it in the last hour.",
                    SECONDS,
                    ((state_quantile(0.95, "state"), "{{state}}"),),
                ),
                Panel(
                    "Oldest in each state",
                    "A state ends by itself after hours to days.",
                    SECONDS,
                    (("max by (state) (gateway_submissions_oldest_seconds)", "{{state}}"),),
                ),
                Panel(
                    "Upload",
                    "Bytes of archives that became durable.",
                    "Bps",
                    ((f"sum(rate(gateway_upload_bytes_total{RATE}))", "bytes"),),
                ),
                Panel(
                    "Findings of checks in the last hour",
                    "The ten most frequent codes. One code from many labs at once is our page's "
                    "fault, or our checker's.",
                    COUNT,
                    (
                        (
                            "topk(10, sum by (code) "
                            "(increase(gateway_check_findings_total[1h])) > 0)",
                            "{{code}}",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Standings",
            (
                Panel(
                    "Ledger lag",
                    "Entries that the boards do not reflect yet.",
                    COUNT,
                    (("max(ranker_ledger_lag_entries)", "entries"),),
                    (1, 100),
                    "RankerBehind",
                ),
                Panel(
                    "Age of the standings",
                    "Since they were last published; old where nothing was submitted.",
                    SECONDS,
                    (("time() - max(gateway_publication_timestamp_seconds > 0)", "age"),),
                ),
                Panel(
                    "Models per level",
                    "Rows of all boards of a scope; level 0 has no score.",
                    COUNT,
                    (
                        (
                            "max by (board_scope, level) (ranker_models_by_level)",
                            "{{board_scope}} level {{level}}",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "Publications in the last hour",
                    "Those not taken are tried again.",
                    COUNT,
                    (
                        ("sum(increase(ranker_publications_total[1h]))", "published"),
                        ("sum(increase(ranker_publication_failures_total[1h]))", "not taken"),
                        ("sum(increase(ranker_reconnects_total[1h]))", "stream broke"),
                    ),
                    alert="RankerBehind",
                ),
                Panel(
                    "Statements refused",
                    "Scores that do not verify. Any is an incident.",
                    COUNT,
                    (("sum by (what) (ranker_statements_refused_total)", "{{what}}"),),
                    (1, 1),
                    "StatementRefused",
                ),
                Panel(
                    "Computing",
                    "From a change of the ledger to the snapshots.",
                    SECONDS,
                    (
                        (
                            "histogram_quantile(0.95, sum by (le) "
                            f"(rate(ranker_compute_seconds_bucket{RATE})))",
                            "p95",
                        ),
                    ),
                    (0.5, 1.0),
                ),
            ),
        ),
        (
            "Machines",
            (
                Panel(
                    "Memory",
                    "Resident memory of each service's own process; a grader's scorer "
                    "and boxes come on top.",
                    BYTES,
                    (
                        (
                            'process_resident_memory_bytes{namespace="general-level"}',
                            "{{job}} {{pod}}",
                        ),
                    ),
                ),
                Panel(
                    "Processor",
                    "Cores that each service's own process uses.",
                    COUNT,
                    (
                        (
                            f'rate(process_cpu_seconds_total{{namespace="general-level"}}{RATE})',
                            "{{job}} {{pod}}",
                        ),
                    ),
                ),
                Panel(
                    "Free disk",
                    "Where rows and archives are on a disk of the gateway.",
                    SHARE,
                    (
                        (
                            "min by (place) (gateway_disk_free_bytes / gateway_disk_size_bytes)",
                            "{{place}}",
                        ),
                    ),
                    (0.2, 0.1),
                    "DiskFillsUp",
                ),
                Panel(
                    "Certificates end in",
                    "Renewal happens 30 days before.",
                    SECONDS,
                    (
                        (
                            "min by (use) (gateway_certificate_expiry_timestamp_seconds) - time()",
                            "gateway {{use}}",
                        ),
                    ),
                    (1_209_600, 604_800),
                    "CertificateEnds",
                ),
            ),
        ),
    ),
)
