"""A grader's worker that runs in a test, with real boxes and a real scorer."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.grader import app, worker
from services.grader.decode.box import CHILD_MODULE
from services.grader.scorer_process import SCORER_MODULE
from services.grader.settings import GraderSettings
from services.grader.telemetry import Telemetry
from tests.support.processes import children


async def eventually(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits until the condition holds."""
    async with asyncio.timeout(seconds):
        # What is awaited happens in other processes, which set no event here.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Running:
    """A worker that runs in this test."""

    def __init__(self, settings: GraderSettings, build: Callable[..., worker.Worker]) -> None:
        self.telemetry = Telemetry("image")
        self.worker = build(settings, self.telemetry, random.Random(7))
        self.task = asyncio.create_task(self.worker.run())

    def value(self, name: str, **labels: str) -> float:
        found = self.telemetry.registry.get_sample_value(name, {"modality": "image", **labels})
        assert found is not None, name
        return found

    async def ready(self) -> None:
        await eventually(lambda: self.task.done() or self.value("grader_ready") == 1)
        assert not self.task.done()

    async def idle(self) -> None:
        await eventually(lambda: self.value("grader_jobs_held") == 0)


@asynccontextmanager
async def running(
    settings: GraderSettings, build: Callable[..., worker.Worker] = app.build
) -> AsyncIterator[Running]:
    """A ready worker; drained at the end, with no child left behind."""
    grader = Running(settings, build)
    try:
        await grader.ready()
        yield grader
    finally:
        for pid in children(SCORER_MODULE) + children(CHILD_MODULE):
            os.kill(pid, signal.SIGCONT)
        grader.worker.drain()
        await asyncio.wait_for(grader.task, 60)
        assert children(SCORER_MODULE) == []
        assert children(CHILD_MODULE) == []
