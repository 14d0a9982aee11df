"""What a release is made from, kept beside the lake's state so that the same bytes can be made again.

`ops/releases/<dataset>/<version>/gold.parquet` (the desensitised rows) and `inputs.json` (everything else that is not
in the code and its contracts), and of one that stands on registers `linkage.json`. They go when the version is
withdrawn: such a release cannot be rebuilt.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs import layers
from jobs.batch import Batch
from jobs.contract import Contract
from jobs.errors import RequestError
from jobs.releases.listing import Released
from jobs.storage.objects import Store

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

FEW = 5  # a rule that rejected fewer rows than this is reported as having rejected fewer than this
COUNTS = ("delivered", "accepted", "quarantined", "duplicates", "withheld")


@dataclass(frozen=True)
class Inputs:
    """Hold what decides a release besides the code, the contracts and the gold rows.

    `previous`: the version before (withdrawn or not) and its manifest's SHA-256. `windows`: name of a window →
    the version its changes start from. `restart`: why there are no changes, empty when there are. `batches`: dataset,
    batch and content digest of each delivery. `quality`: the accounting of each dataset's deliveries. `attack`: what
    the lake's own attack came to on the day, None where the release is about no person. `against`, `takedown`: see
    `holding.Comparison`. `id_changes`: what the registers said that day of the organisations' identifiers it shows.
    `draw`: the noise in the ledger of ε, empty where there is none. `pseudonym_key`: id of the release's own key.
    `day`: that on which rows had to be in their time in public (ISO 8601), empty in versions made before there was one.
    `under_14`: what it says of children (`minors.statement`), None where it claims nothing and in earlier versions.
    `scope`: what decided which gold rows it is made from (see `terms.scope`), None in versions made before it was kept.
    """

    version: str
    breaking: Sequence[str]
    data_date: str
    portal: str
    previous: Mapping[str, str] | None = None
    windows: Mapping[str, str] = field(default_factory=dict)
    restart: str = ""
    batches: Sequence[Mapping[str, str]] = ()
    quality: Sequence[Mapping[str, Any]] = ()
    attack: Mapping[str, Any] | None = None
    id_changes: Sequence[Mapping[str, Any]] = ()
    against: Sequence[str] = ()
    takedown: bool = False
    draw: str = ""
    pseudonym_key: str = ""
    day: str = ""
    under_14: Mapping[str, str] | None = None
    scope: Mapping[str, Any] | None = None

    @property
    def judged_on(self) -> date | None:
        """Return the day on which rows were in their time in public."""
        return date.fromisoformat(self.day) if self.day else None


def datasets(lake: Lake, contract: Contract) -> list[str]:
    """Return every dataset a dataset or product stands on, those that feed its registers among them."""
    names = set(contract.reads_datasets)
    for register in contract.reads_registers:
        names |= {feeder.name for feeder in lake.catalogue.feeding(register)}
    return sorted(names)


def sources(lake: Lake, contract: Contract) -> list[tuple[Batch, dict[str, Any]]]:
    """Return the accepted deliveries a dataset or product stands on, each with its row of `ops.runs`.

    By dataset, data date and batch; withdrawn and withheld deliveries are not among them. Raises DamagedBatchError for
    one whose manifest is damaged: what a release is bound to could not be said.
    """
    found = []
    for name in datasets(lake, contract):
        judged, gone = lake.judged("conform", name), lake.retracted(name)
        for batch in lake.batches(name):
            run = judged.get(batch.id)
            if run is not None and run["outcome"] == "done" and batch.id not in gone:
                found.append((batch.sound(), run))
    return found


def fingerprints(delivered: Sequence[tuple[Batch, dict[str, Any]]]) -> list[dict[str, str]]:
    """Return dataset, batch and content digest of each delivery."""
    return [
        {"dataset": one.dataset, "batch": one.id, "sha256": Batch.content_hash(one.dataset, one.files)}
        for one, _ in delivered
    ]


def quality(delivered: Sequence[tuple[Batch, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return each dataset's accounting: deliveries, rows by outcome, rejected rows by rule, warnings.

    Every delivery here passed its quality gate (Great Expectations), or it would not be here. A row may break several
    rules; a rule that rejected fewer than five rows says so and no more.
    """
    found: dict[str, dict[str, Any]] = {}
    for batch, run in delivered:
        if batch.repairs:
            continue  # rows of a delivery that is counted, mended since
        one = found.setdefault(
            batch.dataset, {"dataset": batch.dataset, "batches": 0, **dict.fromkeys(COUNTS, 0), "rejected_by": {},
                            "warnings": {}, "gate": "passed"},
        )
        one["batches"] += 1
        for name in COUNTS:
            one[name] += int(run[name])
        for column, into in (("reasons", "rejected_by"), ("warnings", "warnings")):
            for rule, count in json.loads(run[column]).items():
                one[into][rule] = one[into].get(rule, 0) + int(count)
    for one in found.values():
        rejected = sorted(one["rejected_by"].items())
        one["rejected_by"] = {rule: str(count) if count >= FEW else f"fewer than {FEW}" for rule, count in rejected}
        one["warnings"] = dict(sorted(one["warnings"].items()))
    return list(found.values())


def keep(objects: Store, dataset: str, inputs: Inputs, gold: pl.DataFrame) -> None:
    """Keep a version's inputs; what an attempt before left of the same version is replaced."""
    folder = _folder(dataset, inputs.version)
    rows = io.BytesIO()
    gold.write_parquet(rows, compression="zstd")
    objects.write(folder / "gold.parquet", rows.getvalue())
    # In the order given: descriptions show it, and a rebuild must show the same.
    objects.write(folder / "inputs.json", json.dumps(asdict(inputs), ensure_ascii=False).encode())


def kept(objects: Store, one: Released) -> tuple[Inputs, pl.DataFrame]:
    """Return a version's inputs and gold rows; raise RequestError when they were withdrawn or are gone."""
    folder = _folder(one.dataset, one.version)
    if one.withdrawn or not objects.exists(folder / "inputs.json"):
        why = "was withdrawn" if one.withdrawn else "has lost its inputs"
        raise RequestError(f"version {one.version} {why}: it cannot be rebuilt.", dataset=one.dataset, layer="open")
    inputs = Inputs(**json.loads(objects.read(folder / "inputs.json")))
    return inputs, pl.read_parquet(io.BytesIO(objects.read(folder / "gold.parquet")))


def forget(objects: Store, dataset: str, version: str) -> None:
    """Remove a version's inputs."""
    objects.remove(_folder(dataset, version))


def beside(dataset: str, version: str, name: str) -> PurePosixPath:
    """Return where something else is kept beside a version's inputs; it goes with them."""
    return _folder(dataset, version) / name


def _folder(dataset: str, version: str) -> PurePosixPath:
    return PurePosixPath("ops", "releases", layers.slug(dataset), version)
