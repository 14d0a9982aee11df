"""Follow a register: gold of a product is changed by what changed in the register, not made anew.

A task on one interval of ids reads the versions since gold's commit and what they replaced, and writes what comes and
goes; the sizes of groups, where rows of small ones are withheld, are kept from the same changes. A product that was
made in another way (contract, key, code, another register under the name), or by a run that died, is made from all
entities by the same task.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl

from jobs.batch import StageReport
from jobs.contract import Contract, TypeSpec
from jobs.errors import ReleaseRefused
from jobs.layers import Layer, slug
from jobs.privacy import minors
from jobs.privacy.keyring import Key
from jobs.privacy.scanner import Finding, scan
from jobs.registers.fold import ACTIVE
from jobs.rows.codes import CodeBook
from jobs.rows.protection import gold_column, gold_schema, protect, protection_of
from jobs.sets.following import CHANGE, ROWS, NotThereError, Withheld, after, counted, follows, in_groups, met, turned
from jobs.storage.batch_tables import FILE, FILE_ROWS, SLICE_ROWS, Writer, scan_files, slices
from jobs.storage.ledgers import REGISTERS, Ledger, newest
from jobs.storage.locations import Location
from jobs.storage.logs import Interval, Log, intervals
from jobs.storage.spreading import spread
from jobs.storage.standing import COMMIT, Made, Standing, kept_whole, signed
from jobs.storage.tables import Lake

SHOWN, SMALL, GROUPS, FOUND, APART = "shown", "small", "groups", "found", "apart"
TOLD: dict[str, Any] = {"what": pl.String, **FILE}  # what a task wrote, and what was found (`path`: column and kind)


def possible(lake: Lake, contract: Contract) -> bool:
    """Tell whether a product's gold can follow its register: where children are counted, all rows are gone through."""
    register = lake.catalogue.registers.get(str(contract.from_.register_)) if contract.from_ else None
    return follows(contract, register) and not minors.claims_none(contract, lake.catalogue)


def refused(contract: Contract, found: Sequence[Finding]) -> ReleaseRefused:
    """Return the refusal of gold in which identifiers were found."""
    where = ", ".join(f"{one.column} ({one.kind}, {one.count} rows)" for one in found)
    return ReleaseRefused(
        "gold would hold identifiers; it is as it was.", dataset=contract.name, layer=Layer.GOLD, where=where,
        remedy="protect: the fields these columns come from.",
    )


@dataclass(frozen=True)
class Logs:
    """Hold a register's logs as they stood at one moment."""

    versions: Log
    replaced: Log
    snapshot: Log


@dataclass(frozen=True)
class Following:
    """Hold what a task needs: the product's rules, the register's logs, since and until which commit, where to write.

    `since` 0: from all entities. `large` are the groups that gold may show, None where nothing is withheld. Crosses
    processes.
    """

    contract: Contract
    types: dict[str, TypeSpec]
    codes: CodeBook
    key: bytes
    logs: Logs
    since: int
    until: int
    large: pl.DataFrame | None
    shown: Location
    work: Location

    @property
    def gold(self) -> dict[str, Any]:
        """Return gold's columns."""
        return dict(gold_schema(self.contract, self.types))

    @property
    def of(self) -> list[str]:
        """Return the columns of gold that make a group."""
        return list(group_schema(self.contract, self.types))

    def changed(self, part: Interval) -> tuple[pl.DataFrame, bool]:
        """Return gold's signed rows of one interval, and whether some version lacks what it replaced."""
        versions, replaced, until = self.logs.versions, self.logs.replaced, pl.col(COMMIT) <= self.until
        old, whole, several = pl.DataFrame(schema=replaced.schema), True, True
        if self.since:
            new = versions.scan(part, after=self.since).filter(until)
            gone = replaced.scan(part, after=self.since).filter(until).collect()
            whole = _names(gone) == _names(new.select("_entity_id", COMMIT).collect())
            several = self.until - self.since > 1  # within one commit an entity changes once
            old = gone.sort(COMMIT).unique("_entity_id", keep="first", maintain_order=True) if several else gone
        else:
            snapshot = self.logs.snapshot
            new = pl.concat([snapshot.scan(part), versions.scan(part, after=snapshot.last)]).filter(until)
        now = (newest(new) if several else new).select(old.columns).collect()
        living = pl.col("_status") == ACTIVE
        protection = partial(protect, contract=self.contract, types=self.types, key=self.key, codes=self.codes)
        return turned(old.filter(living), now.filter(living), self.contract, protection), whole


