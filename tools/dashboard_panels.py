"""What each dashboard shows: questions of whoever is on call, in the order in which they are asked.

Expressions name series of `tools.telemetry_registries`. What all gateways tell alike is taken by
``max``, what each counts itself is added up. ``$__rate_interval`` is Grafana's, ``$modality`` the
dashboard's own choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: Units as Grafana names them.
SECONDS: Final = "s"
BYTES: Final = "bytes"
COUNT: Final = "short"
PER_SECOND: Final = "ops"
SHARE: Final = "percentunit"
#: Bounds of a warning and of an alarm.
Thresholds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. ``queries`` are pairs of expression and legend; ``about`` says how to read it.

    ``thresholds`` are (warning, alarm): more is worse, or less is where warning is the greater.
    ``alert`` names the entry of the runbook that belongs to it. ``single`` shows the newest values
    as numbers instead of a graph.
    """

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    thresholds: Thresholds | None = None
    alert: str = ""
    single: bool = False
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard: its rows of panels, by title. ``by_modality`` offers a choice of them."""

    name: str
    title: str
    about: str
    rows: tuple[tuple[str, Sequence[Panel]], ...]
    by_modality: bool = False


_M: Final = 'modality=~"$modality"'
_RATE: Final = "[$__rate_interval]"


def _quantiles(
    series: str, by: str, legend: str, matchers: str = ""
) -> tuple[tuple[str, str], ...]:
    """Median, 95 % and 99 % of a histogram that each process counts itself."""
    return tuple(
        (
            f"histogram_quantile({share}, sum by ({by}, le) "
            f"(rate({series}_bucket{{{matchers}}}{_RATE})))",
            f"{legend} {name}",
        )
        for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )


def _state_quantile(share: float, by: str, matchers: str = "") -> str:
    """A quantile of the times in a state, which all gateways count alike."""
    return (
        f"histogram_quantile({share}, sum by ({by}, le) (max by (state, modality, le) "
        f"(rate(gateway_submission_state_seconds_bucket{{{matchers}}}[1h]))))"
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
                    ((_state_quantile(0.95, "state"), "{{state}}"),),
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
                    ((f"sum(rate(gateway_upload_bytes_total{_RATE}))", "bytes"),),
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
                            f"(rate(ranker_compute_seconds_bucket{_RATE})))",
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
                            f'rate(process_cpu_seconds_total{{namespace="general-level"}}{_RATE})',
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

QUEUE: Final = Dashboard(
    "queue",
    "General-Level: queue",
    "What waits, for how long, and how attempts end.",
    (
        (
            "Waiting",
            (
                Panel(
                    "Depth",
                    "Jobs that wait and that are with a grader.",
                    COUNT,
                    (
                        (
                            f"max by (modality, state) (gateway_queue_jobs{{{_M}}})",
                            "{{modality}} {{state}}",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "Oldest job",
                    "How long the oldest job that could be leased has waited.",
                    SECONDS,
                    (
                        (
                            f"max by (modality) (gateway_queue_oldest_seconds{{{_M}}})",
                            "{{modality}}",
                        ),
                    ),
                    (300, 900),
                    "QueueIsOld",
                ),
                Panel(
                    "Wait until leased",
                    "Of the jobs that were leased.",
                    SECONDS,
                    _quantiles("gateway_job_wait_seconds", "modality", "{{modality}}", _M),
                    (30, 300),
                ),
                Panel(
                    "Waits for a key or weights",
                    "Jobs that no grader could begin.",
                    COUNT,
                    (
                        (
                            f"max by (modality, fault) (gateway_queue_lacking_jobs{{{_M}}})",
                            "{{modality}} {{fault}}",
                        ),
                    ),
                    (1, 1),
                    "JobsLackKeysOrWeights",
                ),
            ),
        ),
        (
            "Leases",
            (
                Panel(
                    "Given",
                    "Leases that gateways gave.",
                    PER_SECOND,
                    (
                        (
                            "sum by (modality) "
                            f"(rate(gateway_leases_granted_total{{{_M}}}{_RATE}))",
                            "{{modality}}",
                        ),
                    ),
                ),
                Panel(
                    "Renewed and released",
                    "Heartbeats, and jobs given back untouched.",
                    PER_SECOND,
                    (
                        (
                            "sum by (modality) "
                            f"(rate(gateway_leases_renewed_total{{{_M}}}{_RATE}))",
                            "{{modality}} renewed",
                        ),
                        (
                            "sum by (modality) "
                            f"(rate(gateway_leases_released_total{{{_M}}}{_RATE}))",
                            "{{modality}} released",
                        ),
                    ),
                ),
                Panel(
                    "Lost in the last 30 minutes",
                    "Graders that were not heard of, or too slow.",
                    COUNT,
                    (
                        (
                            "sum by (modality, cause) "
                            f"(increase(gateway_leases_lost_total{{{_M}}}[30m]))",
                            "{{modality}} {{cause}}",
                        ),
                    ),
                    (1, 4),
                    "LeasesLost",
                ),
            ),
        ),
        (
            "Endings",
            (
                Panel(
                    "Attempts by outcome",
                    "All but `scored` and `refused` are faults of ours.",
                    PER_SECOND,
                    (
                        (
                            f"sum by (outcome) (rate(gateway_job_attempts_total{{{_M}}}{_RATE}))",
                            "{{outcome}}",
                        ),
                    ),
                    alert="AttemptsFail",
                    stacked=True,
                ),
                Panel(
                    "Share of attempts that failed",
                    "By a fault of ours.",
                    SHARE,
                    (
                        (
                            "sum by (modality) (rate(gateway_job_attempts_total"
                            f'{{{_M}, outcome!~"scored|refused"}}[30m])) / '
                            "clamp_min(sum by (modality) "
                            f"(rate(gateway_job_attempts_total{{{_M}}}[30m])), 1e-9)",
                            "{{modality}}",
                        ),
                    ),
                    (0.05, 0.2),
                    "AttemptsFail",
                ),
                Panel(
                    "Dead letters",
                    "Jobs that failed all attempts, ever.",
                    COUNT,
                    (
                        (
                            f"max by (modality) (gateway_dead_letter_jobs{{{_M}}})",
                            "{{modality}}",
                        ),
                    ),
                    alert="DeadLetters",
                ),
                Panel(
                    "Paused",
                    "1 while operators have paused the modality: its jobs wait on purpose.",
                    COUNT,
                    (
                        (
                            f"max by (modality) (gateway_modality_paused{{{_M}}})",
                            "{{modality}}",
                        ),
                    ),
                    (1, 1),
                ),
                Panel(
                    "Grading time of submissions, p95",
                    "From the first lease to the last score.",
                    SECONDS,
                    (
                        (
                            _state_quantile(0.95, "modality", 'state="grading"'),
                            "{{modality}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
    by_modality=True,
)

GRADERS: Final = Dashboard(
    "graders",
    "General-Level: graders",
    "Whether graders work, on what, and what it costs them.",
    (
        (
            "At work",
            (
                Panel(
                    "Ready",
                    "Graders that passed their self-test and take jobs.",
                    COUNT,
                    ((f"sum by (modality) (grader_ready{{{_M}}})", "{{modality}}"),),
                    (1, 0.5),
                    "NoGraderReady",
                ),
                Panel(
                    "Jobs held",
                    "Leased and not ended.",
                    COUNT,
                    ((f"sum by (modality) (grader_jobs_held{{{_M}}})", "{{modality}}"),),
                ),
                Panel(
                    "Attempts by outcome",
                    "As the graders saw them.",
                    PER_SECOND,
                    (
                        (
                            f"sum by (outcome) (rate(grader_jobs_total{{{_M}}}{_RATE}))",
                            "{{outcome}}",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "Findings in the last hour",
                    "The ten most frequent codes in labs' files.",
                    COUNT,
                    (
                        (
                            "topk(10, sum by (code) "
                            f"(increase(grader_findings_total{{{_M}}}[1h])) > 0)",
                            "{{code}}",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Time",
            (
                Panel(
                    "By stage, p95",
                    "`waiting` is for a place in the grader's pipeline.",
                    SECONDS,
                    (
                        (
                            "histogram_quantile(0.95, sum by (stage, le) "
                            f"(rate(grader_job_seconds_bucket{{{_M}}}{_RATE})))",
                            "{{stage}}",
                        ),
                    ),
                ),
                Panel(
                    "By metric family, p95",
                    "From a job's first byte to its score.",
                    SECONDS,
                    (
                        (
                            "histogram_quantile(0.95, sum by (family, le) "
                            f"(rate(grader_metric_job_seconds_bucket{{{_M}}}{_RATE})))",
                            "{{family}}",
                        ),
                    ),
                ),
                Panel(
                    "Work by metric family",
                    "Seconds of jobs in each second.",
                    COUNT,
                    (
                        (
                            f"sum by (family) (rate(grader_metric_job_seconds_sum{{{_M}}}{_RATE}))",
                            "{{family}}",
                        ),
                    ),
                    stacked=True,
                ),
            ),
        ),
        (
            "Trouble",
            (
                Panel(
                    "Leases lost in the last 30 minutes",
                    "The work on them was for nothing.",
                    COUNT,
                    (
                        (
                            f"sum by (modality) (increase(grader_leases_lost_total{{{_M}}}[30m]))",
                            "{{modality}}",
                        ),
                    ),
                    (1, 4),
                    "LeasesLost",
                ),
                Panel(
                    "Scorers restarted in the last 30 minutes",
                    "Ended by themselves or overran.",
                    COUNT,
                    (
                        (
                            "sum by (modality) "
                            f"(increase(grader_scorer_restarts_total{{{_M}}}[30m]))",
                            "{{modality}}",
                        ),
                    ),
                    (1, 4),
                    "ScorerRestarts",
                ),
                Panel(
                    "Calls to the gateway repeated",
                    "In the last 30 minutes.",
                    COUNT,
                    (
                        (
                            "sum by (modality) "
                            f"(increase(grader_gateway_errors_total{{{_M}}}[30m]))",
                            "{{modality}}",
                        ),
                    ),
                ),
                Panel(
                    "Walls missing",
                    "Hardening steps that the newest box works without.",
                    COUNT,
                    (
                        (
                            f"max by (modality) (grader_box_missing_walls{{{_M}}})",
                            "{{modality}}",
                        ),
                    ),
                ),
                Panel(
                    "Boxes started",
                    "In the last hour.",
                    COUNT,
                    (
                        (
                            f"sum by (modality) (increase(grader_box_starts_total{{{_M}}}[1h]))",
                            "{{modality}}",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Resources",
            (
                Panel(
                    "Memory of cards",
                    "In use by all, after the newest job; 0 without a card.",
                    BYTES,
                    (
                        (
                            f"max by (modality, pod) (grader_gpu_memory_used_bytes{{{_M}}})",
                            "{{modality}} {{pod}} used",
                        ),
                        (
                            f"max by (modality, pod) (grader_gpu_memory_peak_bytes{{{_M}}})",
                            "{{modality}} {{pod}} most of the scorer",
                        ),
                        (
                            f"max by (modality, pod) (grader_gpu_memory_size_bytes{{{_M}}})",
                            "{{modality}} {{pod}} size",
                        ),
                    ),
                ),
                Panel(
                    "Free disk for media",
                    "Where the content of media lies while it is graded.",
                    SHARE,
                    (
                        (
                            "min by (pod, place) (grader_disk_free_bytes / grader_disk_size_bytes)",
                            "{{pod}} {{place}}",
                        ),
                    ),
                    (0.2, 0.1),
                    "DiskFillsUp",
                ),
            ),
        ),
    ),
    by_modality=True,
)

FAIRNESS: Final = Dashboard(
    "fairness",
    "General-Level: fairness",
    "Whether labs are served alike. No series names a lab: the gateway's own commands do.",
    (
        (
            "Shares of the queue",
            (
                Panel(
                    "Labs that wait",
                    "Labs that have a job that waits.",
                    COUNT,
                    (("max by (modality) (gateway_queue_labs)", "{{modality}}"),),
                ),
                Panel(
                    "Spread of service",
                    "By how many jobs the best served lab that waits is ahead "
                    "of the worst served. One lease call's jobs (64) are within the rule.",
                    COUNT,
                    (("max by (modality) (gateway_queue_share_spread_jobs)", "{{modality}}"),),
                    (65, 200),
                    "SharesUneven",
                ),
                Panel(
                    "The largest lab's part of what waits",
                    "Large is normal with few labs: the others are served in turn all the same.",
                    SHARE,
                    (
                        (
                            "max by (modality) (gateway_queue_largest_lab_jobs) / "
                            'clamp_min(max by (modality) (gateway_queue_jobs{state="ready"}), 1)',
                            "{{modality}}",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Waiting",
            (
                Panel(
                    "Wait until leased",
                    "A median far below p99 says that some wait far longer.",
                    SECONDS,
                    _quantiles("gateway_job_wait_seconds", "modality", "{{modality}}"),
                ),
                Panel(
                    "Time queued, median and p95",
                    "Of submissions, by their board's modality.",
                    SECONDS,
                    (
                        (
                            _state_quantile(0.5, "modality", 'state="queued"'),
                            "{{modality}} p50",
                        ),
                        (
                            _state_quantile(0.95, "modality", 'state="queued"'),
                            "{{modality}} p95",
                        ),
                    ),
                ),
                Panel(
                    "Mean time in a state",
                    "By the modality of the board.",
                    SECONDS,
                    (
                        (
                            "max by (modality, state) "
                            "(rate(gateway_submission_state_seconds_sum[6h])) / "
                            "clamp_min(max by (modality, state) "
                            "(rate(gateway_submission_state_seconds_count[6h])), 1e-9)",
                            "{{modality}} {{state}}",
                        ),
                    ),
                ),
            ),
        ),
        (
            "Quotas",
            (
                Panel(
                    "Creates refused in the last hour",
                    "Labs at their quota are normal; a wave of "
                    "AGREEMENT_REQUIRED follows a new agreement.",
                    COUNT,
                    (
                        (
                            "sum by (reason) (increase(gateway_create_refusals_total[1h]))",
                            "{{reason}}",
                        ),
                    ),
                ),
                Panel(
                    "Given back in the last 24 hours",
                    "Submissions that cost their lab nothing.",
                    COUNT,
                    (
                        (
                            "max by (state) (delta(gateway_submissions"
                            '{state=~"rejected|failed|expired"}[24h]))',
                            "{{state}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

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
                            f"sum by (status) (rate(gateway_web_requests_total{_RATE}))",
                            "{{status}}",
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    "Answers by kind of page",
                    "What is read.",
                    PER_SECOND,
                    ((f"sum by (page) (rate(gateway_web_requests_total{_RATE}))", "{{page}}"),),
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
                    _quantiles("gateway_web_request_seconds", "page", "{{page}}"),
                ),
                Panel(
                    "Refused, per second",
                    "By the limit. `connections` and `requests` are one address, which may be a "
                    "proxy that GATEWAY_WEB_TRUSTED_PROXIES does not name.",
                    PER_SECOND,
                    ((f"sum by (limit) (rate(gateway_web_refused_total{_RATE}))", "{{limit}}"),),
                ),
            ),
        ),
    ),
)

DASHBOARDS: Final = (OVERVIEW, QUEUE, GRADERS, FAIRNESS, PAGES)
