"""Ingest of one large extract beside what a user would write: GB18030 CSV to typed, checked rows, each once.

    python -m tests.benchmarks.ingest [ROWS ...] [--engines lake,duckdb,polars,spark] [--folder DIR]

Each size is a file of twelve columns (people, with one row in two hundred repeated and one in a hundred with a wrong
check character). The lake lands, loads and conforms it in its own engine, after a small delivery has warmed it up. The
others read it, type the columns, check the identity numbers, part good rows from bad ones, drop repeated ones and write
both as Parquet; no quarantine reasons, no landing, no accounting. Each engine's work is a process of its own tree;
starting Spark is told apart. Prints one JSON line per engine and size: rows, seconds, rows a second, CPU seconds, peak
memory of the process tree, and the three counts, which must agree. Exits with 1 when they do not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import polars as pl

from jobs.benchmark.measuring import START, Meter
from jobs.benchmark.population import Population, ethnic_groups, marital_states, phones
from jobs.benchmark.rules import CHECKS, WEIGHTS
from jobs.settings import PROJECT, Settings

Counts = tuple[int, int, int]  # rows accepted, rejected, repeated
CORES, CHUNK, WARM_ROWS = 2, 500_000, 5_000
COLUMNS = {
    "流水号": "serial", "公民身份号码": "id", "姓名": "name", "性别": "sex", "出生日期": "birth", "民族": "ethnic",
    "户籍地区划": "division", "住址": "address", "联系电话": "phone", "婚姻状况": "marital", "缴费基数": "base",
    "更新日期": "updated",
}
CONTRACT = """\
title: {en: Insured people, zh: 参保人员}
description: {en: A large extract., zh: 大批量抽取。}
steward: open-data@benchmark.example.gov
schedule: "0 2 * * *"
source: {reader: csv, path: "trial/people_{date:%Y%m%d}.csv", encoding: gb18030}
load: {mode: append, as_of: updated}
fields:
  serial: {from: 流水号, type: integer, required: true, protect: drop}
  id: {from: 公民身份号码, type: resident_id, required: true, protect: drop}
  name: {from: 姓名, type: person_name, required: true, protect: drop}
  sex: {from: 性别, type: code, codes: sex, required: true, protect: drop}
  birth: {from: 出生日期, type: date, required: true, protect: drop}
  ethnic: {from: 民族, type: code, codes: ethnic_group, protect: drop}
  division: {from: 户籍地区划, type: division_code, required: true, protect: drop}
  address: {from: 住址, type: address, protect: drop}
  phone: {from: 联系电话, type: phone, protect: drop}
  marital: {from: 婚姻状况, type: code, codes: marital_status, protect: drop}
  base: {from: 缴费基数, type: money, unit: 元, currency: CNY, protect: drop}
  updated: {from: 更新日期, type: date, required: true, protect: drop}
examples:
  - given: &somebody
      {流水号: "1", 公民身份号码: 11010519491231002X, 姓名: 某甲, 性别: 女, 出生日期: 1949-12-31, 户籍地区划: "110105",
       更新日期: 2026-01-05}
    accepted: {id: 11010519491231002X}
  - given: {<<: *somebody, 公民身份号码: "110105194912310021"}
    rejected: [id.check_character]
