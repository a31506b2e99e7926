"""The participation agreement: versioned, accepted once by the lab as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select

from general_level.errors import InvalidRequest
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import agreement_acceptances

VERSION: Final = "2026-12"
TEXT: Final = """\
General-Bench participation agreement, version 2026-12

1. The predictions you submit are your model's own. No person and no other model answered the
   closed inputs for it, and its training data did not include them.
2. You use the closed inputs only to produce predictions. You do not publish them, and you do not
   try to learn the closed answers from scores, timings or errors.
3. You submit as one organisation. Several accounts do not give more submissions.
4. Scores of a finished submission are published on the boards with the model's name and the
   organisation that you stated, or without them until you reveal the name, if you ask for that.
   You may withdraw a submission until it is finished.
5. Limits: 2 submissions in 24 hours, 4 in 7 days, none while one is pending. A fault of the
   platform or a file that was refused does not count.
6. Your archive is kept so that a corrected scorer can grade it again; nobody else sees it.
"""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A version that a lab accepted, and when."""

    version: str
    accept_time: datetime


def acceptance(connection: Connection, lab_id: str, version: str = VERSION) -> Acceptance | None:
    """The lab's acceptance of a version, if it accepted it."""
    time = connection.scalar(
        select(agreement_acceptances.c.accept_time).where(
            agreement_acceptances.c.lab_id == lab_id, agreement_acceptances.c.version == version
        )
    )
    return None if time is None else Acceptance(version, time)


def accepted_version(connection: Connection, lab_id: str) -> str:
    """The current version if the lab accepted it, else empty."""
    return VERSION if acceptance(connection, lab_id) else ""


def accept(connection: Connection, now: datetime, lab_id: str, version: str) -> Acceptance:
    """Accepts the current version; repeating it gives the first answer again."""
    if version != VERSION:
        raise InvalidRequest(f"The current version is {VERSION}.", version=VERSION)
    serialise(connection, f"lab/{lab_id}")
    earlier = acceptance(connection, lab_id)
    if earlier is not None:
        return earlier
    connection.execute(
        insert(agreement_acceptances).values(lab_id=lab_id, version=version, accept_time=now)
    )
    return Acceptance(version, now)
