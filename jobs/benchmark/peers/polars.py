"""Polars: lazy frames and the streaming engine, the register rewritten by its own writer, the commit by delta-rs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars import col, lit

from jobs.benchmark import tables
from jobs.benchmark.measuring import Meter, main
from jobs.benchmark.rules import (
    AGES_ON,
    BAND_YEARS,
    BATCH_AT,
    CHECKS,
    DEPARTMENTS,
    FIELDS,
    FIRST_YEAR,
    HISTORY,
    NARROW,
    PSEUDONYM_PREFIX,
    RANK,
    REASONS,
    REGISTER,
    WEIGHTS,
    WIDE,
    K,
    Policy,
)  # fmt: skip

ROWS_PER_FILE = 1_000_000
_WHOLE = r"^[0-9]{17}[0-9X]$"


def run(data: Path, out: Path, cores: int) -> None:
    """Do the whole work; write the outputs and result.json. `cores` is what POLARS_MAX_THREADS said at the start."""
    phase = Meter("polars", data, out, cores, {"polars": pl.__version__})
    register = tables.own_register(data, out)
    with phase("ingest"):
        departments = _ingest(data, out, phase.counts)
    with phase("resolve"):
        batch = _resolved(departments)
        departments.clear()
        phase.counts["entities"] = batch.height
    with phase("merge"):
        _merge(batch, register, out, phase.counts)
        del batch
    with phase("export"):
        _export(register, out, phase.counts)
    phase.finish()


def _ingest(data: Path, out: Path, counts: dict[str, int]) -> dict[str, pl.DataFrame]:
    known = pl.read_parquet(data / "ref_division.parquet")["division"].cast(pl.Int64).implode()
    found, rejected, read = {}, [], 0
    for name, department in DEPARTMENTS.items():
        raw = pl.scan_parquet(data / f"extract_{name}" / "*.parquet").select(
            "rec_id", "raw_id", *department.fields, ts="update_ts"
        )
        judged = (
            _judged(raw, known)
            .select("rec_id", "raw_id", *department.fields, "ts", "id18", "reason")
            .collect(engine="streaming")
        )
        read += judged.height
        bad = judged.filter(col("reason").is_not_null())
        rejected.append(bad.select(lit(department.code, pl.Int32).alias("dept"), "rec_id", "raw_id", "reason"))
        found[name] = (
            judged.filter(col("reason").is_null())
            .sort("ts", "rec_id", descending=True)
            .unique("id18", keep="first")
            .select("id18", *department.fields, "ts")
        )
    quarantine = pl.concat(rejected)
    quarantine.write_parquet(out / "quarantine.parquet", compression="zstd", compression_level=1)
    counts |= {
        "read": read, "quarantined": quarantine.height, "latest": sum(rows.height for rows in found.values()),
    }
    return found


def _judged(raw: pl.LazyFrame, known: pl.Series) -> pl.LazyFrame:
    """Add id18 and the first reason against a row."""
    gone = [*NARROW, *[""] * (len(WIDE) - len(NARROW))]
    spelled = col("raw_id").str.replace_many(list(WIDE), gone).str.to_uppercase()
    rows = raw.with_columns(k=pl.when(col("raw_id").str.contains(_WHOLE)).then("raw_id").otherwise(spelled))
    k = col("k")
    rows = rows.with_columns(
        size=k.str.len_chars(),
        body=pl.when(k.str.contains(_WHOLE)).then(k.str.slice(0, 17))
        .when(k.str.contains(r"^[0-9]{15}$")).then(k.str.slice(0, 6) + "19" + k.str.slice(6, 9))
        .cast(pl.Int64),
    )  # fmt: skip
    body = col("body")
    total = pl.sum_horizontal(
        [body // 10 ** (16 - n) % 10 * weight for n, weight in enumerate(WEIGHTS)], ignore_nulls=False
    )
    rows = rows.with_columns(
        y=body // 10**7 % 10000, m=body // 10**5 % 100, d=body // 1000 % 100,
        check=(total % 11).replace_strict(range(11), list(CHECKS), default=None, return_dtype=pl.String),
    )
    y, m, d = col("y"), col("m"), col("d")
    leap = (y % 4 == 0) & ((y % 100 != 0) | (y % 400 == 0))
    last = pl.when(m.is_in([4, 6, 9, 11])).then(30).when((m == 2) & leap).then(29).when(m == 2).then(28).otherwise(31)
    day = y.is_between(FIRST_YEAR, AGES_ON.year) & m.is_between(1, 12) & (d >= 1) & (d <= last)
    faults = (
        k.is_null() | (k == ""), ~col("size").is_in([15, 18]), body.is_null(), ~(body // 10**11).is_in(known), ~day,
        (col("size") == 18) & (k.str.slice(17, 1) != col("check")),
    )
    reason = pl.coalesce(
        *(pl.when(fault).then(lit(word)) for word, fault in zip(REASONS, faults, strict=True))
    )
    return rows.with_columns(id18=body.cast(pl.String) + col("check"), reason=reason)


def _score(field: str, source: pl.Expr | int, time: pl.Expr) -> pl.Expr:
    rule = FIELDS[field]
    if isinstance(source, int):
        rank = lit(rule.ranks[source], pl.Int64)
    else:
        rank = source.replace_strict(list(rule.ranks), list(rule.ranks.values()), default=None, return_dtype=pl.Int64)
    return rank * RANK + time if rule.policy is Policy.PRIORITY else time * 4 + rank


def _resolved(departments: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Return one row per person: n_FIELD and s_FIELD, the best value and its score."""
    people = pl.concat([rows.select("id18") for rows in departments.values()]).unique().lazy()
    for name, rows in departments.items():
        department = DEPARTMENTS[name]
        scores = [
            pl.when(col(field).is_not_null()).then(_score(field, department.code, col("ts"))).alias(f"s_{field}_{name}")
            for field in department.fields
        ]
        values = [col(field).alias(f"{field}_{name}") for field in department.fields]
        people = people.join(rows.lazy().select("id18", *values, *scores), on="id18", how="left")
    best: list[pl.Expr] = []
    for field in FIELDS:
        told = [name for name in departments if field in DEPARTMENTS[name].fields]
        score = pl.max_horizontal([f"s_{field}_{name}" for name in told])
        value = pl.coalesce(*(pl.when(col(f"s_{field}_{name}") == score).then(f"{field}_{name}") for name in told))
        best += [value.alias(f"n_{field}"), score.alias(f"s_{field}")]
    return people.select("id18", *best).collect(engine="streaming")


