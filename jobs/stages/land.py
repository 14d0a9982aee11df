"""Land a delivery: keep its bytes for ever, under a name that follows from them."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Literal
from zoneinfo import ZoneInfo

from jobs import layers
from jobs.batch import Batch, LandedFile, StageReport
from jobs.contract import Contract
from jobs.errors import ConflictError, ContractError, DamagedBatchError, LakeError, RequestError, SourceError, together
from jobs.privacy import envelopes
from jobs.stages import mending
from jobs.storage.locations import Directory
from jobs.storage.objects import Folder, Sealing, copy_in, storage_errors
from jobs.storage.tables import Lake

DOMAIN_TIME = ZoneInfo("Asia/Shanghai")
MANIFEST = "_manifest.json"
REFUSED = "_refused"  # below a dataset's landing: what could not be taken as a batch
# In a department's drop box: where it finds the workbooks of its rejected rows, and where it puts them mended.
RETURNED, REPAIRED = "_returned", "_repaired"
UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")
DatedBy = Literal["file name", "request", "receipt"]


def run(
    lake: Lake, dataset: str, *, files: Sequence[Path] = (), data_date: date | None = None, mended: Path | None = None
) -> list[StageReport]:
    """Land the given files as one delivery, or every new file of the drop box as one delivery each.

    With `mended`, the workbook of rejected rows as it came back; those in the drop box are taken too. A delivery whose
    bytes are known for its data date (or, without a date, at all) is reported as known and changes nothing, but for a
    damaged batch, which they make whole; where they cannot, DamagedBatchError, when all else is landed. Where the
    key ring has a key for landing, files are encrypted as they come in (`jobs.privacy.envelopes`). Raises RequestError
    for a missing file, SourceError for a database that cannot be read or a workbook that is not ours, StorageError,
    before a byte is taken, for a key of landing that is gone or does not open.
    """
    contract = lake.catalogue.contract(dataset)
    source = contract.source
    if source is None:
        raise RequestError("a product takes no deliveries.", dataset=dataset, remedy="name a dataset.")
    with lake.writing(f"landing.{layers.slug(dataset)}"):
        if mended is not None:
            return [_land_mended(lake, contract, mended)]
        if files or source.url:
            report = _land(lake, contract, list(files), data_date)
            box = lake.settings.drop_box
            for file in (file.resolve() for file in files):
                if file.is_relative_to(box):
                    name = PurePosixPath(file.relative_to(box).as_posix())
                    lake.objects.write(_receipt(contract, name, Folder(box).states(name.parent)[name]), b"")
            return [report, *(_mended_from_drop_box(lake, contract) if not files else ())]
        failures: list[LakeError] = []
        reports = [*_from_drop_box(lake, contract, failures), *_mended_from_drop_box(lake, contract)]
        if failures:
            failure = together(failures)
            failure.reports = reports
            raise failure
        return reports


def _from_drop_box(lake: Lake, contract: Contract, failures: list[LakeError]) -> Iterator[StageReport]:
    """Land the drop box's finished files that this dataset's landing has not seen in their present state.

    One that is a damaged batch's stops no other: it is among the failures, and tried again.
    """
    assert contract.source is not None
    pattern, (box, top) = contract.source.date_pattern(), lake.drop_boxes
    folder = PurePosixPath((contract.source.path or "").split("{")[0].split("*")[0] + "x").parent
    for found, state in box.states(top / folder).items():
        name = found.relative_to(top)
        finished = not name.name.startswith(".") and name.suffix not in UNFINISHED
        receipt = _receipt(contract, name, state)
        if finished and pattern.match(str(name)) and not lake.objects.exists(receipt):
            try:
                with box.location(found).local() as file:
                    yield _land(lake, contract, [file], None)
                lake.objects.write(receipt, b"")
            except DamagedBatchError as error:
                failures.append(error)


def _mended_from_drop_box(lake: Lake, contract: Contract) -> Iterator[StageReport]:
    """Land the workbooks of this dataset's rejected rows that its department has put back mended."""
    box, top = lake.drop_boxes
    for found, state in box.states(top / contract.department / REPAIRED).items():
        name = found.relative_to(top)
        receipt = _receipt(contract, name, state)
        finished = not name.name.startswith(".") and name.suffix not in UNFINISHED
        if finished and _mine(lake, contract, name.name) and not lake.objects.exists(receipt):
            answer = top / contract.department / RETURNED / f"{name.stem}.txt"
            try:
                with box.location(found).local() as file:
                    yield _land_mended(lake, contract, file)
                box.remove(answer)
            except (DamagedBatchError, RequestError, SourceError) as error:  # told to the department; others go on
                box.write(answer, f"{error}\n".encode())
                report = StageReport("land", contract.name, f"{REPAIRED}/{name.name}", "refused", notes=[str(error)])
                lake.record(report)
                yield report
            lake.objects.write(receipt, b"")


