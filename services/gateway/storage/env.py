"""Alembic's entry: runs the migrations on the connection that `migrate` hands over."""

from __future__ import annotations

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from services.gateway.storage.schema import schema_revisions
from services.gateway.storage.tables import Instant, metadata


def _render(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    # A migration must not change when our Python type does.
    return "sa.BigInteger()" if kind == "type" and isinstance(item, Instant) else False


def include(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a table is the migrations' own: that of their list is not."""
    return kind != "table" or name != schema_revisions.name


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=_render,
    include_name=include,
)
context.run_migrations()
