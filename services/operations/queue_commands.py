"""The queue: its status, pauses, dead letters."""

from __future__ import annotations

from typing import Any

import click

from general_level.catalogue.model import Modality
from general_level.client.tables import NOTHING, render_table, show_duration, show_time
from general_level.v1 import operations_pb2 as pb
from general_level.wire import from_timestamp
from services.operations.program import (
    Terminal,
    confirm,
    request_id_option,
    tell,
    with_terminal,
    yes_option,
)

_modality = click.Choice([modality.value for modality in Modality])


@click.command()
@with_terminal
def queue(terminal: Terminal) -> None:
    """Show what waits, runs and died in each modality, and the submissions by state."""
    status = terminal.gateway.call("GetQueueStatus", pb.GetQueueStatusRequest())
    terminal.emit(status, lambda: _queue_text(status))


def _queue_text(status: pb.GetQueueStatusResponse) -> str:
    heads = (
        "MODALITY",
        ">READY",
        ">WAITING",
        ">LACKING",
        ">RUNNING",
        ">DEAD",
        ">LAST 10 MIN",
        ">OLDEST",
        "PAUSED",
    )
    rows = [
        (
            one.modality,
            one.ready_jobs,
            one.waiting_jobs,
            one.lacking_jobs,
            one.leased_jobs,
            one.dead_jobs,
            one.recent_jobs,
            show_duration(one.oldest_age.ToTimedelta()) if one.HasField("oldest_age") else NOTHING,
            _pause_text(one.pause) if one.HasField("pause") else NOTHING,
        )
        for one in status.modalities
    ]
    states = ", ".join(f"{one.submissions} {one.state}" for one in status.submissions)
    return (
        f"{render_table(heads, rows)}\n\n"
        f"submissions      {states or 'none'}\n"
        f"ledger position  {status.ledger_position}"
    )


def _pause_text(pause: pb.Pause) -> str:
    since = show_time(from_timestamp(pause.pause_time))
    return f"since {since} by {pause.operator}: {pause.reason}"


@click.command()
@click.argument("modality", type=_modality)
@click.option("--reason", required=True, help="Why; others read it in the queue and in the log.")
@request_id_option
@with_terminal
def pause(terminal: Terminal, modality: str, reason: str, request_id: str) -> None:
    """Lease no more jobs of MODALITY; those that run end as ever, and nobody's wait counts."""
    request = pb.PauseModalityRequest(request_id=request_id, modality=modality, reason=reason)
    done = terminal.gateway.call("PauseModality", request)
    terminal.emit(done, lambda: f"{modality} is paused {_pause_text(done.pause)}")


@click.command()
@click.argument("modality", type=_modality)
@request_id_option
@with_terminal
def resume(terminal: Terminal, modality: str, request_id: str) -> None:
    """Lease jobs of MODALITY again; submissions that waited get the time of the pause."""
    request = pb.ResumeModalityRequest(request_id=request_id, modality=modality)
    done = terminal.gateway.call("ResumeModality", request)
    terminal.emit(
        done,
        lambda: f"{modality} is leased again; {done.extended_submissions} submissions got time",
    )


@click.group("dead-letters")
def dead_letters() -> None:
    """Jobs that failed all attempts by our fault."""


@dead_letters.command("list")
@click.option("--modality", type=_modality)
@click.option("--task", "task_id", default="", help="An id of the catalogue.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@with_terminal
def list_dead_letters(terminal: Terminal, modality: str | None, task_id: str, limit: int) -> None:
    """List them, the newest first, and what keeps each from being requeued."""
    request = pb.ListDeadLettersRequest(modality=modality or "", task_id=task_id)
    found = pb.ListDeadLettersResponse()
    while len(found.dead_letters) < limit:
        request.page_size = min(limit - len(found.dead_letters), 500)
        page = terminal.gateway.call("ListDeadLetters", request)
        found.dead_letters.extend(page.dead_letters)
        request.page_token = found.next_page_token = page.next_page_token
        if not page.next_page_token:
            break
    terminal.emit(found, lambda: _dead_letters_text(found))
    if found.next_page_token:
        tell(f"there are more than {limit}; say --limit")


def _dead_letters_text(found: pb.ListDeadLettersResponse) -> str:
    return render_table(
        ("JOB", "SUBMISSION", "TASK", "MODALITY", "FAULT", ">ATTEMPTS", "ENDED", "OBSTACLE"),
        (
            (
                one.job_id,
                one.submission_id,
                one.task_id,
                one.modality,
                one.fault,
                one.attempts,
                show_time(from_timestamp(one.end_time)),
                one.obstacle or NOTHING,
            )
            for one in found.dead_letters
        ),
    )


@dead_letters.command("requeue")
@click.argument("job_ids", metavar="[JOB]...", nargs=-1)
@click.option("--task", "task_id", default="", help="All of this task instead.")
@click.option("--modality", type=_modality, help="All of this modality instead.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@yes_option
@request_id_option
@with_terminal
def requeue(
    terminal: Terminal,
    job_ids: tuple[str, ...],
    task_id: str,
    modality: str | None,
    dry_run: bool,
    yes: bool,
    request_id: str,
) -> None:
    """Take the FAILED submissions of dead letters back into the queue, without using their quota.

    Mend the fault first: what dies again fails its submission again.
    """
    if sum(map(bool, (job_ids, task_id, modality))) != 1:
        raise click.UsageError("Say which: JOB..., or --task, or --modality.")
    request = pb.RequeueDeadLettersRequest(
        request_id=request_id, job_ids=job_ids, task_id=task_id, modality=modality or ""
    )
    if dry_run or not yes:
        look = pb.RequeueDeadLettersRequest()
        look.CopyFrom(request)
        look.validate_only = True
        would = terminal.gateway.call("RequeueDeadLetters", look)
        if dry_run:
            terminal.emit(would, lambda: _requeued_text(would))
            return
        tell(_requeued_text(would))
    confirm("Requeue them?", yes=yes)
    done = terminal.gateway.call("RequeueDeadLetters", request)
    terminal.emit(done, lambda: _requeued_text(done))


def _requeued_text(done: pb.RequeueDeadLettersResponse) -> str:
    rows: list[tuple[Any, ...]] = [
        (one.job_id, one.submission_id, one.requeued_jobs, one.obstacle or NOTHING)
        for one in done.dead_letters
    ]
    text = render_table(("JOB", "SUBMISSION", ">JOBS AGAIN", "LEFT BECAUSE"), rows)
    if done.remaining:
        text += f"\n{done.remaining} more were not looked at; run it again"
    return text