def _mine(lake: Lake, contract: Contract, name: str) -> bool:
    """Tell whether a workbook in a drop box is this dataset's to take: by its name; else the department's first one's.

    A workbook under another name is not lost: that dataset takes it or says why not.
    """
    names = sorted(one.name for one in lake.catalogue.datasets() if one.department == contract.department)
    named = [one for one in names if name.startswith(f"{layers.slug(one)}-")]
    return contract.name == (max(named, key=len) if named else names[0])


def _receipt(contract: Contract, name: PurePosixPath, state: str) -> PurePosixPath:
    """Name the empty object that says: this file, in this state, was landed."""
    return PurePosixPath("ops/receipts", layers.slug(contract.name), f"{str(name).replace('/', '__')}.{state}")


@dataclass(frozen=True)
class _Landing:
    """Hold what a landing knows before it takes a byte: when it began, the batches there are, the key it is given."""

    started: float
    received: datetime
    earlier: Sequence[Batch]
    key: envelopes.BatchKey | None

    @classmethod
    def begin(cls, lake: Lake, contract: Contract) -> _Landing:
        started, received, earlier = time.monotonic(), datetime.now(UTC), lake.batches(contract.name)
        return cls(started, received, earlier, envelopes.fresh(lake.objects, lake.key_ring, earlier))

    @property
    def received_at(self) -> str:
        return self.received.isoformat(timespec="microseconds")

    @property
    def seal(self) -> Sealing | None:
        return self.key.seal if self.key else None


def _land(lake: Lake, contract: Contract, files: list[Path], requested: date | None) -> StageReport:
    landing = _Landing.begin(lake, contract)
    for file in files:
        if not file.is_file():
            raise RequestError("there is no such file.", dataset=contract.name, where=str(file))
        if file.stat().st_size > lake.settings.max_file_bytes:
            raise SourceError(
                f"the file is larger than {lake.settings.max_file_bytes} bytes.",
                dataset=contract.name, layer="landing", where=file.name,
                remedy="split it, or raise LAKE_MAX_FILE_BYTES.",
            )
    data_date, dated_by = _data_date(contract, files, requested, landing.received)
    with lake.objects.assembly(layers.landing_path(contract.name)) as part:
        landed = _take(lake, contract, files, part, landing)
        batch = Batch(
            contract.name, Batch.name_for(contract.name, data_date, landed), data_date, dated_by, landing.received_at,
            tuple(landed),
        )
        return _place(lake, batch, part, landing)


def _land_mended(lake: Lake, contract: Contract, file: Path) -> StageReport:
    """Land the rows that a workbook of rejected rows mends as a batch of their own."""
    landing = _Landing.begin(lake, contract)
    if not file.is_file():
        raise RequestError("there is no such file.", dataset=contract.name, where=str(file))
    with lake.objects.assembly(layers.landing_path(contract.name)) as part:
        batch, fresh = mending.prepare(lake, contract, file, part, landing.received, landing.seal)
        if fresh:
            return _place(lake, batch, part, landing)
    batch.sound("hand it in again.")
    return StageReport("land", contract.name, batch.id, "known", notes=["every row it mends is known; nothing to do"])


def _place(lake: Lake, batch: Batch, part: Path, landing: _Landing) -> StageReport:
    """Give a batch its place in landing, unless its bytes are there already, and record it."""
    known = _known(landing.earlier, batch)
    damaged = next((one for one in landing.earlier if one.id == known and one.damage), None)
    if known is None:
        _keep(lake, batch, part, landing.key)
    elif damaged is not None:
        _put_right(lake, damaged, batch, part, landing.key)
    report = StageReport("land", batch.dataset, known or batch.id, seconds=time.monotonic() - landing.started)
    report.extra = {
        "files": [file.name for file in batch.files], "bytes": sum(file.bytes for file in batch.files),
        **({"repairs": batch.repairs} if batch.repairs else {}),
    }
    if known is None or known not in lake.judged("land", batch.dataset):
        lake.record(report)
    elif known is not None:
        report.outcome, report.notes = "known", ["these bytes were delivered before; nothing to do"]
        if damaged is not None:
            again = f"`lake run load {batch.dataset} --batch {known}` takes what was refused"
            report.notes = [f"these are the bytes of a batch that was damaged: it is whole again; {again}"]
    return report


