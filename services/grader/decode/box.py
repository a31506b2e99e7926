"""The decode box as the worker sees it: bytes of a lab go in, checked arrays come out."""

from __future__ import annotations

import asyncio
import enum
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.grader.decode import frames, protocol
from services.grader.decode.frames import Arrays, FrameInvalid, FrameLimits
from services.grader.decode.hardening import standard_steps
from services.grader.decode.protocol import BoxFinding, DecodeRequest
from services.grader.outcomes import Fault, GraderFault
from services.grader.process import ChildProcess

CHILD_MODULE: Final = "services.grader.decode.child"
DECODERS_MODULE: Final = "services.grader.decode.decoders"

_STAGE: Final = "decoding"


class Isolation(enum.StrEnum):
    """What happens where the operating system refuses a box one of its walls."""

    REQUIRED = "required"  # no box starts, nothing is graded
    BEST_EFFORT = "best-effort"  # it works without; the log and a gauge say which are missing


@dataclass(frozen=True, slots=True)
class BoxLimits:
    """What one box may use."""

    memory_bytes: int = 2 * 1024**3
    cpu_seconds: int = 3600  # over the box's whole life, which is one submission
    open_files: int = 16
    start_seconds: float = 30.0
    decode_seconds: float = 300.0  # wall time of one decode
    answer: FrameLimits = field(default_factory=FrameLimits)


@dataclass(frozen=True, slots=True)
class IncomingMember:
    """One member on its way to the box; ``chunks`` add up to ``size_bytes`` exactly."""

    path: str
    size_bytes: int
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The answers as arrays, and warnings about single items."""

    arrays: Arrays
    findings: tuple[BoxFinding, ...]


@dataclass(frozen=True, slots=True)
class BoxRefusal:
    """The lab's file has errors; at least one finding is no warning."""

    findings: tuple[BoxFinding, ...]


class DecodeBox(Protocol):
    """Decodes one job after another of one submission."""

    @property
    def alive(self) -> bool:
        """False once the box ended; such a box decodes nothing any more."""

    async def decode(
        self, request: DecodeRequest, members: AsyncIterator[IncomingMember]
    ) -> Decoded | BoxRefusal:
        """Decodes the members, prediction.json first.

        Raises GraderFault where the box died, overran or answered nonsense: it is gone then.
        """

    async def close(self) -> None:
        """Ends the box and removes what it left."""


class SubprocessBox:
    """A decode box that is a child process under the steps of ``hardening``."""

    def __init__(self, child: ChildProcess, folder: Path, limits: BoxLimits) -> None:
        self._child = child
        self._folder = folder
        self._limits = limits
        #: Names of the hardening steps that were impossible here.
        self.missing_steps: tuple[str, ...] = ()

    @classmethod
    async def start(
        cls,
        limits: BoxLimits,
        isolation: Isolation,
        *,
        decoders_module: str = DECODERS_MODULE,
    ) -> SubprocessBox:
        """Starts a box in an empty folder of its own.

        Raises GraderFault (INTERNAL) where it cannot be started, or not with every wall although
        isolation is required.
        """
        folder = Path(tempfile.mkdtemp(prefix="general-level-box-"))  # mode 0700
        arguments = [
            f"--decoders={decoders_module}",
            f"--memory-bytes={limits.memory_bytes}",
            f"--cpu-seconds={limits.cpu_seconds}",
            f"--open-files={limits.open_files}",
        ]
        try:
            child = await ChildProcess.start(
                CHILD_MODULE, arguments, folder=folder, crashed=Fault.DECODER_CRASHED, stage=_STAGE
            )
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise GraderFault(Fault.INTERNAL, "starting-box") from None
        box = cls(child, folder, limits)
        try:
            async with asyncio.timeout(limits.start_seconds):
                ready = await child.receive(frames.SMALL)
            box.missing_steps = _missing(ready, folder, limits)
        except (GraderFault, TimeoutError, FrameInvalid):
            await box.close()
            raise GraderFault(Fault.INTERNAL, "starting-box") from None
        except asyncio.CancelledError:
            await box.close()
            raise
        if box.missing_steps and isolation is Isolation.REQUIRED:
            await box.close()
            raise GraderFault(Fault.INTERNAL, "isolating-box")
        return box

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    async def decode(
        self, request: DecodeRequest, members: AsyncIterator[IncomingMember]
    ) -> Decoded | BoxRefusal:
        finished = False
        try:
            async with asyncio.timeout(self._limits.decode_seconds):
                outcome = await self._exchange(request, members)
            finished = True
            return outcome
        except TimeoutError:
            raise GraderFault(Fault.DEADLINE, _STAGE) from None
        except FrameInvalid:
            raise GraderFault(Fault.DECODER_CRASHED, "decoding-answer") from None
        finally:
            if not finished:
                # Half an exchange leaves the pipes out of step, whoever interrupted it.
                await self._child.kill()

    async def _exchange(
        self, request: DecodeRequest, members: AsyncIterator[IncomingMember]
    ) -> Decoded | BoxRefusal:
        await self._child.send(protocol.encode_request(request))
        count = 0
        async for member in members:
            count += 1
            head: dict[str, NDArray[Any]] = {
                "path": frames.from_bytes(member.path.encode()),
                "size": np.array([member.size_bytes], dtype=np.int64),
            }
            await self._child.send(head)
            async for chunk in member.chunks:
                await self._child.send_raw(chunk)
        await self._child.send({})
        answer = await self._child.receive(self._limits.answer)
        status, findings = protocol.decode_answer(answer, count)
        if status == protocol.REFUSED:
            return BoxRefusal(findings)
        if status == protocol.NO_DECODER:
            raise GraderFault(Fault.INTERNAL, "choosing-decoder")
        own = ("status", "finding.codes", "finding.rows", "finding.members")
        return Decoded({k: v for k, v in answer.items() if k not in own}, findings)

    async def close(self) -> None:
        await self._child.kill()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def _missing(ready: Arrays, folder: Path, limits: BoxLimits) -> tuple[str, ...]:
    steps = standard_steps(
        folder,
        memory_bytes=limits.memory_bytes,
        cpu_seconds=limits.cpu_seconds,
        open_files=limits.open_files,
    )
    positions = frames.array(ready, "skipped", "u1").tolist()
    if any(position >= len(steps) for position in positions):
        raise FrameInvalid("a hardening step that does not exist")
    return tuple(steps[position].name for position in positions)
