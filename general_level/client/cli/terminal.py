"""Progress on stderr: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from general_level.client.cli.settings import tell
from general_level.client.models import Submission, TransferProgress
from general_level.client.tables import printable, show_bytes, show_duration

#: Plain lines tell a transfer in steps of this many percent.
_STEP_PERCENT = 10


def on_terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()


@contextlib.contextmanager
def transfer_bar(what: str) -> Iterator[Callable[[TransferProgress], None]]:
    """A callback that shows bytes, speed and the time left."""
    if not on_terminal():
        yield _PlainTransfer(what)
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and only here
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)

        def advance(progress: TransferProgress) -> None:
            bar.update(task, completed=progress.done_bytes, total=progress.total_bytes)

        yield advance


class _PlainTransfer:
    """One line for every tenth, and one where a broken transfer falls back."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = -1

    def __call__(self, progress: TransferProgress) -> None:
        percent = 100 * progress.done_bytes // max(1, progress.total_bytes)
        step = percent // _STEP_PERCENT
        if step != self._told:
            self._told = step
            total = show_bytes(progress.total_bytes)
            tell(f"{self._what}: {show_bytes(progress.done_bytes)} of {total} ({percent} %)")


def state_line(submission: Submission) -> str:
    """One line: the state, the progress, the place in the queue, the estimate."""
    progress = submission.progress
    parts = [submission.state.value]
    if progress.tasks_total:
        parts.append(f"{progress.tasks_done} of {progress.tasks_total} tasks")
    if progress.position is not None:
        parts.append(f"{progress.position} jobs before yours")
    if progress.estimated_remaining is not None:
        parts.append(f"about {show_duration(progress.estimated_remaining)} left")
    if progress.paused_modalities:
        parts.append(f"{', '.join(progress.paused_modalities)} paused by the operators")
    if submission.failure_reason:
        parts.append(submission.failure_reason)
    return printable(", ".join(parts))


def follow(updates: Iterator[Submission]) -> Submission:
    """Shows the updates of a watch; returns the last one."""
    last: Submission | None = None
    with _shower() as show:
        for last in updates:
            show(last)
    assert last is not None, "a watch ends after a final state"
    return last


@contextlib.contextmanager
def _shower() -> Iterator[Callable[[Submission], None]]:
    if not on_terminal():
        yield _PlainStates()
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and only here
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True)) as view:
        task = view.add_task("", total=None)

        def show(submission: Submission) -> None:
            progress = submission.progress
            view.update(
                task,
                description=state_line(submission),
                completed=progress.tasks_done,
                total=progress.tasks_total or None,
            )

        yield show


class _PlainStates:
    """One line for every state, and one for every tenth of the tasks."""

    def __init__(self) -> None:
        self._told: tuple[str, int] | None = None

    def __call__(self, submission: Submission) -> None:
        progress = submission.progress
        percent = 100 * progress.tasks_done // max(1, progress.tasks_total)
        now = (submission.state.value, percent // _STEP_PERCENT)
        if now != self._told:
            self._told = now
            tell(state_line(submission))