def _put_right(lake: Lake, damaged: Batch, batch: Batch, part: Path, key: envelopes.BatchKey | None) -> None:
    """Make a damaged batch whole by its own bytes, delivered again: its manifest, or all of it where nothing lies.

    Raises DamagedBatchError where what lies there is not these files under these names: also where it is encrypted, by
    a key that was in the manifest.
    """
    place = layers.landing_path(batch.dataset, damaged.id)
    batch = replace(
        batch, id=damaged.id, data_date=damaged.data_date, received_at=damaged.received_at or batch.received_at
    )
    lying = {name.name for name in lake.objects.names(place)}
    if not lying:
        _keep(lake, batch, part, key)
        return
    beside = {MANIFEST, mending.TICKETS} if batch.repairs else {MANIFEST}
    same = lying - beside == {file.name for file in batch.files}
    if not same or any(_digest(lake, place / file.name) != file.sha256 for file in batch.files):
        damaged.sound("deliver it again.")
    lake.check_lease()
    if batch.repairs:
        lake.objects.write(place / mending.TICKETS, (part / mending.TICKETS).read_bytes())
    lake.objects.write(place / MANIFEST, batch.to_json().encode())


def _digest(lake: Lake, name: PurePosixPath) -> str | None:
    with lake.objects.location(name).local() as path:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def _keep(lake: Lake, batch: Batch, part: Path, key: envelopes.BatchKey | None) -> None:
    """Put a batch's files into landing, its manifest last, with the envelope of the key they are encrypted with.

    Encrypted ones lie in a folder of this attempt's: another's, under another key, would not be what is there. Raises
    ConflictError where the lease was lost or another attempt was first.
    """
    attempt, place = uuid.uuid4().hex if key else "", layers.landing_path(batch.dataset, batch.id)
    batch = key.enclosed(batch, attempt) if key else batch
    with storage_errors(batch.id):
        (part / attempt).mkdir(exist_ok=True)
        for file in batch.files if attempt else ():
            (part / file.name).rename(part / attempt / file.name)
        (part / MANIFEST).write_bytes(batch.to_json().encode())
    try:
        lake.objects.place(part, place, seal=MANIFEST, check=lake.check_lease)
    except ConflictError:
        if attempt:
            lake.objects.remove(place / attempt)
        raise


def _known(earlier: Sequence[Batch], batch: Batch) -> str | None:
    """Return the batch these bytes already are: of the same date, or of any when nobody gave a date."""
    content = Batch.content_hash(batch.dataset, batch.files)[:12]
    for other in earlier:
        if other.id == batch.id or (batch.dated_by == "receipt" and other.id.endswith(f"-{content}")):
            return other.id
    return None


def _data_date(
    contract: Contract, files: list[Path], requested: date | None, received: datetime
) -> tuple[date, DatedBy]:
    if requested is not None:
        return requested, "request"
    assert contract.source is not None
    form = contract.source.date_format
    dates: set[date] = set()
    if form:
        # A file given by hand may lie anywhere: only its name is matched.
        tail = Path(contract.source.path or "").name
        pattern = contract.source.model_copy(update={"path": tail}).date_pattern()
        for file in files:
            if found := pattern.match(file.name):
                try:
                    dates.add(datetime.strptime(found.group("date"), form).date())  # noqa: DTZ007 (a date)
                except ValueError:
                    raise SourceError(
                        "the file name's date is no calendar date.",
                        dataset=contract.name, layer="landing", where=file.name, remedy="rename it, or give --date.",
                    ) from None
    if len(dates) > 1:
        raise RequestError("the files bear different dates.", dataset=contract.name, remedy="deliver them one by one.")
    if dates:
        return dates.pop(), "file name"
    return received.astimezone(DOMAIN_TIME).date(), "receipt"


