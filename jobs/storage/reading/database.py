"""Departments' databases: a table's canonical dump, ordered by key, so that equal content is equal bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from jobs.errors import SourceError


def dump_database(url: str, table: str, order_by: Sequence[str], target: Path) -> None:
    """Write a table (or view) as JSON lines, one row each, ordered by its key columns, exact decimals as text.

    Raises SourceError when the database or the table is not there, or lacks an ordering column. The URL is never
    part of a message: it may hold a password.
    """
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    try:
        try:
            found = sa.Table(table, sa.MetaData(), autoload_with=engine)
        except sa.exc.NoSuchTableError:
            raise SourceError(f"the database has no table {table!r}.", remedy="mend table: in the contract.") from None
        lacking = [name for name in order_by if name not in found.columns]
        if lacking:
            raise SourceError(f"the table has no column {lacking[0]!r}.", remedy="mend order_by: in the contract.")
        order = [*order_by, *(column.name for column in found.columns if column.name not in order_by)]
        query = sa.select(found).order_by(*[found.columns[name] for name in order])
        with engine.connect() as connection, target.open("w", encoding="utf-8", newline="\n") as out:
            for row in connection.execution_options(stream_results=True, yield_per=10_000).execute(query).mappings():
                out.write(json.dumps({name: _text(value) for name, value in row.items()}, ensure_ascii=False) + "\n")
    except sa.exc.SQLAlchemyError as error:
        raise SourceError(
            f"the database cannot be read ({type(error).__name__}).",
            remedy="check that it is there, whole, and open to this user.",
        ) from None
    finally:
        engine.dispose()


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, float) else str(value)
