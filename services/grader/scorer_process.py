"""The scorer as the worker sees it: restarted when it dies or overruns, never waited for longer."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from general_level.dsse import key_id
from services.grader import scorer_protocol
from services.grader.decode import frames
from services.grader.decode.frames import Arrays, FrameInvalid
from services.grader.outcomes import Fault, GraderFault
from services.grader.process import ChildProcess
from services.grader.scorer_protocol import ScorerConfig
from services.grader.scoring import JobFacts, ScoringFault, SignedScore
from services.grader.telemetry import CardMemory
from services.kit import tracing
from services.kit.logging import get_logger

SCORER_MODULE: Final = "services.grader.scorer"
START_SECONDS: Final = 60.0

_STAGE: Final = "scoring"


class ScorerProcess:
    """One scorer child at a time, started on first use; callers take turns."""

    def __init__(
        self,
        config: ScorerConfig,
        on_start: Callable[[], None],
        *,
        on_memory: Callable[[CardMemory], None] | None = None,
        module: str = SCORER_MODULE,
    ) -> None:
        self._config = config
        self._on_start = on_start
        self._on_memory = on_memory
        self._module = module
        self._child: ChildProcess | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return self._child.pid if self._child and self._child.alive else None

    async def score(
        self,
        facts: JobFacts,
        arrays: Arrays,
        deadline_seconds: float,
        parts: Path | None = None,
    ) -> SignedScore:
        """The signed score of one job, whose media's content lies in the file ``parts``.

        Raises GraderFault; a scorer that died or overran has been ended by then, and the next call
        starts another.
        """
        try:
            request = scorer_protocol.encode_job(facts, arrays, parts)
        except FrameInvalid:
            raise GraderFault(Fault.DECODER_CRASHED, "decoding-answer") from None
        return _score_of(await self._ask(request, deadline_seconds))

    async def self_test(
        self, case: str, arrays: Arrays, deadline_seconds: float, parts: Path | None = None
    ) -> None:
        """Scores a golden case; GraderFault where the known score does not come out."""
        try:
            request = scorer_protocol.encode_self_test(case, arrays, parts)
        except FrameInvalid:
            raise GraderFault(Fault.DECODER_CRASHED, "self-test") from None
        result = await self._ask(request, deadline_seconds)
        (fault,) = frames.array(result, "fault", "u1").tolist() or (Fault.INTERNAL,)
        if fault:
            raise GraderFault(Fault(fault), "self-test")

    async def close(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child is not None:
            await child.kill()

    async def _ask(self, request: Arrays, deadline_seconds: float) -> Arrays:
        async with self._turn:
            finished = False
            try:
                child = await self._running()
                with tracing.stage("scorer score"):
                    async with asyncio.timeout(deadline_seconds):
                        await child.send(request)
                        result = await child.receive(scorer_protocol.RESULT_LIMITS)
                finished = True
                self._tell_memory(result)
                return result
            except TimeoutError:
                raise GraderFault(Fault.DEADLINE, _STAGE) from None
            finally:
                if not finished:
                    await self.close()

    def _tell_memory(self, result: Arrays) -> None:
        memory = scorer_protocol.decode_memory(result)
        if memory is not None and self._on_memory is not None:
            self._on_memory(CardMemory(*memory))

    async def _running(self) -> ChildProcess:
        if self._child is not None and self._child.alive:
            return self._child
        await self.close()
        with tracing.stage("scorer start"):
            return await self._start()

    async def _start(self) -> ChildProcess:
        self._on_start()
        self._child = child = await ChildProcess.start(
            self._module,
            (),
            folder=Path(tempfile.gettempdir()),
            crashed=Fault.SCORER_CRASHED,
            stage=_STAGE,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await child.send(scorer_protocol.encode_config(self._config))
                ready = await child.receive(frames.SMALL)
        except TimeoutError:
            raise GraderFault(Fault.SCORER_CRASHED, "starting-scorer") from None
        if frames.array(ready, "fault", "u1").tolist() != [0]:
            what, why = frames.array(ready, "words", "u1").tolist()
            get_logger().error(
                "scorer not ready",
                what=scorer_protocol.word(scorer_protocol.KEY_OBJECTS, what),
                why=scorer_protocol.word(scorer_protocol.KEY_REASONS, why),
            )
            raise GraderFault(Fault.KEY_UNAVAILABLE, "starting-scorer")
        public_key = frames.array(ready, "public_key", "u1").tobytes()
        get_logger().info("scorer started", pid=child.pid, signing_key_id=key_id(public_key))
        return child


def _score_of(result: Arrays) -> SignedScore:
    """The score in a result frame; GraderFault for a fault or for nonsense."""
    try:
        return scorer_protocol.decode_result(result)
    except ScoringFault as fault:
        stage = f"{_STAGE}:{fault.stage.name.lower().replace('_', '-')}"
        raise GraderFault(fault.fault, stage) from None
    except FrameInvalid:
        raise GraderFault(Fault.SCORER_CRASHED, "scoring-answer") from None
