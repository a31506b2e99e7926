"""The migrations that this code has, in order, and what each of them means for older code.

A migration declares ``phase``. *expand* only adds: code of every release that worked before it
works after it. *contract* takes away what code of later releases does not use, and names the oldest
of these by the newest revision that it has: ``oldest_code``.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.script import ScriptDirectory

from general_level.errors import GeneralLevelError

_FOLDER: Final = Path(__file__).parent


class MigrationInvalid(GeneralLevelError):
    """A migration does not declare what a rolling upgrade has to know of it."""

    reason = "SCHEMA_MIGRATION_INVALID"


class Phase(enum.StrEnum):
    """What a migration does to code that is older than it."""

    EXPAND = "expand"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Migration:
    """One revision. ``oldest_code`` is empty for one that expands."""

    revision: str
    phase: Phase
    oldest_code: str = ""


def config_for(connection: object) -> Config:
    """Alembic's settings, for work on a connection."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config


@cache
def chain() -> tuple[Migration, ...]:
    """All migrations of this code, the oldest first. MigrationInvalid."""
    script = ScriptDirectory.from_config(config_for(None))
    return checked([one.module for one in reversed(list(script.walk_revisions()))])


def code_revision() -> str:
    """The newest revision of this code."""
    return chain()[-1].revision


def checked(modules: Sequence[Any]) -> tuple[Migration, ...]:
    """What migrations declare; MigrationInvalid where one says nothing or what cannot be."""
    found: list[Migration] = []
    for module in modules:
        phase = getattr(module, "phase", None)
        oldest = getattr(module, "oldest_code", "")
        earlier = [one.revision for one in found]
        if phase not in list(Phase):
            problem = "no phase"
        elif phase == Phase.EXPAND and oldest:
            problem = "expands and has an oldest_code"
        elif phase == Phase.CONTRACT and oldest not in earlier:
            # Its own revision would leave a rolling upgrade no release to come from.
            problem = "contracts and has no oldest_code among the revisions before it"
        else:
            found.append(Migration(str(module.revision), Phase(phase), oldest))
            continue
        raise MigrationInvalid(revision=module.revision, problem=problem)
    return tuple(found)
