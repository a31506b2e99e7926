"""The benchmark built and sealed once for all tests of this folder."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from pyrage import x25519

from general_level.catalogue import Catalogue, Modality, load
from samples.build import build
from samples.example import Example, Split
from samples.registry import TASKS
from services.grader.sealing.report import SealReport
from services.grader.sealing.seal import seal


@functools.cache
def examples(task_id: str, split: Split) -> tuple[Example, ...]:
    """The examples of a task, made once."""
    return tuple(TASKS[task_id].make(split))


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load(name="sample")


@pytest.fixture(scope="session")
def benchmark_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def sealed(
    benchmark_folder: Path, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SealReport]:
    """The folder of the public half, and the report."""
    out = tmp_path_factory.mktemp("sealed") / "out"
    recipient = str(x25519.Identity.generate().to_public())
    recipients = {modality: [recipient] for modality in Modality}
    report = seal(benchmark_folder, out, catalogue=catalogue, recipients=recipients)
    return out / "public", report


@pytest.fixture(scope="session")
def item_ids(sealed: tuple[Path, SealReport]) -> dict[str, list[str]]:
    public, _ = sealed
    ids: dict[str, list[str]] = json.loads((public / "ids.json").read_text())
    return ids
