"""What every test with containers has: a private engine, the images, and a platform that runs.

Images are built without any network, on an imported base and from wheels that are fetched first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.containers.platform import ContainerPlatform
from tests.support.docker_engine import BASE_IMAGE, CannotStart, DockerEngine
from tests.support.postgres_server import PostgresServer
from tools.images import Build, BuildFailed, fetch_wheels

#: A base image is downloaded once, images are built, and the machine may be busy.
_SECONDS_PER_TEST = 900
#: What the tests run; the other graders differ by their packages and are built by `make images`.
BUILT = ("gateway", "ranker", "grader-language", "seed")
#: Debian's own program; a newer one that comes first on the path wants a builder of its own.
_DOCKER = "/usr/bin/docker"


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


@pytest.fixture(scope="session")
def build(docker_engine: DockerEngine, base_image: str) -> Build:
    program = {"DOCKER": _DOCKER} if os.access(_DOCKER, os.X_OK) else {}
    environment = {**docker_engine.environment, **program}
    return Build("0.1.0", base_image, offline=True, environment=environment)


@pytest.fixture(scope="session")
def images(build: Build) -> Sequence[str]:
    """The names of the images of ``BUILT``."""
    try:
        fetch_wheels(BUILT)
    except BuildFailed as reason:
        pytest.skip(f"no wheels for the images: {reason}")
    return [build.build(target) for target in BUILT]


@pytest.fixture(scope="session")
def platform(
    docker_engine: DockerEngine, images: Sequence[str], postgres_server: PostgresServer
) -> Iterator[ContainerPlatform]:
    started = ContainerPlatform(docker_engine.client, postgres_server)
    try:
        started.start()
        yield started
    finally:
        started.stop()
