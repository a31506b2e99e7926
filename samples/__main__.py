"""The commands of the sample benchmark: build, predict, rate, references."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import click

from general_level.errors import GeneralLevelError
from samples.baselines import BASELINES
from samples.build import build
from samples.predict import predict
from samples.ratings import rate

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def main() -> None:
    """The sample benchmark and its baselines."""


@main.command("build")
@click.option("--out", required=True, type=_FOLDER, help="New or empty folder.")
def build_command(out: Path) -> None:
    """Write the benchmark in the benchmark's own layout."""
    try:
        counts = build(out)
    except GeneralLevelError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{len(counts)} tasks, {sum(counts.values())} items in {out}")


@main.command("predict")
@click.option(
    "--baseline",
    "names",
    required=True,
    multiple=True,
    type=click.Choice(list(BASELINES)),
    help="May be repeated: training data are then made once for all.",
)
@click.option("--inputs", required=True, type=_FILE, help="A board's inputs bundle.")
@click.option("--out", required=True, type=_FOLDER, help="Where archives and folders go.")
def predict_command(names: tuple[str, ...], inputs: Path, out: Path) -> None:
    """Answer an inputs bundle; prints the path of each archive."""
    for name in names:
        try:
            click.echo(predict(BASELINES[name], inputs, out))
        except GeneralLevelError as error:
            raise click.ClickException(str(error)) from error


@main.command("rate")
@click.option("--archive", required=True, type=_FILE)
@click.option("--inputs", required=True, type=_FILE, help="The bundle that was answered.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
def rate_command(archive: Path, inputs: Path, out: Path) -> None:
    """Rate an archive's answers to the rated task by the benchmark's rule."""
    try:
        ratings = rate(archive, inputs)
    except GeneralLevelError as error:
        raise click.ClickException(str(error)) from error
    out.write_text(json.dumps(ratings), encoding="utf-8")
    click.echo(f"{len(ratings['ratings'])} verdicts in {out}")


@main.command("references")
@click.option("--date", "day", required=True, help="The day that the file names, YYYY-MM-DD.")
def references_command(day: str) -> None:
    """Run every specialist and print the catalogue's file of references."""
    # Imported late: only this command needs the grader's metrics.
    from samples.references import references_csv  # noqa: PLC0415

    click.echo(references_csv(date.fromisoformat(day)), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m samples")
