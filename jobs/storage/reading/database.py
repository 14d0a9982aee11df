"""Departments' databases: a table's canonical dump, ordered by key, so that equal content is equal bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from jobs.errors import SourceError


def dump_database(url: str, table: str, order_by: Sequence[str], target: Path) -> None:
    """Write a table (or view) as JSON lines, one row each, ordered by its key columns, exact decimals as text.

    Raises SourceError when the database or the table is not there, or lacks an ordering column. The URL is never
    part of a message: it may hold a password; whoever calls says which file or source it was.
    """
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(url)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise SourceError(
            f"the database's url cannot be used ({type(error).__name__}).", where="source.url",
            remedy="mend url: in the contract.",
        ) from None
    written = 0
    try:
        try:
            found = sa.Table(table, sa.MetaData(), autoload_with=engine)
        except sa.exc.NoSuchTableError:
            what = f"the database has no table {table!r}."
            raise SourceError(what, where="source.table", remedy="mend table: in the contract.") from None
        found.info["dialect"] = engine.dialect.name
        lacking = [name for name in order_by if name not in found.columns]
        if lacking:
            what = f"the table has no column {lacking[0]!r}."
            raise SourceError(what, where="source.order_by", remedy="mend order_by: in the contract.")
        order = [*order_by, *(column.name for column in found.columns if column.name not in order_by)]
        query = sa.select(*map(_as_stored, found.columns)).order_by(*[found.columns[name] for name in order])
        with engine.connect() as connection, target.open("w", encoding="utf-8", newline="\n") as out:
            rows = connection.execution_options(stream_results=True, yield_per=1_000).execute(query).mappings()
            for row in rows:
                written += 1
                line = json.dumps({name: _text(value) for name, value in row.items()}, ensure_ascii=False)
                out.write(line.encode("utf-8", "replace").decode() + "\n")
    except sa.exc.SQLAlchemyError as error:
        raise SourceError(
            f"the database cannot be read ({type(error).__name__}).",
            remedy="check that it is there, whole, and open to this user.",
        ) from None
    except (ValueError, TypeError, ArithmeticError) as error:
        raise SourceError(
            f"a cell is not of its column's type ({type(error).__name__}).",
            where=f"row {written + 1} or the next ones",
            remedy="mend it in the database, or read a view that casts the column to text.",
        ) from None
    finally:
        engine.dispose()


def _as_stored(column: Any) -> Any:
    """Return a column to select: SQLite keeps dates as text, and that text may be no date at all."""
    import sqlalchemy as sa

    dated = isinstance(column.type, sa.Date | sa.DateTime | sa.Time)
    if dated and column.table.info.get("dialect") == "sqlite":
        return sa.type_coerce(column, sa.String()).label(column.name)
    return column


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()  # the server's own zone is no part of the content
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    if isinstance(value, bytes):
        return value.hex()
    return repr(value) if isinstance(value, float) else str(value)
