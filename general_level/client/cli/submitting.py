"""From the archive to the final state: submit, resume, watch, cancel."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import click
import msgspec

from general_level.client.archive_name import split_archive_name
from general_level.client.cli.checking import findings_of, load_catalogue, run_check, summary
from general_level.client.cli.exits import ExitCode
from general_level.client.cli.settings import Settings, tell, with_settings
from general_level.client.cli.terminal import follow, transfer_bar
from general_level.client.client import Client
from general_level.client.models import ModelMetadata, Submission, SubmissionState
from general_level.client.tables import finding_lines, submission_fields
from general_level.errors import ArchiveRejected, CatalogueError, Unavailable
from general_level.identifiers import new_request_id

_archive = click.Path(exists=True, dir_okay=False, path_type=Path)
_CATALOGUE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

_METADATA_OPTIONS = (
    click.option("--metadata", type=_archive, help="Model metadata as JSON or TOML."),
    click.option("--model-name", help="Default: from the archive's name."),
    click.option("--organisation", help="Shown on the boards beside the model."),
    click.option("--parameters", type=click.IntRange(min=0), help="Number of parameters."),
    click.option("--description", help="At most 2,000 characters."),
    click.option("--modality", "modalities", multiple=True, help="May be given several times."),
    click.option("--report-url", help="https link to a technical report."),
    click.option(
        "--open-weights/--closed-weights",
        "open_weights",
        default=None,
        help="Whether everybody can get the weights; not said by default.",
    ),
    click.option(
        "--anonymous",
        is_flag=True,
        help="Without name, organisation, description and report in public, until `reveal`.",
    ),
    click.option("--contact-email", help="Never shown to others."),
)


def _with_metadata(command: Any) -> Any:
    for option in reversed(_METADATA_OPTIONS):
        command = option(command)
    return command


def read_metadata(file: Path | None, default_name: str, **options: Any) -> ModelMetadata:
    """The metadata of a file, overridden by options; a usage error for an unknown field."""
    fields: dict[str, Any] = {}
    if file is not None:
        decode = msgspec.toml.decode if file.suffix == ".toml" else msgspec.json.decode
        try:
            fields = decode(file.read_bytes(), type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise click.BadParameter(f"{file.name}: {error}", param_hint="--metadata") from error
        unknown = fields.keys() - {f.name for f in dataclasses.fields(ModelMetadata)}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise click.BadParameter(f"{file.name}: unknown {names}", param_hint="--metadata")
    fields |= {name: value for name, value in options.items() if value not in (None, ())}
    fields.setdefault("model_name", default_name)
    try:
        return msgspec.convert(fields, ModelMetadata)
    except msgspec.ValidationError as error:
        raise click.BadParameter(str(error), param_hint="--metadata") from error


@click.command()
@click.argument("archive", type=_archive)
@click.option("--board", "board_id", help="Default: from the archive's name.")
@_with_metadata
@click.option("--watch", "and_watch", is_flag=True, help="Stay until the final state.")
@click.option("--no-check", is_flag=True, help="Leave the check to the gateway.")
@click.option("--catalogue", help="Folder or name of the catalogue for the local check.")
@click.option("--request-id", help="UUID; repeating it never makes a second submission.")
@with_settings
def submit(
    settings: Settings,
    archive: Path,
    board_id: str | None,
    and_watch: bool,
    no_check: bool,
    catalogue: str | None,
    request_id: str | None,
    metadata: Path | None,
    parameters: int | None,
    anonymous: bool,
    **options: Any,
) -> None:
    """Check ARCHIVE, create a submission, and upload it.

    The archive is named <Model Name>-<Board ID>.zip. A broken upload goes on by itself; if it
    cannot, the command says how to resume it. Exit code 0 means that every byte has arrived, with
    --watch that the submission is published.
    """
    with settings.client() as client:
        board_ids = [board_id] if board_id else [b.board_id for b in client.boards()]
        named = split_archive_name(archive.name, board_ids)
        model = read_metadata(
            metadata,
            named.model_name,
            parameter_count=parameters,
            anonymous=anonymous or None,
            **options,
        )
        if not no_check:
            _check_first(client, archive, catalogue)
        submission = client.create(
            archive,
            board=named.board_id,
            metadata=model,
            request_id=request_id or new_request_id(),
        )
        tell(f"created {submission.submission_id}")
        submission = _upload(client, submission.submission_id, archive)
        _end(settings, client, submission, and_watch=and_watch)


@click.command()
@click.argument("submission_id", metavar="SUBMISSION")
@click.argument("archive", type=_archive)
@click.option("--watch", "and_watch", is_flag=True, help="Stay until the final state.")
@with_settings
def resume(settings: Settings, submission_id: str, archive: Path, and_watch: bool) -> None:
    """Continue the upload of ARCHIVE for a SUBMISSION that was created before."""
    with settings.client() as client:
        submission = _upload(client, submission_id, archive)
        _end(settings, client, submission, and_watch=and_watch)


@click.command()
@click.argument("submission_id", metavar="SUBMISSION")
@with_settings
def watch(settings: Settings, submission_id: str) -> None:
    """Follow a SUBMISSION to its final state; exit code 1 if that is not PUBLISHED."""
    with settings.client() as client:
        _end(settings, client, None, submission_id=submission_id, and_watch=True)


@click.command()
@click.argument("submission_id", metavar="SUBMISSION")
@with_settings
def cancel(settings: Settings, submission_id: str) -> None:
    """Withdraw a SUBMISSION; the quota is given back before its first task is graded."""
    with settings.client() as client:
        submission = client.cancel(submission_id)
    settings.emit(submission, lambda: submission_fields(submission))


@click.command()
@click.argument("submission_id", metavar="SUBMISSION")
@click.confirmation_option(
    prompt="The boards will show the model's name, and it cannot be hidden again. Reveal it?"
)
@with_settings
def reveal(settings: Settings, submission_id: str) -> None:
    """Show the name of the anonymous model of a SUBMISSION, in all submissions of it.

    It cannot be hidden again.
    """
    with settings.client() as client:
        submission = client.reveal(submission_id)
    settings.emit(submission, lambda: submission_fields(submission))


def _check_first(client: Client, archive: Path, catalogue: str | None) -> None:
    """Runs the offline check; ArchiveRejected with the findings on stderr."""
    known = catalogue or client.catalogue_id()
    try:
        if catalogue is None and not _CATALOGUE_NAME.fullmatch(known):
            raise CatalogueError()
        loaded = load_catalogue(known)
    except CatalogueError:
        tell(f"not checked here: this client does not carry catalogue {known}; the gateway checks")
        return
    report = run_check(archive, loaded)
    findings = findings_of(report)
    if findings:
        tell(finding_lines(findings))
    tell(summary(report))
    if not report.ok:
        raise ArchiveRejected("(found before anything was sent)", path=archive.name)


def _upload(client: Client, submission_id: str, archive: Path) -> Submission:
    hint = f"general-level resume {submission_id} '{archive}'"
    try:
        with transfer_bar("upload") as progress:
            return client.resume(submission_id, archive, progress=progress)
    except Unavailable as error:
        error.add_note(f"nothing is lost; continue with: {hint}")
        raise
    except KeyboardInterrupt:
        tell(f"interrupted; continue with: {hint}")
        raise


def _end(
    settings: Settings,
    client: Client,
    submission: Submission | None,
    *,
    and_watch: bool,
    submission_id: str = "",
) -> None:
    """Watches if that is wanted, prints the submission, and exits by its state."""
    if and_watch or submission is None:
        submission_id = submission.submission_id if submission is not None else submission_id
        try:
            submission = follow(client.watch(submission_id))
        except KeyboardInterrupt:
            tell(f"it goes on without you; look again: general-level watch {submission_id}")
            raise
    final = submission
    settings.emit(final, lambda: submission_fields(final))
    if final.findings:
        tell(finding_lines(final.findings))
    if final.state.is_final and final.state is not SubmissionState.PUBLISHED:
        raise click.exceptions.Exit(ExitCode.REFUSED)
