"""The file of parts: what was written comes back as views, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.grader.decode.frames import FrameInvalid, FrameLimits
from services.grader.decode.spool import Parts, SpoolWriter

LIMITS = FrameLimits(payload_bytes=1 << 20)


def written(count: int) -> Path:
    writer = SpoolWriter(1 << 20, 100)
    for number in range(count):
        writer.append({"a": np.full((number, 2), number, dtype=np.float32)})
    path = writer.close()
    assert path is not None
    return path


def test_parts_come_back_in_any_order_and_outlive_the_file() -> None:
    path = written(4)
    assert path.stat().st_mode & 0o777 == 0o400
    parts = Parts(path, LIMITS)
    path.unlink()
    assert len(parts) == 4
    for number in (3, 0, 2):
        found = parts[number]["a"]
        assert found.shape == (number, 2)
        assert (found == number).all()
        assert not found.flags.writeable
    assert [len(part["a"]) for part in parts[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        parts[4]


def test_nothing_is_written_without_parts() -> None:
    writer = SpoolWriter(100, 100)
    assert writer.close() is None
    writer.discard()
    assert len(Parts(None, LIMITS)) == 0


def test_a_discarded_spool_leaves_nothing() -> None:
    writer = SpoolWriter(1000, 100)
    writer.append({"a": np.zeros(1)})
    path = writer.close()
    writer.discard()
    assert path is not None
    assert not path.exists()
    writer.discard()


@pytest.mark.parametrize(("size", "count"), [(250, 100), (1 << 20, 2)])
def test_limits_of_bytes_and_of_parts(size: int, count: int) -> None:
    writer = SpoolWriter(size, count)
    fitting = 2
    for _ in range(fitting):
        writer.append({"a": np.zeros(8)})
    with pytest.raises(FrameInvalid):
        writer.append({"a": np.zeros(8)})
    writer.discard()


def test_a_damaged_file_is_refused() -> None:
    path = written(2)
    data = path.read_bytes()
    path.chmod(0o600)
    for damaged in (data[:-1], data[:10], b"x" + data[1:], data + b"\0"):
        path.write_bytes(damaged)
        with pytest.raises(FrameInvalid):
            Parts(path, LIMITS)
    path.unlink()
