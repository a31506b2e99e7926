"""Torch stays where it belongs, so that a language grader starts without it."""

from __future__ import annotations

import ast
from pathlib import Path

import services.grader

ROOT = Path(services.grader.__file__).parent
HEAVY = {"torch", "transformers", "safetensors", "tokenizers", "huggingface_hub", "torchvision"}


def imported(path: Path) -> set[str]:
    """The top names that a module imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_torch_and_its_like_are_imported_by_models_and_device_only() -> None:
    users = {
        path.relative_to(ROOT).parts[0]
        for path in sorted(ROOT.rglob("*.py"))
        if imported(path) & HEAVY
    }
    assert users == {"models", "device.py"}


def test_transformers_is_imported_in_one_place() -> None:
    users = {
        path.name for path in (ROOT / "models").glob("*.py") if "transformers" in imported(path)
    }
    assert users == {"hub.py"}


def test_no_network_needs_torchvision_or_pickle() -> None:
    for path in (ROOT / "models").glob("*.py"):
        assert not imported(path) & {"torchvision", "torchaudio", "pickle", "timm"}, path.name
