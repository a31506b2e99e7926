"""The queue of two gateways on one PostgreSQL, beside a known queue library on the same server.

Ours are two gateway processes and graders that call them over gRPC as the real ones do: lease one
job, beat, complete it with a signed statement, which goes into the ledger. Theirs (procrastinate)
are two processes of workers that talk to the database themselves and whose jobs do nothing. Both
have as many workers, and every commit waits for the disk. Of the work of one job ours is three
calls with a token each, the turn of the labs, the check of a signature and the ledger; theirs is to
take a row and to mark it.

Pickup is the time from the commit that made a job ready to the moment in which a waiting grader
holds its lease; theirs, to the first line of the job. The next job is made when the one before is
done and the worker waits again.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import procrastinate

from services.gateway.identity import create_token
from services.gateway.signals import Signals
from services.gateway.storage.replicas import Together
from services.grader.gateway import Gateway, Lease
from services.grader.outcomes import Scored
from services.kit.clock import ManualClock, SystemClock
from services.kit.settings import Secret
from tests.support.gateway_process import GatewayProcess
from tests.support.grader_files import GraderFiles
from tests.support.postgres_server import PostgresServer
from tests.support.queue_world import CATALOGUE, QueueWorld, statement, tasks_of
from tests.support.stores import Stores, using

GRADERS = (1, 4, 16)
GATEWAYS = 2
LABS = 8
JOBS_OF_A_SUBMISSION = 20
JOBS_PER_GRADER_COUNT = {1: 100, 4: 200, 16: 320}
#: What a grader leases in one call where its jobs are short.
AT_ONCE = 8
PICKUP_GRADERS = (1, 4, 16)
PICKUP_JOBS = 60
#: From the end of a job to the next of the pickup, s.
PICKUP_GAP = (0.03, 0.06)
TASKS = tasks_of("image")
METRICS = sorted({task.metric_id for task in TASKS})
PROCRASTINATE_QUEUE = "bench"


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds that some jobs took, and from ready to held each."""

    jobs: int
    seconds: float = 0.0
    pickups: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds

    def pickup_ms(self, percent: int) -> float:
        return 1_000 * quantiles(self.pickups, n=100, method="inclusive")[percent - 1]


@dataclass
class Ours:
    """Two gateways on one database, and the rows that the benchmark puts there itself."""

    world: QueueWorld
    gateways: Sequence[GatewayProcess]
    token: Secret
    signals: Signals = field(default_factory=Signals)

    def fill(self, jobs: int) -> None:
        """So many jobs, of several labs with several submissions each."""
        labs = [self.world.add_lab() for _ in range(LABS)]
        for place, first in enumerate(range(0, jobs, JOBS_OF_A_SUBMISSION)):
            share = min(JOBS_OF_A_SUBMISSION, jobs - first)
            self.world.add_submission(labs[place % LABS], TASKS[:share])

    def graders(self, number: int) -> list[Gateway]:
        """Connections of so many graders, spread over the gateways."""
        files = GraderFiles(Path("/nonexistent"), b"")
        made = []
        for place in range(number):
            port = self.gateways[place % GATEWAYS].internal_port
            settings = files.settings(
                f"127.0.0.1:{port}", token=self.token, grader_id=f"grader-{place}"
            )
            made.append(Gateway(settings, METRICS))
        return made

    async def finish(self, grader: Gateway, lease: Lease) -> None:
        """A signed score."""
        job = lease.job
        signed = self.world.key.sign(
            statement(job.submission_id, job.task_id, job.archive_sha256, 50.0)
        )
        await grader.complete(lease, Scored(50.0, None, 100, 0, signed, ()))

    async def throughput(self, number: int, jobs: int, at_once: int = 1) -> Measured:
        await asyncio.to_thread(self.fill, jobs)
        async with _connected(self.graders(number)) as graders:
            done = 0

            async def grade(grader: Gateway) -> None:
                nonlocal done
                while done < jobs:
                    leases = await grader.lease(at_once, 0.2)
                    if leases:
                        await grader.keep_alive(leases)
                    for lease in leases:
                        await self.finish(grader, lease)
                        done += 1

            begun = time.perf_counter()
            await asyncio.gather(*(grade(grader) for grader in graders))
            seconds = time.perf_counter() - begun
        assert done == jobs
        return Measured(jobs, seconds)

    async def pickup(self, number: int, jobs: int) -> Measured:
        ready: dict[str, float] = {}
        held: dict[str, float] = {}
        lab_id = await asyncio.to_thread(self.world.add_lab)

        def submit() -> None:
            submission_id = self.world.add_submission(lab_id, TASKS[:1])
            ready[submission_id] = time.perf_counter()

        ended = asyncio.Event()
        async with _connected(self.graders(number)) as graders:

            async def grade(grader: Gateway) -> None:
                while len(held) < jobs:
                    for lease in await grader.lease(1, 1.0):
                        held[lease.job.submission_id] = time.perf_counter()
                        await grader.keep_alive([lease])
                        await self.finish(grader, lease)
                        ended.set()

            working = [asyncio.create_task(grade(grader)) for grader in graders]
            for gap in _gaps(jobs):
                await asyncio.sleep(gap)
                await asyncio.to_thread(submit)
                # As the gateway that checked it does after the commit.
                self.signals.notify(f"jobs/{TASKS[0].modality}")
                await ended.wait()
                ended.clear()
            await asyncio.gather(*working)
        return Measured(jobs, pickups=tuple(held[name] - ready[name] for name in ready))


