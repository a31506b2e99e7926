"""Writes the next migration from the difference between the tables and an upgraded database.

python tools/gen_migration.py "what it is for" 0002
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from services.gateway.storage.database import Database
from services.gateway.storage.migrate import config_for, upgrade


def main() -> None:
    message, revision = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'gateway.db'}")
        upgrade(database)
        with database.write() as connection:
            command.revision(
                config_for(connection), message=message, autogenerate=True, rev_id=revision
            )
        database.close()


if __name__ == "__main__":
    main()
