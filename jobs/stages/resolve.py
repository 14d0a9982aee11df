"""Resolve: claims and decisions meet what a register knows; who is who is settled, and changed entities are refolded.

A commit takes five steps: claims enter the log; what rules now find of the touched keys enters the ledger; the id map
is folded anew and its changes enter the feed; so do the cases'; every entity whose claims or place in the id map
changed gets a new version. All of them are logs that know the commit, so a second attempt reads what was before it and
finds each step done or does it again to the same end. A small commit is carried out in this process, a large one by
the engine's workers, interval of ids by interval.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from jobs import layers
from jobs.batch import StageReport
from jobs.errors import RequestError, StorageError
from jobs.layers import Layer
from jobs.privacy.keyring import secret
from jobs.register import Register
from jobs.registers.assertions import ALIKE, CONTRADICTION, NEAR, difference, in_force, parties_of, rulings
from jobs.registers.assertions import SCHEMA as ASSERTION
from jobs.registers.cases import cases
from jobs.registers.identities import identities
from jobs.registers.keys import kind_ranks
from jobs.registers.reopening import joined
from jobs.sets.runs import accepted
from jobs.stages.conform import silver_table
from jobs.storage import identification as tasks
from jobs.storage.batch_tables import FILE_ROWS
from jobs.storage.court import Court, case_changes, map_changes
from jobs.storage.identification import GROWN, REPLACED, VERSIONS, WRITTEN, Delivered, Work
from jobs.storage.keyed import CLAIMS, Tables, merge
from jobs.storage.ledgers import REGISTERS, RULES, Claims, Commit, Ledger
from jobs.storage.logs import PART, intervals
from jobs.storage.spreading import COUNT, spread
from jobs.storage.tables import Lake

SHARED_ROWS = 100_000  # rows of a batch whose files several tasks share


def run(lake: Lake, register: str, *, batch: str | None = None) -> list[StageReport]:
    """Bring a register up to date with every accepted batch and decision, withdrawn ones taken out; or return [].

    One commit takes all that waits, and everything once more where the register's rules have changed since the last
    one. A commit that a killed run left planned is finished first, as planned.
    `batch` is refused: which batches wait is a matter of the register's own list.
    """
    if register not in lake.catalogue.registers:
        raise RequestError(
            f"there is no register {register!r}.", remedy=f"registers: {', '.join(lake.catalogue.registers)}."
        )
    if batch is not None:
        raise RequestError("a register takes every waiting batch.", dataset=register, remedy="leave --batch out.")
    reports = []
    with lake.writing(f"registers.{register}"):
        ledger = Ledger(lake, register)
        for commit, done in ledger.plans():
            if not done and commit.opens:
                raise StorageError(
                    "the register's opening did not finish.", dataset=register, layer=REGISTERS,
                    remedy="call `lake open-register` again with the same files.",
                )
            if not done:
                reports.append(_carry_out(lake, ledger, commit))
        planned = _next(lake, ledger)
        if planned is not None:
            ledger.write_commit(planned, "planned")
            reports.append(_carry_out(lake, ledger, planned))
    return reports


def _next(lake: Lake, ledger: Ledger) -> Commit | None:
    wanted = accepted(lake.runs(), [contract.name for contract in lake.catalogue.feeding(ledger.register)])
    held = ledger.consumed()
    add, remove = sorted(wanted - held), sorted(held - wanted)
    handed_in = set(Court(lake, ledger.register).handed_in()["id"].to_list())
    decisions = sorted(handed_in - ledger.decisions())
    rules, before = RULES + lake.catalogue.registers[ledger.register].rules, ledger.rules()
    if before not in ("", rules):  # claims, too, are made by the rules: all are made anew
        add, remove = sorted(wanted), sorted(held)
    if not add and not remove and not decisions:
        return None
    number = len(ledger.plans()) + 1
    return Commit(number, tuple(add), tuple(remove), (*decisions, rules))


def _carry_out(lake: Lake, ledger: Ledger, commit: Commit) -> StageReport:
    """Apply one planned commit, whatever of it an interrupted attempt has left."""
    started = time.monotonic()
    register = lake.catalogue.registers[ledger.register]
    court = Court(lake, register.name)
    with _working(lake, ledger, register, commit) as step:
        if register.keyed:
            written = _merge(step)
        else:
            _enter_claims(step)
            claims = ledger.claims_in_force(commit.number)
            keys = _touched(step, court, claims)
            _assert(step, court, claims, keys)
            _identify(court, register, commit)
            written = _write_versions(step, court, claims, keys)
    living = _living(lake, ledger, commit, written)
    report = _account(lake, ledger, court, commit, living, started)
    lake.record(report)  # first: a commit that is done is accounted for
    lake.check_lease()
    ledger.write_commit(commit.by(RULES + register.rules), "done")
    return report


@dataclass(frozen=True)
class Step:
    """Hold one commit under way, and where its tasks run."""

    lake: Lake
    ledger: Ledger
    commit: Commit
    work: Work
    engine: bool

    def spread(
        self, task: Callable[[Any], pl.DataFrame], parts: Sequence[Any], schema: Mapping[str, Any]
    ) -> pl.DataFrame:
        """Do a task for each part, here or in the engine."""
        where = f"registers.{self.ledger.register}"
        return spread(self.lake, task, parts, schema, engine=self.engine, where=where)


@contextmanager
def _working(lake: Lake, ledger: Ledger, register: Register, commit: Commit) -> Iterator[Step]:
    """Give a commit a folder for what passes between its steps."""
    changed = [*commit.add, *commit.remove]
    rows = sum(int(lake.judged("conform", dataset).get(batch, {}).get("accepted", 0)) for dataset, batch, _ in changed)
    engine = lake.much(rows)
    known = ledger.snapshot_log() if register.keyed else ledger.claims_log()
    cores = lake.settings.engine_cores if engine else 1
    pieces = -(-(known.rows + rows) // (FILE_ROWS * cores)) * cores if engine else 1  # as many for every core
    parts = tuple(intervals(max(pieces, cores)))
    with lake.workspace(f"resolve-{register.name}-{commit.number}", shared=engine) as folder:
        work = Work(register, dict(lake.catalogue.types), commit.number, folder, parts)
        yield Step(lake, ledger, commit, work, engine)


def _merge(step: Step) -> pl.DataFrame:
    """Enter the claims of a keyed register and write the versions they make: one task for each interval of ids."""
    lake, ledger, work = step.lake, step.ledger, step.work
    _make_claims(step)
    claims = ledger.claims_in_force(work.number)
    for name, rows in _fewer(step, claims).items():
        work.put(rows.select("_key_id").unique().collect(engine="streaming"), "less", name)
    tables = Tables(claims, ledger.versions_log(), ledger.replaced_log(), ledger.snapshot_log(), ledger.opening)
    task = partial(merge, work=work, terms=lake.terms(ledger.register), tables=tables)
    written = step.spread(task, work.parts, WRITTEN)
    lake.check_lease()
    for name, log in ((CLAIMS, claims.log), (REPLACED, tables.replaced), (VERSIONS, tables.versions)):
        log.commit(written.filter(pl.col("log") == name).select(list(PART)), work.number)
    return written


def _fewer(step: Step, claims: Claims) -> dict[str, pl.LazyFrame]:
    """Return the claims that leave with a commit, and those of snapshots whose silence it changes."""
    found = {}
    if step.commit.remove:
        batches = [(dataset, batch) for dataset, batch, _ in step.commit.remove]
        gone = pl.LazyFrame(batches, schema=["_dataset", "_batch_id"], orient="row")
        before = step.ledger.claims_in_force(step.commit.number - 1)
        found["gone"] = before.scan().join(gone, on=["_dataset", "_batch_id"], how="semi")
    if silent := _before_changed_snapshots(step, claims):
        found["silent"] = claims.log.scan().filter(pl.col("_batch_id").is_in(silent))
    return found


def _enter_claims(step: Step) -> None:
    """Put the claims of joining batches into the log; those of leaving ones stay, and are not in force any more."""
    lake, work, log = step.lake, step.work, step.ledger.claims_log()
    _make_claims(step)
    parts = step.spread(partial(tasks.enter, work=work, log=log), work.parts, PART)
    lake.check_lease()
    log.commit(parts, step.commit.number)
    marks = step.ledger.marks_log()
    parts = step.spread(partial(tasks.index, work=work, marks=marks), work.parts, PART)
    lake.check_lease()
    marks.commit(parts, step.commit.number)


def _make_claims(step: Step) -> None:
    """Leave the claims of joining batches for the next step."""
    lake, work = step.lake, step.work
    delivered: list[Delivered] = []
    for dataset in sorted({dataset for dataset, _, _ in step.commit.add}):
        wanted = [batch for name, batch, _ in step.commit.add if name == dataset]
        judged = lake.judged("conform", dataset)
        for batch, files in lake.batch_files(Layer.SILVER, dataset, wanted).items():
            # A large file keeps all cores busy; of small ones a task each is enough.
            large = step.engine and int(judged.get(batch, {}).get("accepted", 0)) > SHARED_ROWS
            cores = lake.settings.engine_cores if large else 1
            pieces = [((file,), at) for file in files for at in range(cores)] if step.engine else [(files, 0)]
            contract = lake.catalogue.contracts[dataset]
            silver = silver_table(lake, contract)
            delivered += [
                Delivered(contract, silver, batch, some, len(delivered) + number, (at, cores))
                for number, (some, at) in enumerate(pieces)
            ]
    key = secret(lake.objects, "register")
    step.spread(partial(tasks.claim, work=work, register_key=key), delivered, COUNT)


def _touched(step: Step, court: Court, claims: Claims) -> pl.DataFrame:
    """Return the keys a commit touches: of claims that come or go, of their records' other claims, of decisions."""
    ledger, commit, work = step.ledger, step.commit, step.work
    for name, rows in _fewer(step, claims).items():
        tasks.touch(rows.select(*tasks.RECORD, "_alike").collect(engine="streaming"), work, name)
    if ledger.correctable:
        tasks.touch(tasks.sharing_records(claims.all(), work), work, "shared")
    decided = court.handed_in().filter(pl.col("id").is_in(list(commit.decisions)))
    named = pl.concat([decided["subject"], decided["left"], decided["right"]]).drop_nulls()
    return tasks.touched_keys(work, named.to_list())


