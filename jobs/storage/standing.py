"""Gold that follows a register: a table of settled rows, and in silver what came and went since.

`gold/<product>` is whole as of one commit of the register, `silver/<product>_changes` says in signed rows what came
after. What a product withholds lies in silver too: the sizes of its groups, and the rows of small ones. Every commit of
these tables marks how they are made, from which past of the register, and how many rows they have then. Marks that do
not agree with each other, with the table or with the register are those of a run that died, or of another way of
making, and then all is made anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs.errors import RequestError
from jobs.layers import Layer
from jobs.sets.following import CHANGE, ROWS, SUFFIXES, Withheld, after
from jobs.storage.batch_tables import FILE, FILE_ROWS
from jobs.storage.frames import arrow_schema
from jobs.storage.locations import Location
from jobs.storage.scanning import scan_opened
from jobs.storage.tables import Lake

if TYPE_CHECKING:
    from deltalake import DeltaTable

COMMIT = "_commit"
MARKS = ("made", "until", "history", "epoch")  # as `Made` has them
HEIGHT = "rows"  # a mark, too
NOT_FOLLOWING = {**dict.fromkeys(MARKS, 0), HEIGHT: -1}  # the marks of gold that is made anew from what else there is
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """Hold how something is made (a digest), up to which commit of the register, and the digest of its past until then.

    `epoch` is a number by chance that gold gets when it is made anew: changes are those of gold of one epoch.
    """

    how: int
    until: int
    history: int
    epoch: int

    @property
    def marks(self) -> dict[str, int]:
        """Return it as the marks of a commit."""
        return dict(zip(MARKS, astuple(self), strict=True))


NOTHING = Made(0, 0, 0, 0)


@dataclass(frozen=True)
class Standing:
    """Hold the tables of one product that follows a register."""

    lake: Lake
    name: str

    @property
    def changes(self) -> str:
        """Return the table of silver with what came and went since gold was settled."""
        return f"{self.name}{SUFFIXES[0]}"

    @property
    def withholding(self) -> tuple[str, str]:
        """Return the tables of silver with the sizes of groups, and with the rows that are withheld."""
        return f"{self.name}{SUFFIXES[1]}", f"{self.name}{SUFFIXES[2]}"

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
        changes = self.lake.table(Layer.SILVER, self.changes)
        came = scan_opened(changes, self.lake.folder(Layer.SILVER, self.changes)) if changes else None
        tail = _marks(changes)
        table = self.lake.table(Layer.GOLD, self.name)
        if table is None:
            raise RequestError(
                "the table does not exist yet.", dataset=self.name, layer=Layer.GOLD, remedy="run the stages before it."
            )
        settled, made = scan_opened(table, self.lake.folder(Layer.GOLD, self.name)), _marks(table)  # of one version
        if came is None or made is None or tail is None or tail.epoch != made.epoch:
            return settled, pl.LazyFrame(schema={**settled.collect_schema(), CHANGE: pl.Int64}), 0
        since = came.filter(pl.col(COMMIT) > made.until).drop(COMMIT)
        return settled, since, int(since.select(pl.len()).collect().item())

    def versions(self) -> tuple[int, int]:
        """Return the Delta versions of the settled rows and of what came since, -1 for a table that is not there."""
        return self.lake.version(Layer.GOLD, self.name), self.lake.version(Layer.SILVER, self.changes)

    def made(self) -> Made | None:
        """Return how gold is made, and up to which commit; None where it follows nothing.

        What is withheld is not looked at.
        """
        settled = _marks(self.lake.table(Layer.GOLD, self.name))
        changed = _marks(self.lake.table(Layer.SILVER, self.changes))
        if settled is None or changed is None or changed.epoch != settled.epoch:
            return settled
        return max(settled, changed, key=lambda one: one.until)

    def withheld(self, made: Made) -> Withheld | None:
        """Return what is withheld as of a commit, None where the tables are not of that commit."""
        if not self.withholds(made):
            return None
        sizes, rows = (self.lake.scan(Layer.SILVER, name).collect() for name in self.withholding)
        return Withheld(sizes, rows)

    def withholds(self, made: Made) -> bool:
        """Tell whether what is withheld is that of a commit."""
        return all(_marks(self.lake.table(Layer.SILVER, name)) == made for name in self.withholding)

    def height(self) -> int:
        """Return how many rows gold has."""
        came = self.parts()[1].select(pl.col(CHANGE).sum()).collect().item()
        return self.lake.rows(Layer.GOLD, self.name) + int(came)

    # -- writing -------------------------------------------------------------------------------------------------------
    def withhold(
        self, withheld: Withheld, schema: Schema, of: Mapping[str, Any], made: Made, *, changed: bool
    ) -> None:
        """Replace what is withheld, or mark that nothing of it changed; before gold.

        So a run that dies between leaves marks that do not agree.
        """
        tables = ((withheld.sizes, {**of, ROWS: pl.Int64()}), (withheld.rows, schema))
        for name, (rows, columns) in zip(self.withholding, tables, strict=True):
            if not changed:
                self._commit(Layer.SILVER, name, pl.DataFrame(schema=FILE), columns, "append", made)
                continue
            self.lake.overwrite(Layer.SILVER, name, rows.lazy(), columns, marks={**made.marks, HEIGHT: rows.height})

    def append(self, files: pl.DataFrame, schema: Schema, made: Made) -> None:
        """Commit files of signed rows (`FILE`) that were written into the folder of `changes`."""
        changed = _marks(self.lake.table(Layer.SILVER, self.changes))
        mode = "append" if changed and changed.epoch == made.epoch else "overwrite"
        self._commit(Layer.SILVER, self.changes, files, signed(schema), mode, made)

    def pass_to(self, schema: Schema, made: Made) -> None:
        """Mark that up to a commit nothing changed."""
        nothing = pl.DataFrame(schema=FILE)
        if self.parts()[-1]:
            self._commit(Layer.SILVER, self.changes, nothing, signed(schema), "append", made)
        else:
            self._commit(Layer.GOLD, self.name, nothing, schema, "append", made)

    def put(self, rows: pl.LazyFrame, schema: Schema, made: Made) -> None:
        """Put rows in the place of whatever gold holds."""
        found = rows.collect()
        self.lake.overwrite(Layer.GOLD, self.name, found.lazy(), schema, marks={**made.marks, HEIGHT: found.height})

    def replace(self, files: pl.DataFrame, schema: Schema, made: Made) -> None:
        """Put files (`FILE`) that were written into gold's folder in the place of whatever it holds."""
        self._commit(Layer.GOLD, self.name, files, schema, "overwrite", made)

    def forget(self) -> None:
        """Empty `changes` where none of it counts any more: it is settled, or gold is made anew."""
        if self.lake.rows(Layer.SILVER, self.changes) and not self.parts()[-1]:
            schema = pl.Schema(self.lake.scan(Layer.SILVER, self.changes).collect_schema())
            self._commit(Layer.SILVER, self.changes, pl.DataFrame(schema=FILE), schema, "overwrite", NOTHING)

    def void(self) -> None:
        """Mark that gold follows nothing any more: it is what is settled until it is made anew."""
        schema = pl.Schema(self.lake.scan(Layer.GOLD, self.name).collect_schema())
        self._commit(Layer.GOLD, self.name, pl.DataFrame(schema=FILE), schema, "append", NOTHING)

    def _commit(
        self, layer: Layer, name: str, files: pl.DataFrame, schema: Schema, mode: Any, made: Made
    ) -> None:
        from deltalake import CommitProperties, Schema, Transaction
        from deltalake.transaction import AddAction

        self.lake.check_lease()
        now, height = int(time.time() * 1000), int(files["rows"].sum())
        height += self.lake.rows(layer, name) if mode == "append" else 0
        marks = [Transaction(*one) for one in {**made.marks, HEIGHT: height}.items()]
        actions = [
            AddAction(path, size, {}, now, True, json.dumps({"numRecords": rows}))
            for path, size, rows in files.select(list(FILE)).iter_rows()
        ]
        stored = Schema.from_arrow(arrow_schema(schema))
        _table(self.lake.folder(layer, name), stored).create_write_transaction(
            actions, mode, stored, commit_properties=CommitProperties(app_transactions=marks),
        )


def signed(schema: Schema) -> dict[str, Any]:
    """Return the columns of gold's signed rows."""
    return {**schema, CHANGE: pl.Int64(), COMMIT: pl.Int64()}


def kept_whole(settled: int, changes: int) -> bool:
    """Tell whether a table is settled at every change: it is written in less time than anybody would wait for."""
    return settled + changes <= FILE_ROWS


def _marks(table: DeltaTable | None) -> Made | None:
    """Return a table's marks; None where there are none, or where something else has written it since."""
    if table is None:
        return None
    made = [int(found) for name in MARKS if (found := table.transaction_version(name)) is not None]
    if len(made) < len(MARKS) or not made[0]:
        return None
    files = pl.DataFrame(table.get_add_actions(flatten=True))
    held = int(files["num_records"].sum()) if files.height else 0
    return Made(*made) if held == table.transaction_version(HEIGHT) else None


def _table(folder: Location, schema: Any) -> DeltaTable:
    from deltalake import DeltaTable

    indexed = {"delta.dataSkippingStatsColumns": ""}  # what rows say is nobody's statistics
    return DeltaTable.create(
        folder.uri, schema, mode="ignore", configuration=indexed, storage_options=folder.options
    )
