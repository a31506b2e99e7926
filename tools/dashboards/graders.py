"""Graders: what they grade, how fast, and what fails there."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panel import (
    BYTES,
    COUNT,
    PER_SECOND,
    RATE,
    SECONDS,
    SHARE,
    Dashboard,
    M,
    Panel,
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
                    ((f"sum by (modality) (grader_ready{{{M}}})", "{{modality}}"),),
                    (1, 0.5),
                    "NoGraderReady",
                ),
                Panel(
                    "Jobs held",
                    "Leased and not ended.",
                    COUNT,
                    ((f"sum by (modality) (grader_jobs_held{{{M}}})", "{{modality}}"),),
                ),
                Panel(
                    "Attempts by outcome",
                    "As the graders saw them.",
                    PER_SECOND,
                    (
                        (
                            f"sum by (outcome) (rate(grader_jobs_total{{{M}}}{RATE}))",
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
                            f"(increase(grader_findings_total{{{M}}}[1h])) > 0)",
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
                            f"(rate(grader_job_seconds_bucket{{{M}}}{RATE})))",
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
                            f"(rate(grader_metric_job_seconds_bucket{{{M}}}{RATE})))",
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
                            f"sum by (family) (rate(grader_metric_job_seconds_sum{{{M}}}{RATE}))",
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
                            f"sum by (modality) (increase(grader_leases_lost_total{{{M}}}[30m]))",
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
                            f"(increase(grader_scorer_restarts_total{{{M}}}[30m]))",
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
                            f"(increase(grader_gateway_errors_total{{{M}}}[30m]))",
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
                            f"max by (modality) (grader_box_missing_walls{{{M}}})",
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
                            f"sum by (modality) (increase(grader_box_starts_total{{{M}}}[1h]))",
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
                            f"max by (modality, pod) (grader_gpu_memory_used_bytes{{{M}}})",
                            "{{modality}} {{pod}} used",
                        ),
                        (
                            f"max by (modality, pod) (grader_gpu_memory_peak_bytes{{{M}}})",
                            "{{modality}} {{pod}} most of the scorer",
                        ),
                        (
                            f"max by (modality, pod) (grader_gpu_memory_size_bytes{{{M}}})",
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
