"""The one-way layers hold, modules stay small, and no file tells where it was made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES_MAX = 400
LONGER_ALLOWED = {
    "general_level/submission/codes.py",  # the table of all findings
    "general_level/client/client.py",  # one method for each call of the gateway
    "services/grader/metrics/media_generation.py",  # the table of all generation metrics
}
#: Absolute places of one machine. Paths of the services' own images are not among them.
_MACHINE_PATHS = re.compile(r"(?<![\w.:/~-])/(work|root|tmp|home|Users)/[\w.-]+")
_SAYS_WHERE = (
    "tests/architecture/test_layers.py",
    "tests/containers/probes.py",  # the same, in a container
    "tests/support/hostile_decoders.py",  # they try to write where every machine lets them
)
_TEXT = {".py", ".pyi", ".md", ".toml", ".proto", ".csv", ".json", ".yaml", ".yml", ".txt", ".mako"}


def tracked() -> list[Path]:
    """The files that the repository holds or would take in; git knows which."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    paths = [Path(line) for line in listed.stdout.splitlines()]
    return [path for path in paths if (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def files():
    try:
        return tracked()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a checkout of git: which files are ours is not known")


def test_the_layers_between_packages_are_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3_000:]


def test_no_module_says_more_than_one_thing(files):
    long = {}
    for path in files:
        generated = path.match("general_level/v1/*")
        if path.suffix != ".py" or generated or path.parts[0] not in {"general_level", "services"}:
            continue
        lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
        if lines > MODULE_LINES_MAX and path.as_posix() not in LONGER_ALLOWED:
            long[path.as_posix()] = lines
    assert long == {}


def test_every_module_says_what_it_is(files):
    silent = []
    for path in files:
        if path.suffix != ".py" or path.parts[0] not in {"general_level", "services"}:
            continue
        text = (ROOT / path).read_text(encoding="utf-8")
        if text.strip() and not re.match(r'(#.*\n)*("""|r""")', text) and "v1" not in path.parts:
            silent.append(path.as_posix())
    assert silent == []


def test_no_file_names_a_place_on_the_machine_where_it_was_made(files):
    found = []
    for path in files:
        if path.suffix not in _TEXT or path.as_posix() in _SAYS_WHERE:
            continue
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if _MACHINE_PATHS.search(line):
                found.append(f"{path}:{number}: {line.strip()[:100]}")
    assert found == []
