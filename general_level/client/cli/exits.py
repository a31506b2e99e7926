"""How a command ends: its exit code, and an error told as what happened, where, and what to do."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import click

from general_level import errors
from general_level.client.tables import printable, render_fields, show_duration, show_time
from general_level.errors import GeneralLevelError
from general_level.wire import from_rfc3339

Fields = list[tuple[str, str]]


class ExitCode(enum.IntEnum):
    """The exit codes of every command."""

    OK = 0
    REFUSED = 1  # findings, a rejected or failed submission, or any other refusal
    USAGE = 2  # click's own code
    QUOTA = 3  # the quota is used, a submission is pending, or the agreement is not accepted
    IDENTITY = 4  # not authenticated or not permitted
    UNAVAILABLE = 5  # the gateway did not answer, after all repetitions
    RECEIPT_INVALID = 6
    NOT_FOUND = 7
    INTERRUPTED = 130


#: The first class that fits decides.
_CODES: Mapping[type[GeneralLevelError], ExitCode] = {
    errors.QuotaExceeded: ExitCode.QUOTA,
    errors.SubmissionPending: ExitCode.QUOTA,
    errors.AgreementRequired: ExitCode.QUOTA,
    errors.NotAuthenticated: ExitCode.IDENTITY,
    errors.NotPermitted: ExitCode.IDENTITY,
    errors.Unavailable: ExitCode.UNAVAILABLE,
    errors.ReceiptInvalid: ExitCode.RECEIPT_INVALID,
    errors.NotFound: ExitCode.NOT_FOUND,
    errors.UnknownBoard: ExitCode.NOT_FOUND,
    errors.UnknownTask: ExitCode.NOT_FOUND,
}


def exit_code_of(error: GeneralLevelError) -> ExitCode:
    """The exit code that an error ends a command with."""
    return next(
        (code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.REFUSED
    )


def _pending(data: Mapping[str, str]) -> Fields:
    pending = data.get("pending_submission_id", "")
    return [
        ("pending", pending),
        ("do", f"wait for it: general-level watch {pending}"),
        ("", f"or withdraw it: general-level cancel {pending}"),
    ]


def _agreement(data: Mapping[str, str]) -> Fields:
    return [
        ("do", "read it: general-level agreement show"),
        ("", f"accept it for your lab: general-level agreement accept {data.get('version', '')}"),
    ]


def _quota(data: Mapping[str, str]) -> Fields:
    fields: Fields = []
    if "limit" in data and "window_seconds" in data:
        fields.append(("limit", f"{data['limit']} per {_window(data['window_seconds'])}"))
    if data.get("held_by"):
        fields.append(("held by", data["held_by"].replace(",", ", ")))
    if "next_slot_time" in data:
        fields.append(("next slot", _moment(data["next_slot_time"])))
    fields.append(("do", "submit again from then on; general-level quota shows the windows"))
    return fields


def _window(seconds: str) -> str:
    return show_duration(timedelta(seconds=int(seconds))) if seconds.isdecimal() else seconds


def _moment(text: str) -> str:
    try:
        return show_time(from_rfc3339(text))
    except ValueError:
        return printable(text)


def _advice(text: str) -> Callable[[Mapping[str, str]], Fields]:
    return lambda _data: [("do", text)]


#: What to do about an error, by the first class that fits.
_REMEDIES: Mapping[type[GeneralLevelError], Callable[[Mapping[str, str]], Fields]] = {
    errors.QuotaExceeded: _quota,
    errors.SubmissionPending: _pending,
    errors.AgreementRequired: _agreement,
    errors.NotAuthenticated: _advice(
        "set GENERAL_LEVEL_TOKEN or give --token-file; a token belongs to one gateway"
    ),
    errors.NotPermitted: _advice("use the token of the lab that owns this"),
    errors.Unavailable: _advice(
        "check the address and the network, then run the same command again"
    ),
    errors.UnknownBoard: _advice("general-level boards lists the boards of this gateway"),
    errors.DigestMismatch: _advice(
        "the file changed or was damaged on its way: run the command again"
    ),
    errors.AlreadyExists: _advice(
        "leave --request-id out, or repeat it with the same archive and metadata"
    ),
}


def explain(error: GeneralLevelError, where: str = "") -> str:
    """What happened, where, and what to do."""
    data = error.metadata
    fields: Fields = [("error", f"{error} [{error.reason}]")]
    if where:
        fields.append(("where", where))
    for key in ("submission_id", "board_id", "task_id", "path", "field"):
        if data.get(key):
            fields += [(key.removesuffix("_id"), data[key])]
    remedy = next((r for kind, r in _REMEDIES.items() if isinstance(error, kind)), None)
    if remedy is not None:
        fields += remedy(data)
    fields += [("note", note) for note in getattr(error, "__notes__", ())]
    return render_fields(fields)


class Refusal(click.ClickException):
    """A platform error at the end of a command; printed to stderr."""

    def __init__(self, error: GeneralLevelError, where: str = "") -> None:
        super().__init__(explain(error, where))
        self._code = exit_code_of(error)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return self._code

    def show(self, file: Any = None) -> None:
        click.echo(self.message, file=file, err=file is None)
