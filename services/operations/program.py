"""What all commands share: the group, errors as lines with exit codes, output, confirmation."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from general_level.client.cli.exits import ExitCode, exit_code_of
from general_level.client.tables import printable
from general_level.errors import GeneralLevelError
from general_level.identifiers import is_request_id, new_request_id
from services.kit.settings import SettingInvalid
from services.operations.gateway import Gateway
from services.operations.settings import Settings


class Refused(click.ClickException):
    """An error of the platform at the end of a command, as one line on stderr."""

    def __init__(self, error: GeneralLevelError, where: str) -> None:
        data = "".join(
            f"; {key}={value}" for key, value in sorted(error.metadata.items()) if key != "status"
        )
        at = f" (gateway {where})" if where else ""
        super().__init__(printable(f"{error.reason}: {error}{at}{data}"))
        usage = isinstance(error, SettingInvalid)
        self._code = ExitCode.USAGE if usage else exit_code_of(error)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return self._code


class Program(click.Group):
    """A group whose commands may raise the platform's errors."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GeneralLevelError as error:
            raise Refused(error, (ctx.obj or {}).get("where", "")) from error


@dataclass(frozen=True, slots=True)
class Terminal:
    """How a command answers."""

    gateway: Gateway
    output: str

    def emit(self, message: Message, table: Callable[[], str]) -> None:
        """The result on stdout: the message as JSON, or the table."""
        if self.output == "json":
            found = MessageToDict(
                message,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )
            click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        else:
            click.echo(table())


def tell(message: str) -> None:
    """A message for the person at the terminal: to stderr, never part of the result."""
    click.echo(message, err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Goes on if the person says so, or said ``--yes``; a usage error where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here; say --yes.")
    click.confirm(question, abort=True, err=True)


_FORMAT = click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people or for programs.",
)


def _check_request_id(_context: click.Context, _option: click.Parameter, given: str | None) -> str:
    if given is not None and not is_request_id(given):
        raise click.BadParameter("it must be a UUID.")
    return given or new_request_id()


#: Names one intended change, however often it is sent.
request_id_option = click.option(
    "--request-id",
    callback=_check_request_id,
    help="A UUID; repeating a command with the same one changes nothing more. Default: a new one.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def with_terminal(command: Callable[..., None]) -> Callable[..., Any]:
    """Gives a command ``--format`` and passes a `Terminal`, its first argument."""

    @functools.wraps(command)
    @click.pass_context
    def wrapped(context: click.Context, /, output: str, **own: Any) -> Any:
        gateway = Gateway(Settings.from_env(os.environ))
        context.find_root().ensure_object(dict)["where"] = gateway.target
        return context.invoke(command, Terminal(gateway, output), **own)

    return _FORMAT(wrapped)
