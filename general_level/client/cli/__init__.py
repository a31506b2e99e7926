"""The command ``general-level``. :func:`main` is its entry point; docs/labs/cli.md its manual."""

from general_level.client.cli.program import main

__all__ = ["main"]
