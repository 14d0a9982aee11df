"""The lake's own merge as the benchmark's engine: its stages, its tables, its engine, on a declared register.

The register is the keyed one of `schemas`, opened once for a data set with the data set's register; each run works on a
copy of that lake whose data files are hard links. Measured is what a delivery costs: `ingest` lands, loads and conforms
the extracts, departments side by side as a scheduler does; `merge` is one resolve of the register, claims and versions
written and accounted for, so that there is no phase `resolve`; `export` brings the desensitised product of `schemas` up
to the register, small groups withheld. Before, the engine starts and a small batch goes through another lake, as in one
that has run a day. After, the tables are written once more in the form of the peers, for the referee; that is no part
of any phase. Pseudonyms are HMAC-SM3 of entity ids; only for the referee they become the peers' SHA-256 of the keys.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.benchmark import tables
from jobs.benchmark.measuring import START, Meter, main
from jobs.benchmark.rules import (
    BATCH_AT,
    DEPARTMENTS,
    EXPORT,
    EXPORTING,
    FIELDS,
    HISTORY,
    PSEUDONYM_PREFIX,
    REASONS,
    REGISTER,
)
from jobs.layers import Layer
from jobs.privacy.keyring import lake_key, secret
from jobs.registers.keys import entity_ids
from jobs.rows.pseudonymisation import pseudonyms
from jobs.sets.tickets import REJECTED
from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, open_register, resolve
from jobs.storage import engine as server
from jobs.storage.ledgers import Ledger
from jobs.storage.standing import Standing
from jobs.storage.tables import Lake

SCHEMAS = Path(__file__).parent / "schemas"
REGISTER_NAME, KIND, PRODUCT = "person", "resident_id", "products/people"
WARM_ROWS, NAMED_ROWS = 5_000, 500_000
ENGINE_ROWS = 20_000  # a batch of fewer rows is done in one process
SOURCES = {f"{name}/extract": department.code for name, department in DEPARTMENTS.items()}
ASKED = ("required", "length", "alphabet", "division", "calendar_date", "check_character")  # as `REASONS` are
RULES = dict(zip(ASKED, REASONS, strict=True))


def run(data: Path, out: Path, cores: int) -> None:
    """Do the whole work; write the outputs and result.json."""
    schemas = declared(data, out / "schemas")
    # Whatever lake the user's settings are about, these are others.
    own = Settings(root=out / "engine", schemas=schemas, storage=None, raw=None, spark=None, engine_cores=cores)
    versions = {"delta": version("deltalake"), "polars": pl.__version__, "spark": version("pyspark")}
    meter = Meter("lake", data, out, cores, versions, without=("resolve",))
    try:
        with meter(START):
            engine = server.start(own)
        spark = f"{engine.url}/;session_id={engine.id}"

        def at(root: Path, engine_rows: int = ENGINE_ROWS) -> Settings:
            return Settings(
                root=root, schemas=schemas, storage=None, raw=None, spark=spark, engine_rows=engine_rows,
                engine_cores=cores,
            )

        shutil.copytree(opened(data, at), out / "lake", copy_function=tables.linked)
        meter.roots = [engine.pid]
        context = multiprocessing.get_context("spawn")  # processes of their own, as a scheduler's tasks are
        with ProcessPoolExecutor(cores, context) as pool, Lake.open(at(out / "lake")) as lake:
            warm_up(data, out / "warm", at, pool)
            with meter("ingest"):
                given = {name: sorted((data / f"extract_{name}").glob("*.parquet")) for name in DEPARTMENTS}
                reports = list(pool.map(_taken, [at(out / "lake")] * len(given), given, given.values()))
            meter.counts["read"] = sum(report.delivered for report in reports)
            meter.counts["quarantined"] = sum(report.quarantined for report in reports)
            with meter("merge"):
                (report,) = resolve.run(lake, REGISTER_NAME)
            made: dict[str, int] = report.extra["versions"]  # type: ignore[assignment]
            with meter(EXPORTING):
                (shown,) = desensitise.run(lake, PRODUCT)
            meter.counts |= {
                "register": int(str(report.extra["entities"])), "versions": sum(made.values()),
                "suppressed": shown.withheld, "changed": int(str(shown.extra["changed"])),
                "since": int(str(shown.extra["since"])),
            }
            standing = Standing(lake, PRODUCT)
            exported = [(Layer.SILVER, name) for name in (standing.changes, *standing.withholding)]
            stand = {
                "register": [(Layer.REGISTERS, f"{REGISTER_NAME}{kept}") for kept in ("_versions", "_replaced")],
                EXPORTING: [(Layer.GOLD, PRODUCT), *exported],
            }
            meter.finish({
                output: [out / "lake" / layers.table_path(*one) for one in names] for output, names in stand.items()
            })
            _for_the_referee(lake, data, out)
    finally:
        server.stop(own)


def declared(data: Path, folder: Path) -> Path:
    """Write the benchmark's contracts with the data set's own divisions as their code list."""
    shutil.copytree(SCHEMAS, folder, dirs_exist_ok=True)
    (folder / "codes").mkdir()
    divisions = pl.read_parquet(data / "ref_division.parquet")
    divisions.select(code="division", label_zh="name", level=pl.lit("county"), valid_from=pl.lit("1900")).write_csv(
        folder / "codes" / "division.csv"
    )
    return folder


def opened(data: Path, at: Callable[[Path], Settings]) -> Path:
    """Return a lake whose register holds the data set's, and gold what it shows of it, made when it is not there yet.

    One of another state of the code is not taken: gold would be made anew in the time of the export.
    """
    files = sorted((data / "register").glob("*.parquet"))
    declared = (path.read_bytes() for path in sorted(SCHEMAS.rglob("*.yaml")))
    told = [server.fingerprint().encode(), *declared, *(file.name.encode() for file in files)]
    base = data / f"lake-{hashlib.sha256(b'|'.join(told)).hexdigest()[:8]}"
    if not base.exists():
        part = base.with_name(f"{base.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "given").mkdir(parents=True)
        for file in files:
            _as_register(pl.read_parquet(file)).write_parquet(part / "given" / file.name)
        with Lake.open(at(part)) as lake:
            open_register.run(lake, REGISTER_NAME, sorted((part / "given").glob("*.parquet")))
            desensitise.run(lake, PRODUCT)
        shutil.rmtree(part / "given")
        part.replace(base)
    return base


def _as_register(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of the data set's register as a keyed register is opened with."""
    names = {code: dataset for dataset, code in SOURCES.items()}
    told = [
        part for field in FIELDS for part in (
            pl.col(field),
            pl.col(f"{field}_src").replace_strict(names, default=None, return_dtype=pl.String).alias(f"{field}_source"),
            pl.from_epoch(f"{field}_ts").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias(f"{field}_as_of"),
        )
    ]  # fmt: skip
    return rows.select(pl.col("id18").alias(KIND), *told)