def _merge(batch: pl.DataFrame, register: Path, out: Path, counts: dict[str, int]) -> None:
    held = pl.scan_parquet(tables.files(register))
    beats = [
        (col(f"s_{field}") > _score(field, col(f"{field}_src"), col(f"{field}_ts")).fill_null(-1))
        .fill_null(value=False).alias(f"w_{field}")
        for field in FIELDS
    ]  # fmt: skip
    differs = pl.any_horizontal([col(f"w_{field}") & col(f"n_{field}").ne_missing(col(field)) for field in FIELDS])
    # The people of both are few: they are made once, and feed the history as well as the new version.
    hit = held.join(batch.lazy(), on="id18").with_columns(beats).with_columns(chg=differs).collect(engine="streaming")
    ended = hit.filter("chg").with_columns(valid_to=lit(BATCH_AT, pl.Int64)).select(HISTORY)
    counts["changed"] = ended.height
    ended.write_delta(out / "history", delta_write_options={"writer_properties": tables.COMPRESSION})
    both = hit.select("id18").lazy()
    after = pl.concat([
        held.join(both, on="id18", how="anti").select(REGISTER),
        hit.lazy().select(_updated()),
        batch.lazy().join(both, on="id18", how="anti").select(_first()),
    ])
    after.sink_parquet(
        pl.PartitionBy(register / "after", max_rows_per_file=ROWS_PER_FILE), compression="zstd", compression_level=1,
        mkdir=True, maintain_order=False, engine="streaming",
    )
    tables.replace_files(register, map(str, (register / "after").rglob("*.parquet")))


