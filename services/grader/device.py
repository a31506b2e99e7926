"""The device that networks run on: CPU or CUDA, made to give the same numbers each time.

Deterministic algorithms, no TF32, no benchmarked choice of kernels, a fixed number of threads and
fixed batch sizes: two runs on one device class give the same bits. Across device classes the
features agree within the tolerance that ``docs/operators/weights.md`` states, so the class goes
into the signed statement.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from services.grader.networks import DeviceUnavailable, OutOfMemory

T = TypeVar("T")
R = TypeVar("R")

_NAME: Final = re.compile(r"cpu|cuda(:\d{1,2})?")
#: What the allocators of the CPU say; CUDA's has an error of its own.
_EXHAUSTED: Final = re.compile(r"not enough memory|can't allocate memory|out of memory", re.I)
#: cuBLAS is deterministic with a fixed workspace only; read when CUDA starts.
_WORKSPACE: Final = ":4096:8"


@dataclass(frozen=True, slots=True)
class Device:
    """Where networks run. ``label`` is the device class as the signed statement shows it."""

    place: torch.device
    label: str

    def in_batches(
        self, items: Sequence[T], size: int, run: Callable[[Sequence[T]], Sequence[R]]
    ) -> list[R]:
        """``run`` over ``items``, ``size`` at a time; one result per item, in order.

        A batch that does not fit into memory is retried once, in two halves. Raises OutOfMemory
        where that does not fit either.
        """
        results: list[R] = []
        for start in range(0, len(items), size):
            results.extend(self._run(items[start : start + size], run))
        return results

    def features(
        self, items: Sequence[T], size: int, run: Callable[[Sequence[T]], torch.Tensor]
    ) -> NDArray[np.float64]:
        """:meth:`in_batches` of a network that gives a row per item: [n, d], [0, 0] for none."""
        rows = self.in_batches(
            items, size, lambda batch: list(run(batch).to("cpu", torch.float64).numpy())
        )
        return np.stack(rows) if rows else np.empty((0, 0))

    def _run(self, batch: Sequence[T], run: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
        whole = self._attempt(batch, run)
        if whole is not None:
            return whole
        half = max(len(batch) // 2, 1)
        results: list[R] = []
        for start in range(0, len(batch), half):
            part = self._attempt(batch[start : start + half], run)
            if part is None:
                raise OutOfMemory(device=self.label, batch=half)
            results.extend(part)
        return results

    def _attempt(
        self, batch: Sequence[T], run: Callable[[Sequence[T]], Sequence[R]]
    ) -> list[R] | None:
        """The results, None where memory ran out; the failed batch is let go of on return."""
        try:
            with torch.inference_mode():
                results = list(run(batch))
        except (MemoryError, RuntimeError) as error:
            if not is_exhaustion(error):
                raise
        else:
            if len(results) != len(batch):
                raise ValueError(f"a network gave {len(results)} results for {len(batch)} items")
            return results
        if self.place.type == "cuda":
            torch.cuda.empty_cache()
        return None


def open_device(name: str = "cpu", threads: int = 1) -> Device:
    """The device of a setting: ``cpu``, ``cuda`` or ``cuda:<index>``, made deterministic.

    ``threads`` are those of one operation on the CPU, at least 1. The settings are of the whole
    process. Raises DeviceUnavailable for another name and where the machine lacks the device.
    """
    if not _NAME.fullmatch(name):
        raise DeviceUnavailable("Say cpu, cuda or cuda:<index>.", device=name)
    if threads < 1:
        raise ValueError("an operation has at least one thread")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _WORKSPACE)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_num_threads(threads)
    if name == "cpu":
        return Device(torch.device("cpu"), f"cpu/{torch.backends.cpu.get_cpu_capability().lower()}")
    device = _card(name)
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        raise DeviceUnavailable(f"This machine has no {name}.", device=name)
    properties = torch.cuda.get_device_properties(device)
    return Device(device, f"cuda/sm_{properties.major}{properties.minor}/{properties.name}")


def memory_of(name: str) -> tuple[int, int, int]:
    """Bytes of a card: used by all, that there are, and the most that this process reserved."""
    place = _card(name)
    free, size = torch.cuda.mem_get_info(place)
    return size - free, size, torch.cuda.max_memory_reserved(place)


def _card(name: str) -> torch.device:
    return torch.device(name if ":" in name else "cuda:0")


def is_exhaustion(error: BaseException) -> bool:
    """Whether an error says that memory, of the machine or of the card, ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_EXHAUSTED.search(str(error)))