def _names(rows: pl.DataFrame) -> tuple[int, int]:
    """Return how many versions there are, and a sum that differs where they are not the same ones."""
    hashes = rows.select(pl.struct("_entity_id", COMMIT).hash(seed=0)).to_series()
    return rows.height, int(hashes.sum()) if rows.height else 0


def group_schema(contract: Contract, types: dict[str, TypeSpec]) -> dict[str, Any]:
    """Return the columns of gold that make a group of which small ones are withheld, with their types."""
    fields = contract.withhold.of if contract.withhold else ()
    gold = gold_schema(contract, types)
    names = [gold_column(name, protection_of(contract.fields[name], types)) for name in fields]
    return {name: gold[name] for name in names}


def sizes(part: Interval, *, following: Following) -> pl.DataFrame:
    """Leave the sizes of the groups of one interval's entities (`TOLD`)."""
    assert following.contract.withhold is not None
    fields = {name: following.contract.fields[name] for name in following.contract.withhold.of}
    narrow = replace(following, contract=following.contract.model_copy(update={"fields": fields}))
    rows, _ = narrow.changed(part)
    return _put(following.work, counted(rows, following.of), GROUPS)


def change(part: Interval, *, following: Following) -> pl.DataFrame:
    """Write what comes and goes of one interval; leave rows of small groups and by how much groups change (`TOLD`)."""
    rows, whole = following.changed(part)
    told = [pl.DataFrame({"what": [APART], "path": [""], "size": [0], "rows": [1]}, schema=TOLD)] if not whole else []
    if found := scan(rows.filter(pl.col(CHANGE) > 0).drop(CHANGE)):  # then nothing of it is written anywhere
        named = [(FOUND, f"{one.column}\x1f{one.kind}", 0, one.count) for one in found]
        return pl.DataFrame(named, schema=TOLD, orient="row")
    if following.large is not None:
        if following.since:
            told.append(_put(following.work, counted(rows, following.of), GROUPS))
        shown = in_groups(rows, following.large, following.of)
        told.append(_put(following.work, rows.filter(~shown), SMALL))
        rows = rows.filter(shown)
    told.append(_written(following.shown, rows, following))
    return pl.concat(told)


def _written(folder: Location, rows: pl.DataFrame, following: Following) -> pl.DataFrame:
    """Write rows that gold shows: signed ones, or the rows themselves where gold is made from all entities."""
    gold = following.gold
    with Writer(folder, signed(gold) if following.since else gold) as writer:
        stamped = rows.with_columns(pl.lit(following.until, pl.Int64).alias(COMMIT)) if following.since else rows
        for some in stamped.iter_slices(SLICE_ROWS):
            writer.write(some)
    return writer.files().select(pl.lit(SHOWN).alias("what"), *FILE)


def _put(folder: Location, rows: pl.DataFrame, what: str) -> pl.DataFrame:
    with Writer(folder / what, rows.schema, passing=True) as writer:
        writer.write(rows)
    return writer.left().select(pl.lit(what).alias("what"), *FILE)


def follow(lake: Lake, contract: Contract, state: str, key: Key | None) -> StageReport:
    """Bring a product's gold up to its register's last commit; the caller holds gold's lease.

    delivered = accepted (rows of gold) + withheld (rows of small groups).
    """
    started, ledger = time.monotonic(), Ledger(lake, contract.reads_registers[0])
    snapshot = ledger.snapshot_log()  # before the commits are read: it covers none that is not among them
    until = _last(ledger)
    logs = Logs(ledger.versions_log(), ledger.replaced_log(), snapshot)
    standing, history = Standing(lake, contract.name), ledger.past(until)
    how, made = how_made(lake, contract, key), _followed(lake, contract, key)
    since, done = 0, None
    if made and _rows_after(logs.versions, made.until) <= max(FILE_ROWS, lake.rows(Layer.GOLD, contract.name)):
        withheld = standing.withheld(made) if contract.withhold else None
        with suppress(NotThereError):  # whatever was done to the tables: gold is made anew
            since, end = made.until, Made(how, until, history, made.epoch)
            done = _carried_out(lake, contract, key, logs, Run(standing, since, end, withheld))
    if done is None:
        since, end = 0, Made(how, until, history, secrets.randbits(60))
        done = _carried_out(lake, contract, key, logs, Run(standing, since, end, None))
    assert done is not None  # of all entities nothing is lacking
    rows, kept_out, changed = done
    report = StageReport(
        "desensitise", contract.name, state, delivered=rows + kept_out, accepted=rows, withheld=kept_out,
        seconds=time.monotonic() - started,
        extra={
            "columns": list(gold_schema(contract, lake.catalogue.types)), **({"key_id": key.id} if key else {}),
            "commit": until, "since": since, "changed": changed,
        },
    )
    lake.record(report)
    return report


