"""A fake gateway, a lab, and a client whose waits are recorded and take no time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from general_level.client import Client
from general_level.testing import FakeGateway

BOARD = "C-audio-comprehension"


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with FakeGateway() as gateway:
        yield gateway


@pytest.fixture
def held_fake() -> Iterator[FakeGateway]:
    """A gateway that grades only when it is told to."""
    with FakeGateway(automatic_grading=False) as gateway:
        yield gateway


@pytest.fixture
def waits() -> list[float]:
    """The waits between repetitions, in seconds, as the client asked for them."""
    return []


@pytest.fixture
def client(fake: FakeGateway, waits: list[float]) -> Iterator[Client]:
    with Client(
        fake.target, fake.new_lab(), insecure=True, sleep=waits.append, random=lambda: 1.0
    ) as opened:
        yield opened


@pytest.fixture
def archive(fake: FakeGateway, tmp_path: Path) -> Path:
    return fake.example_archive(tmp_path, BOARD)
