"""The queue: what waits, how long, and what holds it up."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panel import (
    COUNT,
    PER_SECOND,
    RATE,
    SECONDS,
    SHARE,
    Dashboard,
    M,
    Panel,
    quantiles,
    state_quantile,
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
                            f"max by (modality, state) (gateway_queue_jobs{{{M}}})",
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
                            f"max by (modality) (gateway_queue_oldest_seconds{{{M}}})",
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
                    quantiles("gateway_job_wait_seconds", "modality", "{{modality}}", M),
                    (30, 300),
                ),
                Panel(
                    "Waits for a key or weights",
                    "Jobs that no grader could begin.",
                    COUNT,
                    (
                        (
                            f"max by (modality, fault) (gateway_queue_lacking_jobs{{{M}}})",
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
                            f"sum by (modality) (rate(gateway_leases_granted_total{{{M}}}{RATE}))",
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
                            f"sum by (modality) (rate(gateway_leases_renewed_total{{{M}}}{RATE}))",
                            "{{modality}} renewed",
                        ),
                        (
                            f"sum by (modality) (rate(gateway_leases_released_total{{{M}}}{RATE}))",
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
                            f"(increase(gateway_leases_lost_total{{{M}}}[30m]))",
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
                            f"sum by (outcome) (rate(gateway_job_attempts_total{{{M}}}{RATE}))",
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
                            f'{{{M}, outcome!~"scored|refused"}}[30m])) / '
                            "clamp_min(sum by (modality) "
                            f"(rate(gateway_job_attempts_total{{{M}}}[30m])), 1e-9)",
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
                            f"max by (modality) (gateway_dead_letter_jobs{{{M}}})",
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
                            f"max by (modality) (gateway_modality_paused{{{M}}})",
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
                            state_quantile(0.95, "modality", 'state="grading"'),
                            "{{modality}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
    by_modality=True,
)