def warm_up(data: Path, folder: Path, at: Callable[[Path, int], Settings], pool: ProcessPoolExecutor) -> None:
    """Let two small batches go all the way through another lake, in the same engine and by the same processes."""
    settings = at(folder / "lake", 0)
    with Lake.open(settings) as lake:
        for start in (0, WARM_ROWS):
            files = {name: [_some(data, name, start, folder / str(start) / name)] for name in DEPARTMENTS}
            list(pool.map(_taken, [settings] * len(files), files, files.values()))
            resolve.run(lake, REGISTER_NAME)
            desensitise.run(lake, PRODUCT)
    shutil.rmtree(folder)


def _some(data: Path, department: str, start: int, folder: Path) -> Path:
    folder.mkdir(parents=True)
    part = min((data / f"extract_{department}").glob("*.parquet"))
    pl.scan_parquet(part).slice(start, WARM_ROWS).collect().write_parquet(folder / part.name)
    return folder / part.name


def _taken(settings: Settings, name: str, files: list[Path]) -> StageReport:
    """Land, load and conform one department's extract."""
    with Lake.open(settings) as lake:
        land.run(lake, f"{name}/extract", files=files)
        load.run(lake, f"{name}/extract")
        (report,) = conform.run(lake, f"{name}/extract")
        return report


