"""Rejudging a task: start, look, apply or cancel."""

from __future__ import annotations

import click

from general_level.client.tables import NOTHING, render_fields, render_table, show_time
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

#: Digits of a raw value and of a score.
_DIGITS = 4


@click.group()
def rejudge() -> None:
    """Grade a task again for every submission, after its scorer or its key was mended."""


@rejudge.command()
@click.argument("task_id", metavar="TASK")
@click.option("--reason", required=True, help="Why; others read it in the log.")
@click.option("--key-version", default="", help="Take only scores of this key version.")
@click.option("--grader-image", default="", help="Take only scores by this grader image digest.")
@request_id_option
@with_terminal
def start(
    terminal: Terminal,
    task_id: str,
    reason: str,
    key_version: str,
    grader_image: str,
    request_id: str,
) -> None:
    """Make the jobs: they are graded after all jobs of labs, and change no score yet."""
    request = pb.StartRejudgementRequest(
        request_id=request_id,
        task_id=task_id,
        reason=reason,
        key_version=key_version,
        grader_image_digest=grader_image,
    )
    done = terminal.gateway.call("StartRejudgement", request)
    terminal.emit(done, lambda: _fields(done.rejudgement))


@rejudge.command("list")
@with_terminal
def list_rejudgements(terminal: Terminal) -> None:
    """List the newest rejudgements."""
    found = terminal.gateway.call("ListRejudgements", pb.ListRejudgementsRequest())
    terminal.emit(
        found,
        lambda: render_table(
            (
                "REJUDGEMENT",
                "TASK",
                "STATE",
                ">PENDING",
                ">SCORED",
                ">UNSCORED",
                "STARTED",
                "OPERATOR",
            ),
            (
                (
                    one.rejudgement_id,
                    one.task_id,
                    _state(one),
                    one.pending,
                    one.scored,
                    one.unscored,
                    show_time(from_timestamp(one.start_time)),
                    one.operator,
                )
                for one in found.rejudgements
            ),
        ),
    )


@rejudge.command()
@click.argument("rejudgement_id", metavar="REJUDGEMENT")
@with_terminal
def show(terminal: Terminal, rejudgement_id: str) -> None:
    """Show every submission's old and new value, and what would change on which board."""
    found = _get(terminal, rejudgement_id)
    terminal.emit(found, lambda: _text(found))


@rejudge.command()
@click.argument("rejudgement_id", metavar="REJUDGEMENT")
@click.option(
    "--preview",
    "preview_sha256",
    help="The digest that `show` prints; needed with --yes, so that nothing unseen is applied.",
)
@click.option(
    "--allow-unscored",
    is_flag=True,
    help="Also if submissions keep their old score: no archive, refused or failed.",
)
@yes_option
@request_id_option
@with_terminal
def apply(
    terminal: Terminal,
    rejudgement_id: str,
    preview_sha256: str | None,
    allow_unscored: bool,
    yes: bool,
    request_id: str,
) -> None:
    """Let the new scores supersede the old ones, on all boards at once. This cannot be undone."""
    if preview_sha256 is None:
        if yes:
            raise click.UsageError("--yes needs --preview: the digest of what you have seen.")
        found = _get(terminal, rejudgement_id)
        tell(_text(found))
        preview_sha256 = found.rejudgement.preview_sha256
    confirm("Apply it? This cannot be undone.", yes=yes)
    done = terminal.gateway.call(
        "ApplyRejudgement",
        pb.ApplyRejudgementRequest(
            request_id=request_id,
            rejudgement_id=rejudgement_id,
            preview_sha256=preview_sha256,
            allow_unscored=allow_unscored,
        ),
    )
    terminal.emit(done, lambda: f"applied: {done.superseded_scores} scores are superseded")


@rejudge.command()
@click.argument("rejudgement_id", metavar="REJUDGEMENT")
@yes_option
@request_id_option
@with_terminal
def cancel(terminal: Terminal, rejudgement_id: str, yes: bool, request_id: str) -> None:
    """Discard it; no score has changed."""
    confirm("Discard it?", yes=yes)
    done = terminal.gateway.call(
        "CancelRejudgement",
        pb.CancelRejudgementRequest(request_id=request_id, rejudgement_id=rejudgement_id),
    )
    terminal.emit(done, lambda: f"{rejudgement_id} is cancelled")


def _get(terminal: Terminal, rejudgement_id: str) -> pb.GetRejudgementResponse:
    request = pb.GetRejudgementRequest(rejudgement_id=rejudgement_id)
    found: pb.GetRejudgementResponse = terminal.gateway.call("GetRejudgement", request)
    return found


def _state(one: pb.Rejudgement) -> str:
    return pb.RejudgementState.Name(one.state).removeprefix("REJUDGEMENT_STATE_").lower()


def _fields(one: pb.Rejudgement) -> str:
    ended = from_timestamp(one.end_time) if one.HasField("end_time") else None
    return render_fields(
        (
            ("rejudgement", one.rejudgement_id),
            ("task", one.task_id),
            ("state", _state(one)),
            ("reason", one.reason),
            ("started", f"{show_time(from_timestamp(one.start_time))} by {one.operator}"),
            ("ended", show_time(ended)),
            ("key version", one.key_version or "any"),
            ("grader image", one.grader_image_digest or "any"),
            (
                "submissions",
                f"{one.pending} pending, {one.scored} scored, {one.unscored} keep their old "
                f"score, {one.ended} ended otherwise",
            ),
            ("preview", one.preview_sha256 or "not there yet"),
        )
    )


def _text(found: pb.GetRejudgementResponse) -> str:
    parts = [
        _fields(found.rejudgement),
        render_table(
            ("SUBMISSION", "OUTCOME", ">OLD VALUE", ">NEW VALUE", "FAULT"),
            (
                (
                    one.submission_id,
                    pb.RejudgedOutcome.Name(one.outcome)
                    .removeprefix("REJUDGED_OUTCOME_")
                    .lower()
                    .replace("_", " "),
                    f"{one.old_value:.{_DIGITS}f}",
                    f"{one.new_value:.{_DIGITS}f}" if one.HasField("new_value") else NOTHING,
                    one.fault or NOTHING,
                )
                for one in found.scores
            ),
        ),
    ]
    if found.HasField("preview"):
        parts.append(_preview_text(found.preview))
    return "\n\n".join(parts)


def _preview_text(preview: pb.RejudgementPreview) -> str:
    head = (
        f"{len(preview.boards)} of {preview.computed_boards} boards with the task would change "
        f"(ledger position {preview.ledger_position})"
    )
    refused = [f"the ranker refuses the score of {one}" for one in preview.refused_submission_ids]
    rows = [
        (
            board.board_id,
            change.model_name,
            change.submission_id,
            _arrow(str(change.old_rank), str(change.new_rank)),
            _arrow(str(change.old_level), str(change.new_level)),
            _arrow(f"{change.old_score:.{_DIGITS}f}", f"{change.new_score:.{_DIGITS}f}"),
        )
        for board in preview.boards
        for change in board.changes
    ]
    heads = ("BOARD", "MODEL", "SUBMISSION", ">RANK", ">LEVEL", ">SCORE")
    return "\n".join([head, *refused, *([render_table(heads, rows)] if rows else [])])


def _arrow(old: str, new: str) -> str:
    return old if old == new else f"{old} → {new}"