def _take(lake: Lake, contract: Contract, files: list[Path], part: Path, landing: _Landing) -> list[LandedFile]:
    """Copy the delivered bytes, or the canonical dump of a database's table or a REST source, below `part`."""
    source = contract.source
    assert source is not None
    if len({file.name for file in files}) != len(files):
        raise RequestError("two files of one delivery have the same name.", dataset=contract.name)
    dumped = source.reader == "database" and source.table is not None
    if not dumped and (files or source.reader != "rest"):
        return [_copied(file, part / file.name, landing) for file in files]
    with lake.workspace(f"landing.{layers.slug(contract.name)}", shared=False) as place:
        assert isinstance(place, Directory)
        place.path.mkdir(mode=0o700, parents=True)  # what is plain for a moment is nobody else's
        if dumped:
            return _dumped_database(lake, contract, files, part, place.path, landing)
        return [_dumped_rest(lake, contract, part, place.path, landing)]


def _copied(file: Path, target: Path, landing: _Landing) -> LandedFile:
    size, digest = copy_in(file, target, landing.seal)
    return LandedFile(target.name, size, digest)


def _dumped_database(
    lake: Lake, contract: Contract, files: list[Path], part: Path, place: Path, landing: _Landing
) -> list[LandedFile]:
    """Dump a database's table, or that of each delivered file: a file's own bytes vary with its page layout."""
    from jobs.storage.readers import dump_database

    source = contract.source
    assert source is not None
    assert source.table is not None
    copies = [place / file.name for file in files]
    for file, copy in zip(files, copies, strict=True):
        copy_in(file, copy)
    urls = [(f"sqlite:///file:{copy}?mode=ro&uri=true", f"{copy.name}.jsonl") for copy in copies]
    if source.url:
        urls = [(_filled(lake, contract, source.url), f"{source.table}.jsonl")]
    dumped = []
    for url, name in urls:
        target = place / f"dump-{name}"
        try:
            dump_database(url, source.table, source.order_by, target)
        except SourceError as error:
            if copies:
                kept = _keep_refused(lake, contract, copies, landing)
                error.remedy = (
                    f"{error.remedy or 'repair the database.'} Its bytes are kept: `lake delivered {contract.name} "
                    f"--batch {kept} --out FOLDER` writes them out."
                )
            raise _placed(error, contract, name.removesuffix(".jsonl")) from None
        dumped.append(_copied(target, part / name, landing))
        target.unlink()
    return dumped


def _keep_refused(lake: Lake, contract: Contract, copies: list[Path], landing: _Landing) -> str:
    """Keep a delivery's database files that cannot be dumped, as a batch that no stage takes; return its id."""
    landing = replace(landing, key=landing.key.another() if landing.key else None)
    day = landing.received.astimezone(DOMAIN_TIME).date()
    with lake.objects.assembly(layers.landing_path(contract.name)) as part:
        landed = tuple(_copied(copy, part / copy.name, landing) for copy in copies)
        batch = Batch(contract.name, f"{REFUSED}/{uuid.uuid4().hex}", day, "receipt", landing.received_at, landed)
        _keep(lake, batch, part, landing.key)
    return batch.id


def _dumped_rest(lake: Lake, contract: Contract, part: Path, place: Path, landing: _Landing) -> LandedFile:
    """Fetch every page of a REST source into one file of JSON lines."""
    from jobs.storage.reading.rest import dump_rest

    source, name = contract.source, f"{contract.dataset}.jsonl"
    assert source is not None
    assert source.url is not None
    headers = {key: _filled(lake, contract, value) for key, value in source.headers.items()}
    target = place / f"dump-{name}"
    try:
        dump_rest(
            source, _filled(lake, contract, source.url), headers, target, max_bytes=lake.settings.max_file_bytes
        )
    except SourceError as error:
        raise _placed(error, contract, name) from None
    return _copied(target, part / name, landing)


def _placed(error: SourceError, contract: Contract, file: str) -> SourceError:
    """Return an error of a dump with its dataset and its file, or its URL as declared, without user and parameters."""
    url = contract.source.url if contract.source else None
    shown = re.sub("//.*@", "//", url).partition("?")[0] if url else file
    where = f"{shown}:{error.where}" if error.where else shown
    return SourceError(error.what, dataset=contract.name, layer="landing", where=where, remedy=error.remedy)


def _filled(lake: Lake, contract: Contract, url: str) -> str:
    """Return a source's URL or header with its {NAMES} filled, where secrets belong."""
    try:
        return lake.settings.filled(url)
    except KeyError as error:
        raise ContractError(
            f"the source's url or header names {error}, which the environment does not have.",
            dataset=contract.name, remedy="set it, for example from an Airflow connection.",
        ) from None
