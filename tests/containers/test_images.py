"""What is in the images, read from their own file systems, and what is not."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.containers.conftest import BUILT
from tests.support.docker_engine import DockerEngine
from tools.bill_of_materials import bill
from tools.gen_locks import LOCKS, read
from tools.images import LOCKS as LOCKED
from tools.images import Build

#: Programs that somebody who got in would look for, by name.
_PROGRAMS = re.compile(
    r"(ba|da|z)?sh|busybox|pip[\d.]*|apt(-get)?|dpkg|perl|gcc|cc|ld|as|make|curl|wget|tar|git|su|mount"
)
_CODE = PurePosixPath("opt/general-level")


class _Pieces:
    """A stream of an exported file system, as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._left += piece
        taken, self._left = self._left[:size], self._left[size:]
        return taken


@pytest.fixture(scope="module", params=BUILT)
def target(request: pytest.FixtureRequest, images: Sequence[str]) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def files(target: str, build: Build, docker_engine: DockerEngine) -> list[tarfile.TarInfo]:
    """Every file of the image."""
    container = docker_engine.client.containers.create(build.name(target))
    try:
        with tarfile.open(fileobj=_Pieces(container.export()), mode="r|") as archive:
            return list(archive)
    finally:
        container.remove()


def _config(engine: DockerEngine, image: str) -> dict[str, Any]:
    config: dict[str, Any] = engine.client.images.get(image).attrs["Config"]
    return config


def test_no_shell_compiler_or_package_manager_is_left(files: list[tarfile.TarInfo]) -> None:
    # What the engine makes for each container is empty.
    programs = [one for one in files if one.isreg() and one.mode & 0o111 and one.size]
    paths = [PurePosixPath(one.name) for one in programs]
    assert [str(path) for path in paths if _PROGRAMS.fullmatch(path.name)] == []
    in_path = {str(path) for path in paths if "bin" in path.parts}
    assert in_path == {path for path in in_path if path.endswith("bin/python3.11")}
    assert in_path
    packages = {path.name for path in map(PurePosixPath, (one.name for one in files))}
    assert not packages & {"pip", "setuptools", "ensurepip", "_pip"}


def test_only_the_code_of_its_service_is_there(target: str, files: list[tarfile.TarInfo]) -> None:
    code = {
        PurePosixPath(one.name).relative_to(_CODE)
        for one in files
        if PurePosixPath(one.name).is_relative_to(_CODE)
    }
    tops = {path.parts[0] for path in code if path.parts}
    services = {
        path.parts[1] for path in code if path.parts[:1] == ("services",) and path.parts[1:]
    }
    services -= {"__init__.py", "__pycache__"}
    if target == "seed":
        assert services >= {"gateway", "grader", "ranker", "kit", "platform"}
        assert "samples" in tops
    else:
        # A gateway's image has the operators' commands, too.
        commands = {"operations"} if target == "gateway" else set()
        assert services == {"kit", target.partition("-")[0]} | commands
        assert tops == {"general_level", "general_level-0.1.0.dist-info", "services"}
    assert "tests" not in {part for path in code for part in path.parts}
    assert PurePosixPath("general_level/testing") not in code


def test_only_the_packages_of_its_lock_are_there(
    target: str, build: Build, files: list[tarfile.TarInfo]
) -> None:
    contents = build.contents(build.name(target))
    found = {f"{name.lower().replace('_', '-')}=={version}" for name, version, _ in contents.python}
    locked = set(read(LOCKS / f"{LOCKED[target] or target}.txt"))
    assert found == locked | {"general-level==0.1.0"}
    names = {PurePosixPath(one.name).name for one in files}
    torch = [one.name for one in files if one.name.endswith("site-packages/torch")]
    assert bool(torch) == (LOCKED[target] == "grader")
    assert not {name for name in names if name.endswith((".h", ".whl"))}


def test_the_bill_of_materials_is_valid_and_whole(target: str, build: Build) -> None:
    contents = build.contents(build.name(target))
    text = bill(build.name(target), contents)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    assert len(components) == 1 + len(contents.python) + len(contents.debian)
    # The C library is in every image, and an operator has to know which.
    assert any(one["purl"].startswith("pkg:deb/debian/libc6@") for one in components)


def test_nothing_runs_as_root_or_can_become_it(
    target: str, build: Build, docker_engine: DockerEngine, files: list[tarfile.TarInfo]
) -> None:
    assert _config(docker_engine, build.name(target))["User"] == "65532:65532"
    assert [one.name for one in files if one.mode & 0o6000] == []
    writable = [one.name for one in files if one.mode & 0o002 and not one.issym()]
    assert [name for name in writable if not name.startswith(("tmp", "dev/"))] == []
    owned = {PurePosixPath(one.name).parts[0] for one in files if one.uid}
    assert owned == ({"seed"} if target == "seed" else set())


def test_labels_say_what_it_is(target: str, build: Build, docker_engine: DockerEngine) -> None:
    labels = _config(docker_engine, build.name(target))["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == f"general-level/{target}"
    assert labels[f"{prefix}version"] == "0.1.0"
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels[f"{prefix}revision"])
    assert {f"{prefix}{name}" for name in ("created", "source", "licenses")} <= set(labels)


def test_no_secret_has_been_baked(target: str, files: list[tarfile.TarInfo]) -> None:
    names = [PurePosixPath(one.name).name for one in files if one.isreg()]
    secret = re.compile(r".*\.(keys|identity|pem|safetensors|pth?|age)|identity|token")
    # Two are none: the authorities that gRPC trusts, and where Python finds our code.
    assert {name for name in names if secret.fullmatch(name)} == {"roots.pem", "general-level.pth"}