"""


def write(rows: int, file: Path) -> None:
    """Write the extract, a chunk at a time."""
    people = Population(rows)
    with file.open("wb") as out:
        out.write((",".join(COLUMNS) + "\n").encode("gb18030"))
        for start in range(0, rows, CHUNK):
            number = np.arange(start, min(start + CHUNK, rows), dtype=np.int64)
            number = np.where(number % 200 == 199, number - 1, number)  # the row before, once more
            keys, none = people.keys(number), number * 0
            table = pl.DataFrame({
                "serial": number, "id": keys.id18, "name": people.names(number),
                "sex": pl.Series(keys.sex).replace_strict({1: "男", 2: "女"}), "birth": keys.birth,
                "ethnic": ethnic_groups(number), "division": people.divisions(keys.county),
                "address": people.addresses(number, keys.county, none), "phone": phones(number, none),
                "marital": marital_states(number, none), "base": pl.Series(number % 20_000 + 3_000).cast(pl.String),
            })
            head, last = pl.col("id").str.slice(0, 17), pl.col("id").str.slice(17)
            other = head + pl.when(last == "1").then(pl.lit("2")).otherwise(pl.lit("1"))
            table = table.with_columns(
                pl.when(pl.col("serial") % 100 == 50).then(other).otherwise("id").alias("id"),
                pl.col("base") + ".00", pl.lit("2026-01-05").alias("updated"),
            )
            out.write(table.write_csv(include_header=False).encode("gb18030"))


def lake(rows: int, file: Path, out: Path, meter: Meter) -> Counts:
    """Land, load and conform, after a small delivery has warmed the engine up."""
    from jobs.stages import conform, land, load
    from jobs.storage import engine as server
    from jobs.storage.tables import Lake

    schemas = out / "schemas"
    schemas.mkdir()
    shutil.copy(PROJECT / "schemas" / "types.yaml", schemas)
    (schemas / "codes").symlink_to(PROJECT / "schemas" / "codes")
    (schemas / "trial").mkdir()
    (schemas / "trial" / "people.yaml").write_text(CONTRACT, encoding="utf-8")
    own = Settings(root=out / "lake", schemas=schemas, storage=None, raw=None, spark=None, engine_cores=CORES)
    try:
        with meter(START):
            running = server.start(own)
        meter.roots = [running.pid]
        url = f"{running.url}/;session_id={running.id}"

        def take(given: Path, engine_rows: int) -> Counts:
            settings = own.model_copy(update={"spark": url, "engine_rows": engine_rows})
            with Lake.open(settings) as opened:
                land.run(opened, "trial/people", files=[given])
                load.run(opened, "trial/people")
                (report,) = conform.run(opened, "trial/people")
            return report.accepted, report.quarantined, report.duplicates

        small = out / "people_20260104.csv"
        write(WARM_ROWS, small)
        take(small, 0)
        with meter("ingest"):
            return take(file, min(rows, own.engine_rows))
    finally:
        server.stop(own)


def polars(rows: int, file: Path, out: Path, meter: Meter) -> Counts:
    """Decode, then lazy frames and two Parquet files."""
    with meter("ingest"):
        read = pl.read_csv(file, encoding="gb18030", infer_schema=False).lazy().rename(COLUMNS)
        read = read.with_columns(
            pl.col("serial").cast(pl.Int64, strict=False), pl.col("birth", "updated").str.to_date(strict=False),
            pl.col("base").cast(pl.Decimal(18, 2), strict=False),
        )
        body = pl.sum_horizontal(
            pl.col("id").str.slice(at, 1).cast(pl.Int32, strict=False) * weight for at, weight in enumerate(WEIGHTS)
        )
        wanted = pl.lit(pl.Series(list(CHECKS))).gather(body % 11)
        good = pl.col("id").str.contains(r"^[0-9]{17}[0-9X]$") & (pl.col("id").str.slice(17) == wanted)
        judged = read.with_columns(good.fill_null(value=False).alias("good")).collect(engine="streaming")
        once = judged.filter("good").unique()
        once.write_parquet(out / "good.parquet", compression="zstd", compression_level=1)
        bad = judged.filter(~pl.col("good"))
        bad.write_parquet(out / "bad.parquet", compression="zstd", compression_level=1)
    return once.height, bad.height, judged.height - bad.height - once.height


_SUM = " + ".join(f"CAST(substr(id, {at + 1}, 1) AS INT) * {weight}" for at, weight in enumerate(WEIGHTS))
_JUDGED = (
    "SELECT *, id LIKE '__________________' AND substr(id, 1, 17) NOT LIKE '%X%' AND "
    f"substr(id, 18, 1) = substr('{CHECKS}', 1 + ({_SUM}) % 11, 1) AS good FROM typed"
)
_TYPED = (
    "SELECT CAST(serial AS BIGINT) AS serial, id, name, sex, CAST(birth AS DATE) AS birth, ethnic, division, address, "
    "phone, marital, CAST(base AS DECIMAL(18, 2)) AS base, CAST(updated AS DATE) AS updated FROM told"
)


def duckdb(rows: int, file: Path, out: Path, meter: Meter) -> Counts:
    """Write the file in UTF-8, which is what DuckDB reads without an extension; then SQL."""
    import duckdb as library

    db = library.connect(str(out / "work.db"), config={"threads": CORES})
    with meter("ingest"):
        plain = out / "utf8.csv"
        with file.open(encoding="gb18030", newline="") as source, plain.open("w", encoding="utf-8", newline="") as sink:
            shutil.copyfileobj(source, sink, 16 << 20)
        names = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS.values())
        db.execute(f"CREATE VIEW told AS FROM read_csv('{plain}', header=true, columns={{{names}}})")
        db.execute(f"CREATE TABLE judged AS WITH typed AS ({_TYPED}) {_JUDGED}")
        packed = "(FORMAT PARQUET, COMPRESSION ZSTD, COMPRESSION_LEVEL 1)"
        db.execute("CREATE TABLE once AS SELECT DISTINCT * FROM judged WHERE good")
        db.execute(f"COPY once TO '{out}/good.parquet' {packed}")
        db.execute(f"COPY (FROM judged WHERE good IS NOT TRUE) TO '{out}/bad.parquet' {packed}")
        counted = "(SELECT count(*) FROM once), count(*) FILTER (good IS NOT TRUE), count(*)"
        accepted, rejected, read = db.execute(f"SELECT {counted} FROM judged").fetchall()[0]
    return accepted, rejected, read - accepted - rejected


def spark(rows: int, file: Path, out: Path, meter: Meter) -> Counts:
    """Read as GB18030, then SQL, in the lake's engine."""
    from jobs.storage import engine as server

    own = Settings(root=out / "engine", storage=None, raw=None, spark=None, engine_cores=CORES)
    try:
        with meter(START):
            running = server.start(own)
            meter.roots = [running.pid]
            session = server.session(own.model_copy(update={"spark": f"{running.url}/;session_id={running.id}"}))
        session.conf.set("spark.sql.legacy.javaCharsets", "true")  # it knows GB18030 no more by itself
        with meter("ingest"):
            told = session.read.csv(str(file), header=True, encoding="GB18030")
            told.toDF(*COLUMNS.values()).createOrReplaceTempView("told")
            session.sql(f"WITH typed AS ({_TYPED}) {_JUDGED}").write.parquet(str(out / "judged"))
            session.read.parquet(str(out / "judged")).createOrReplaceTempView("judged")
            session.sql("SELECT DISTINCT * FROM judged WHERE good").write.parquet(str(out / "good"))
            session.sql("SELECT * FROM judged WHERE good IS NOT TRUE").write.parquet(str(out / "bad"))
            written = [session.read.parquet(str(out / name)) for name in ("judged", "good", "bad")]
            read, accepted, rejected = (table.count() for table in written)
        server.close(session)
        return accepted, rejected, read - accepted - rejected
    finally:
        server.stop(own)