def _for_the_referee(lake: Lake, data: Path, out: Path) -> None:
    """Write the register, its history and what was rejected as the peers do."""
    ledger = Ledger(lake, REGISTER_NAME)
    key = secret(lake.objects, "register")

    def with_ids(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(entity_ids(pl.repeat(KIND, rows.height, eager=True), rows["id18"], key))

    kept = ["id18", "version", "valid_from"]
    known = with_ids(pl.read_parquet(data / "register" / "*.parquet", columns=kept))
    silver = [lake.scan(Layer.SILVER, dataset).select(id18="raw_id") for dataset in SOURCES]
    new = with_ids(pl.concat(silver).unique().collect().join(known, on="id18", how="anti"))
    new = new.with_columns(version=pl.lit(1, pl.Int32), valid_from=pl.lit(BATCH_AT, pl.Int64))
    before = _in_numbers(ledger.versions_log().scan().filter(pl.col("_commit") == open_register.FIRST))
    after = _in_numbers(ledger.versions_log().scan(after=open_register.FIRST)).collect()
    ids = pl.LazyFrame({"_entity_id": after["_entity_id"]})
    old = before.join(ids, on="_entity_id", how="semi").collect().join(known, on="_entity_id")
    values = [pl.col(field).ne_missing(pl.col(f"{field}_old")) for field in FIELDS]
    was = old.select("_entity_id", *[pl.col(field).alias(f"{field}_old") for field in FIELDS])
    changed = after.join(was, on="_entity_id").filter(pl.any_horizontal(values)).select("_entity_id")
    closed = old.join(changed, on="_entity_id", how="semi").with_columns(valid_to=pl.lit(BATCH_AT, pl.Int64))
    (out / "history").mkdir()
    closed.select(HISTORY).write_parquet(out / "history" / "part.parquet")
    (out / "register").mkdir()
    current = _in_numbers(ledger.scan_current())
    counted = known.join(changed.with_columns(_one=pl.lit(1, pl.Int32)), on="_entity_id", how="left").with_columns(
        version=pl.col("version") + pl.col("_one").fill_null(0),
        valid_from=pl.when(pl.col("_one").is_null()).then("valid_from").otherwise(BATCH_AT),
    )
    everyone = pl.concat([counted.drop("_one"), new.select(known.columns)]).lazy()
    current.join(everyone, on="_entity_id").select(REGISTER).sink_parquet(out / "register" / "part.parquet")
    _rejected(lake).write_parquet(out / "quarantine.parquet")
    names = out / "names"
    names.mkdir()
    for number, some in enumerate(pl.concat([known, new.select(known.columns)]).iter_slices(NAMED_ROWS)):
        _named(lake, some).write_parquet(names / f"{number}.parquet")
    _exported(lake, pl.scan_parquet(names)).sink_parquet(
        pl.PartitionBy(out / EXPORTING, key="prov", include_key=False), mkdir=True
    )
    shutil.rmtree(names)


def _named(lake: Lake, people: pl.DataFrame) -> pl.DataFrame:
    """Return the lake's pseudonyms of people and the peers'."""
    key = lake_key(lake.objects, "pseudonym").secret
    theirs = [hashlib.sha256(f"{PSEUDONYM_PREFIX}{number}".encode()).hexdigest() for number in people["id18"]]
    return pl.DataFrame({"person": pseudonyms(people["_entity_id"], key, "text"), "pid": theirs})


def _exported(lake: Lake, names: pl.LazyFrame) -> pl.LazyFrame:
    """Return what gold now shows, in the words of the peers."""
    return Standing(lake, PRODUCT).rows().join(names, on="person").with_columns(
        name=pl.col("name_initial") + "**", sex=pl.col("sex").cast(pl.Int32), prov=pl.col("province").str.slice(0, 2),
        age_band=pl.col("birth_age_band").str.split("-").list.first().str.zfill(3), address=pl.col("address") + "****",
    ).select(EXPORT)


def _in_numbers(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.with_columns(
        pl.when(pl.col("division_source").is_not_null()).then("division").alias("division"),
        pl.col("sex").cast(pl.Int32),
        *[pl.col(f"{field}_source").replace_strict(SOURCES, default=None, return_dtype=pl.Int32).alias(f"{field}_src")
          for field in FIELDS],
        *[pl.col(f"{field}_as_of").dt.epoch("s").alias(f"{field}_ts") for field in FIELDS],
    )


def _rejected(lake: Lake) -> pl.DataFrame:
    """Return the rejected rows with the first reason of each."""
    order = list(RULES)
    found = []
    for dataset, code in SOURCES.items():
        rows = lake.scan(Layer.QUARANTINE, dataset, absent=REJECTED).select("_cells", "_reasons").collect()
        cells = rows["_cells"].str.json_decode(pl.Struct({"rec_id": pl.String, "raw_id": pl.String})).struct.unnest()
        rules = rows["_reasons"].list.eval(pl.element().str.split(".").list.last())
        first = [RULES[min(told, key=order.index)] for told in rules.to_list()]
        reason = pl.Series("reason", first, dtype=pl.String)
        department = pl.lit(code, pl.Int32).alias("dept")
        found.append(cells.select(department, pl.col("rec_id").cast(pl.Int64), "raw_id", reason))
    return pl.concat(found)


if __name__ == "__main__":
    main("lake", run)
