"""What became of the submissions of a round, by the rows themselves and by what labs were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from general_level.client.models import SubmissionState
from services.gateway import publishing
from services.gateway.states import State
from services.gateway.storage.tables import jobs, quota_ledger, score_ledger, submissions, timeline
from tests.faults.workload import Labs, Told
from tests.faults.world import World

_ENDS = {
    State.PUBLISHED: Counter({"reserve": 1, "commit": 1}),
    State.REJECTED: Counter({"reserve": 1, "refund": 1}),
    State.FAILED: Counter({"reserve": 1, "refund": 1}),
}


@dataclass(slots=True)
class Account:
    """How many submissions ended how; ``lost`` and ``double`` say in words what is wrong."""

    ends: Counter[State] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)

    @property
    def submitted(self) -> int:
        return self.ends.total()

    def add(self, other: Account) -> None:
        self.ends.update(other.ends)
        self.lost += other.lost
        self.double += other.double


def settle(world: World, labs: Labs) -> Account:
    """The account of a round that is over."""
    account = Account()
    told: list[Told] = []
    for result, archive in zip(labs.results, labs.chosen, strict=True):
        if (error := result.exception()) is None:
            told.append(result.result())
        else:
            account.lost.append(f"a lab's submission to {archive.board}: {error!r}")
    with world.database.read() as connection:
        made = Counter(
            connection.scalars(
                select(submissions.c.lab_id).where(submissions.c.lab_id.in_(labs.ids))
            )
        )
        account.double += [
            f"{lab}: {n} submissions of one request" for lab, n in made.items() if n > 1
        ]
        for one in told:
            _settle_one(connection, one, account)
        head = connection.scalar(select(func.max(score_ledger.c.position))) or 0
        entries = connection.scalar(select(func.count()).select_from(score_ledger))
        if head != entries:
            account.lost.append(f"the ledger has {entries} entries up to position {head}")
    return account


def _settle_one(connection: Connection, told: Told, account: Account) -> None:
    who = told.submission_id
    row = connection.execute(select(submissions).where(submissions.c.submission_id == who)).one()
    state = State(row.state)
    account.ends[state] += 1
    if SubmissionState(row.state.upper()) is not told.state:
        account.lost.append(f"{who} is {state}, its lab was told {told.state}")
    actions = Counter(
        connection.scalars(select(quota_ledger.c.action).where(quota_ledger.c.submission_id == who))
    )
    if state not in _ENDS:
        account.lost.append(f"{who} ended as {state}")
    elif actions != _ENDS[state]:
        wrong = account.double if max(actions.values(), default=0) > 1 else account.lost
        wrong.append(f"{who} is {state}, its quota says {dict(actions)}")
    if (state is State.REJECTED) == told.archive.good:
        account.lost.append(f"{who} is {state}, its archive was good: {told.archive.good}")
    kinds = connection.execute(
        select(score_ledger.c.kind, score_ledger.c.task_id).where(
            score_ledger.c.submission_id == who
        )
    ).all()
    scores = Counter(task_id for kind, task_id in kinds if kind == "score")
    completions = sum(kind == "completion" for kind, _ in kinds)
    account.double += [f"{who} has {n} scores of {task}" for task, n in scores.items() if n > 1]
    if completions > 1:
        account.double.append(f"{who} has {completions} completions")
    if state is State.PUBLISHED:
        _settle_published(connection, told, set(scores), completions, account)
    entered = Counter(
        connection.scalars(select(timeline.c.state).where(timeline.c.submission_id == who))
    )
    account.double += [f"{who} became {name} {n} times" for name, n in entered.items() if n > 1]


def _settle_published(
    connection: Connection, told: Told, scored: set[str], completions: int, account: Account
) -> None:
    who = told.submission_id
    expected = {task.id for task in told.archive.tasks}
    if scored != expected or completions != 1:
        account.lost.append(f"{who} is published with scores of {sorted(scored)}")
    unfinished = connection.scalar(
        select(func.count()).where(jobs.c.submission_id == who, jobs.c.state != "done")
    )
    if unfinished:
        account.lost.append(f"{who} is published with {unfinished} jobs that are not done")
    board = publishing.current(connection, told.archive.board)
    rows = publishing.to_standings(board).standings if board is not None else ()
    shown = sum(row.submission_id == who for row in rows)
    if shown != 1:
        (account.double if shown else account.lost).append(f"{who} is on its board {shown} times")


def told_secrets(world: World, planted: Mapping[str, str]) -> list[str]:
    """Which secret stands in which log; ``planted`` are those that the world does not know."""
    secrets = {**world.secrets, **planted}
    with world.database.read() as connection:
        for job_id, token in connection.execute(
            select(jobs.c.job_id, jobs.c.lease_token).where(jobs.c.lease_token.is_not(None))
        ):
            secrets[f"lease of {job_id}"] = token
    found = []
    for path in world.logs:
        text = path.read_text(errors="replace")
        found += [f"{what} in {path.name}" for what, secret in secrets.items() if secret in text]
    return found
