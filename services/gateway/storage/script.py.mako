"""${message}

Revision ${up_revision}, after ${down_revision or 'nothing'}.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = "${up_revision}"
down_revision = ${repr(down_revision) if not isinstance(down_revision, str) else '"' + down_revision + '"'}


def upgrade() -> None:
    """Expands the schema: old code must keep working on it during a rolling upgrade."""
    ${upgrades if upgrades else "pass"}