def up_to_date(lake: Lake, contract: Contract, key: Key | None) -> bool:
    """Tell whether gold and what is withheld are as of the register's last commit, made as they would be made now."""
    made = _followed(lake, contract, key)
    return made is not None and made.until == _last(Ledger(lake, contract.reads_registers[0]))


def _last(ledger: Ledger) -> int:
    return max((commit.number for commit, done in ledger.plans() if done), default=0)


def _followed(lake: Lake, contract: Contract, key: Key | None) -> Made | None:
    """Return up to where gold is made as it would be made now, from the register's own past; None: make it anew."""
    standing, ledger = Standing(lake, contract.name), Ledger(lake, contract.reads_registers[0])
    made = standing.made()
    if made is None or made.how != how_made(lake, contract, key) or made.history != ledger.past(made.until):
        return None
    return made if contract.withhold is None or standing.withholds(made) else None


@dataclass(frozen=True)
class Run:
    """Hold one way from a commit of the register (0: from nothing) to another."""

    standing: Standing
    since: int
    made: Made
    withheld: Withheld | None


def deciding(lake: Lake, contract: Contract, key: Key | None) -> str:
    """Return everything but the register that decides gold's rows, in one text."""
    terms = contract.model_dump_json(
        include={"from_", "fields", "withhold"},
        exclude={"fields": {name: {"title", "publish"} for name in contract.fields}},
    )
    used = sorted({field.type for field in contract.fields.values()})
    told = [terms, *(lake.catalogue.types[name].model_dump_json() for name in used)]
    return "|".join([*told, key.id if key else "", _code()])


def how_made(lake: Lake, contract: Contract, key: Key | None) -> int:
    """Return a digest of how gold's rows are made, and of which register's table: made otherwise, it is made anew."""
    table = lake.table(REGISTERS, f"{contract.reads_registers[0]}_versions")
    register = str(table.metadata().id) if table is not None else ""
    return 1 + int(hashlib.sha256(f"{deciding(lake, contract, key)}|{register}".encode()).hexdigest()[:15], 16)


