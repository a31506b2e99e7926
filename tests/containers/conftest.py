"""What every test with containers has: one private Docker engine in each process of pytest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker_engine import BASE_IMAGE, CannotStart, DockerEngine

#: A base image is downloaded once, images are built, and the machine may be busy.
_SECONDS_PER_TEST = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(_SECONDS_PER_TEST))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    try:
        engine = DockerEngine()
    except CannotStart as reason:
        pytest.skip(f"no Docker engine: {reason}")
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def base_image(docker_engine: DockerEngine) -> str:
    """The name of an image with Python, without any package of ours."""
    try:
        docker_engine.base_image()
    except CannotStart as reason:
        pytest.skip(f"no base image: {reason}")
    return BASE_IMAGE
