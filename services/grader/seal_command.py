"""The operator's commands: ``keygen``, ``seal`` and ``open-commitment``.

Exit codes: 0 done, 1 something is not matched or cannot be done, 2 wrong use. Nothing that these
commands print, on any path, holds a part of an answer or of a secret.
"""

from __future__ import annotations

import functools
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec

import click

from general_level.catalogue import Modality
from general_level.errors import GeneralLevelError
from services.grader.identities import Identity
from services.grader.keys import KeyBundle
from services.grader.private_files import write_private_file
from services.grader.statements import SigningKey
from services.kit.catalogues import open_catalogue

if TYPE_CHECKING:
    from services.grader.sealing import SealReport

__all__ = ["keygen", "open_commitment", "seal"]

P = ParamSpec("P")

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)


def _discreet(command: Callable[P, None]) -> Callable[P, None]:
    """Turns every error into a line without content: a message of elsewhere may quote an answer."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except GeneralLevelError as error:
            facts = " ".join(f"{key}={value}" for key, value in error.metadata.items())
            raise click.ClickException(f"{error} {facts}".strip()) from None
        except FileExistsError as error:
            raise click.ClickException(f"{error.filename} is there already.") from None
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}.") from None
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            name = type(error).__name__
            raise click.ClickException(
                f"Unexpected {name} in {place.name}, {Path(place.filename).name}:{place.lineno}."
            ) from None

    return run


@click.command()
@click.option("--out", required=True, type=_FILE, help="New file for the private key, mode 0600.")
@click.option("--signing", is_flag=True, help="An Ed25519 signing key instead of an age identity.")
@_discreet
def keygen(out: Path, signing: bool) -> None:
    """Make the key that opens sealed answers, or (--signing) the one that signs scores."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if not signing:
        identity = Identity.generate()
        content = f"# recipient: {identity.recipient}\n{identity.to_text()}\n"
        write_private_file(out, content.encode())
        click.echo(identity.recipient)
        return
    key = SigningKey.generate()
    write_private_file(out, key.to_pem())
    public = out.with_name(f"{out.name}.pub")
    public.write_bytes(key.public_pem())
    click.echo(key.public_key.hex())
    click.echo(f"key id {key.key_id}, public key in {public}", err=True)


@click.command()
@click.option("--benchmark", required=True, type=_FOLDER, help="The benchmark's own layout.")
@click.option("--out", required=True, type=_FOLDER, help="New folder for the result.")
@click.option(
    "--recipient",
    "recipients",
    required=True,
    multiple=True,
    help="age1…, or MODALITY=age1… for the keys of one modality; may be repeated.",
)
@click.option(
    "--catalogue",
    default="general-bench",
    show_default=True,
    help="A shipped catalogue's name, or a folder of the same format.",
)
@click.option("--key-version", default="1", show_default=True, help="Named in every score.")
@click.option(
    "--boards", multiple=True, help="Ids, also with commas between; all boards by default."
)
@click.option("--allow-unmatched", is_flag=True, help="Seal what matched in spite of problems.")
@_discreet
def seal(
    benchmark: Path,
    out: Path,
    recipients: tuple[str, ...],
    catalogue: str,
    key_version: str,
    boards: tuple[str, ...],
    allow_unmatched: bool,
) -> None:
    """Split a benchmark into public inputs and sealed answers.

    Where something cannot be matched, a table says what, nothing is written beside
    OUT-report.json, and the exit code is 1; with --allow-unmatched the rest is sealed.
    """
    board_ids = [name.strip() for names in boards for name in names.split(",") if name.strip()]
    # Imported late: `keygen` needs none of the libraries of media.
    from services.grader.sealing import seal as seal_benchmark  # noqa: PLC0415

    report = seal_benchmark(
        benchmark,
        out,
        catalogue=open_catalogue(catalogue),
        recipients=_recipients(recipients),
        key_version=key_version,
        board_ids=board_ids or None,
        allow_unmatched=allow_unmatched,
    )
    if report.table():
        click.echo(report.table() + "\n")
    click.echo(_summary(report))
    if report.written:
        click.echo(f"Sealed into {out}; the whole report is in {out / 'report.json'}.")
        return
    beside = out.with_name(f"{out.name}-report.json")
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_bytes(report.to_json())
    click.echo(f"Nothing was sealed; the whole report is in {beside}.")
    if not allow_unmatched:
        click.echo("Mend the folder, or seal the rest with --allow-unmatched.")
    raise click.exceptions.Exit(1)


@click.command("open-commitment")
@click.option("--keys", required=True, type=_FILE, help="The modality's sealed key file.")
@click.option("--identity", required=True, type=_FILE, help="The age identity that opens it.")
@click.option("--task", "task_id", required=True, help="The task to retire.")
@click.option("--out", required=True, type=_FILE, help="New file for the opening (JSON).")
@click.option("--media-out", type=_FILE, help="New ZIP for the answer files, if there are any.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_discreet
def open_commitment(
    keys: Path, identity: Path, task_id: str, out: Path, media_out: Path | None, yes: bool
) -> None:
    """Write down the answers of one retired task, for everyone to check its commitment."""
    if not yes:
        click.confirm(f"Task {task_id} is closed once its answers are out. Go on?", abort=True)
    key = KeyBundle.open(keys, Identity.from_file(identity)).read(task_id)
    if key.media and media_out is None:
        raise click.UsageError("This task's answers are files: --media-out is needed.")
    if key.media and media_out is not None:
        with zipfile.ZipFile(media_out, "x") as archive:
            for path, content in key.media.items():
                archive.writestr(path, content)
    # Private until someone publishes it.
    write_private_file(out, key.opening())
    click.echo(f"{len(key.items)} items of {task_id}, commitment {key.commitment}")


def _recipients(texts: tuple[str, ...]) -> dict[Modality, list[str]]:
    """What each modality is sealed to: its own recipients, else those without a modality."""
    common: list[str] = []
    own: dict[Modality, list[str]] = {}
    for text in texts:
        name, separator, recipient = text.rpartition("=")
        if not separator:
            common.append(recipient)
        elif name in set(Modality):
            own.setdefault(Modality(name), []).append(recipient)
        else:
            raise click.UsageError(f"{name!r} is no modality: {', '.join(Modality)}.")
    return {modality: own.get(modality, common) for modality in Modality}


def _summary(report: SealReport) -> str:
    return (
        f"{report.items_sealed} of {report.items_seen} items, {len(report.tasks)} tasks, "
        f"{len(report.board_ids)} boards of {report.catalogue_id}; "
        f"{len(report.problems)} problems."
    )
