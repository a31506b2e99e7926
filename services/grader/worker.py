"""The worker: leases jobs, keeps the leases alive, runs the pipeline, reports, drains.

It holds no key and parses no byte of a lab. Every job ends in one of four ways: completed, failed
by a fault of ours, released untouched, or lost to another grader; none of them stops the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from structlog.typing import FilteringBoundLogger

from general_level.errors import GeneralLevelError, LeaseLost
from services.grader.backoff import Backoff
from services.grader.gateway import Gateway, Lease, is_passing
from services.grader.outcomes import Fault, GraderFault, Refused, Scored
from services.grader.pipeline import Pipeline
from services.grader.settings import GraderSettings
from services.grader.telemetry import Telemetry
from services.kit import tracing
from services.kit.logging import get_logger

#: A beat comes this often within one lease.
BEATS_PER_LEASE: Final = 3
#: How long a finished job's outcome is offered to a gateway that does not answer. The lease may run
#: out meanwhile: the gateway knows that better, and its fence refuses what is too late.
REPORT_SECONDS: Final = 300.0
#: Weight of the newest job in the estimate of the pace.
_PACE_WEIGHT: Final = 0.2
#: The pace that is assumed before the first job, in seconds a job.
_FIRST_PACE_SECONDS: Final = 0.5


@dataclass(slots=True, eq=False)
class _Held:
    """One lease and what is done with it."""

    lease: Lease
    expires_at: float  # on the event loop's clock
    log: FilteringBoundLogger
    task: asyncio.Task[None] | None = None
    started: bool = False
    reporting: bool = False
    #: Why the task was cancelled, if it was: one of telemetry's outcomes.
    stopped: str = ""

    def stop(self, why: str) -> None:
        """Cancels the work."""
        if not self.stopped and self.task is not None:
            self.stopped = why
            self.task.cancel()


class Worker:
    """One grader process's main loop."""

    def __init__(
        self,
        settings: GraderSettings,
        gateway: Gateway,
        pipeline: Pipeline,
        metric_ids: Sequence[str],
        telemetry: Telemetry,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._pipeline = pipeline
        self._metric_ids = tuple(metric_ids)
        self._telemetry = telemetry
        self._rng = rng
        self._slots = asyncio.Semaphore(settings.pipeline_depth)
        self._held: set[_Held] = set()
        self._pace_seconds = _FIRST_PACE_SECONDS
        self._draining = asyncio.Event()
        self._changed = asyncio.Event()
        self._healthy = True

    def drain(self) -> None:
        """Takes no more jobs and lets ``run`` end; called on SIGTERM."""
        self._draining.set()
        self._telemetry.ready(False)

    async def run(self) -> bool:
        """Works until drained. False where a self-test failed or a companion of the work broke.

        Then the grader must not work, and its process ends with an error.
        """
        if not await self._self_test():
            await self._close()
            return False
        companions = [
            asyncio.create_task(self._beat(), name="heartbeats"),
            asyncio.create_task(self._repeat_self_test(), name="self-tests"),
        ]
        for task in companions:
            task.add_done_callback(self._companion_ended)
        try:
            await self._lease_until_drained()
            await self._finish()
        finally:
            self._telemetry.ready(False)
            for task in companions:
                task.cancel()
            await asyncio.gather(*companions, return_exceptions=True)
            await self._close()
        return self._healthy

    def _companion_ended(self, task: asyncio.Task[None]) -> None:
        """Without its companions a worker must not go on: its leases would run out unseen."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        # Its message may hold anything; its type is ours to log.
        get_logger().error("companion ended", task=task.get_name(), error=type(error).__name__)
        self._healthy = False
        self.drain()

    async def _close(self) -> None:
        await self._pipeline.close()
        await self._gateway.close()

    # Leasing.

    def _room(self) -> int:
        """How many more jobs to hold: what the present pace does in ``prefetch_seconds``."""
        useful = int(self._settings.prefetch_seconds / self._pace_seconds)
        floor = min(2, self._settings.pipeline_depth)
        return min(self._settings.jobs, max(floor, useful)) - len(self._held)

    async def _lease_until_drained(self) -> None:
        backoff = Backoff(self._rng)
        while not self._draining.is_set():
            self._changed.clear()
            room = self._room()
            if room <= 0:
                await self._until_drained_or(asyncio.create_task(_wait(self._changed)))
                continue
            call = asyncio.create_task(self._gateway.lease(room, self._settings.poll_seconds))
            await self._until_drained_or(call)
            if call.cancelled():
                continue
            try:
                leases = call.result()
            except GeneralLevelError as error:
                delay = backoff.next_seconds()
                self._telemetry.gateway_error()
                get_logger().warning("no jobs", reason=error.reason, retry_seconds=round(delay, 1))
                await self._until_drained_or(asyncio.create_task(asyncio.sleep(delay)))
                continue
            backoff.reset()
            if leases:
                await self._take(leases)
            elif not self._held:
                await self._pipeline.close_idle()

    async def _until_drained_or(self, task: asyncio.Task[object]) -> None:
        """Waits for the task, or cancels it when draining begins."""
        draining = asyncio.create_task(_wait(self._draining))
        await asyncio.wait({task, draining}, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})

    async def _take(self, leases: list[Lease]) -> None:
        """The first beat, before any work; then the work on what it confirmed."""
        kept = await self._first_beat(leases)
        now = asyncio.get_running_loop().time()
        for lease in leases:
            job = lease.job
            log = get_logger(
                job_id=job.job_id,
                submission_id=job.submission_id,
                task_id=job.task_id,
                attempt=job.attempt,
            )
            if (job.job_id, lease.token) not in kept:
                self._lost(log)
                continue
            held = _Held(lease, now + lease.lease_seconds, log)
            self._held.add(held)
            held.task = asyncio.create_task(self._run_traced(held))
        self._telemetry.held(len(self._held))
        self._changed.set()

    async def _first_beat(self, leases: list[Lease]) -> set[tuple[str, str]]:
        backoff = Backoff(self._rng)
        try:
            async with asyncio.timeout(min(lease.lease_seconds for lease in leases)):
                while True:
                    try:
                        return await self._gateway.keep_alive(leases)
                    except GeneralLevelError:
                        self._telemetry.gateway_error()
                        await asyncio.sleep(backoff.next_seconds())
        except TimeoutError:
            return set()

    # Heartbeats.

    async def _beat(self) -> None:
        while True:
            working = [held for held in self._held if not held.stopped]
            if not working:
                self._changed.clear()
                await self._changed.wait()
                continue
            shortest = min(held.lease.lease_seconds for held in working)
            await asyncio.sleep(shortest / BEATS_PER_LEASE)
            await self._beat_once([held for held in working if held in self._held], shortest)

    async def _beat_once(self, working: list[_Held], shortest: float) -> None:
        if not working:
            return
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        kept: set[tuple[str, str]] | None = None
        try:
            async with asyncio.timeout(shortest / BEATS_PER_LEASE):
                kept = await self._gateway.keep_alive([held.lease for held in working])
        except (GeneralLevelError, TimeoutError):
            self._telemetry.gateway_error()
        for held in working:
            if kept is not None and (held.lease.job.job_id, held.lease.token) in kept:
                held.expires_at = asked_at + held.lease.lease_seconds
            # The answer to a report tells more than a beat that crossed it.
            elif not held.reporting and (kept is not None or loop.time() >= held.expires_at):
                held.stop("lost")

    def _lost(self, log: FilteringBoundLogger) -> None:
        self._telemetry.lease_lost()
        self._telemetry.job_ended("lost")
        log.warning("lease lost")

    # One job.

    async def _run_traced(self, held: _Held) -> None:
        job = held.lease.job
        with tracing.span(
            "job",
            job.submission_id,
            current=True,
            job_id=job.job_id,
            task_id=job.task_id,
            modality=self._settings.modality.value,
            attempt=job.attempt,
        ):
            await self._run(held)

    async def _run(self, held: _Held) -> None:
        loop = asyncio.get_running_loop()
        try:
            with self._telemetry.stage("waiting"):
                await self._slots.acquire()
            try:
                held.started = True
                began = loop.time()
                result = await self._grade(held)
            finally:
                self._slots.release()
            self._note_pace(loop.time() - began)
            held.reporting = True
            with self._telemetry.stage("reporting"):
                await self._report(held, result)
        except asyncio.CancelledError:
            if not held.stopped:
                raise
            if held.stopped == "lost":
                self._lost(held.log)
            else:
                self._telemetry.job_ended(held.stopped)
                held.log.info("job " + held.stopped)
        except LeaseLost:
            self._lost(held.log)
        except Exception as error:
            # Its message may hold anything; its type is ours to log.
            held.log.error("job left to its lease", error=type(error).__name__)
        finally:
            self._held.discard(held)
            self._telemetry.held(len(self._held))
            self._changed.set()

    def _note_pace(self, seconds: float) -> None:
        share = seconds / self._settings.pipeline_depth
        self._pace_seconds += _PACE_WEIGHT * (share - self._pace_seconds)
        self._pace_seconds = max(self._pace_seconds, 1e-3)

    async def _grade(self, held: _Held) -> Scored | Refused | GraderFault:
        """The outcome, or the fault; LeaseLost where the gateway said so."""
        lease = held.lease
        backoff = Backoff(self._rng)
        try:
            async with asyncio.timeout(lease.job_seconds or None):
                while True:
                    try:
                        members = partial(self._gateway.members, lease)
                        return await self._pipeline.grade(lease.job, members)
                    except LeaseLost:
                        raise
                    except GeneralLevelError as error:
                        if not is_passing(error):
                            held.log.error("predictions unreadable", reason=error.reason)
                            return GraderFault(Fault.INTERNAL, "reading-members")
                        self._telemetry.gateway_error()
                        await asyncio.sleep(backoff.next_seconds())
        except GraderFault as fault:
            return fault
        except TimeoutError:
            return GraderFault(Fault.DEADLINE, "job")

    async def _report(self, held: _Held, result: Scored | Refused | GraderFault) -> None:
        """Tells the gateway, again and again while it does not answer."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + REPORT_SECONDS
        backoff = Backoff(self._rng)
        while True:
            try:
                await self._report_once(held, result)
            except LeaseLost:
                raise
            except GeneralLevelError as error:
                self._telemetry.gateway_error()
                if not is_passing(error) and not isinstance(result, GraderFault):
                    held.log.error("outcome refused", reason=error.reason)
                    result = GraderFault(Fault.INTERNAL, "reporting")
                elif not is_passing(error) or loop.time() >= give_up_at:
                    held.log.error("outcome not delivered", reason=error.reason)
                    return
                await asyncio.sleep(backoff.next_seconds())
            else:
                return

    async def _report_once(self, held: _Held, result: Scored | Refused | GraderFault) -> None:
        if isinstance(result, GraderFault):
            await self._gateway.fail(held.lease, result.fault)
            self._telemetry.job_ended(result.fault.name.lower())
            held.log.error("job failed", fault=result.fault.name, stage=result.stage)
            return
        await self._gateway.complete(held.lease, result)
        outcome = "scored" if isinstance(result, Scored) else "refused"
        self._telemetry.job_ended(outcome)
        held.log.info("job " + outcome, findings=len(result.findings))

    # The end.

    async def _finish(self) -> None:
        """Releases what is untouched, finishes what is running, releases what takes too long."""
        get_logger().info("draining", held=len(self._held))
        await self._release([held for held in self._held if not held.started])
        running = [held.task for held in self._held if held.task is not None]
        if running:
            await asyncio.wait(running, timeout=self._settings.drain_seconds)
        await self._release(list(self._held))

    async def _release(self, given: list[_Held]) -> None:
        if not given:
            return
        for held in given:
            held.stop("released")
        await asyncio.wait([held.task for held in given if held.task is not None])
        with contextlib.suppress(GeneralLevelError):
            await self._gateway.release([held.lease for held in given])

    # Self-tests.

    async def _self_test(self) -> bool:
        try:
            failed: list[str] | None = await self._pipeline.self_test(self._metric_ids)
        except GraderFault as fault:
            get_logger().error("self-test impossible", fault=fault.fault.name, stage=fault.stage)
            failed = None
        for metric_id in failed or ():
            get_logger().error("self-test failed", metric_id=metric_id)
        passed = failed == [] and bool(self._metric_ids)
        self._telemetry.ready(passed and not self._draining.is_set())
        if passed:
            get_logger().info("ready", metrics=len(self._metric_ids))
        return passed

    async def _repeat_self_test(self) -> None:
        while True:
            await asyncio.sleep(self._settings.self_test_seconds)
            if not await self._self_test():
                self._healthy = False
                self.drain()
                return


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
