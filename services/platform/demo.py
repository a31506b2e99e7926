"""The demonstration: the sample benchmark, real baselines as labs, boards, and a receipt check."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from general_level.client import Client, ModelMetadata
from general_level.client.models import Submission
from general_level.client.tables import standings_table
from general_level.errors import GeneralLevelError, NotFound
from general_level.receipts import dump_receipt, load_receipt, verify_receipt
from general_level.trusted_keys import read_trusted_keys
from services.platform.app import Ports, start
from services.platform.home import Home, run_module

BOARD: Final = "A-full"
#: Printed at the end, when it has been published.
SHOWN_BOARDS: Final = ("A-full", "B-image", "C-audio-comprehension")
#: The platform publishes a finished submission within a second; this is for slow machines.
_PUBLISH_SECONDS_MAX: Final = 30.0

BASELINES: Final = ("majority", "neighbour", "linear", "polyglot")


def run_demo(home: Home, ports: Ports, wait: Callable[[], None] | None) -> None:
    """Everything from an empty folder to boards; with ``wait`` the platform then stays up."""
    console = Console()
    begun = time.monotonic()
    benchmark = home.folder.with_name(f"{home.folder.name}-benchmark")
    home.prepare()
    if not home.sealed.exists():
        console.print("[bold]1.[/] The sample benchmark is built and its answers are sealed.")
        if not benchmark.exists():
            run_module("samples", "build", "--out", str(benchmark))
        home.seal(benchmark)
    console.print("[bold]2.[/] Gateway, ranker and one grader per modality start.")
    supervisor = start(home, ports)
    try:
        target = f"127.0.0.1:{ports.public}"
        console.print("[bold]3.[/] The baselines take part as labs do: agreement, inputs, upload.")
        published = [_take_part(console, home, target, name) for name in BASELINES]
        console.print("[bold]4.[/] The boards:")
        _print_boards(console, target)
        console.print("[bold]5.[/] A lab checks its receipt offline:")
        for submission, archive, token in published[-1:]:
            _check_receipt(console, home, target, submission, archive, token)
        console.print(f"Done in {time.monotonic() - begun:.0f} s.")
        if wait is not None:
            console.print(
                f"The platform stays up: gRPC for labs at {target}, logs in {home.logs}. "
                "Ctrl-C drains and stops it."
            )
            wait()
    finally:
        supervisor.stop()


def _take_part(
    console: Console, home: Home, target: str, baseline: str
) -> tuple[Submission, Path, str]:
    token = home.new_lab(f"Baseline {baseline}")
    work = home.folder / "labs" / baseline
    work.mkdir(parents=True, exist_ok=True)
    with Client(target, token, insecure=True) as client:
        client.accept_agreement(client.agreement().version)
        inputs = client.download_inputs(BOARD, work)
        archive = _predict(baseline, inputs, work)
        with Progress(
            TextColumn(f"   {baseline:10}"),
            BarColumn(24),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
        ) as progress:
            bar = progress.add_task("uploading", total=None)
            try:
                submission = client.submit(
                    archive,
                    metadata=ModelMetadata(
                        model_name=archive.name.removesuffix(f"-{BOARD}.zip"),
                        organisation="Sample baselines",
                        description="A baseline that ships with the platform.",
                    ),
                )
                for state in client.watch(submission.submission_id):
                    submission = state
                    progress.update(
                        bar,
                        description=str(state.state),
                        total=state.progress.tasks_total or None,
                        completed=state.progress.tasks_done,
                    )
            except GeneralLevelError as error:
                progress.update(bar, description=f"{error.reason}: {error}")
                raise
    if submission.state != "published":
        details = "; ".join(f"{f.code} {f.path} {f.message}" for f in submission.findings[:5])
        raise RuntimeError(f"{baseline} ended {submission.state} {submission.failure_reason} {details}")
    return submission, archive, token


def _predict(baseline: str, inputs: Path, work: Path) -> Path:
    for earlier in work.glob(f"*-{BOARD}.zip"):
        if earlier != inputs:
            earlier.unlink()
    subprocess.run(
        [
            *(sys.executable, "-m", "samples", "predict", "--baseline", baseline),
            *("--inputs", str(inputs), "--board", BOARD, "--out", str(work)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return next(path for path in work.glob(f"*-{BOARD}.zip") if path != inputs)


def _print_boards(console: Console, target: str) -> None:
    with Client(target, insecure=True) as client:
        for board in SHOWN_BOARDS:
            deadline = time.monotonic() + _PUBLISH_SECONDS_MAX
            while True:
                try:
                    standings = client.standings(board)
                except NotFound:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
                else:
                    break
            console.print(standings_table(standings))


def _check_receipt(
    console: Console, home: Home, target: str, submission: Submission, archive: Path, token: str
) -> None:
    with Client(target, token, insecure=True) as client:
        path = archive.with_suffix(".receipt.json")
        path.write_bytes(dump_receipt(client.receipt(submission.submission_id)))
    report = verify_receipt(
        load_receipt(path.read_bytes()),
        archive=archive,
        trusted_keys=read_trusted_keys(home.trusted_keys),
    )
    console.print(f"   {path.name}: {report}")
