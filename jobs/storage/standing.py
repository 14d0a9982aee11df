"""Gold that follows a register: a table of settled rows, beside it what came and went since.

`gold/<product>` is whole as of one commit of the register, `gold/<product>_changes` says in signed rows what came
after. What a product withholds lies in silver: the sizes of its groups, and the rows of small ones. Every commit of the
four marks how they are made and up to which commit of the register; marks that do not agree are those of a run that
died, or of another way of making, and then all is made anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs.layers import Layer
from jobs.sets.following import CHANGE, ROWS, Withheld, after
from jobs.storage.batch_tables import FILE, FILE_ROWS
from jobs.storage.frames import arrow_schema
from jobs.storage.locations import Location
from jobs.storage.scanning import scan_opened
from jobs.storage.tables import Lake

if TYPE_CHECKING:
    from deltalake import DeltaTable

COMMIT = "_commit"
MADE, UNTIL = "made", "until"  # the marks: a digest of how, a commit of the register
TAIL_SHARE = 5  # a table of more rows than a task takes is settled when what came since is a fifth of it
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Standing:
    """Hold the tables of one product that follows a register."""

    lake: Lake
    name: str

    @property
    def changes(self) -> str:
        """Return the table of what came and went since gold was settled."""
        return f"{self.name}_changes"

    @property
    def withholding(self) -> tuple[str, str]:
        """Return the tables of silver with the sizes of groups, and with the rows that are withheld."""
        return f"{self.name}_groups", f"{self.name}_withheld"

    # -- reading -------------------------------------------------------------------------------------------------------
    def rows(self) -> pl.LazyFrame:
        """Return gold's rows as they now stand; raise RequestError where there is no table yet."""
        settled, since, many = self.parts()
        return after(settled, since) if many else settled

    def parts(self) -> tuple[pl.LazyFrame, pl.LazyFrame, int]:
        """Return the settled rows, the signed rows that came since, and how many these are.

        Raises RequestError where there is no table yet.
        """
        # Changes first: whoever settles meanwhile takes nothing away from what is read here.
        changes = self.lake.table(Layer.GOLD, self.changes)
        came = scan_opened(changes, self.lake.folder(Layer.GOLD, self.changes)) if changes else None
        settled, made = self.lake.scan(Layer.GOLD, self.name), _marks(self.lake.table(Layer.GOLD, self.name))
        if came is None or made is None or _marks(changes, how=made[0]) is None:
            return settled, pl.LazyFrame(schema={**settled.collect_schema(), CHANGE: pl.Int64}), 0
        since = came.filter(pl.col(COMMIT) > made[1]).drop(COMMIT)
        return settled, since, int(since.select(pl.len()).collect().item())

    def versions(self) -> tuple[int, int]:
        """Return the Delta versions of the settled rows and of what came since, -1 for a table that is not there."""
        return self.lake.version(Layer.GOLD, self.name), self.lake.version(Layer.GOLD, self.changes)

    def made(self) -> tuple[int, int] | None:
        """Return how gold is made, and up to which commit; None where it does not follow a register."""
        settled = _marks(self.lake.table(Layer.GOLD, self.name))
        until = None if settled is None else self.until(settled[0])
        return None if settled is None or until is None else (settled[0], until)

    def until(self, how: int) -> int | None:
        """Return up to which commit of the register gold is made in a way, None where it is not made so.

        What is withheld is not looked at.
        """
        settled = _marks(self.lake.table(Layer.GOLD, self.name), how=how)
        if settled is None:
            return None
        changed = _marks(self.lake.table(Layer.GOLD, self.changes), how=how)
        return max(settled[1], changed[1] if changed else 0)

    def withheld(self, how: int, until: int) -> Withheld | None:
        """Return what is withheld as of a commit, None where the tables are not of that commit."""
        names = self.withholding
        if any(_marks(self.lake.table(Layer.SILVER, name)) != (how, until) for name in names):
            return None
        sizes, rows = (self.lake.scan(Layer.SILVER, name).collect() for name in names)
        return Withheld(sizes, rows)

    def height(self) -> int:
        """Return how many rows gold has."""
        came = self.parts()[1].select(pl.col(CHANGE).sum()).collect().item()
        return self.lake.rows(Layer.GOLD, self.name) + int(came)

    # -- writing -------------------------------------------------------------------------------------------------------
    def withhold(self, withheld: Withheld, schema: Schema, of: Mapping[str, Any], how: int, until: int) -> None:
        """Replace what is withheld; before gold, so that a run that dies between leaves marks that do not agree."""
        marks = {MADE: how, UNTIL: until}
        tables = ((withheld.sizes, {**of, ROWS: pl.Int64()}), (withheld.rows, schema))
        for name, (rows, columns) in zip(self.withholding, tables, strict=True):
            self.lake.overwrite(Layer.SILVER, name, rows.lazy(), columns, marks=marks)

    def append(self, files: pl.DataFrame, schema: Schema, how: int, until: int) -> None:
        """Commit files of signed rows (`FILE`) that were written into the folder of `changes`."""
        of_another = _marks(self.lake.table(Layer.GOLD, self.changes), how=how) is None
        self._commit(self.changes, files, signed(schema), "overwrite" if of_another else "append", how, until)

    def pass_to(self, schema: Schema, how: int, until: int) -> None:
        """Mark that up to a commit nothing changed."""
        name = self.changes if self.parts()[-1] else self.name
        columns = signed(schema) if name == self.changes else schema
        self._commit(name, pl.DataFrame(schema=FILE), columns, "append", how, until)

    def settled(self, rows: pl.LazyFrame, schema: Schema, how: int, until: int) -> None:
        """Put rows in the place of whatever gold holds."""
        self.lake.overwrite(Layer.GOLD, self.name, rows, schema, marks={MADE: how, UNTIL: until})

    def settle(self, files: pl.DataFrame, schema: Schema, how: int, until: int) -> None:
        """Put files (`FILE`) that were written into gold's folder in the place of whatever it holds."""
        self._commit(self.name, files, schema, "overwrite", how, until)

    def forget(self) -> None:
        """Take out of `changes` what is settled."""
        changes = self.lake.table(Layer.GOLD, self.changes)
        made = _marks(changes)
        if made and self.lake.rows(Layer.GOLD, self.changes) and not self.parts()[-1]:
            schema = pl.Schema(self.lake.scan(Layer.GOLD, self.changes).collect_schema())
            self._commit(self.changes, pl.DataFrame(schema=FILE), schema, "overwrite", *made)

    def _commit(self, name: str, files: pl.DataFrame, schema: Schema, mode: Any, how: int, until: int) -> None:
        from deltalake import CommitProperties, Schema, Transaction
        from deltalake.transaction import AddAction

        self.lake.check_lease()
        now, marks = int(time.time() * 1000), [Transaction(MADE, how), Transaction(UNTIL, until)]
        actions = [
            AddAction(path, size, {}, now, True, json.dumps({"numRecords": rows}))
            for path, size, rows in files.select(list(FILE)).iter_rows()
        ]
        stored = Schema.from_arrow(arrow_schema(schema))
        _table(self.lake.folder(Layer.GOLD, name), stored).create_write_transaction(
            actions, mode, stored, commit_properties=CommitProperties(app_transactions=marks),
        )


def signed(schema: Schema) -> dict[str, Any]:
    """Return the columns of gold's signed rows."""
    return {**schema, CHANGE: pl.Int64(), COMMIT: pl.Int64()}


def small(settled: int, changes: int) -> bool:
    """Tell whether a table is settled at every change: it is written in less time than anybody would wait for."""
    return settled + changes <= FILE_ROWS


def worth_settling(settled: int, changes: int) -> bool:
    """Tell whether what came since is so much that a table should be settled: it is then written once in many days."""
    return changes > 0 and (small(settled, changes) or changes * TAIL_SHARE > settled)


def _marks(table: DeltaTable | None, how: int | None = None) -> tuple[int, int] | None:
    """Return a table's marks, with `how` only where it was made that way."""
    if table is None:
        return None
    made, until = table.transaction_version(MADE), table.transaction_version(UNTIL)
    if made is None or until is None or (how is not None and made != how):
        return None
    return int(made), int(until)


def _table(folder: Location, schema: Any) -> DeltaTable:
    from deltalake import DeltaTable

    indexed = {"delta.dataSkippingStatsColumns": ""}  # what rows say is nobody's statistics
    return DeltaTable.create(
        folder.uri, schema, mode="ignore", configuration=indexed, storage_options=folder.options
    )