ENGINES: dict[str, Callable[[int, Path, Path, Meter], Counts]] = {
    "lake": lake, "duckdb": duckdb, "polars": polars, "spark": spark
}


def measured(engine: str, rows: int, file: Path, out: Path, results: Connection) -> None:
    """Run one engine in this process and send what it took."""
    out.mkdir()
    meter = Meter(engine, file, out, CORES, {})
    counts = ENGINES[engine](rows, file, out, meter)
    used = meter.phases["ingest"]
    started = meter.phases[START].seconds if START in meter.phases else 0.0
    results.send({
        "engine": engine, "rows": rows, "seconds": round(used.seconds, 2),
        "rows_per_second": round(rows / used.seconds),
        "cpu_s": round(used.cpu, 1), "peak_gib": round(used.rss / 2**30, 2), "start_s": round(started, 1),
        "accepted": counts[0], "rejected": counts[1], "repeated": counts[2],
    })


def main() -> int:
    """Measure every engine at every size; return 1 where their counts differ."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingest")
    parser.add_argument("rows", type=float, nargs="*", default=[5e6])
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--folder", type=Path, help="where files are written; default: a temporary one")
    given = parser.parse_args()
    agree, context = True, multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for rows in map(int, given.rows):
            file = Path(name) / "people_20260105.csv"
            write(rows, file)
            found = set()
            for engine in given.engines.split(","):
                here, there = context.Pipe(duplex=False)
                out = Path(name) / engine
                process = context.Process(target=measured, args=(engine, rows, file, out, there))
                process.start()
                there.close()
                try:
                    told = here.recv()
                    found.add((told["accepted"], told["rejected"], told["repeated"]))
                    print(json.dumps(told), flush=True)
                except EOFError:
                    print(json.dumps({"engine": engine, "rows": rows, "failed": True}), flush=True)
                    agree = False
                process.join()
                shutil.rmtree(out, ignore_errors=True)
            agree &= len(found) <= 1
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
