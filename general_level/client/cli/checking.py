"""The offline check: the same code that the gateway runs."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from general_level.client.cli.exits import ExitCode
from general_level.client.cli.settings import Settings, tell, with_format
from general_level.client.models import Finding
from general_level.client.tables import finding_lines
from general_level.errors import InvalidRequest

if TYPE_CHECKING:
    from general_level.catalogue import Catalogue
    from general_level.submission.check import CheckReport


class _Item(msgspec.Struct):
    id: str | int


class _Inputs(msgspec.Struct):
    data: list[_Item]


def load_catalogue(name_or_folder: str | None) -> Catalogue:
    """A catalogue by its folder or by the name of one that the package carries."""
    from general_level.catalogue import load  # noqa: PLC0415 - only these commands need it

    if name_or_folder is None:
        return load()
    folder = Path(name_or_folder)
    return load(folder) if folder.is_dir() else load(name=name_or_folder)


def item_ids_of(bundle: Path, catalogue: Catalogue) -> dict[str, list[str]]:
    """The ids of each task's items, read from an inputs bundle; InvalidRequest if it is none."""
    tasks = {task.archive_path: task.id for task in catalogue.tasks.values()}
    found: dict[str, list[str]] = {}
    try:
        with zipfile.ZipFile(bundle) as archive:
            for name in archive.namelist():
                folder, _, file = name.rpartition("/")
                if file == "inputs.json" and folder in tasks:
                    inputs = msgspec.json.decode(archive.read(name), type=_Inputs)
                    found[tasks[folder]] = [str(item.id) for item in inputs.data]
    except (zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise InvalidRequest(f"{bundle.name} is not an inputs bundle: {error}.") from error
    if not found:
        raise InvalidRequest(f"{bundle.name} has no inputs of this catalogue.")
    return found


def run_check(
    archive: Path,
    catalogue: Catalogue,
    item_ids: Mapping[str, list[str]] | None = None,
) -> CheckReport:
    """The checker's report on a file, by the gateway's rules."""
    from general_level.submission.check import check_archive  # noqa: PLC0415

    with archive.open("rb") as file:
        return check_archive(
            file,
            catalogue=catalogue,
            archive_name=archive.name,
            item_ids=item_ids,
            allow_strip=True,
        )


def findings_of(report: CheckReport) -> tuple[Finding, ...]:
    """The report's findings as the client's own kind, so that one function prints both."""
    return tuple(
        Finding(f.code, f.path, f.row, f.message, f.remedy, f.warning) for f in report.findings
    )


def summary(report: CheckReport) -> str:
    """One line on the whole."""
    warnings = report.finding_count - report.error_count
    tasks = len(report.tasks)
    total = tasks + len(report.unsupported_task_ids)
    verdict = "accepted" if report.ok else "refused"
    return (
        f"{report.archive_name}: {verdict}; {report.error_count} errors, {warnings} warnings; "
        f"{tasks} of {total} tasks of {report.board_id or 'no known board'}"
    )


@click.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--inputs",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The board's inputs bundle: also compare the ids of the items.",
)
@click.option("--catalogue", help="Folder or name of another catalogue than General-Bench.")
@with_format
def check(settings: Settings, archive: Path, bundle: Path | None, catalogue: str | None) -> None:
    """Check ARCHIVE offline, by the gateway's own code; exit code 1 if it is refused.

    The archive is named <Model Name>-<Board ID>.zip. All findings are told at once.
    """
    known = load_catalogue(catalogue)
    ids = item_ids_of(bundle, known) if bundle else None
    report = run_check(archive, known, ids)
    settings.emit(
        {
            "ok": report.ok,
            "board_id": report.board_id,
            "model_name": report.model_name,
            "finding_count": report.finding_count,
            "error_count": report.error_count,
            "findings": findings_of(report),
            "supported_task_ids": list(report.tasks),
            "unsupported_task_ids": report.unsupported_task_ids,
            "enclosing_folder": report.enclosing_folder,
        },
        lambda: "\n".join(filter(None, (finding_lines(findings_of(report)), summary(report)))),
    )
    hidden = report.finding_count - len(report.findings)
    if hidden:
        tell(f"{hidden} more findings of the same kinds are not listed")
    if not report.ok:
        raise click.exceptions.Exit(ExitCode.REFUSED)
