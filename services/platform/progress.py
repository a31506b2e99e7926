"""Following a submission of the demonstration as long as it moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from general_level.client.models import Submission, SubmissionState
from general_level.errors import Unavailable

#: A submission that neither changes its state nor has another task done for this long stands still.
#: Graders of the sample take seconds for a task; a slow machine starts five of them in a minute.
STILL_SECONDS_MAX: Final = 180.0
_POLL_SECONDS: Final = 0.2

#: Whose log says why a submission does not leave a state; the graders' is told for all others.
_OWNERS: Final = {
    SubmissionState.CREATED: "gateway",
    SubmissionState.UPLOADING: "gateway",
    SubmissionState.CHECKING: "gateway",
    SubmissionState.RANKING: "ranker",
}


class StandsStill(Unavailable):
    """A submission does not go on."""

    reason = "STANDS_STILL"


def follow(
    read: Callable[[], Submission],
    show: Callable[[Submission], None],
    blame: Callable[[SubmissionState], str],
    *,
    seconds: float = STILL_SECONDS_MAX,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Submission:
    """The submission once it is final; ``show`` is given it at every look.

    StandsStill, with what ``blame`` says of its state, when nothing of it changed for ``seconds``.
    """
    known: tuple[SubmissionState, int] | None = None
    moved_at = clock()
    while True:
        submission = read()
        show(submission)
        if submission.state.is_final:
            return submission
        now = (submission.state, submission.progress.tasks_done)
        if now != known:
            known, moved_at = now, clock()
        elif clock() - moved_at >= seconds:
            raise StandsStill(
                f"It is {submission.state} with {submission.progress.tasks_done} of "
                f"{submission.progress.tasks_total} tasks done, as {seconds:.0f} s ago. "
                f"{blame(submission.state)}",
                submission_id=submission.submission_id,
            )
        pause(_POLL_SECONDS)


def logs_to_read(state: SubmissionState, restarts: Mapping[str, int], logs: Path) -> str:
    """Which logs say why: of the processes that died, else of those whose turn it is."""
    died = sorted(name for name, count in restarts.items() if count)
    if died:
        return f"{', '.join(died)} died and was started again: read {_files(died, logs)}."
    owner = _OWNERS.get(state, "grader-")
    return f"Read {_files([name for name in sorted(restarts) if name.startswith(owner)], logs)}."


def _files(names: list[str], logs: Path) -> str:
    return ", ".join(str(logs / f"{name}.log") for name in names)