@asynccontextmanager
async def _connected(graders: list[Gateway]) -> AsyncIterator[list[Gateway]]:
    """With a call made over each connection, so that making it is not measured."""
    try:
        for grader in graders:
            await grader.keep_alive([])
        yield graders
    finally:
        for grader in graders:
            await grader.close()


def _gaps(number: int) -> list[float]:
    chance = random.Random(7)
    return [chance.uniform(*PICKUP_GAP) for _ in range(number)]


def library(url: str) -> procrastinate.App:
    """procrastinate with the settings that it comes with."""
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=24)
    return procrastinate.App(connector=connector)


@dataclass
class Theirs:
    """procrastinate on a database of its own."""

    url: str

    async def prepare(self) -> None:
        async with library(self.url).open_async() as app:
            await app.schema_manager.apply_schema_async()

    async def throughput(self, number: int, jobs: int) -> Measured:
        app = library(self.url)
        work = app.task(_nothing, name="nothing", queue=PROCRASTINATE_QUEUE)
        async with app.open_async():
            await work.batch_defer_async(*({"number": place} for place in range(jobs)))
        context = multiprocessing.get_context("spawn")
        processes = min(number, GATEWAYS)
        start, results = context.Barrier(processes), context.SimpleQueue()
        children = [
            context.Process(
                target=_work, args=(self.url, number // processes, start, results), daemon=True
            )
            for _ in range(processes)
        ]
        for child in children:
            child.start()
        found = [await asyncio.to_thread(results.get) for _ in children]
        for child in children:
            child.join()
        assert sum(done for done, _, _ in found) == jobs
        begun = min(one[1] for one in found)
        return Measured(jobs, max(one[2] for one in found) - begun)

    async def pickup(self, number: int, jobs: int) -> Measured:
        app = library(self.url)
        ready: dict[int, float] = {}
        begun: dict[int, float] = {}
        ended = asyncio.Event()

        async def note(number: int) -> None:
            begun[number] = time.perf_counter()
            ended.set()

        work = app.task(note, name="note", queue=PROCRASTINATE_QUEUE)
        async with app.open_async():
            workers = [
                asyncio.create_task(
                    app.run_worker_async(
                        queues=[PROCRASTINATE_QUEUE], name=f"w{n}", install_signal_handlers=False
                    )
                )
                for n in range(number)
            ]
            for place, gap in enumerate(_gaps(jobs)):
                await asyncio.sleep(gap)
                await work.defer_async(number=place)
                ready[place] = time.perf_counter()
                await ended.wait()
                ended.clear()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return Measured(jobs, pickups=tuple(begun[place] - ready[place] for place in ready))


async def _nothing(number: int) -> None:
    """A job that does nothing."""


def _work(url: str, workers: int, start: object, results: object) -> None:
    """Workers in a process of their own, until nothing is left; tells (done, begin, end)."""
    done = 0

    async def nothing(number: int) -> None:
        nonlocal done
        done += 1

    async def run() -> tuple[float, float]:
        app = library(url)
        app.task(nothing, name="nothing", queue=PROCRASTINATE_QUEUE)
        async with app.open_async():
            await asyncio.to_thread(start.wait)  # type: ignore[attr-defined]
            begun = time.perf_counter()
            await asyncio.gather(
                *(
                    app.run_worker_async(
                        queues=[PROCRASTINATE_QUEUE],
                        name=f"w{place}",
                        wait=False,
                        listen_notify=False,
                        install_signal_handlers=False,
                    )
                    for place in range(workers)
                )
            )
            return begun, time.perf_counter()

    begun, ended = asyncio.run(run())
    results.put((done, begun, ended))  # type: ignore[attr-defined]


@contextmanager
def _ours(folder: Path) -> Iterator[Ours]:
    with ExitStack() as stack:
        world = QueueWorld(folder, ManualClock(SystemClock().now()))
        stack.callback(world.close)
        trusted = folder / "trusted-keys.txt"
        trusted.write_text(world.key.public.hex() + "\n")
        settings = {"GATEWAY_TRUSTED_KEYS": str(trusted), "GATEWAY_CATALOGUE": CATALOGUE.id}
        gateways = []
        for _ in range(GATEWAYS):
            gateway = GatewayProcess(folder, settings)
            gateway.start()
            stack.callback(gateway.stop)
            gateways.append(gateway)
        with world.database.write() as connection:
            token = create_token(connection, world.now, "grader", modality="image")
        yield Ours(world, gateways, token)


async def _compare(ours: Ours, theirs: Theirs) -> None:
    await theirs.prepare()
    print(
        f"{'jobs per second, leased and completed':40}{'ours':>10}{'procrastinate':>16}{'ratio':>8}"
    )
    for number in GRADERS:
        jobs = JOBS_PER_GRADER_COUNT[number]
        mine = await ours.throughput(number, jobs)
        other = await theirs.throughput(number, jobs)
        what = f"  {number} graders, {jobs} jobs"
        _print(what, mine.rate, other.rate, mine.rate / other.rate)
        if number > 1:
            many = await ours.throughput(number, jobs, AT_ONCE)
            what = f"    up to {AT_ONCE} leases in one call"
            _print(what, many.rate, other.rate, many.rate / other.rate)
    print(f"{'pickup, ms':40}{'ours':>10}{'procrastinate':>16}{'ratio':>8}")
    for number in PICKUP_GRADERS:
        mine = await ours.pickup(number, PICKUP_JOBS)
        other = await theirs.pickup(number, PICKUP_JOBS)
        for percent in (50, 95, 99):
            one, two = mine.pickup_ms(percent), other.pickup_ms(percent)
            _print(f"  {number} waiting graders, p{percent}", one, two, two / one)
    print("bar: pickup p95 < 1,000 ms")


def _print(what: str, ours: float, theirs: float, ratio: float) -> None:
    print(f"{what:40}{ours:10.1f}{theirs:16.1f}{ratio:8.2f}", flush=True)


async def _run(ours: Ours, theirs: Theirs) -> None:
    async with AsyncExitStack() as stack:
        together = Together(ours.world.database.url, ours.signals)
        await together.start()
        stack.push_async_callback(together.stop)
        await together.listening.wait()
        await _compare(ours, theirs)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        server = PostgresServer(durable=True)
        stack.callback(server.stop)
        stack.enter_context(using(Stores(postgres=server)))
        ours = stack.enter_context(_ours(Path(name)))
        asyncio.run(_run(ours, Theirs(server.create("procrastinate"))))


if __name__ == "__main__":
    main()
