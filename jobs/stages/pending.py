"""Which batches wait for a stage: those the stage before has finished and this one has not judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from jobs.batch import Batch, StageReport
from jobs.contract import Contract
from jobs.errors import DamagedBatchError, LakeError, QualityGateError, RequestError, SourceError, together
from jobs.sets.runs import STARTED
from jobs.storage.tables import Lake

BEFORE = {"load": "land", "conform": "load"}


def ready(lake: Lake, stage: str, dataset: str, batches: Sequence[Batch]) -> list[Batch]:
    """Return those batches that the stage before has done; loading takes what is landed, on record or not."""
    if stage == "load":
        return list(batches)
    done = lake.judged(BEFORE[stage], dataset)
    return [one for one in batches if done.get(one.id, {}).get("outcome") == "done"]


def pending(lake: Lake, stage: str, dataset: str, batch: str | None) -> list[Batch]:
    """Return the batches a stage has to judge, by data date; a named batch is judged again.

    So is one whose judging anew broke off: its tables may be ahead of its accounting. Raises
    RequestError when the named batch is unknown, withdrawn, or has not passed the stage before.
    """
    done = lake.judged(stage, dataset).keys() - lake.interrupted(stage, dataset) if batch is None else set()
    gone = lake.retracted(dataset)
    # A repair whose landing broke off before its record is known by its manifest alone.
    landed = [one for one in lake.batches(dataset, without=gone | done) if one.repairs not in gone]
    landed = ready(lake, stage, dataset, landed)
    if batch is not None:
        found = [b for b in landed if b.id == batch]
        if not found:
            raise RequestError(
                f"batch {batch} is unknown, withdrawn or not ready for {stage}.",
                dataset=dataset,
                remedy=f"`lake batches {dataset}` lists what there is.",
            )
        return found
    return landed


def each(
    lake: Lake, stage: str, contract: Contract, batch: str | None, judge: Callable[[Batch], StageReport]
) -> list[StageReport]:
    """Judge every pending batch and record each; a batch that fails by its own bytes does not stop the others.

    Such failures are raised at the end (`together`), when every other batch is done. A key that is not there, or a
    storage that refuses, stops them all: it is not the batch that is wrong.
    """
    reports: list[StageReport] = []
    failures: list[LakeError] = []
    for one in pending(lake, stage, contract.name, batch):
        started = time.monotonic()
        if one.id in lake.judged(stage, contract.name):  # judged again: whoever comes after a crash must know
            lake.record(StageReport(stage, contract.name, one.id, STARTED))
        try:
            report = judge(one.sound(
                f"`lake run {stage} {contract.name} --batch {one.id}`; or withdraw it: `lake retract {contract.name} "
                f"--batch {one.id}`."
            ))
        except (SourceError, QualityGateError, DamagedBatchError) as error:
            failures.append(error)
            report = error.report or StageReport(stage, contract.name, one.id)
            report.outcome = "withheld" if isinstance(error, QualityGateError) else "refused"
            report.notes = [str(error)]
        report.seconds = time.monotonic() - started
        lake.record(report)
        reports.append(report)
    if failures:
        failure = together(failures)
        failure.reports = reports
        raise failure
    return reports