def _before_changed_snapshots(step: Step, claims: Claims) -> list[str]:
    """Return the snapshots whose next one comes or goes with a commit: what they have and it lacks is withdrawn."""
    if not step.commit.remove and claims.snapshots.is_empty():
        return []
    before = step.ledger.claims_in_force(step.commit.number - 1).snapshots
    both = pl.concat([before, claims.snapshots])
    return both.filter(pl.struct("_batch_id", "_next_batch").is_unique())["_batch_id"].unique().to_list()


def _assert(step: Step, court: Court, claims: Claims, keys: pl.DataFrame) -> None:
    """Enter into the ledger the decisions of a commit, and what rules find anew or no longer of the touched keys."""
    number, register = step.commit.number, step.work.register
    if court.holds(court.assertions, number):
        return
    before = court.entries(number - 1)
    handed = court.handed_in().filter(pl.col("id").is_in(list(step.commit.decisions)))
    stamped = handed.with_columns(
        pl.lit(number, pl.Int64).alias("_commit"),
        pl.lit(None, before.schema["_recorded_at"]).alias("_recorded_at"),
    )
    force = in_force(pl.concat([before, stamped]))
    task = partial(tasks.asserted, work=step.work, claims=claims, rulings=rulings(force))
    wanted = step.spread(task, step.work.parts, ASSERTION)
    of_pairs = pl.col("rule").is_in([ALIKE, NEAR, CONTRADICTION])
    entries = [handed, difference(force.filter(~of_pairs), wanted, keys["_key_id"])]
    if register.clash.alike:
        pairs = force.filter(pl.col("rule") == ALIKE)
        alike, near = tasks.suggested(claims, step.work, some_known=pairs.height > 0)
        pairs = pairs.filter(pl.col("left").is_in(near.implode()) & pl.col("right").is_in(near.implode()))
        entries.append(difference(pairs, alike, pairs["subject"]))
    met = pl.any_horizontal(
        pl.col(name).is_in(keys["_key_id"].implode()) for name in ("left", "right", "subject")
    )
    known = force.filter((pl.col("rule") == NEAR) & met)
    close = tasks.near_ones(claims, step.ledger.marks_log(), step.work)
    entries.append(difference(known, close, known["subject"]))
    known, decided = force.filter((pl.col("rule") == CONTRADICTION) & met), joined(force).filter(met)
    if known.height or decided.height:
        new = tasks.contradicted(claims, step.work, decided)
        entries.append(difference(known, new, known["subject"]))
    step.lake.check_lease()
    court.write(court.assertions, pl.concat(entries), number)


