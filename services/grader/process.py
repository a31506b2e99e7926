"""A child process of the worker, spoken to in frames, killed as a group.

The decode box and the scorer are both such children. A child that dies, overruns or answers with
something else than a frame is a :class:`GraderFault`, never an exception of another kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import SubprocessStreamProtocol
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from services.grader.decode import frames
from services.grader.decode.frames import Arrays, FrameInvalid, FrameLimits
from services.grader.outcomes import EXIT_OUT_OF_MEMORY, Fault, GraderFault

#: What is read ahead of a child's answer.
_BUFFER_BYTES: Final = 64 * 1024
#: How long a child that closed its pipes has to exit, so that its exit status tells why. On a busy
#: machine the kernel takes seconds to free what a child held.
EXIT_SECONDS_MAX: Final = 10.0

#: All that a child sees of the environment: constants that tell nothing about this machine. One
#: thread for linear algebra, because a child may have no further thread or little memory for it.
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "LC_ALL": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class ChildProcess:
    """One running child; ``crashed`` is the fault that its unexplained death means."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        transport: asyncio.SubprocessTransport,
        crashed: Fault,
        stage: str,
    ) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._transport = transport
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._crashed = crashed
        self._stage = stage

    @classmethod
    async def start(
        cls, module: str, arguments: Sequence[str], *, folder: Path, crashed: Fault, stage: str
    ) -> ChildProcess:
        """Starts ``python -I -m module`` in ``folder``, in a session of its own.

        The child inherits no environment and no descriptor but three: its pipes, and a standard
        error that leads nowhere, so that no text of it can reach a log.
        """
        loop = asyncio.get_running_loop()
        # What create_subprocess_exec does, except that the transport is kept.
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=_BUFFER_BYTES, loop=loop),
            sys.executable,
            "-I",
            "-m",
            module,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=dict(_ENVIRONMENT),
            close_fds=True,
            start_new_session=True,
        )
        process = asyncio.subprocess.Process(transport, protocol, loop)
        return cls(process, transport, crashed, stage)

    @property
    def pid(self) -> int:
        """The child's process id, also that of its group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True until the child is known to have ended."""
        return self._process.returncode is None

    async def send(self, arrays: Arrays) -> None:
        """Writes one frame."""
        for part in frames.encode(arrays):
            await self.send_raw(part)

    async def send_raw(self, data: bytes | memoryview) -> None:
        """Writes bytes that follow a frame."""
        try:
            self._stdin.write(data)
            await self._stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._death() from None

    async def receive(self, limits: FrameLimits) -> Arrays:
        """Reads one frame."""
        try:
            return await frames.read_async(self._stdout, limits)
        except FrameInvalid:
            raise GraderFault(self._crashed, f"{self._stage}-answer") from None
        except (EOFError, ConnectionResetError):
            raise await self._death() from None

    async def _death(self) -> GraderFault:
        """The fault that the ended child's exit status means."""
        # A child that closed its pipes and lives on is as good as dead.
        await self.kill(grace_seconds=EXIT_SECONDS_MAX)
        status = self._process.returncode
        if status == EXIT_OUT_OF_MEMORY:
            return GraderFault(Fault.OUT_OF_MEMORY, self._stage)
        if status == -signal.SIGXCPU:
            return GraderFault(Fault.DEADLINE, self._stage)
        return GraderFault(self._crashed, self._stage)

    async def kill(self, grace_seconds: float = 0.0) -> None:
        """Ends the child and all of its group; returns when it is gone."""
        if grace_seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_seconds)
        # The group can outlive its leader, so it is signalled even if that has ended.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # Closes the pipes: unread bytes of the child would keep it waited for without end.
        self._transport.close()
        await self._process.wait()
