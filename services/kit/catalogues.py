"""Opening the catalogue that a setting names."""

from __future__ import annotations

from pathlib import Path

from general_level.catalogue import Catalogue, load


def open_catalogue(spec: str) -> Catalogue:
    """A shipped catalogue by its name, or any folder of the same format by its path."""
    folder = Path(spec)
    return load(folder) if folder.is_dir() else load(name=spec)