def _provenance(field: str) -> tuple[pl.Expr, pl.Expr]:
    rule, score = FIELDS[field], col(f"s_{field}")
    first = rule.policy is Policy.PRIORITY
    rank, time = (score // RANK, score % RANK) if first else (score % 4, score // 4)
    return rank.replace_strict(list(rule.ranks.values()), list(rule.ranks), default=None, return_dtype=pl.Int32), time


def _updated() -> list[pl.Expr]:
    values = [col("id18"), col("sex"), col("birth")]
    for field in FIELDS:
        source, time = _provenance(field)
        for column, new in ((field, col(f"n_{field}")), (f"{field}_src", source), (f"{field}_ts", time)):
            values.append(pl.when(f"w_{field}").then(new).otherwise(column).alias(column))
    version = (col("version") + col("chg").cast(pl.Int32)).cast(pl.Int32)
    since = pl.when("chg").then(BATCH_AT).otherwise("valid_from").cast(pl.Int64)
    return [*values, version.alias("version"), since.alias("valid_from")]


def _first() -> list[pl.Expr]:
    key = col("id18")
    man = key.str.slice(16, 1).cast(pl.Int32) % 2 == 1
    values = [
        key, pl.when(man).then(1).otherwise(2).cast(pl.Int32).alias("sex"),
        key.str.slice(6, 8).str.to_date("%Y%m%d").alias("birth"),
    ]
    for field in FIELDS:
        source, time = _provenance(field)
        values += [col(f"n_{field}").alias(field), source.alias(f"{field}_src"), time.alias(f"{field}_ts")]
    return [*values, lit(1, pl.Int32).alias("version"), lit(BATCH_AT, pl.Int64).alias("valid_from")]


def _export(register: Path, out: Path, counts: dict[str, int]) -> None:
    birth, key = col("birth"), col("id18")
    day = birth.dt.month().cast(pl.Int32) * 100 + birth.dt.day()
    age = AGES_ON.year - birth.dt.year() - (day > AGES_ON.month * 100 + AGES_ON.day).cast(pl.Int32)
    people = pl.scan_parquet(tables.files(register)).with_columns(
        dv=pl.coalesce("division", key.str.slice(0, 6)),
        band=(age // BAND_YEARS * BAND_YEARS).cast(pl.String).str.zfill(3),
    )
    by: Sequence[str] = ("dv", "sex", "band")
    groups = people.group_by(by).agg(n=pl.len()).collect(engine="streaming")
    counts |= {
        "register": int(groups["n"].sum()), "suppressed": int(groups.filter(col("n") < K)["n"].sum()),
    }
    large = groups.filter(col("n") >= K).lazy().drop("n")
    people.join(large, on=by, how="semi").select(
        pid=_sha256(lit(PSEUDONYM_PREFIX) + key), name=col("name").str.slice(0, 1) + "**", sex="sex", age_band="band",
        division="dv", ethnic="ethnic", phone=col("phone").str.slice(0, 3) + "****" + col("phone").str.slice(-4),
        address=col("address").str.slice(0, 6) + "****", marital="marital", insured="insured",
        prov=col("dv").str.slice(0, 2),
    ).sink_parquet(
        pl.PartitionBy(out / "export", key="prov", include_key=False), compression="zstd", compression_level=1,
        mkdir=True, engine="streaming",
    )


def _sha256(text: pl.Expr) -> pl.Expr:
    """Return SHA-256 in hexadecimal, by the native plugin where it is installed, as a user of Polars would."""
    try:
        import polars_hash  # noqa: F401 (adds the namespace `chash`)
    except ImportError:
        return text.map_batches(
            lambda values: pl.Series([hashlib.sha256(value.encode()).hexdigest() for value in values]),
            return_dtype=pl.String,
        )
    return text.chash.sha2_256()  # type: ignore[attr-defined,no-any-return]


if __name__ == "__main__":
    main("polars", run)
