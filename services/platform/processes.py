"""Child processes of the embedded platform: started, watched, restarted, drained in order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.kit.logging import get_logger
from services.platform.logs import LOG_BYTES_MAX, rotate

#: A child that ends by itself is started again after this long, doubled each time up to the max.
RESTART_SECONDS: Final = 0.5
RESTART_SECONDS_MAX: Final = 30.0
#: What a child gets between SIGTERM and SIGKILL.
DRAIN_SECONDS: Final = 40.0
_WATCH_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One child: ``python -m module arguments`` with these variables added to the environment."""

    name: str
    module: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    #: Children of a lower wave are stopped first: graders and ranker, then the gateway.
    stop_wave: int


_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _end_with_parent() -> None:
    """Asks the kernel for SIGTERM when the supervisor is gone, however it went (in the child)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class _Child:
    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    restarts: int = 0
    restart_at: float = 0.0
    started_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """Runs the children until ``stop``. Their output goes to one log file each.

    A log is rotated at ``log_bytes``; some of the newest files are kept.
    """

    def __init__(
        self, specs: Sequence[ProcessSpec], logs: Path, log_bytes: int = LOG_BYTES_MAX
    ) -> None:
        self._logs = logs
        self._log_bytes = log_bytes
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._children = {spec.name: _Child(spec, self._start(spec)) for spec in specs}
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: child.process.pid for name, child in self._children.items()}

    def restarts(self) -> dict[str, int]:
        """How often each child had to be started again."""
        return {name: child.restarts for name, child in self._children.items()}

    def log_of(self, name: str) -> Path:
        """The file that a child's output goes to."""
        return self._logs / f"{name}.log"

    def stop(self) -> None:
        """Drains wave by wave: SIGTERM, then SIGKILL for what does not end in time."""
        self._stopping.set()
        for wave in sorted({child.spec.stop_wave for child in self._children.values()}):
            children = [c for c in self._children.values() if c.spec.stop_wave == wave]
            for child in children:
                if child.process.poll() is None:
                    child.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + DRAIN_SECONDS
            for child in children:
                try:
                    child.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    get_logger().warning("child killed after drain", child=child.spec.name)
                    child.process.kill()
                    child.process.wait()
        self._stopped.set()
        self._watcher.join()

    def _start(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        with self.log_of(spec.name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", spec.module, *spec.arguments],
                env={**os.environ, **spec.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to us alone: we drain the children in order.
                start_new_session=True,
                # One system call, no lock: safe beside other threads.
                preexec_fn=_end_with_parent,  # noqa: PLW1509
            )

    def _watch(self) -> None:
        # The thread outlives its children: the kernel tells them of the end of the thread that
        # started them as of the end of a parent.
        while not self._stopped.wait(_WATCH_SECONDS):
            for child in self._children.values():
                if child.process.poll() is not None and not self._stopping.is_set():
                    self._revive(child)
                self._rotate(child.spec.name)

    def _rotate(self, name: str) -> None:
        try:
            rotate(self.log_of(name), self._log_bytes)
        except OSError as error:
            # The disk is full, perhaps. If this thread ended, all would end.
            get_logger().error("log not rotated", child=name, problem=str(error))

    def _revive(self, child: _Child) -> None:
        now = time.monotonic()
        if child.restart_at == 0.0:
            if now - child.started_at > RESTART_SECONDS_MAX:
                child.restarts = 0
            delay = min(RESTART_SECONDS_MAX, RESTART_SECONDS * 2**child.restarts)
            child.restart_at = now + delay
            get_logger().warning(
                "child ended", child=child.spec.name, code=child.process.returncode, again_in=delay
            )
        elif now >= child.restart_at:
            try:
                child.process = self._start(child.spec)
            except OSError as error:
                # No process or descriptor to be had now. If this thread ended, all would end.
                get_logger().error("child not started", child=child.spec.name, problem=str(error))
                child.restart_at = now + RESTART_SECONDS
            else:
                child.restart_at, child.started_at = 0.0, now
            child.restarts += 1
