"""``python -m services.gateway``: serve, and what an operator does with labs, tokens and ratings.

The commands work on the database of ``GATEWAY_DATABASE_URL`` (or ``--database``), while the gateway
runs or not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from general_level.errors import GeneralLevelError
from services.gateway import identity, ratings
from services.gateway.public_folder import IDS_FILE, item_ids
from services.gateway.storage.database import Database
from services.gateway.storage.migrate import upgrade
from services.kit.catalogues import open_catalogue
from services.kit.clock import SystemClock
from services.kit.commands import told_in_one_line
from services.kit.settings import Environment

MODALITIES = ("image", "video", "audio", "3d", "language")


def _configured_url(_context: click.Context, option: click.Parameter, given: str | None) -> str:
    """The URL as given, or as the gateway's own settings name it, in a file or directly."""
    if given:
        return given
    configured = Environment(os.environ, "GATEWAY_").secret("DATABASE_URL")
    if configured is None:
        raise click.MissingParameter(param=option)
    return configured.reveal()


_database = click.option(
    "--database",
    "database_url",
    callback=_configured_url,
    help="Database URL; else GATEWAY_DATABASE_URL, or the file of GATEWAY_DATABASE_URL_FILE.",
)
_format = click.option(
    "--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True
)


@contextmanager
def _open(database_url: str) -> Iterator[Database]:
    """The database, its schema brought up to date; our errors end the command with their text."""
    database = Database(database_url)
    try:
        upgrade(database)
        yield database
    except GeneralLevelError as error:
        click.echo(f"{error.reason}: {error}", err=True)
        sys.exit(1)
    finally:
        database.close()


@click.group(help=__doc__)
def main() -> None:
    pass


@main.command()
def serve() -> None:
    """Run the gateway with the settings of GATEWAY_*."""
    from services.gateway.app import main as run  # noqa: PLC0415  the commands need no server

    with told_in_one_line():
        run()


@main.command()
@_database
def migrate(database_url: str) -> None:
    """Bring the database's schema up to date."""
    with _open(database_url):
        click.echo("The schema is up to date.")


@main.group()
def labs() -> None:
    """Partner labs."""


@labs.command("create")
@_database
@click.argument("name")
def create_lab(database_url: str, name: str) -> None:
    """Register a lab by its name."""
    with _open(database_url) as database, database.write() as connection:
        click.echo(identity.create_lab(connection, SystemClock().now(), name))


@labs.command("list")
@_database
@_format
def list_labs(database_url: str, output: str) -> None:
    """List all labs, the oldest first, with their live tokens and their submissions."""
    with _open(database_url) as database, database.read() as connection:
        found = identity.list_labs(connection)
    if output == "json":
        click.echo(msgspec.json.encode(found))
        return
    for lab in found:
        click.echo(
            f"{lab.lab_id}  {lab.create_time:%Y-%m-%d}  {lab.live_tokens:3} live tokens  "
            f"{lab.submissions:4} submissions  {lab.name}"
        )


@main.group()
def tokens() -> None:
    """Tokens of labs, graders, the ranker and operators."""


@tokens.command("create")
@_database
@click.option("--kind", type=click.Choice(identity.KINDS), default="lab", show_default=True)
@click.option("--lab", "lab_name", default="", help="The lab's name, for --kind lab.")
@click.option("--modality", type=click.Choice(MODALITIES), help="For --kind grader.")
@click.option(
    "--label",
    default="",
    help="A note for the list of tokens; for --kind operator the person's name in the audit log.",
)
def create_token(
    database_url: str, kind: str, lab_name: str, modality: str | None, label: str
) -> None:
    """Make a token and print it. It is shown this once and stored only as a digest."""
    if (kind == "lab") != bool(lab_name) or (kind == "grader") != bool(modality):
        raise click.UsageError("--kind lab needs --lab; --kind grader needs --modality.")
    if kind == "operator" and not (label.strip() and label.isprintable()):
        raise click.UsageError("--kind operator needs --label: the name in the audit log.")
    with _open(database_url) as database, database.write() as connection:
        token = identity.create_token(
            connection,
            SystemClock().now(),
            kind,
            lab_id=identity.find_lab(connection, lab_name) if lab_name else "",
            modality=modality or "",
            label=label,
        )
        click.echo(token.reveal())


@tokens.command("list")
@_database
@_format
def list_tokens(database_url: str, output: str) -> None:
    """List all tokens, live and revoked, without their secrets."""
    with _open(database_url) as database, database.read() as connection:
        found = identity.list_tokens(connection)
    if output == "json":
        click.echo(msgspec.json.encode(found))
        return
    for token in found:
        ended = f"revoked {token.revoke_time:%Y-%m-%d}" if token.revoke_time else "live"
        owner = token.lab_name or token.modality or "-"
        click.echo(f"{token.token_id}  {token.kind:7} {owner:20} {ended:18} {token.label}")


@tokens.command("revoke")
@_database
@click.argument("token_id")
def revoke_token(database_url: str, token_id: str) -> None:
    """End a token at once."""
    with _open(database_url) as database, database.write() as connection:
        identity.revoke_token(connection, SystemClock().now(), token_id)
    click.echo(f"{token_id} is revoked.")


@main.group("ratings")
def ratings_group() -> None:
    """Verdicts of people or of a judge: MOS, user preference, GPT-Score."""


@ratings_group.command("import")
@_database
@click.option(
    "--catalogue",
    envvar="GATEWAY_CATALOGUE",
    default="general-bench",
    show_default=True,
    help="A name or a folder; else GATEWAY_CATALOGUE.",
)
@click.option("--submission", "submission_id", required=True, help="Its id, sub_….")
@click.option("--task", "task_id", required=True, help="An id of the catalogue.")
@click.option(
    "--public-folder",
    envvar="GATEWAY_PUBLIC_FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What sealing published; then no other items than the task's may be rated. Else "
    "GATEWAY_PUBLIC_FOLDER.",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_ratings(
    database_url: str,
    catalogue: str,
    submission_id: str,
    task_id: str,
    public_folder: Path | None,
    file: Path,
) -> None:
    """Take the ratings of one task of one submission; a grader scores and signs them."""
    known = item_ids(str(public_folder / IDS_FILE)) if public_folder else None
    with _open(database_url) as database, database.write() as connection:
        ratings.import_ratings(
            connection,
            SystemClock().now(),
            open_catalogue(catalogue),
            submission_id,
            task_id,
            file.read_bytes(),
            known.get(task_id, frozenset()) if known is not None else None,
        )
    click.echo(f"{task_id} of {submission_id} waits for a grader.")


if __name__ == "__main__":
    main()
