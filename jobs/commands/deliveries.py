"""Verbs about deliveries: ingest, repair, run, retract, batches, delivered, rejected."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.printing import AsJson, accounting, emit, progress, report_row, say, table

if TYPE_CHECKING:
    from jobs.batch import StageReport
    from jobs.storage.tables import Lake

Dataset = Annotated[str, typer.Argument(help="department/dataset")]
BatchOption = Annotated[str | None, typer.Option("--batch", help="one batch only, judged again")]
Day = Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="data date of the delivery")]


class Stage(StrEnum):
    """Name the stages that `lake run` runs."""

    LAND = "land"
    LOAD = "load"
    CONFORM = "conform"
    RESOLVE = "resolve"
    DESENSITISE = "desensitise"
    GIVE_BACK = "give_back"
    MAINTAIN = "maintain"


def ingest(
    dataset: Dataset,
    files: Annotated[list[Path], typer.Argument(help="the delivery's file or files")],
    date: Day = None,
    json: AsJson = False,
) -> None:
    """Take one delivery in: land, load and conform it, and print the accounting.

    Example: lake ingest civil_affairs/deaths deaths_20260302.jsonl
    """
    from jobs.stages import land
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress(f"taking in {dataset}"):
        landed = land.run(lake, dataset, files=files, data_date=date.date() if date else None)[0]
        report = _judged(lake, dataset, landed)
    _accounted(report, json=json)


def repair(
    dataset: Dataset,
    workbook: Annotated[Path, typer.Argument(help="the workbook of rejected rows, mended")],
    json: AsJson = False,
) -> None:
    """Take in rows that their department has mended: changed rows of its workbook, as a batch that names the first.

    Example: lake repair civil_affairs/deaths civil_affairs__deaths-2026-03-01-0123456789ab.xlsx
    """
    from jobs.stages import land
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress(f"taking in mended rows of {dataset}"):
        landed = land.run(lake, dataset, mended=workbook)[0]
        _name_unreadable(lake, dataset)
        report = _judged(lake, dataset, landed)
    _accounted(report, json=json)


def _judged(lake: Lake, dataset: str, landed: StageReport) -> StageReport:
    """Load and conform a landed batch unless that is done; return its accounting."""
    from jobs.errors import RequestError
    from jobs.stages import conform, load

    if landed.batch in lake.retracted(dataset):
        raise RequestError(
            "these bytes are a withdrawn delivery.", dataset=dataset, where=f"batch {landed.batch}",
            remedy=f"`lake retract {dataset} --batch {landed.batch} --undo`, then deliver again.",
        )
    if landed.outcome == "known":
        say(f"batch {landed.batch} was delivered before; it is accounted for once.")
    for stage in (load, conform):
        judged = lake.judged(stage.__name__.rpartition(".")[2], dataset).get(landed.batch)
        if judged is None or judged["outcome"] != "done":  # what was refused or withheld may pass by now
            stage.run(lake, dataset, batch=landed.batch)
    return lake.last_report("conform", dataset, landed.batch)


def _accounted(report: StageReport, *, json: bool) -> None:
    if json:
        emit(report_row(report))
    else:
        accounting([report], title=f"{report.dataset} · batch {report.batch}")
    if report.outcome != "done":
        raise typer.Exit(1)


def run(
    stage: Stage,
    name: Annotated[str, typer.Argument(help="dataset, product or register; `lake`: all of them")] = "lake",
    batch: BatchOption = None,
    json: AsJson = False,
) -> None:
    """Run one stage over everything that waits for it, as Airflow does.

    Example: lake run resolve person
    """
    from importlib import import_module

    from jobs.storage.tables import Lake

    verb = import_module(f"jobs.stages.{stage.value}")
    arguments: dict[str, Any] = {"batch": batch} if batch else {}
    whole = stage is Stage.MAINTAIN or (stage is Stage.GIVE_BACK and name == "lake")
    with Lake.open() as lake, progress(f"{stage.value} {name}"):
        reports = verb.run(lake, **arguments) if whole else verb.run(lake, name, **arguments)
    if json:
        emit([report_row(report) for report in reports])
    else:
        accounting(reports, title=name)


def retract(
    dataset: Dataset,
    batch: Annotated[str, typer.Option("--batch", help="the batch to withdraw")],
    undo: Annotated[bool, typer.Option("--undo", help="reinstate a withdrawn batch; conform takes it")] = False,
    json: AsJson = False,
) -> None:
    """Withdraw a delivery; the registers refold what it said at their next resolve.

    Example: lake retract civil_affairs/deaths --batch 2026-03-03-0123456789ab
    """
    from jobs.stages import retract as stage
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress(f"{'reinstating' if undo else 'withdrawing'} {batch}"):
        reports = stage.run(lake, dataset, batch=batch, undo=undo)
    if json:
        emit([report_row(report) for report in reports])
    else:
        accounting(reports)


def batches(dataset: Dataset, json: AsJson = False) -> None:
    """List a dataset's deliveries and what became of each; one whose manifest is damaged is named and exits with 1.

    Example: lake batches civil_affairs/deaths
    """
    from jobs.errors import together
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        contract = lake.catalogue.contract(dataset)
        judged = {stage: lake.judged(stage, contract.name) for stage in ("load", "conform", "retract")}
        gone, rows, faults = lake.retracted(contract.name), [], []
        for batch in lake.batches(contract.name):
            refused = next((one for one in ("load", "conform")
                            if judged[one].get(batch.id, {}).get("outcome") == "refused"), None)
            again = f"`lake run {refused} {dataset} --batch {batch.id}`." if refused else ""
            fault = None if batch.id in gone else batch.fault(again)
            faults += [fault] if fault else []
            states = [found[batch.id]["outcome"] for found in judged.values() if batch.id in found]
            counts = judged["conform"].get(batch.id, {})
            rows.append(
                {
                    "batch": batch.id, "data_date": str(batch.data_date), "files": len(batch.files),
                    "repairs": batch.repairs, "key": batch.envelope.key if batch.envelope else None,
                    "outcome": "damaged" if fault else states[-1] if states else "landed",
                    **{n: counts.get(n) for n in ("delivered", "accepted", "quarantined", "duplicates", "withheld")},
                }
            )
    if json:
        emit(rows)
    else:
        table(rows, list(rows[0]) if rows else ["batch"], title=dataset)
    if faults:
        raise together(faults)


def delivered(
    dataset: Dataset,
    batch: Annotated[str, typer.Option("--batch", help="the batch whose files are wanted")],
    out: Annotated[Path, typer.Option("--out", help="folder to write them into")],
    json: AsJson = False,
) -> None:
    """Write a delivery's files as they were delivered, decrypted and compared with their digests, for you alone.

    Example: lake delivered civil_affairs/deaths --batch 2026-03-03-0123456789ab --out delivered
    """
    from jobs.stages import landed
    from jobs.storage.tables import Lake

    with Lake.open() as lake, progress(f"writing {batch}"):
        files = landed.write_out(lake, lake.catalogue.contract(dataset), batch, out)
    if json:
        emit([str(file) for file in files])
    else:
        for file in files:
            typer.echo(str(file))


def rejected(
    dataset: Dataset,
    batch: BatchOption = None,
    workbook: Annotated[
        Path | None, typer.Option("--workbook", help="write the rows not yet mended here, for their department")
    ] = None,
    json: AsJson = False,
) -> None:
    """List rejected rows: file, row, rule and the form expected; never what the cell held.

    Example: lake rejected civil_affairs/deaths
    """
    if workbook is not None:
        told = _write_rejected(dataset, batch, workbook)
        if json:
            emit(told)
        else:
            say(f"{told['rows']} rejected rows wait to be mended" + (f": {workbook}" if told["rows"] else "."))
        return
    import polars as pl

    from jobs.layers import Layer
    from jobs.quality.rulebook import expected_form
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        contract = lake.catalogue.contract(dataset)
        rows = pl.DataFrame()
        if lake.has(Layer.QUARANTINE, contract.name):
            kept = lake.scan(Layer.QUARANTINE, contract.name)
            kept = kept.filter(pl.col("_batch_id") == batch) if batch else kept
            rows = (
                kept.select("_batch_id", "_source_file", "_source_row", pl.col("_reasons").alias("rule"))
                .explode("rule").sort("_batch_id", "_source_file", "_source_row", "rule").collect()
            )
        forms = expected_form(lake.settings.expectations)
        found = [
            {"batch": b, "file": f, "row": r, "rule": rule, "expected": forms(rule)}
            for b, f, r, rule in rows.iter_rows()
        ]
    if json:
        emit(found)
    elif found:
        table(found, ("batch", "file", "row", "rule", "expected"), title=dataset)
    else:
        say("no row was rejected.")


def _name_unreadable(lake: Lake, dataset: str) -> None:
    from jobs.stages import mending

    for fault in mending.unreadable(lake, lake.catalogue.contract(dataset)):
        say(f"error: {fault}")


def _write_rejected(dataset: str, batch: str | None, path: Path) -> dict[str, Any]:
    import polars as pl

    from jobs.errors import RequestError
    from jobs.stages import give_back, mending
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        contract = lake.catalogue.contract(dataset)
        if batch is not None and batch not in {one.id for one in lake.batches(dataset)}:
            raise RequestError(
                f"there is no batch {batch}.", dataset=dataset, remedy=f"`lake batches {dataset}` lists what there is."
            )
        if not path.parent.is_dir():
            raise RequestError("there is no such folder.", where=str(path.parent), remedy="make it first.")
        _name_unreadable(lake, dataset)
        rows = mending.open_rows(lake, contract)
        batches = rows["_batch_id"].unique().sort().to_list() if batch is None else [batch]
        if len(batches) > 1:
            raise RequestError(
                f"{len(batches)} batches have rejected rows; a workbook holds those of one.", dataset=dataset,
                remedy=f"name one by --batch: {', '.join(batches[:5])}.",
            )
        rows = rows.filter(pl.col("_batch_id").is_in(batches))
        if rows.height:
            path.touch(mode=0o600, exist_ok=True)
            path.chmod(0o600)
            give_back.workbook(contract, rows, batches[0], path, lake.settings.expectations)
    return {"dataset": dataset, "batch": batches[0] if batches else None, "rows": rows.height,
            "workbook": str(path) if rows.height else None}
