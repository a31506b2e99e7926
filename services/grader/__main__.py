"""``python -m services.grader``: serve, tasks, and the operator's commands for keys."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from pathlib import Path

import click

from general_level import catalogue
from general_level.catalogue.model import Catalogue, Modality, Task
from services.grader import app, score_command, seal_command
from services.grader.pipeline import is_served
from services.grader.settings import GraderSettings
from services.grader.weights.errors import WeightsInvalid
from services.grader.weights.manifest import Manifest, load_manifest
from services.kit import tracing
from services.kit.logging import configure_logging
from services.kit.settings import SettingInvalid
from services.kit.tls import CertificateInvalid


@click.group()
def main() -> None:
    """The grader of one modality."""


@main.command()
@click.option(
    "--modality",
    type=click.Choice([member.value for member in Modality]),
    help="Else GRADER_MODALITY.",
)
def serve(modality: str | None) -> None:
    """Take jobs from the gateway until told to stop; settings are GRADER_* (SIGTERM drains)."""
    configure_logging("grader")
    try:
        settings = GraderSettings.from_env(
            os.environ, Modality(modality) if modality is not None else None
        )
    except SettingInvalid as error:
        raise click.ClickException(str(error)) from error
    try:
        with tracing.exporting("grader", os.environ):
            served = asyncio.run(app.serve(settings))
    except (CertificateInvalid, SettingInvalid, WeightsInvalid) as error:
        raise click.ClickException(f"{error.reason}: {error}") from error
    if not served:
        sys.exit(1)


@main.command()
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option(
    "--catalogue",
    "name",
    default="general-bench",
    show_default=True,
    help="A shipped catalogue.",
)
@click.option(
    "--catalogue-folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A catalogue of your own; wins over --catalogue.",
)
def tasks(form: str, name: str, catalogue_folder: Path | None) -> None:
    """List every task with its metric, what grades it and which weights that needs."""
    bench = catalogue.load(catalogue_folder, name=name)
    manifest = load_manifest()
    rows = [task_row(bench, task, manifest) for task in bench.tasks.values()]
    if form == "json":
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo(
            "  ".join(row[column] or "-" for column in ("task", "metric", "scorer", "weights"))
        )


def task_row(bench: Catalogue, task: Task, manifest: Manifest) -> dict[str, str]:
    """One task for the list; ``scorer`` is empty where this grader has none yet.

    ``weights`` are the networks that its metric needs, by their ids, with commas between.
    """
    # Imported late: a grader of language is served without the libraries of media.
    from services.grader.media.table import BINDINGS  # noqa: PLC0415
    from services.grader.metrics.table import TEXT_METRICS  # noqa: PLC0415

    scorer = oracle = ""
    if is_served(bench, task):
        metric = TEXT_METRICS.get(task.metric_id) or BINDINGS.get(task.metric_id)
        if metric is not None:
            function = metric.function
            scorer, oracle = f"{function.__module__}.{function.__qualname__}", metric.oracle
        else:
            scorer, oracle = "services.grader.ratings.mean_rating", "imported ratings"
    return {
        "task": task.id,
        "modality": task.modality.value,
        "paradigm": task.paradigm.value,
        "metric": task.metric_id,
        "answer_kind": task.answer_kind.value,
        "scorer": scorer,
        "oracle": oracle,
        "weights": ", ".join(weights.id for weights in manifest.needed_by(task.metric_id)),
    }


@main.command()
def fleet() -> None:
    """Keep as many graders in containers as the queue asks for; settings are FLEET_*."""
    # Imported late: the other commands need no container engine.
    importlib.import_module("services.grader.fleet").main.callback()


for _command in (seal_command.seal, seal_command.keygen, seal_command.open_commitment):
    main.add_command(_command)
main.add_command(score_command.score)


if __name__ == "__main__":
    main(prog_name="python -m services.grader")
