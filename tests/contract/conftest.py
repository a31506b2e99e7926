"""The gateways that the contract is tested on, and labs that talk to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from general_level.testing import FakeGateway
from tests.contract.lab_gateway import LabGateway, OpenLab, OpenLabs, open_lab
from tests.support.postgres_server import PostgresServer
from tests.support.real_lab_gateway import real_lab_gateway
from tests.support.s3_server import S3Server
from tests.support.stores import Stores

_FIXTURES = {
    "fake": "fake_lab_gateway",
    "real": "shared_real_gateway",
    "real-on-servers": "shared_real_gateway_on_servers",
}


@dataclass
class FakeLabGateway:
    """The fake as the tests want it: it grades when they say so."""

    fake: FakeGateway
    folder: Path
    board: str = "C-audio-comprehension"
    unpublished_board: str = "B-3d"

    @property
    def target(self) -> str:
        return self.fake.target

    def new_lab(self, accept: bool = True) -> str:
        return self.fake.new_lab(accept=accept)

    def advance(self, step: timedelta) -> None:
        self.fake.advance(step)

    def good_archive(self, board: str) -> Path:
        return self.fake.example_archive(self.folder, board)

    def finish(self, submission_id: str) -> None:
        self.fake.finish(submission_id)


@pytest.fixture
def fake_lab_gateway(tmp_path: Path) -> Iterator[LabGateway]:
    folder = tmp_path / "archives"
    folder.mkdir()
    with FakeGateway(automatic_grading=False) as fake:
        yield FakeLabGateway(fake, folder)


@pytest.fixture(scope="session")
def shared_real_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabGateway]:
    """One for all tests: each has labs of its own, and the clock only ever goes forward."""
    with real_lab_gateway(tmp_path_factory.mktemp("real")) as real:
        yield real


@pytest.fixture(scope="session")
def shared_real_gateway_on_servers(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    moto_server: S3Server,
) -> Iterator[LabGateway]:
    """As `shared_real_gateway`, over PostgreSQL and S3."""
    folder = tmp_path_factory.mktemp("servers")
    with real_lab_gateway(folder, Stores(postgres_server, moto_server)) as real:
        yield real


@pytest.fixture(params=list(_FIXTURES))
def lab_gateway(request: pytest.FixtureRequest) -> LabGateway:
    """Each gateway in turn; see ``_FIXTURES``."""
    return request.getfixturevalue(_FIXTURES[request.param])


@pytest.fixture
def open_labs(lab_gateway: LabGateway) -> Iterator[OpenLabs]:
    """Opens labs: ``open_labs()`` a new one, ``open_labs(token)`` one by its token or None."""
    closers = []

    def opener(*tokens: str | None, accept: bool = True) -> OpenLab:
        token = tokens[0] if tokens else lab_gateway.new_lab(accept=accept)
        lab, close = open_lab(lab_gateway, token)
        closers.append(close)
        return lab

    yield opener
    for close in closers:
        close()


@pytest.fixture
def lab(open_labs: OpenLabs) -> OpenLab:
    """A lab that has accepted the agreement."""
    return open_labs()


@pytest.fixture
def archive(lab_gateway: LabGateway) -> Path:
    """An archive that is accepted."""
    return lab_gateway.good_archive(lab_gateway.board)
