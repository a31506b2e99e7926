"""Whether a migration only expands, judged by what it did to a database.

Old code writes rows without the new columns and reads the old ones; it must not meet a table that
is being written anew, nor a rule that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, inspect, text


@dataclass(frozen=True)
class Shape:
    """A schema as old code relies on it: columns and rules by their table."""

    columns: dict[tuple[str, str], dict[str, Any]]
    rules: dict[str, set[str]]
    #: Of PostgreSQL: another file means that a table was written anew.
    files: dict[str, int]


def shape_of(connection: Connection) -> Shape:
    """The schema as it is now."""
    looked = inspect(connection)
    columns, rules = {}, {}
    for table in looked.get_table_names():
        for column in looked.get_columns(table):
            columns[table, column["name"]] = column
        rules[table] = {
            f"unique {sorted(one['column_names'])}" for one in looked.get_unique_constraints(table)
        }
        rules[table] |= {
            f"unique {sorted(map(str, one['column_names']))}"
            for one in looked.get_indexes(table)
            if one["unique"]
        }
        rules[table] |= {
            f"foreign {sorted(one['constrained_columns'])}"
            for one in looked.get_foreign_keys(table)
        }
        rules[table] |= {f"check {one['sqltext']}" for one in looked.get_check_constraints(table)}
    files = {}
    if connection.dialect.name == "postgresql":
        query = "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r'"
        files = {row[0]: row[1] for row in connection.execute(text(query)) if row[0] in rules}
    return Shape(columns, rules, files)


def broken_by(before: Shape, after: Shape) -> list[str]:
    """What old code cannot go on with; empty for an expansion."""
    found = []
    for (table, name), column in before.columns.items():
        now = after.columns.get((table, name))
        if now is None:
            found.append(f"{table}.{name} is gone")
        elif str(now["type"]) != str(column["type"]):
            found.append(f"{table}.{name} has another type")
        elif column["nullable"] and not now["nullable"]:
            found.append(f"{table}.{name} may be empty no more")
    for table, name in after.columns.keys() - before.columns.keys():
        column = after.columns[table, name]
        if table in before.rules and not column["nullable"] and column["default"] is None:
            found.append(f"{table}.{name} is new and old code does not fill it")
    for table, rules in before.rules.items():
        added = after.rules.get(table, rules) - rules
        found += [f"{table} has a new rule: {rule}" for rule in sorted(added)]
    for table, file in before.files.items():
        if after.files.get(table, file) != file:
            found.append(f"{table} was written anew")
    return sorted(found)
