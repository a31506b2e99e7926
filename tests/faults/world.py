"""What the suite needs to know of a platform, be it of one machine or of replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from general_level.identifiers import new_id
from services.gateway import agreement, identity
from services.gateway.storage.database import Database
from services.kit.clock import SystemClock

#: In every sealed answer that is a text, and nowhere else.
CANARY = "zq8canary8answer"


class World(Protocol):
    """A platform that serves."""

    @property
    def target(self) -> str:
        """Where labs find it, ``host:port``."""

    @property
    def database(self) -> Database:
        """The test's own eyes."""

    @property
    def logs(self) -> Sequence[Path]:
        """What all its processes said."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """What nobody may find there, by what it is."""

    def until_ready(self) -> None:
        """Returns once every process does its work."""


@dataclass(frozen=True, slots=True)
class LabAccess:
    """A lab that has accepted the agreement, and its token."""

    lab_id: str
    token: str = field(repr=False)


def new_labs(database: Database, number: int) -> list[LabAccess]:
    """Labs that were never there before."""
    now = SystemClock().now()
    made = []
    with database.write() as connection:
        for _ in range(number):
            lab_id = identity.create_lab(connection, now, new_id("lab", now))
            agreement.accept(connection, now, lab_id, agreement.VERSION)
            token = identity.create_token(connection, now, "lab", lab_id=lab_id).reveal()
            made.append(LabAccess(lab_id, token))
    return made
