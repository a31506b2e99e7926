"""The demonstration: the sample benchmark, real baselines as labs, boards, and a receipt check."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from general_level.catalogue import Grading
from general_level.client import Client, ModelMetadata
from general_level.client.models import Standings, Submission, SubmissionState, TaskOutcome
from general_level.client.tables import standings_table
from general_level.errors import Unavailable
from general_level.receipts import dump_receipt, load_receipt, verify_receipt
from general_level.trusted_keys import read_trusted_keys
from services.kit.history import parse_history
from services.operations.shipped import shipped_history
from services.platform.app import Ports, start
from services.platform.home import Home, module_name, run_module
from services.platform.processes import Supervisor
from services.platform.progress import follow, logs_to_read

BOARD: Final = "A-full"
#: Printed at the end.
SHOWN_BOARDS: Final = (BOARD, "B-image", "C-audio-comprehension")
#: Says that a folder is a demo's and may be emptied.
MARK: Final = ".general-level-demo"
BASELINES: Final = ("majority", "neighbour", "linear", "polyglot")
#: The ranker publishes within a second; this is for slow machines.
_FOLLOW_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.1


class DemoFailed(Unavailable):
    """The demonstration did not end as it should."""

    reason = "DEMO_FAILED"


@dataclass(frozen=True, slots=True)
class Taken:
    """A baseline that took part."""

    name: str
    token: str
    archive: Path
    submission: Submission


def run_demo(home: Home, ports: Ports, wait: Callable[[], None] | None) -> None:
    """From an empty folder to boards; with ``wait`` the platform then stays up until it returns."""
    console = Console(highlight=False)
    begun = time.monotonic()
    _empty(home.folder)
    console.print("[bold]1.[/] The sample benchmark is built, and its answers are sealed.")
    home.prepare()
    published = parse_history(shipped_history())
    console.print(
        f"   The paper's results of {len(published.models)} models are there, marked as published."
    )
    benchmark = home.folder / "benchmark"
    run_module("samples", "build", "--out", str(benchmark))
    home.seal(benchmark)
    console.print("[bold]2.[/] Gateway, ranker and one grader per modality start.")
    supervisor = start(home, ports)
    target = f"127.0.0.1:{ports.public}"
    try:
        console.print("[bold]3.[/] Baselines take part as labs do: agreement, inputs, upload.")
        taken = _take_part(console, home, target, supervisor)
        console.print("[bold]4.[/] A judge's ratings of one task are imported, and graded.")
        _rate(console, home, target, taken[-1])
        console.print("[bold]5.[/] The boards:")
        with Client(target, insecure=True) as client:
            for board in SHOWN_BOARDS:
                console.print(f"\n[bold]{board}[/]")
                console.print(
                    standings_table(client.standings(board)), markup=False, soft_wrap=True
                )
        _unscored(console, home, target, taken[-1])
        console.print("\n[bold]6.[/] A lab checks its receipt, without asking anyone:")
        _check_receipt(console, home, target, taken[-1])
        console.print(f"\nDone in {time.monotonic() - begun:.0f} s.")
        if wait is not None:
            _explain(console, home, target, ports.web, taken[-1])
            wait()
    finally:
        supervisor.stop()


def _empty(folder: Path) -> None:
    """Leaves a folder with nothing but the demo's mark; DemoFailed if it is not a demo's."""
    mark = folder / MARK
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise DemoFailed(f"{folder} holds something that is no demo; choose another --home.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    mark.touch()


def _take_part(console: Console, home: Home, target: str, supervisor: Supervisor) -> list[Taken]:
    tokens = {name: home.new_lab(f"Baseline {name}") for name in BASELINES}
    folder = home.folder / "labs"
    folder.mkdir()
    for name, token in tokens.items():
        with Client(target, token, insecure=True) as client:
            client.accept_agreement(client.agreement().version)
            if name == BASELINES[0]:
                inputs = client.download_inputs(BOARD, folder)
    chosen = [word for name in BASELINES for word in ("--baseline", name)]
    console.print("   The four models train and answer; that takes about a minute.")
    printed = run_module(
        "samples", "predict", *chosen, "--inputs", str(inputs), "--out", str(folder)
    )
    archives = [Path(line) for line in printed.splitlines() if line.endswith(".zip")]

    def blame(state: SubmissionState) -> str:
        return logs_to_read(state, supervisor.restarts(), home.logs)

    return [
        _submit(console, target, name, tokens[name], archive, blame)
        for name, archive in zip(BASELINES, archives, strict=True)
    ]


def _submit(
    console: Console,
    target: str,
    name: str,
    token: str,
    archive: Path,
    blame: Callable[[SubmissionState], str],
) -> Taken:
    metadata = ModelMetadata(
        model_name=archive.name.removesuffix(f"-{BOARD}.zip"),
        organisation="Sample baselines",
        description="A baseline that ships with the platform.",
    )
    columns = (
        TextColumn(f"   {name:10}"),
        BarColumn(24),
        TextColumn("{task.description:12}"),
        TimeElapsedColumn(),
    )
    with (
        Client(target, token, insecure=True) as client,
        Progress(*columns, console=console) as bars,
    ):
        bar = bars.add_task("uploading", total=None)
        submission_id = client.submit(archive, metadata=metadata).submission_id

        def show(update: Submission) -> None:
            bars.update(
                bar,
                description=update.state.lower(),
                total=update.progress.tasks_total or None,
                completed=update.progress.tasks_done,
            )

        submission = follow(lambda: client.get(submission_id), show, blame)
    if submission.state is not SubmissionState.PUBLISHED:
        found = "; ".join(f"{f.code} {f.path}: {f.message}" for f in submission.findings[:5])
        raise DemoFailed(f"{name} is {submission.state} {submission.failure_reason} {found}")
    return Taken(name, token, archive, submission)


def _rate(console: Console, home: Home, target: str, taken: Taken) -> None:
    """Imports ratings for the task that only they can score, and waits until the board has it."""
    catalogue = home.catalogue()
    task_id = next(
        task_id
        for task_id in catalogue.tasks
        if catalogue.metric_of(task_id).grading is Grading.RATINGS
    )
    ratings = home.folder / "ratings.json"
    inputs = next((home.folder / "labs").glob("inputs-*.zip"))
    run_module(
        *("samples", "rate", "--archive", str(taken.archive)),
        *("--inputs", str(inputs), "--out", str(ratings)),
    )
    submission_id = taken.submission.submission_id
    with Client(target, insecure=True) as client:
        before = _supported(client.standings(BOARD), submission_id)
        run_module(
            *("services.gateway", "ratings", "import", "--database", home.database_url),
            *("--catalogue", home.catalogue_spec, "--submission", submission_id),
            *("--public-folder", str(home.sealed / "public")),
            *("--task", task_id, str(ratings)),
        )
        deadline = time.monotonic() + _FOLLOW_SECONDS_MAX
        while _supported(client.standings(BOARD), submission_id) == before:
            if time.monotonic() > deadline:
                log = home.logs / f"grader-{module_name(catalogue.tasks[task_id].modality)}.log"
                raise DemoFailed(f"The board did not follow the ratings. Read {log}.")
            time.sleep(_POLL_SECONDS)
    console.print(f"   {catalogue.tasks[task_id].name} of {taken.name} is on the board.")


def _supported(standings: Standings, submission_id: str) -> int:
    return next(
        row.supported_tasks for row in standings.standings if row.submission_id == submission_id
    )


def _unscored(console: Console, home: Home, target: str, taken: Taken) -> None:
    """Says which tasks no grader scores, which holds up no submission."""
    with Client(target, taken.token, insecure=True) as client:
        results = client.results(taken.submission.submission_id)
    tasks = home.catalogue().tasks
    names = [tasks[r.task_id].name for r in results if r.outcome is TaskOutcome.UNSCORED]
    console.print(
        f"\n   Unscored, as their metrics wait for the weights of networks: {', '.join(names)}.",
        soft_wrap=True,
    )


def _check_receipt(console: Console, home: Home, target: str, taken: Taken) -> None:
    with Client(target, taken.token, insecure=True) as client:
        path = taken.archive.with_suffix(".receipt.json")
        path.write_bytes(dump_receipt(client.receipt(taken.submission.submission_id)))
    report = verify_receipt(
        load_receipt(path.read_bytes()),
        archive=taken.archive,
        trusted_keys=read_trusted_keys(home.trusted_keys),
    )
    console.print(
        f"   {len(report.statements)} signed scores hold, {report.members_checked} files of the "
        f"archive match, signed by {', '.join(key[:12] for key in report.key_ids)}."
    )


def _explain(console: Console, home: Home, target: str, web_port: int | None, taken: Taken) -> None:
    token_file = home.folder / "labs" / "token.txt"
    token_file.touch(mode=0o600)
    token_file.write_text(taken.token)
    if web_port:
        console.print(f"The boards are at http://127.0.0.1:{web_port}", soft_wrap=True)
        console.print(
            f"The paper's results are at http://127.0.0.1:{web_port}/published", soft_wrap=True
        )
    console.print(
        f"The platform stays up; Ctrl-C drains and stops it. Try in another terminal:\n"
        f"   export GENERAL_LEVEL_TARGET={target} GENERAL_LEVEL_INSECURE=1\n"
        f"   .venv/bin/general-level board {BOARD}\n"
        f"   .venv/bin/general-level submissions --token-file {token_file}\n"
        f"Logs are in {home.logs}.",
        soft_wrap=True,
    )
