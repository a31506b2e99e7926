"""Regenerates the lock files of the images, or proves that they are current.

python -m tools.gen_locks            ask the package index for hashes, write deploy/images/locks
python -m tools.gen_locks --verify   exit 1 if names or versions differ; needs no network

An image has what its extra of pyproject.toml needs, in the versions of constraints.txt and with the
hashes of the wheels for x86-64. torch is not in `grader.txt`: which of its builds it is,
the image's variant says (`torch-cpu.txt`, `torch-cuda.txt`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ROOT / "deploy" / "images" / "locks"
PROJECT: Final = "general-level"
#: Lock file by what it locks: extras of ours, or the requirements themselves.
WANTED: Final[Mapping[str, tuple[str, ...]]] = {
    "build": ("hatchling",),
    "gateway": (f"{PROJECT}[gateway]",),
    "ranker": (f"{PROJECT}[ranker]",),
    "grader-language": (f"{PROJECT}[grader-language]",),
    "grader": (f"{PROJECT}[grader]",),
    # The sample benchmark is drawn and sealed; no network runs for that.
    "seed": (
        f"{PROJECT}[gateway,grader-language]",
        *("av", "opencv-python-headless", "pillow", "scipy", "soundfile", "trimesh"),
        *("scikit-image", "scikit-learn"),
    ),
}
TORCH: Final = "torch"
#: For building extensions at run time, which an image without a compiler cannot.
LEFT_OUT: Final = frozenset({"setuptools", "pip", "wheel"})
#: tree-sitter-python 0.21 has wheels for this one only.
PROCESSOR: Final = "x86_64"
#: What requirements are read for: the interpreter of the images.
MARKERS: Final = {
    "python_version": "3.11",
    "python_full_version": "3.11.2",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
    "os_name": "posix",
    "platform_machine": PROCESSOR,
}
_INDENT: Final = " \\\n    --hash=sha256:"


def constraints() -> dict[str, str]:
    """Versions by normalised name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def packages(wanted: Iterable[str]) -> set[str]:
    """Names of all that the requirements need, themselves included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(one) for one in wanted]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in found or name in LEFT_OUT:
                continue
            found.add((name, extra))
            waiting += _needs(project, name, extra)
    return {name for name, _ in found} - {PROJECT}


def _needs(project: Mapping[str, Any], name: str, extra: str) -> Iterator[Requirement]:
    if name == PROJECT:
        own = project["optional-dependencies"][extra] if extra else project["dependencies"]
        yield from map(Requirement, own)
        return
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        plain = marker is None or marker.evaluate({**MARKERS, "extra": ""})
        chosen = marker is None or marker.evaluate({**MARKERS, "extra": extra})
        if chosen and plain != bool(extra):
            yield requirement


def wanted_lines() -> dict[str, list[str]]:
    """``name==version`` of each lock file but those of torch, sorted."""
    versions = constraints()
    found = {}
    for lock, wanted in WANTED.items():
        names = packages(wanted) - {TORCH}
        found[lock] = [f"{name}=={versions[name]}" for name in sorted(names)]
    return found


def read(path: Path) -> dict[str, list[str]]:
    """Hashes by ``name==version`` of a lock file."""
    text = path.read_text() if path.exists() else ""
    found = {}
    for entry in text.replace(" \\\n    --hash=", " --hash=").splitlines():
        if entry and not entry.startswith("#"):
            pin, *hashes = entry.split(" --hash=sha256:")
            found[pin] = hashes
    return found


def verify() -> list[str]:
    """What differs, in words; nothing where all is current."""
    problems = []
    for lock, lines in wanted_lines().items():
        have = read(LOCKS / f"{lock}.txt")
        problems += [f"{lock}.txt lacks {line}" for line in lines if line not in have]
        problems += [f"{lock}.txt has {line}" for line in have if line not in lines]
        problems += [f"{lock}.txt has no hash of {pin}" for pin, found in have.items() if not found]
    torch = f"{TORCH}=={constraints()[TORCH]}"
    if torch not in read(LOCKS / "torch-cpu.txt"):
        problems.append(f"torch-cpu.txt lacks {torch}")
    if not read(LOCKS / "torch-cuda.txt").get(torch):
        problems.append(f"torch-cuda.txt lacks {torch} or its hash")
    return problems


def _report(requirements: Iterable[str], *options: str) -> dict[str, str]:
    """SHA-256 by ``name==version`` of what pip would install from the public index."""
    tags = [f"manylinux_2_{minor}_{PROCESSOR}" for minor in range(36, 16, -1)]
    tags += [f"manylinux2014_{PROCESSOR}", f"linux_{PROCESSOR}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", report,
             "--ignore-installed", "--only-binary=:all:", "--target", folder,
             "--python-version=3.11", "--implementation=cp",
             "--abi=cp311", "--abi=abi3", "--abi=none",
             *(f"--platform={tag}" for tag in tags), *options, *requirements],
            check=True,
            env=_environment(),
        )  # fmt: skip
        found = json.loads(report.read_text())["install"]
    return {
        f"{canonicalize_name(one['metadata']['name'])}=={one['metadata']['version']}": one[
            "download_info"
        ]["archive_info"]["hashes"]["sha256"]
        for one in found
    }


def _environment() -> dict[str, str]:
    """Without this machine's settings of pip: hashes of its own wheels would help nobody else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    cert = {"PIP_CERT": os.environ["PIP_CERT"]} if "PIP_CERT" in os.environ else {}
    return {**kept, **cert, "PIP_CONFIG_FILE": os.devnull}


def write() -> None:
    """Asks the index, and writes all lock files."""
    LOCKS.mkdir(exist_ok=True)
    wanted = wanted_lines()
    everything = sorted({line for lines in wanted.values() for line in lines})
    hashes = _report(everything, "--no-deps")
    for lock, lines in wanted.items():
        _write(lock, {line: [hashes[line]] for line in lines})
    torch = f"{TORCH}=={constraints()[TORCH]}"
    _write("torch-cpu", {torch: []})
    limits = ("--constraint", str(ROOT / "constraints.txt"))
    cuda = _report([torch], *limits)
    shared = {line.split("==")[0] for line in wanted["grader"]} | LEFT_OUT
    own = {pin: [cuda[pin]] for pin in sorted(cuda) if pin.split("==")[0] not in shared}
    _write("torch-cuda", own)


def _write(lock: str, hashes: Mapping[str, Iterable[str]]) -> None:
    head = "# Made by `make locks` from pyproject.toml and constraints.txt.\n"
    entries = [pin + "".join(_INDENT + one for one in sorted(of)) for pin, of in hashes.items()]
    (LOCKS / f"{lock}.txt").write_text(head + "\n".join(entries) + "\n")


def main() -> int:
    if "--verify" not in sys.argv[1:]:
        write()
        return 0
    problems = verify()
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print("Run `make locks`.", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
