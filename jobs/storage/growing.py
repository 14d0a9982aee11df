"""Small tables that only grow, such as `ops.runs`: each of their files is read once, however often one looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs.storage.locations import Location
from jobs.storage.scanning import files_of

if TYPE_CHECKING:
    from deltalake import DeltaTable


class Growing:
    """Hold the rows of a table that stages append to; a file of it never changes, so only new ones are read."""

    def __init__(self, folder: Location, schema: Mapping[str, Any], order: str) -> None:
        self.folder, self.schema, self.order = folder, pl.Schema(schema), order
        self._version = -1
        self._read: set[str] = set()
        self._rows = pl.DataFrame(schema=self.schema)

    def rows(self, table: DeltaTable | None) -> pl.DataFrame:
        """Return every row of the table as it now stands, in its order; none before the table is made."""
        if table is not None and table.version() != self._version:
            files = set(files_of(table, self.folder)["path"])
            if not self._read <= files:  # compacted meanwhile
                self._read, self._rows = set(), self._rows.clear()
            added = self._scan(sorted(files - self._read))
            self._rows = pl.concat([self._rows, added]).sort(self.order, maintain_order=True)
            self._version, self._read = table.version(), files
        return self._rows

    def _scan(self, files: list[str]) -> pl.DataFrame:
        if not files:
            return self._rows.clear()
        return pl.scan_parquet(files, schema=self.schema, glob=False, storage_options=self.folder.scanning).collect()
