"""What the services' commands have in common: how a start ends that cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from general_level.errors import GeneralLevelError
from services.kit.settings import SettingInvalid


class _Unusable(click.ClickException):
    exit_code = 2


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends a command with an error's text and no traceback, where the error is one of ours.

    Exit code 2 for a setting that is missing or cannot be used, as for a wrong option; 1 for what
    the settings name and what is not as it should be.
    """
    try:
        yield
    except SettingInvalid as error:
        raise _Unusable(str(error)) from error
    except GeneralLevelError as error:
        raise click.ClickException(f"{error.reason}: {error}") from error