def _identify(court: Court, register: Register, commit: Commit) -> None:
    """Fold the ledger into the id map and the cases; enter what changed into the feed and the log of cases."""
    number = commit.number
    force = court.force(number)
    found = identities(force, kind_ranks(register), register.most_keys)
    court.write(court.id_changes, map_changes(court.id_map(number - 1), found.map), number)
    court.write(court.cases_log, case_changes(court.cases(number - 1), cases(force, found)), number)


def _write_versions(step: Step, court: Court, claims: Claims, keys: pl.DataFrame) -> pl.DataFrame:
    """Write new versions of the entities whose fold differs from the register's row."""
    lake, ledger, work = step.lake, step.ledger, step.work
    decided, after = court.decisions(work.number), court.id_map(work.number)
    ids = pl.concat([keys["_key_id"], court.changed_ids(work.number), parties_of(decided)]).unique().alias("id")
    tasks.affected(work, ids.to_frame(), court.id_map(work.number - 1), after)
    told = rulings(in_force(decided))
    step.spread(partial(tasks.place, work=work, claims=claims, rulings=told, id_map=after), work.parts, COUNT)
    log, gone, feeders = ledger.versions_log(), ledger.replaced_log(), lake.feeders(ledger.register)
    task = partial(
        tasks.version, work=work, versions=log, gone=gone, snapshot=ledger.snapshot_log(), id_map=after, feeders=feeders
    )
    written = step.spread(task, work.parts, WRITTEN)
    lake.check_lease()
    for name, one in ((REPLACED, gone), (VERSIONS, log)):
        one.commit(written.filter(pl.col("log") == name).select(list(PART)), work.number)
    return written


