"""``python -m services.operations``: what operators do with a running platform, audited.

Set OPERATIONS_GATEWAY (the gateway's internal address, HOST:PORT) and OPERATIONS_TOKEN_FILE (a
token of kind operator), and OPERATIONS_TLS_CA, OPERATIONS_TLS_CERTIFICATE and
OPERATIONS_TLS_PRIVATE_KEY where the internal port has certificates. The result of a command goes
to stdout, everything else to stderr.

Exit codes: 0 done; 1 refused; 2 usage or settings; 4 not authenticated or not permitted;
5 unavailable; 7 not found.
"""

from __future__ import annotations

import click

from services.operations.audit_commands import audit
from services.operations.history_commands import history
from services.operations.program import Program
from services.operations.queue_commands import dead_letters, pause, queue, resume
from services.operations.rejudge_commands import rejudge


@click.group(cls=Program, help=__doc__)
def main() -> None:
    pass


for _command in (queue, pause, resume, dead_letters, rejudge, history, audit):
    main.add_command(_command)

if __name__ == "__main__":
    main(prog_name="python -m services.operations")
