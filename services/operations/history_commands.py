"""Historical results: published elsewhere before, shown on the pages with a mark."""

from __future__ import annotations

from pathlib import Path

import click

from general_level.client.tables import render_table, show_time
from general_level.v1 import operations_pb2 as pb
from general_level.wire import from_timestamp
from services.kit.history import parse_history
from services.operations.program import (
    Terminal,
    confirm,
    request_id_option,
    with_terminal,
    yes_option,
)
from services.operations.shipped import shipped_history


@click.group()
def history() -> None:
    """Results that were published elsewhere before; no computed rank depends on them."""


@history.command("import")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option("--replace", is_flag=True, help="Also if another document has its id.")
@request_id_option
@with_terminal
def import_history(terminal: Terminal, file: Path | None, replace: bool, request_id: str) -> None:
    """Show the results in FILE, with a mark. Default: those of the General-Level paper.

    The same document changes nothing.
    """
    data = shipped_history() if file is None else file.read_bytes()
    # Says what is wrong before anything is sent.
    parse_history(data)
    request = pb.ImportHistoryRequest(request_id=request_id, document=data, replace=replace)
    done = terminal.gateway.call("ImportHistory", request)
    what = f"{done.results.models} models, {done.results.rows} rows"
    terminal.emit(
        done,
        lambda: (
            f"{done.results.history_id} is imported: {what}"
            if done.changed
            else f"{done.results.history_id} was there already: {what}"
        ),
    )


@history.command("list")
@with_terminal
def list_history(terminal: Terminal) -> None:
    """List them, by id."""
    found = terminal.gateway.call("ListHistory", pb.ListHistoryRequest())
    terminal.emit(found, lambda: _text(found))


@history.command("remove")
@click.argument("history_id", metavar="ID")
@yes_option
@request_id_option
@with_terminal
def remove_history(terminal: Terminal, history_id: str, yes: bool, request_id: str) -> None:
    """Take the results of ID off the pages."""
    confirm(f"Remove {history_id}?", yes=yes)
    request = pb.RemoveHistoryRequest(request_id=request_id, history_id=history_id)
    done = terminal.gateway.call("RemoveHistory", request)
    terminal.emit(done, lambda: f"{done.results.history_id} is removed")


def _text(found: pb.ListHistoryResponse) -> str:
    return render_table(
        ("ID", "PUBLISHED", ">MODELS", ">ROWS", "BOARD", "IMPORTED", "TITLE"),
        (
            (
                one.history_id,
                one.publication_date,
                one.models,
                one.rows,
                one.board_id,
                show_time(from_timestamp(one.import_time)),
                one.title,
            )
            for one in found.results
        ),
    )