@cache
def _code() -> str:
    """Return a digest of the code that turns a register's rows into gold's."""
    jobs = Path(__file__).parents[1]
    files = [*sorted((jobs / "rows").rglob("*.py")), *(jobs / name for name in ROW_MAKERS)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


ROW_MAKERS = (
    "privacy/scanner.py", "sets/following.py", "sets/products.py", "stages/following.py", "storage/standing.py"
)


def _carried_out(
    lake: Lake, contract: Contract, key: Key | None, logs: Logs, run: Run
) -> tuple[int, int, int] | None:
    """Make or change gold; return its rows, those withheld and those that came or went. None: it must be made anew."""
    types, standing, where = dict(lake.catalogue.types), run.standing, f"gold.{slug(contract.name)}"
    rows = _rows_after(logs.versions, run.since)
    much, pieces = lake.much(rows), -(-rows // FILE_ROWS)
    parts = intervals(max(pieces, lake.settings.engine_cores if much else 1))
    little = run.since > 0 and kept_whole(lake.rows(Layer.GOLD, contract.name), standing.parts()[-1] + rows)
    with lake.workspace(f"gold-{slug(contract.name)}", shared=much) as work:
        where_to = (Layer.SILVER, standing.changes) if run.since else (Layer.GOLD, contract.name)
        following = Following(
            contract, types, lake.codes, key.secret if key else b"", logs, run.since, run.made.until,
            None, work / SHOWN if little else lake.folder(*where_to), work,
        )
        withheld = run.withheld
        if contract.withhold and not run.since:
            told = spread(lake, partial(sizes, following=following), parts, TOLD, engine=much, where=where)
            of = group_schema(contract, types)
            found = _collected(work, told, GROUPS, {**of, ROWS: pl.Int64()})
            withheld = Withheld(found.group_by(list(of)).sum(), pl.DataFrame(schema=following.gold))
        if contract.withhold and withheld:
            following = replace(following, large=withheld.large(contract.withhold.below))
        told = spread(lake, partial(change, following=following), parts, TOLD, engine=much, where=where)
        if told.filter(pl.col("what") == APART).height:
            return None
        if (found := told.filter(pl.col("what") == FOUND)).height:
            raise refused(contract, _findings(found))
        files = told.filter(pl.col("what") == SHOWN).select(list(FILE))
        if contract.withhold and withheld:
            withheld, more = _moved(run, following, withheld, told)
            changed = withheld is not run.withheld
            standing.withhold(withheld, following.gold, group_schema(contract, types), run.made, changed=changed)
            if more.height:
                files = pl.concat([files, _written(following.shown, more, following).select(list(FILE))])
        kept = _committed(run, following, files, little=little)
        return kept, withheld.rows.height if withheld else 0, int(files["rows"].sum())


def _rows_after(log: Log, commit: int) -> int:
    return sum(rows for *_, last, rows in log.files if last > commit)


def _collected(work: Location, told: pl.DataFrame, what: str, schema: dict[str, Any]) -> pl.DataFrame:
    return scan_files(work, told.filter(pl.col("what") == what)["path"], schema).select(list(schema)).collect()


def _findings(found: pl.DataFrame) -> list[Finding]:
    counts = found.group_by("path", maintain_order=True).agg(pl.col("rows").sum())
    named = [(path.partition("\x1f"), rows) for path, rows in counts.iter_rows()]
    return [Finding(column, kind, rows) for (column, _, kind), rows in named]


def _moved(run: Run, following: Following, withheld: Withheld, told: pl.DataFrame) -> tuple[Withheld, pl.DataFrame]:
    """Return what is withheld after a run, and the signed rows of groups that grew or shrank past the threshold."""
    contract, of = following.contract, following.of
    assert contract.withhold is not None
    small = _collected(following.work, told, SMALL, {**following.gold, CHANGE: pl.Int8()})
    if not run.since:  # the sizes are those of all entities already
        return Withheld(withheld.sizes, small.drop(CHANGE)), small.clear()
    sizes = {**group_schema(contract, following.types), ROWS: pl.Int64()}
    changes = _collected(following.work, told, GROUPS, sizes)

    if changes.is_empty() and small.is_empty():
        return withheld, small

    def shown(groups: pl.DataFrame) -> pl.DataFrame:
        fresh = _fresh(following, told.filter(pl.col("what") == SHOWN))
        settled, since, _ = run.standing.parts()
        changed = pl.concat([met(since, groups), met(fresh, groups)])
        return after(met(settled, groups), changed).collect(engine="streaming")

    return withheld.moved(changes, small, of, contract.withhold.below, shown)


def _fresh(following: Following, files: pl.DataFrame) -> pl.LazyFrame:
    """Return the signed rows that were written and do not count yet."""
    schema = signed(following.gold)
    paths = [following.shown.address(path) for path in files["path"]]
    return scan_files(following.shown, paths, schema).select(list(schema)).drop(COMMIT)


def _committed(run: Run, following: Following, files: pl.DataFrame, *, little: bool) -> int:
    """Make what was written count; return how many rows gold has then."""
    standing, gold = run.standing, following.gold
    if not run.since:
        standing.replace(files, gold, run.made)
        standing.forget()
        return int(files["rows"].sum())
    if files.is_empty():
        standing.pass_to(gold, run.made)
    elif little:
        settled, since, _ = standing.parts()
        standing.put(after(settled, pl.concat([since, _fresh(following, files)])), gold, run.made)
    else:
        standing.append(files, gold, run.made)
    return standing.height()


def settle(lake: Lake, contract: Contract) -> bool:
    """Put what came since among the settled rows; the caller holds gold's lease.

    Returns whether it could be: where the tables do not agree, gold follows nothing until it is made anew.
    """
    standing = Standing(lake, contract.name)
    made, (settled, since, many) = standing.made(), standing.parts()
    try:
        if made and many:
            schema = dict(settled.collect_schema())
            with lake.workspace(f"settle-{slug(contract.name)}", shared=False) as work:
                with work.create("settled.parquet") as file:
                    after(settled, since).sink_parquet(file)
                with Writer(lake.folder(Layer.GOLD, contract.name), schema) as writer:
                    for some in slices(work, "settled.parquet"):
                        writer.write(some)
            standing.replace(writer.files(), schema, made)
    except NotThereError:
        standing.void()
        return False
    standing.forget()
    return True
