"""What the lake writes natively is Delta to others too: Spark reads every type, and sees each commit whole."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl

from jobs.registers.fold import HELD
from jobs.settings import Settings
from jobs.storage.batch_tables import BatchTable
from jobs.storage.locations import Directory
from jobs.storage.tables import Lake

SCHEMA = {
    "_batch_id": pl.String, "_source_row": pl.Int64, "名称": pl.String, "capital": pl.Decimal(24, 4), "on": pl.Date,
    "at": pl.Datetime("us", "UTC"), "share": pl.Float64, "deleted": pl.Boolean, "reasons": pl.List(pl.String),
    "held": HELD,
}
ROW = {
    "_source_row": 1, "名称": "某某有限公司", "capital": Decimal("1000000.5000"), "on": date(1949, 12, 31),
    "at": datetime(2026, 3, 1, 8, 0, 0, 5, UTC), "share": 0.1, "deleted": None, "reasons": ["a.b", "c.d"],
    "held": [{"_dataset": "a/b", "_batch_id": "one", "_source_file": "f", "_source_row": 7}],
}


def test_spark_reads_every_type_of_a_batch_table_and_of_its_replaced_batch(tmp_path: Path, engine: str) -> None:
    table = BatchTable(Directory(tmp_path / "silver" / "a b__c"), SCHEMA)
    for batch, rows in (("one", [ROW, ROW]), ("two", [ROW]), ("one", [ROW, {**ROW, "名称": None}])):
        with table.writer(batch) as writer:
            writer.write(pl.DataFrame(rows, schema=table.stored))
        table.replace(batch, writer.files())
    with Lake.open(Settings(root=tmp_path / "lake", spark=engine)) as lake:
        read = lake.spark.read.format("delta").load(table.folder.uri).toArrow()
    found = pl.DataFrame(pl.from_arrow(read)).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    wanted = [{"_batch_id": "one", **ROW, "名称": None}, {"_batch_id": "one", **ROW}, {"_batch_id": "two", **ROW}]
    assert found.sort("_batch_id", "名称", nulls_last=False).rows(named=True) == wanted
