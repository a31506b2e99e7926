"""What a lab asks about itself: submissions, quota, agreement."""

from __future__ import annotations

import itertools
from datetime import timedelta

import click

from general_level.client.cli.settings import Settings, tell, with_settings
from general_level.client.models import Quota
from general_level.client.tables import (
    NOTHING,
    render_fields,
    render_table,
    show_duration,
    show_time,
    submissions_table,
)


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@with_settings
def submissions(settings: Settings, limit: int) -> None:
    """List your lab's submissions, newest first."""
    with settings.client() as client:
        found = list(itertools.islice(client.submissions(page_size=min(limit, 100)), limit))
    settings.emit(found, lambda: submissions_table(found))


@click.command()
@with_settings
def quota(settings: Settings) -> None:
    """Show what is used of the quota, by which submissions, and when the next slot opens."""
    with settings.client() as client:
        known = client.quota()
    settings.emit(known, lambda: _quota_text(known))


def _quota_text(known: Quota) -> str:
    windows = render_table(
        ("WINDOW", ">USED", ">LIMIT"),
        (
            (show_duration(timedelta(seconds=w.window_seconds)), w.used, w.limit)
            for w in known.windows
        ),
    )
    fields = [
        ("next slot", show_time(known.next_slot_time)),
        ("pending", known.pending_submission_id or NOTHING),
        *(("held by", f"{h.submission_id} since {show_time(h.hold_time)}") for h in known.holders),
    ]
    return f"{windows}\n\n{render_fields(fields)}"


@click.group()
def agreement() -> None:
    """Read and accept the agreement, once per version for the whole lab."""


@agreement.command("show")
@with_settings
def show(settings: Settings) -> None:
    """Print the current agreement."""
    with settings.client() as client:
        current = client.agreement()
    settings.emit(current, current.text)
    if current.accepted:
        tell(f"version {current.version}, accepted {show_time(current.accept_time)}")
    else:
        tell(
            f"version {current.version}, not accepted; "
            f"general-level agreement accept {current.version}"
        )


@agreement.command("accept")
@click.argument("version")
@with_settings
def accept(settings: Settings, version: str) -> None:
    """Accept this VERSION for the whole lab."""
    with settings.client() as client:
        client.accept_agreement(version)
    settings.emit({"version": version, "accepted": True}, f"version {version} is accepted")
