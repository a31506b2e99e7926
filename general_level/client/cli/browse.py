"""What is open to everyone: boards, inputs, standings, commitments."""

from __future__ import annotations

from pathlib import Path

import click

from general_level.client.cli.settings import Settings, tell, with_settings
from general_level.client.cli.terminal import transfer_bar
from general_level.client.tables import (
    NOTHING,
    render_table,
    show_bytes,
    show_time,
    standings_table,
)


@click.command()
@click.option("--scope", type=click.Choice(["A", "B", "C", "D"]), help="Only one family of boards.")
@with_settings
def boards(settings: Settings, scope: str | None) -> None:
    """List the boards: their tasks, modalities and highest level."""
    with settings.client() as client:
        found = client.boards(scope or "")
    settings.emit(
        found,
        lambda: render_table(
            ("BOARD", "NAME", ">TASKS", ">HIGHEST LEVEL", "MODALITIES", ">INPUTS"),
            (
                (
                    b.board_id,
                    b.name,
                    b.task_count,
                    b.highest_level,
                    ", ".join(b.modalities),
                    show_bytes(b.inputs_bytes) if b.inputs_bytes else NOTHING,
                )
                for b in found
            ),
        ),
    )


@click.command()
@click.argument("board_id", metavar="BOARD")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path(),
    help="File or folder; default inputs-BOARD.zip here.",
)
@with_settings
def inputs(settings: Settings, board_id: str, output: Path) -> None:
    """Download the inputs of a board; run it again to continue a broken download."""
    with settings.client() as client, transfer_bar("download") as progress:
        path = client.download_inputs(board_id, output, progress)
    settings.emit(
        {"board_id": board_id, "path": str(path), "bytes": path.stat().st_size}, str(path)
    )


@click.command()
@click.argument("board_id", metavar="BOARD")
@with_settings
def board(settings: Settings, board_id: str) -> None:
    """Show the standings of a board as last published."""
    with settings.client() as client:
        standings = client.standings(board_id)
    settings.emit(standings, lambda: standings_table(standings))
    if settings.output_format == "table":
        tell(
            f"{standings.board_id}: {standings.task_count} tasks, catalogue "
            f"{standings.catalogue_id}, references {standings.reference_list_id}, "
            f"{standings.convention}, computed {show_time(standings.compute_time)}; "
            "± is the 95 % interval, ≈ not distinguishable from the entry above"
        )


@click.command()
@with_settings
def commitments(settings: Settings) -> None:
    """Print the published commitments to the sealed answers, as ``verify --commitments`` reads."""
    with settings.client() as client:
        modalities = {task.task_id: task.modality for task in client.tasks()}
        found = [
            {
                "task_id": c.task_id,
                "key_version": c.key_version,
                "commitment": c.commitment,
                "item_count": c.item_count,
                "modality": modalities.get(c.task_id, ""),
            }
            for c in client.key_commitments()
        ]
    settings.emit(
        found,
        lambda: render_table(
            ("TASK", "KEY", ">ITEMS", "COMMITMENT"),
            ((c["task_id"], c["key_version"], c["item_count"], c["commitment"]) for c in found),
        ),
    )
