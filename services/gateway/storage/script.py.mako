"""${message}

Revision ${up_revision}, after ${down_revision or 'nothing'}.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = "${up_revision}"
down_revision = ${repr(down_revision) if not isinstance(down_revision, str) else '"' + down_revision + '"'}
#: "expand": code of all releases that worked before it works after it. "contract": code whose newest
#: revision is older than ``oldest_code = "…"``, a revision before this one, does not.
phase = "expand"


def upgrade() -> None:
    """Short, and no table written anew: gateways of the version before are at work meanwhile."""
    ${upgrades if upgrades else "pass"}
