"""``python -m services.ranker rank``: rank a file of scores offline."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from general_level import catalogue as catalogues
from general_level.catalogue.model import Catalogue
from general_level.errors import GeneralLevelError, InvalidRequest, UnknownBoard
from services.ranker.formulas.conventions import Convention
from services.ranker.scores_csv import read_scores
from services.ranker.snapshot import modalities_to_json
from services.ranker.standings import BoardStandings, Standing, compute_standings

#: The exit status for an input that can never succeed as it is.
EXIT_INVALID = 2


@click.command()
@click.option(
    "--scores",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV: model,task,score[,n,stderr] or model,modality,paradigm,workbook_row,...,score.",
)
@click.option("--board", "board_id", default="A-full", show_default=True)
@click.option(
    "--convention",
    type=click.Choice([str(convention) for convention in Convention]),
    default=str(Convention.GENERAL_LEVEL),
    show_default=True,
    help="How zeros, infinities and absent tasks are read.",
)
@click.option(
    "--references",
    type=click.Choice(["paper", "workbook"]),
    default="paper",
    show_default=True,
    help="Which list of specialists' scores must be reached.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "table"]),
    default="table",
    show_default=True,
)
def rank(scores: Path, board_id: str, convention: str, references: str, form: str) -> None:
    """Rank the models of a CSV file on one board.

    A task that the file does not hold is unsupported and counts 0.
    """
    try:
        standings = rank_file(scores, board_id, Convention(convention), references)
    except (GeneralLevelError, OSError) as error:
        reason = getattr(error, "reason", "FILE_UNREADABLE")
        click.echo(f"{reason}: {error}", err=True)
        sys.exit(EXIT_INVALID)
    if form == "json":
        rows = [row_to_json(row) for row in standings.rows]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        Console().print(to_table(standings))


def rank_file(path: Path, board_id: str, convention: Convention, references: str) -> BoardStandings:
    """The standings of a file's models on one board.

    Raises UnknownBoard, ScoresFileRejected, InvalidRequest for an unknown list of references, and
    OSError.
    """
    catalogue = catalogues.load()
    if board_id not in catalogue.boards:
        raise UnknownBoard(f"{board_id!r}; for example A-full.", board=board_id)
    entries = read_scores(path, catalogue, board_id, convention)
    (standings,) = compute_standings(
        catalogue,
        reference_list_id(catalogue, references),
        convention,
        entries,
        [catalogue.boards[board_id]],
    )
    return standings


def reference_list_id(catalogue: Catalogue, name: str) -> str:
    """The list of this id, or the only one whose id starts with it."""
    found = [key for key in catalogue.reference_lists if key == name or key.startswith(f"{name}-")]
    if len(found) != 1:
        known = ", ".join(catalogue.reference_lists)
        raise InvalidRequest(f"No reference list {name!r}; there are: {known}.", references=name)
    return found[0]


def row_to_json(row: Standing) -> dict[str, Any]:
    """One model, at full precision; a score above the board's highest level is null."""
    return {
        "model": row.model_name,
        "level": row.level,
        "s2": row.s2,
        "s3": row.s3,
        "s4": row.s4,
        "s5": row.s5,
        "by_modality": modalities_to_json(row),
        "supported": row.supported,
        "wins": row.wins,
    }


def to_table(standings: BoardStandings) -> Table:
    """The board for people, two decimals; ≈ marks a row within the error of the one above."""
    table = Table(
        title=f"{standings.board_id} · {standings.reference_list_id} · {standings.convention}"
    )
    table.add_column("Rank", justify="right")
    table.add_column("Model", overflow="fold")
    for name in ("Level", "S2", "S3", "S4", "S5", "Supported", "Wins"):
        table.add_column(name, justify="right")
    for row in standings.rows:
        mark = "≈" if row.indistinguishable_from_previous else ""
        table.add_row(
            f"{mark}{row.rank or '–'}",
            row.model_name,
            str(row.level or "–"),
            *(
                "" if score is None else f"{score:.2f}"
                for score in (row.s2, row.s3, row.s4, row.s5)
            ),
            f"{row.supported}/{row.tasks}",
            str(row.wins),
        )
    return table
