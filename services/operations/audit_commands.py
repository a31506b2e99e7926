"""The audit log as a table."""

from __future__ import annotations

import click

from general_level.client.tables import NOTHING, render_table, show_time
from general_level.v1 import operations_pb2 as pb
from general_level.wire import from_timestamp
from services.operations.program import Terminal, tell, with_terminal


@click.command()
@click.option("--action", default="", help="Only one, for example PauseModality.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@with_terminal
def audit(terminal: Terminal, action: str, limit: int) -> None:
    """List what operators did, and what the platform did by its settings, the newest first."""
    request = pb.ListAuditEntriesRequest(action=action)
    found = pb.ListAuditEntriesResponse()
    while len(found.entries) < limit:
        request.page_size = min(limit - len(found.entries), 500)
        page = terminal.gateway.call("ListAuditEntries", request)
        found.entries.extend(page.entries)
        request.page_token = found.next_page_token = page.next_page_token
        if not page.next_page_token:
            break
    terminal.emit(found, lambda: _text(found))
    if found.next_page_token:
        tell(f"there are more than {limit}; say --limit")


def _text(found: pb.ListAuditEntriesResponse) -> str:
    return render_table(
        (">ENTRY", "TIME", "OPERATOR", "CERTIFICATE", "ACTION", "OUTCOME", "REQUEST", "RESULT"),
        (
            (
                one.entry_id,
                show_time(from_timestamp(one.record_time)),
                one.operator,
                one.certificate or NOTHING,
                one.action,
                one.outcome,
                one.parameters,
                one.result or NOTHING,
            )
            for one in found.entries
        ),
    )
