"""``python -m services.ranker``: ``serve`` the live ranker, or ``rank`` a file offline."""

from __future__ import annotations

import importlib

import click

from services.kit.commands import told_in_one_line
from services.ranker.rank_command import rank


@click.group()
def main() -> None:
    """Rank multimodal generalists by the General-Level formulas."""


@main.command()
def serve() -> None:
    """Follow the ledger and publish standings; settings are RANKER_*."""
    # Imported late: ranking a file needs no gRPC and no settings.
    app = importlib.import_module("services.ranker.app")
    with told_in_one_line():
        app.main()


main.add_command(rank)

if __name__ == "__main__":
    main(prog_name="python -m services.ranker")
