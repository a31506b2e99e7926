"""The device: deterministic, in fixed batches, with one retry when memory runs out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from services.grader.device import (
    Device,
    DeviceUnavailable,
    OutOfMemory,
    is_exhaustion,
    memory_of,
    open_device,
)

#: More bytes than any machine has.
IMPOSSIBLE = 2**60


def greedy(limit: int, seen: list[int]) -> object:
    """A batch function that really asks for too much memory above ``limit`` items."""

    def run(batch: Sequence[int]) -> list[int]:
        seen.append(len(batch))
        if len(batch) > limit:
            torch.empty(IMPOSSIBLE, dtype=torch.uint8)
        return [2 * item for item in batch]

    return run


def test_the_label_is_the_device_class(cpu: Device) -> None:
    assert cpu.label.startswith("cpu/")
    assert cpu.place == torch.device("cpu")


def test_opening_makes_the_process_deterministic() -> None:
    open_device("cpu", threads=1)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:x", "mps", "cpu:0", "CPU"])
def test_another_name_is_no_device(name: str) -> None:
    with pytest.raises(DeviceUnavailable):
        open_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(DeviceUnavailable) as refused:
        open_device("cuda:3")
    assert refused.value.metadata["device"] == "cuda:3"


def test_threads_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="thread"):
        open_device("cpu", threads=0)


@pytest.mark.parametrize(("n", "sizes"), [(0, []), (3, [3]), (4, [4]), (9, [4, 4, 1])])
def test_batches_are_of_a_fixed_size_and_in_order(cpu: Device, n: int, sizes: list[int]) -> None:
    seen: list[int] = []
    assert cpu.in_batches(range(n), 4, greedy(4, seen)) == [2 * item for item in range(n)]
    assert seen == sizes


def test_a_batch_that_does_not_fit_is_retried_once_in_halves(cpu: Device) -> None:
    seen: list[int] = []
    assert cpu.in_batches(range(10), 6, greedy(3, seen)) == [2 * item for item in range(10)]
    assert seen == [6, 3, 3, 4, 2, 2]


@pytest.mark.parametrize(("limit", "seen_sizes"), [(1, [8, 4]), (0, [8, 4])])
def test_half_a_batch_that_does_not_fit_is_reported(
    cpu: Device, limit: int, seen_sizes: list[int]
) -> None:
    seen: list[int] = []
    with pytest.raises(OutOfMemory) as refused:
        cpu.in_batches(range(8), 8, greedy(limit, seen))
    assert seen == seen_sizes
    assert refused.value.metadata == {"device": cpu.label, "batch": "4"}


def test_one_item_is_tried_twice(cpu: Device) -> None:
    seen: list[int] = []
    with pytest.raises(OutOfMemory):
        cpu.in_batches([1], 8, greedy(0, seen))
    assert seen == [1, 1]


def test_other_errors_pass_at_once(cpu: Device) -> None:
    def run(_batch: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        cpu.in_batches([1, 2], 2, run)


def test_a_network_that_gives_another_number_of_rows_is_a_fault(cpu: Device) -> None:
    with pytest.raises(ValueError, match="3 results for 2"):
        cpu.in_batches([1, 2], 2, lambda _batch: [1, 2, 3])


def test_features_are_float64_rows(cpu: Device) -> None:
    rows = cpu.features([1.0, 2.0, 3.0], 2, lambda batch: torch.tensor(batch)[:, None] / 3)
    assert rows.dtype == np.float64
    assert rows.tolist() == [[np.float32(x / 3)] for x in (1, 2, 3)]
    assert cpu.features([], 2, lambda _batch: torch.empty(0, 1)).shape == (0, 0)


def test_which_errors_mean_that_memory_ran_out() -> None:
    assert is_exhaustion(MemoryError())
    assert is_exhaustion(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_exhaustion(RuntimeError("expected scalar type Float"))
    assert not is_exhaustion(OSError("out of memory"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_a_card_says_what_of_its_memory_is_used() -> None:
    card = open_device("cuda")
    before = memory_of("cuda")
    kept = torch.empty(64 * 2**20, dtype=torch.uint8, device=card.place)
    used, size, peak = memory_of("cuda:0")
    assert 0 < used <= size == before[1]
    assert peak >= kept.nbytes


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_a_card_says_its_class_and_recovers_from_exhaustion() -> None:
    card = open_device("cuda")
    assert card.label.startswith("cuda/sm_")

    def run(batch: Sequence[int]) -> list[int]:
        torch.empty(IMPOSSIBLE if len(batch) > 1 else 8, dtype=torch.uint8, device=card.place)
        return list(batch)

    assert card.in_batches([1, 2], 2, run) == [1, 2]
