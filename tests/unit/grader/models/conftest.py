"""One folder of tiny networks for all tests here."""

from __future__ import annotations

import pytest

from services.grader.device import Device, open_device
from services.grader.models.extractors import Extractors
from services.grader.weights.folder import WeightsFolder, open_folder
from services.grader.weights.manifest import Manifest, load_manifest
from tests.unit.grader.models.tiny import write_all

#: The rate of the sounds of these tests; no network's own, so that all resample.
RATE_HZ = 24_000


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return load_manifest()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> WeightsFolder:
    root = tmp_path_factory.mktemp("weights")
    return open_folder(manifest, root, write_all(root))


@pytest.fixture(scope="session")
def cpu() -> Device:
    return open_device("cpu", threads=1)


@pytest.fixture(scope="session")
def extractors(manifest: Manifest, tiny: WeightsFolder, cpu: Device) -> Extractors:
    return Extractors(manifest, tiny, cpu, RATE_HZ)
