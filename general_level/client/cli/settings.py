"""The options that every command has, and what they make: a connection and a way to print."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from general_level.client.channel import is_loopback
from general_level.client.client import Client


@dataclass(frozen=True, slots=True)
class Settings:
    """What the common options say. The token is not part of the repr."""

    target: str
    token_file: Path | None
    token: str | None
    ca: Path | None
    insecure: bool
    insecure_anywhere: bool
    output_format: str

    def __repr__(self) -> str:
        return f"Settings(target={self.target!r}, output_format={self.output_format!r})"

    def client(self) -> Client:
        """A client; a usage error where the settings do not make one."""
        if not self.target:
            raise click.UsageError("Give --target HOST:PORT or set GENERAL_LEVEL_TARGET.")
        insecure = self.insecure or self.insecure_anywhere
        if insecure and not self.insecure_anywhere and not is_loopback(self.target):
            raise click.UsageError(
                f"{self.target} is another machine: plain text would show your token and your "
                "predictions to the network. Use TLS (--ca FILE for a private authority), or say "
                "--insecure-anywhere."
            )
        shared = click.get_current_context().find_root().obj
        shared["where"] = self.target
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return Client(
            self.target,
            token or None,
            root_certificates=self.ca.read_bytes() if self.ca else None,
            insecure=insecure,
            sleep=shared.get("sleep", time.sleep),
        )

    def emit(self, value: object, table: str | Callable[[], str]) -> None:
        """The result on stdout: ``value`` as JSON, or the table."""
        if self.output_format == "json":
            encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
            click.echo(encoded.decode())
        else:
            click.echo(table if isinstance(table, str) else table())


def tell(message: str) -> None:
    """A message for the person at the terminal: to stderr, never part of the result."""
    click.echo(message, err=True)


_existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)

_CONNECTION = (
    click.option(
        "--target", envvar="GENERAL_LEVEL_TARGET", default="", help="The gateway, HOST:PORT."
    ),
    click.option(
        "--token-file", type=_existing_file, help="Read the token here, not in the environment."
    ),
    click.option(
        "--ca",
        envvar="GENERAL_LEVEL_CA",
        type=_existing_file,
        help="PEM certificates to trust instead of the system's.",
    ),
    click.option(
        "--insecure",
        envvar="GENERAL_LEVEL_INSECURE",
        is_flag=True,
        help="Plain text; only to this machine itself.",
    ),
    click.option("--insecure-anywhere", is_flag=True, help="Plain text to any machine."),
)

_FORMAT = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people or for programs.",
)


def with_settings(command: Callable[..., None]) -> Callable[..., Any]:
    """Gives a command the common options and passes them as one Settings, its first argument."""

    @functools.wraps(command)
    @click.pass_context
    def wrapped(
        context: click.Context,
        /,
        target: str,
        token_file: Path | None,
        ca: Path | None,
        insecure: bool,
        insecure_anywhere: bool,
        output_format: str,
        **own: Any,
    ) -> Any:
        settings = Settings(
            target=target,
            token_file=token_file,
            # Only from the environment: a command line can be read by every user of the machine.
            token=os.environ.get("GENERAL_LEVEL_TOKEN"),
            ca=ca,
            insecure=insecure,
            insecure_anywhere=insecure_anywhere,
            output_format=output_format,
        )
        return context.invoke(command, settings, **own)

    for option in reversed((*_CONNECTION, _FORMAT)):
        wrapped = option(wrapped)
    return wrapped


def with_format(command: Callable[..., None]) -> Callable[..., Any]:
    """Gives a command that needs no gateway its ``--format``; passes Settings like the other."""

    @functools.wraps(command)
    @click.pass_context
    def wrapped(context: click.Context, /, output_format: str, **own: Any) -> Any:
        settings = Settings("", None, None, None, False, False, output_format)
        return context.invoke(command, settings, **own)

    return _FORMAT(wrapped)
