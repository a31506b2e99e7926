"""Fairness: quotas, shares and refusals of labs."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panel import (
    COUNT,
    SECONDS,
    SHARE,
    Dashboard,
    Panel,
    quantiles,
    state_quantile,
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
                    quantiles("gateway_job_wait_seconds", "modality", "{{modality}}"),
                ),
                Panel(
                    "Time queued, median and p95",
                    "Of submissions, by their board's modality.",
                    SECONDS,
                    (
                        (
                            state_quantile(0.5, "modality", 'state="queued"'),
                            "{{modality}} p50",
                        ),
                        (
                            state_quantile(0.95, "modality", 'state="queued"'),
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
