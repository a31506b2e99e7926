"""After the publication: results, the receipt, and its verification offline."""

from __future__ import annotations

from pathlib import Path

import click

from general_level.client.cli.settings import Settings, tell, with_format, with_settings
from general_level.client.tables import finding_lines, render_fields, results_table

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("submission_id", metavar="SUBMISSION")
@with_settings
def results(settings: Settings, submission_id: str) -> None:
    """Show what became of every task; values are there once the submission is published."""
    with settings.client() as client:
        found = client.results(submission_id)
    settings.emit(found, lambda: results_table(found))
    if settings.output_format == "table":
        for result in found:
            if result.findings:
                tell(f"{result.task_id}:\n{finding_lines(result.findings)}")


@click.command()
@click.argument("submission_id", metavar="SUBMISSION")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File; default receipt-SUBMISSION.json here.",
)
@with_settings
def receipt(settings: Settings, submission_id: str, output: Path | None) -> None:
    """Save the signed scores of a published submission, for ``verify``."""
    from general_level.receipts import dump_receipt  # noqa: PLC0415 - brings cryptography

    with settings.client() as client:
        found = client.receipt(submission_id)
    path = output or Path(f"receipt-{submission_id}.json")
    path.write_bytes(dump_receipt(found))
    settings.emit(
        {"submission_id": submission_id, "path": str(path), "statements": len(found.statements)},
        str(path),
    )


@click.command()
@click.argument("receipt_file", metavar="RECEIPT", type=_file)
@click.option("--archive", type=_file, help="The archive that was graded: also hash its members.")
@click.option("--keys", type=_file, help="Graders' public keys that you trust, hex, one a line.")
@click.option("--commitments", type=_file, help="The published commitments, as JSON.")
@with_format
def verify(
    settings: Settings,
    receipt_file: Path,
    archive: Path | None,
    keys: Path | None,
    commitments: Path | None,
) -> None:
    """Verify a receipt offline; exit code 6 if it does not prove its scores.

    Without --keys the keys are taken from the receipt itself: that proves that it is whole, not
    who made it.
    """
    from general_level.receipts import (  # noqa: PLC0415 - brings cryptography
        load_commitments,
        load_receipt,
        read_trusted_keys,
        verify_receipt,
    )

    known = load_receipt(receipt_file.read_bytes())
    report = verify_receipt(
        known,
        archive=archive,
        trusted_keys=read_trusted_keys(keys) if keys else known.grader_public_keys,
        commitments=load_commitments(commitments.read_bytes()) if commitments else None,
    )
    checked = {
        "submission_id": report.submission_id,
        "archive_sha256": report.archive_sha256,
        "statements": len(report.statements),
        "key_ids": report.key_ids,
        "keys_given": keys is not None,
        "archive_checked": report.archive_checked,
        "members_checked": report.members_checked,
        "commitments_checked": report.commitments_checked,
        "superseded": len(report.superseded),
        "scores": {s.task_id: s.value for s in report.statements},
    }
    fields: list[tuple[str, object]] = [
        ("receipt", f"valid, {len(report.statements)} signed scores"),
        ("submission", report.submission_id),
        ("archive", _archive_line(report.archive_checked, report.members_checked)),
        ("commitments", f"{report.commitments_checked} found" if commitments else "not compared"),
        *(("superseded", f"{s.task_id}: {s.value}") for s in report.superseded),
        *(("signed by", key_id) for key_id in report.key_ids),
    ]
    settings.emit(checked, lambda: render_fields(fields))
    if keys is None:
        tell(
            "the keys are the receipt's own: compare the ids above with the published ones, "
            "or give --keys"
        )


def _archive_line(checked: bool, members: int) -> str:
    return f"the one that was graded, {members} members hashed" if checked else "not given"
