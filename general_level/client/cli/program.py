"""The program: its group of commands, and errors as messages with exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from general_level.client.cli import account, browse, checking, results, submitting
from general_level.client.cli.exits import ExitCode, Refusal
from general_level.errors import GeneralLevelError


class _Program(click.Group):
    """A group whose commands may raise the platform's errors."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GeneralLevelError as error:
            raise Refusal(error, where=(ctx.obj or {}).get("where", "")) from error
        except OSError as error:
            raise click.FileError(str(error.filename or ""), error.strerror) from error
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 done; 1 findings or refused; 2 usage; 3 quota, pending or agreement; "
        "4 not authenticated or not permitted; 5 unavailable; 6 receipt invalid; 7 not found; "
        "130 interrupted."
    ),
)
@click.version_option(package_name="general-level")
@click.pass_context
def program(ctx: click.Context) -> None:
    """Submit to General-Bench and read the General-Level leaderboards.

    Set GENERAL_LEVEL_TARGET (the gateway, HOST:PORT) and GENERAL_LEVEL_TOKEN (your lab's token).
    The result of a command goes to stdout, everything else to stderr.
    """
    ctx.ensure_object(dict)  # which gateway a command talks to; how a client sleeps


for _command in (
    browse.boards,
    browse.inputs,
    browse.board,
    browse.commitments,
    checking.check,
    submitting.submit,
    submitting.resume,
    submitting.watch,
    submitting.cancel,
    submitting.reveal,
    account.submissions,
    account.quota,
    account.agreement,
    results.results,
    results.receipt,
    results.verify,
):
    program.add_command(_command)


def main(args: Sequence[str] | None = None) -> None:
    """Runs the program with these arguments, by default the process's own; always exits."""
    program.main(args=list(args) if args is not None else None, prog_name="general-level")