def _living(lake: Lake, ledger: Ledger, commit: Commit, written: pl.DataFrame) -> dict[str, int]:
    """Return how many entities live after a commit, how many claims wait and how many entities all of whose do.

    Counted along; counted whole where nothing says how many there were.
    """
    done = lake.judged("resolve", ledger.register).get(f"commit-{commit.number - 1}")
    if done is None and commit.number > 1:
        return {name: ledger.counts()[name] for name in GROWN}
    before = {} if done is None else json.loads(done["extra"])
    return {name: before.get(name, 0) + int(written[name].sum()) for name in GROWN}


def _account(
    lake: Lake, ledger: Ledger, court: Court, commit: Commit, living: Mapping[str, int], started: float
) -> StageReport:
    """Count what a commit did: claims taken, decisions taken up, entities changed, rows held, cases."""
    versions: dict[str, int] = {}
    if lake.has(REGISTERS, ledger.versions):
        log = ledger.versions_log().scan(after=commit.number - 1)
        versions = dict(sorted(log.group_by("_status").len().collect().iter_rows()))
    states = dict(sorted(court.cases().group_by("state").len().iter_rows()))
    return StageReport(
        "resolve", ledger.register, f"commit-{commit.number}", seconds=time.monotonic() - started,
        extra={
            "batches": [batch for _, batch, _ in commit.add],
            "withdrawn": [one[1] for one in commit.remove if one not in commit.add],
            "decisions": len(commit.decided), "versions": versions, **living, "cases": states,
            "table": layers.asset_name(Layer.REGISTERS, ledger.register),
        },
    )
