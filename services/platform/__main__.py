"""``python -m services.platform``: the embedded platform on one machine."""

from __future__ import annotations

import os

# The supervisor forks beside gRPC's threads, and the child calls exec at once: gRPC's own handlers
# of a fork have nothing to save there, and sometimes end the child.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import signal
import threading
from pathlib import Path

import click

from general_level.errors import GeneralLevelError
from services.kit.logging import configure_logging
from services.platform.app import Ports, start
from services.platform.demo import run_demo
from services.platform.home import Home
from services.platform.seed import seed

_DEFAULTS = Ports(web=8080)

_home = click.option(
    "--home",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/platform"),
    show_default=True,
    help="Where database, archives, sealed keys, secrets and logs lie.",
)
_catalogue = click.option(
    "--catalogue", default="general-bench", show_default=True, help="A name or a folder."
)
_port = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=_DEFAULTS.public,
    show_default=True,
    help="gRPC port for labs and readers; the internal and the metrics ports follow it.",
)
_web_port = click.option(
    "--web-port",
    type=click.IntRange(0, 65535),
    default=_DEFAULTS.web,
    show_default=True,
    help="Port of the pages; 0 serves none.",
)


class _Group(click.Group):
    """Ends a command with an error's text, not with a traceback, where the error is one of ours."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except GeneralLevelError as error:
            raise click.ClickException(f"{error} [{error.reason}]") from error


@click.group(cls=_Group, help="The embedded platform: all of it on one machine.")
def main() -> None:
    configure_logging("platform")


@main.command()
@_home
@_catalogue
def init(folder: Path, catalogue: str) -> None:
    """Make keys, service tokens and the database; print the recipient to seal to."""
    home = Home(folder.resolve(), catalogue)
    home.prepare()
    click.echo(home.recipient.read_text().strip())


@main.command()
@_home
@_catalogue
@_port
@_web_port
@click.option(
    "--benchmark",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A benchmark in its own layout, sealed at the first start.",
)
@click.option(
    "--allow-unmatched", is_flag=True, help="Seal what matches the catalogue and report the rest."
)
def up(
    folder: Path,
    catalogue: str,
    port: int,
    web_port: int,
    benchmark: Path | None,
    allow_unmatched: bool,
) -> None:
    """Run gateway, ranker and one grader per modality until Ctrl-C, then drain."""
    home = Home(folder.resolve(), catalogue)
    home.prepare()
    if benchmark is not None:
        home.seal(benchmark, allow_unmatched=allow_unmatched)
    supervisor = start(home, ports_from(port, web_port))
    if web_port:
        click.echo(f"Pages at http://127.0.0.1:{web_port}")
    click.echo(f"gRPC for labs at 127.0.0.1:{port}; logs in {home.logs}. Ctrl-C drains.")
    wait_for_interrupt()
    supervisor.stop()


@main.command()
@click.option(
    "--home",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="Emptied first; refused if it holds anything but an earlier demo.",
)
@_port
@_web_port
@click.option("--serve", is_flag=True, help="Leave the platform running until Ctrl-C.")
def demo(folder: Path, port: int, web_port: int, serve: bool) -> None:
    """Seal the sample benchmark, submit the baselines as labs do, print boards and a receipt."""
    home = Home(folder.resolve(), "sample")
    run_demo(home, ports_from(port, web_port), wait=wait_for_interrupt if serve else None)


@main.command("seed")
@click.option(
    "--out",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/seed"),
    show_default=True,
    help="Has a folder for each volume.",
)
@click.option(
    "--database",
    "database_url",
    envvar="GATEWAY_DATABASE_URL",
    required=True,
    help="The gateway's. Default: GATEWAY_DATABASE_URL.",
)
def seed_command(out: Path, database_url: str) -> None:
    """Make keys and tokens and seal the sample benchmark, for deploy/compose.yaml."""
    seed(out, database_url)
    click.echo(f"Keys, tokens and the sealed sample benchmark are in {out}.")


def ports_from(public: int, web: int) -> Ports:
    """The default layout of ports, moved to another first one; ``web`` 0 is none."""
    shift = public - _DEFAULTS.public

    def moved(port: int | None) -> int | None:
        return None if port is None else port + shift

    return Ports(
        public,
        _DEFAULTS.internal + shift,
        moved(_DEFAULTS.gateway_metrics),
        moved(_DEFAULTS.ranker_metrics),
        moved(_DEFAULTS.grader_metrics),
        web=web or None,
    )


def wait_for_interrupt() -> None:
    """Returns on SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_arguments: stop.set())
    stop.wait()


if __name__ == "__main__":
    main()
