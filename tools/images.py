"""Builds the images of deploy/images, writes what each holds, and says their sizes.

    python -m tools.images                          all, from the public image and package index
    python -m tools.images gateway ranker           only these
    python -m tools.images --cuda                   the graders of media for NVIDIA cards
    python -m tools.images --offline --base IMAGE   fetch wheels first, then build without network

More in docs/operators/containers.md. ``DOCKER`` names another program than docker.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from tools.bill_of_materials import Contents, bill, contents_of

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "deploy" / "images"
WHEELHOUSE: Final = FOLDER / "wheelhouse"
BILLS: Final = ROOT / "build" / "sbom"
REPOSITORY: Final = "general-level"
#: The graders that decode media and run networks; they have a variant for cards.
MEDIA: Final = ("grader-image", "grader-video", "grader-audio", "grader-3d")
TARGETS: Final = ("gateway", "ranker", "grader-language", *MEDIA, "seed")
DEFAULT_BASE: Final = "python:3.11-slim-bookworm"
#: What an image's packages come from; the media graders have torch besides.
LOCKS: Final[Mapping[str, str]] = {
    **dict.fromkeys(TARGETS, ""),
    **dict.fromkeys(MEDIA, "grader"),
}
_BYTES_PER_MB: Final = 1_000_000
#: So that the table has no broken words where it is no terminal's.
_COLUMNS: Final = 140


class BuildFailed(Exception):
    """A command did not do what was asked; the text says which and what it printed."""


@dataclass(frozen=True, slots=True)
class Build:
    """How images are built.

    ``offline`` takes wheels from the folder only and lets no step reach a network. ``environment``
    is that of ``docker``; ``torch_index`` the index of the build of torch for processors.
    """

    version: str
    base: str = DEFAULT_BASE
    offline: bool = False
    cuda: bool = False
    torch_index: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def docker(self) -> str:
        return self.environment.get("DOCKER", "docker")

    def name(self, target: str) -> str:
        """The image as the manifests name it, with its tag."""
        variant = "-cuda" if self.cuda and target in MEDIA else ""
        return f"{REPOSITORY}/{target}{variant}:{self.version}"

    def run(self, *words: str | Path) -> str:
        """Runs ``docker``; what it printed. BuildFailed with the end of its errors."""
        command = [self.docker, *map(str, words)]
        return _run(command, {**self.environment, "DOCKER_BUILDKIT": "1"})

    def build(self, target: str) -> str:
        """Builds one image; its name."""
        arguments = {
            "BASE_IMAGE": self.base,
            "VERSION": self.version,
            "REVISION": _git("rev-parse", "HEAD"),
            "CREATED": datetime.now(UTC).isoformat(timespec="seconds"),
            "TORCH": "cuda" if self.cuda else "cpu",
        }
        origin = _git("remote", "get-url", "origin")
        if origin.startswith("https://"):
            arguments["SOURCE"] = origin
        if self.torch_index:
            arguments["TORCH_INDEX"] = self.torch_index
        if self.offline:
            arguments["PIP_NO_INDEX"] = "1"
        words = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
        network = ("--network", "none") if self.offline else ()
        self.run(
            "build", "--quiet", "--file", FOLDER / "Dockerfile", "--target", target,
            "--tag", self.name(target), *network, *words, ROOT,
        )  # fmt: skip
        return self.name(target)

    def bytes_of(self, image: str) -> int:
        """Its size as the engine tells it: all layers, unpacked."""
        return int(self.run("image", "inspect", "--format", "{{.Size}}", image))

    def contents(self, image: str) -> Contents:
        """What the image says that it holds, asked in a container without network."""
        return contents_of(
            lambda *command: self.run(
                "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL",
                image, *command,
            )
        )  # fmt: skip


def fetch_wheels(targets: Iterable[str], *, cuda: bool = False, torch_index: str = "") -> None:
    """Brings what the targets need into the folder of wheels, by this machine's settings of pip.

    Raises:
        BuildFailed: a wheel cannot be had, or torch came in the wrong build.
    """
    wanted = dict.fromkeys(LOCKS[target] or target for target in targets)
    for lock in ("build", *wanted):
        _download("--require-hashes", "--requirement", FOLDER / "locks" / f"{lock}.txt")
    if "grader" not in wanted:
        return
    if cuda:
        _download("--require-hashes", "--requirement", FOLDER / "locks" / "torch-cuda.txt")
        return
    index = ("--index-url", torch_index) if torch_index else ()
    _download(*index, "--requirement", FOLDER / "locks" / "torch-cpu.txt")
    if not any("+cpu" in wheel.name for wheel in WHEELHOUSE.glob("torch-*.whl")):
        raise BuildFailed(
            "The package index has torch for CUDA only; name one for processors with "
            "--torch-index (https://download.pytorch.org/whl/cpu)."
        )


def _download(*words: str | Path) -> None:
    tags = [f"--platform=manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)]
    tags += ["--platform=manylinux2014_x86_64", "--platform=linux_x86_64"]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--python-version=3.11", "--implementation=cp",
        "--abi=cp311", "--abi=abi3", "--abi=none", *tags,
        "--dest", WHEELHOUSE, *words,
    ]  # fmt: skip
    _run([str(word) for word in command], dict(os.environ))


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=dict(environment)
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise BuildFailed(f"{' '.join(command[:4])} …\n{tail}")
    return done.stdout.strip()


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], check=False, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def project_version() -> str:
    """As pyproject.toml says it."""
    text = (ROOT / "pyproject.toml").read_text()
    return str(tomllib.loads(text)["project"]["version"])


def dockerfile_targets() -> set[str]:
    """The stages of the Dockerfile that are images: those that begin without anything."""
    found, bare = set(), {"scratch"}
    for base, name in re.findall(
        r"^FROM (\S+) AS (\S+)$", (FOLDER / "Dockerfile").read_text(), re.M
    ):
        if base in bare:
            bare.add(name)
            found.add(name)
    return found - {"empty", "media"}


@click.command()
@click.argument("targets", nargs=-1, type=click.Choice(TARGETS))
@click.option("--version", default=project_version(), show_default=True, help="The tag.")
@click.option("--base", default=DEFAULT_BASE, show_default=True, help="What images are built on.")
@click.option("--offline", is_flag=True, help="Fetch wheels first, then build without network.")
@click.option("--cuda", is_flag=True, help="The graders of media for NVIDIA cards.")
@click.option("--torch-index", default="", help="A package index of torch for processors.")
def main(
    targets: tuple[str, ...], version: str, base: str, offline: bool, cuda: bool, torch_index: str
) -> None:
    """Build images, write their bills of materials, print their sizes."""
    build = Build(version, base, offline, cuda, torch_index)
    chosen = targets or (MEDIA if cuda else TARGETS)
    table = Table("image", "size, MB", "packages", "Debian packages", "bill of materials")
    BILLS.mkdir(parents=True, exist_ok=True)
    try:
        if offline:
            fetch_wheels(chosen, cuda=cuda, torch_index=torch_index)
        for target in chosen:
            image = build.build(target)
            contents = build.contents(image)
            path = BILLS / f"{image.partition('/')[2].replace(':', '-')}.cdx.json"
            path.write_text(bill(image, contents))
            megabytes = f"{build.bytes_of(image) / _BYTES_PER_MB:.0f}"
            counts = (str(len(contents.python)), str(len(contents.debian)))
            table.add_row(image, megabytes, *counts, str(path.relative_to(ROOT)))
    except BuildFailed as error:
        raise click.ClickException(str(error)) from error
    Console(width=_COLUMNS).print(table)


if __name__ == "__main__":
    main()
