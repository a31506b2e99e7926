"""The decode box as the worker sees it: bytes of a lab go in, checked arrays come out."""

from __future__ import annotations

import asyncio
import enum
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.limits import MAX_MEMBERS
from services.grader.decode import frames, protocol, spool
from services.grader.decode.frames import Arrays, FrameInvalid, FrameLimits
from services.grader.decode.hardening import standard_steps
from services.grader.decode.protocol import BoxFinding, DecodeRequest
from services.grader.outcomes import Fault, GraderFault
from services.grader.process import ChildProcess

CHILD_MODULE: Final = "services.grader.decode.child"
DECODERS_MODULE: Final = "services.grader.decode.decoders"
#: The same, and what looks inside media files.
MEDIA_DECODERS_MODULE: Final = "services.grader.decode.media_decoders"

_STAGE: Final = "decoding"
#: Faults that the member in hand may be the cause of.
_ENDINGS: Final = frozenset({Fault.DECODER_CRASHED, Fault.OUT_OF_MEMORY, Fault.DEADLINE})


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
    member_seconds: float = 60.0  # wall time of one member, from its last byte on
    answer: FrameLimits = field(default_factory=FrameLimits)  # an answer, or one of its parts
    parts_bytes: int = 32 * 1024**3  # all parts of one decode together, on disk


class WallsMissing(GraderFault):
    """Isolation is required and the machine refuses some walls; ``names`` are theirs."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(Fault.INTERNAL, f"isolating-box without {', '.join(names)}")


class MemberFault(GraderFault):
    """A box ended while it had a member before it; ``member`` is its number, from 0."""

    def __init__(self, fault: GraderFault, member: int) -> None:
        self.member = member
        super().__init__(fault.fault, fault.stage)


@dataclass(slots=True)
class _Progress:
    """How far one exchange is: members whose last byte was written, and the one in hand."""

    sent: int = 0
    begun: int = 0
    member: int | None = None
    changes: int = 0


@dataclass(frozen=True, slots=True)
class IncomingMember:
    """One member on its way to the box; ``chunks`` add up to ``size_bytes`` exactly."""

    path: str
    size_bytes: int
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The answers as arrays, and warnings about single items.

    ``parts`` is the file of the media's content (see ``spool``), None where there is none. Whoever
    got this removes the file, by :meth:`close`.
    """

    arrays: Arrays
    findings: tuple[BoxFinding, ...]
    parts: Path | None = None

    def close(self) -> None:
        """Removes the file of parts; views of it stay good."""
        spool.remove(self.parts)


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

        Raises GraderFault where the box died, overran or answered nonsense: it is gone then. It is
        a MemberFault where the box had begun with a member.
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
        without: Collection[str] = (),
    ) -> SubprocessBox:
        """Starts a box in an empty folder of its own.

        ``without`` leaves out walls by name, which then count as missing: so each wall's own effect
        can be shown. Raises GraderFault (INTERNAL) where the box cannot be started, WallsMissing
        where it lacks a wall although isolation is required.
        """
        folder = Path(tempfile.mkdtemp(prefix="general-level-box-"))  # mode 0700
        arguments = [
            f"--decoders={decoders_module}",
            f"--memory-bytes={limits.memory_bytes}",
            f"--cpu-seconds={limits.cpu_seconds}",
            f"--open-files={limits.open_files}",
            f"--parts-bytes={limits.parts_bytes}",
            *(f"--without={name}" for name in without),
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
            raise WallsMissing(box.missing_steps)
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
        progress = _Progress()
        try:
            async with asyncio.timeout(self._limits.decode_seconds):
                outcome = await self._exchange(request, members, progress)
            finished = True
            return outcome
        except GraderFault as fault:
            if fault.fault in _ENDINGS and progress.member is not None:
                raise MemberFault(fault, progress.member) from None
            raise
        except TimeoutError:
            raise GraderFault(Fault.DEADLINE, _STAGE) from None
        except FrameInvalid:
            raise GraderFault(Fault.DECODER_CRASHED, "decoding-answer") from None
        finally:
            if not finished:
                # Half an exchange leaves the pipes out of step, whoever interrupted it.
                await self._child.kill()

    async def _exchange(
        self,
        request: DecodeRequest,
        members: AsyncIterator[IncomingMember],
        progress: _Progress,
    ) -> Decoded | BoxRefusal:
        # Both directions at once: the box sends parts while it is still being sent members.
        sending = asyncio.ensure_future(self._send(request, members, progress))
        parts = spool.SpoolWriter(self._limits.parts_bytes, MAX_MEMBERS)
        receiving = asyncio.ensure_future(self._receive(parts, progress))
        watching = asyncio.ensure_future(self._watch(progress))
        kept = False
        try:
            # The one that failed first raises here; a box that answers early still takes the rest.
            pending: set[asyncio.Future[Any]] = {sending, receiving}
            while pending:
                await asyncio.wait({*pending, watching}, return_when=asyncio.FIRST_COMPLETED)
                for task in (receiving, sending, watching):
                    if task.done():
                        task.result()
                        pending.discard(task)
            answer = receiving.result()
            status, findings = protocol.decode_answer(answer, progress.sent)
            if status == protocol.REFUSED:
                return BoxRefusal(findings)
            if status == protocol.NO_DECODER:
                raise GraderFault(Fault.INTERNAL, "choosing-decoder")
            own = ("status", "finding.codes", "finding.rows", "finding.members")
            arrays = {k: v for k, v in answer.items() if k not in own}
            kept = True
            return Decoded(arrays, findings, parts.close())
        finally:
            for task in (sending, receiving, watching):
                task.cancel()
            await asyncio.gather(sending, receiving, watching, return_exceptions=True)
            if not kept:
                parts.discard()

    async def _send(
        self,
        request: DecodeRequest,
        members: AsyncIterator[IncomingMember],
        progress: _Progress,
    ) -> None:
        """Sends request and members."""
        await self._child.send(protocol.encode_request(request))
        async for member in members:
            progress.begun += 1
            head: dict[str, NDArray[Any]] = {
                "path": frames.from_bytes(member.path.encode()),
                "size": np.array([member.size_bytes], dtype=np.int64),
            }
            await self._child.send(head)
            async for chunk in member.chunks:
                await self._child.send_raw(chunk)
            progress.sent += 1
        await self._child.send({})

    async def _receive(self, parts: spool.SpoolWriter, progress: _Progress) -> Arrays:
        """Takes parts until the answer comes."""
        while True:
            found = await self._child.receive(self._limits.answer)
            progress.changes += 1
            if protocol.is_answer(found):
                return found
            member = protocol.decode_progress(found, progress.begun)
            if member is not None:
                progress.member = member
                continue
            await asyncio.to_thread(parts.append, found)

    async def _watch(self, progress: _Progress) -> None:
        """Raises GraderFault (DEADLINE) where the box has a whole member and does not move on."""
        while True:
            seen = progress.changes
            await asyncio.sleep(self._limits.member_seconds)
            whole = progress.member is not None and progress.sent > progress.member
            if whole and progress.changes == seen:
                raise GraderFault(Fault.DEADLINE, _STAGE)

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
