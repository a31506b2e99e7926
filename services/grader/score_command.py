"""The command ``score``: one task's score without the service.

Exit codes: 0 scored, 1 findings refuse the file, 2 no score for another reason (wrong use, a task
or metric without a scorer, unusable answers or ratings). Nothing that it prints, on any path, holds
a part of an answer.
"""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from general_level.errors import CatalogueError, GeneralLevelError
from services.grader.networks import CPU, HeldNetworks, Networks, NetworkSettings
from services.kit.catalogues import open_catalogue

if TYPE_CHECKING:
    from services.grader.offline import OfflineScore

__all__ = ["score"]

EXIT_REFUSED: Final = 1
EXIT_NO_SCORE: Final = 2

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_ANY: Final = click.Path(exists=True, path_type=Path)


class NoScore(click.ClickException):
    """There is no score, and the predictions are not why."""

    exit_code = EXIT_NO_SCORE


@click.command()
@click.option("--task", "task_id", required=True, help="Its id; the command tasks lists all.")
@click.option(
    "--predictions",
    required=True,
    type=_ANY,
    help="A prediction.json, its folder, or the root folder of an unpacked archive.",
)
@click.option(
    "--answers", required=True, type=_ANY, help="The task's annotation.json, or its folder."
)
@click.option(
    "--catalogue",
    default="general-bench",
    show_default=True,
    help="A shipped catalogue's name, or a folder of the same format.",
)
@click.option("--ratings", type=_FILE, help="Verdicts (JSON), for a metric of ratings only.")
@click.option(
    "--weights",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of networks, for metrics that need them.",
)
@click.option("--weights-pins", "pins", type=_FILE, help="Its digests, as sha256sum prints them.")
@click.option("--device", default=CPU, show_default=True, help="cpu, cuda or cuda:<index>.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def score(
    task_id: str,
    predictions: Path,
    answers: Path,
    catalogue: str,
    ratings: Path | None,
    weights: Path | None,
    pins: Path | None,
    device: str,
    threads: int,
    form: str,
) -> None:
    """Score one task's predictions against plain answers, by the code of the service.

    Exit code 1 where findings refuse the file, 2 where there is no score for another reason.
    """
    networks = HeldNetworks(NetworkSettings(weights, pins, device, threads))
    outcome = _outcome(task_id, predictions, answers, catalogue, ratings, networks)
    click.echo(json.dumps(_as_json(outcome), indent=1) if form == "json" else _as_table(outcome))
    if outcome.refused:
        raise click.exceptions.Exit(EXIT_REFUSED)


def _outcome(
    task_id: str,
    predictions: Path,
    answers: Path,
    catalogue: str,
    ratings: Path | None,
    networks: Networks,
) -> OfflineScore:
    # Imported late: it needs the libraries of media.
    from services.grader.offline import score_offline  # noqa: PLC0415

    try:
        bench = open_catalogue(catalogue)
        return score_offline(bench, task_id, predictions, answers, ratings, networks)
    except CatalogueError as error:  # its message has all that its metadata has
        raise NoScore(f"{error.reason}: {error}") from None
    except GeneralLevelError as error:
        facts = " ".join(f"{key}={value}" for key, value in error.metadata.items())
        raise NoScore(f"{error.reason}: {error} {facts}".strip()) from None
    except OSError as error:
        raise NoScore(f"{error.filename}: {error.strerror}.") from None
    except Exception as error:
        # A message of elsewhere may quote an answer.
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.name}, {Path(place.filename).name}:{place.lineno}"
        raise NoScore(f"Unexpected {type(error).__name__} in {where}.") from None


def _as_json(outcome: OfflineScore) -> dict[str, Any]:
    return {
        "task": outcome.task_id,
        "metric": outcome.metric_id,
        "score": outcome.score,
        "mapped": outcome.mapped,
        "n": outcome.n,
        "stderr": outcome.stderr,
        "missing": outcome.missing,
        "findings": [
            {
                "code": finding.code,
                "path": finding.path,
                "row": finding.row,
                "message": finding.message,
                "remedy": finding.remedy,
                "warning": finding.warning,
            }
            for finding in outcome.findings
        ],
    }


def _as_table(outcome: OfflineScore) -> str:
    rows = _as_json(outcome)
    del rows["findings"]
    width = max(map(len, rows))
    lines = [f"{name:{width}}  {_shown(value)}" for name, value in rows.items()]
    for finding in outcome.findings:
        kind = "warning" if finding.warning else "error"
        row = "" if finding.row is None else f", row {finding.row}"
        lines += [
            f"{finding.code} {kind}: {finding.path}{row}",
            f"    {finding.message}",
            f"    {finding.remedy}",
        ]
    return "\n".join(lines)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
