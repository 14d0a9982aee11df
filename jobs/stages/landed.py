"""A landed batch's files as they were delivered, wherever they lie and whether they are encrypted or not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs import layers
from jobs.batch import Batch
from jobs.contract import Contract
from jobs.errors import DamagedBatchError, GoneError, RequestError
from jobs.privacy import envelopes
from jobs.source import Source
from jobs.stages.land import MANIFEST
from jobs.storage.locations import Fetched, Location
from jobs.storage.objects import copy_in, machine_errors
from jobs.storage.sealed import MAGIC, SealedFile
from jobs.storage.tables import Lake

# Readers that open a file by `Path.open` alone; what the others hand the path to would find encrypted bytes.
STREAMED = ("csv", "fixed_width", "jsonl", "json", "xml", "dbf", "database", "rest")


@dataclass(frozen=True)
class Kept:
    """Name a landed file where it lies, by its name in the manifest; it crosses processes as a location does.

    `plain` is its size in bytes where the manifest says nothing of encryption, else None.
    """

    place: Location
    name: str
    plain: int | None = None

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Yield it as a file of this machine; raise DamagedBatchError where it is gone or not what the manifest says.

        A delivery may itself be a file that some lake encrypted: only one of another size lost its envelope.
        """
        with ExitStack() as stack:
            try:
                path = stack.enter_context(self.place.local())
            except GoneError:
                raise self._gone() from None
            if not path.exists():
                raise self._gone()
            if self.plain is not None and path.stat().st_size != self.plain and _begins_encrypted(path):
                raise DamagedBatchError(
                    "the landed file is encrypted and the manifest says nothing of it.", where=self.name,
                    remedy="put the batch's _manifest.json back from a copy of the lake.",
                )
            yield path

    def _gone(self) -> DamagedBatchError:
        # An encrypted file lies below a folder that its manifest's envelope names: without it, it seems to be gone.
        if self.plain is None:
            what, lost = "the landed file is gone.", "the file"
        else:
            what, lost = "the landed file is gone from where the manifest says.", "the file and the _manifest.json"
        return DamagedBatchError(what, where=self.name, remedy=f"put {lost} back from a copy of the lake.")


def _begins_encrypted(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def files(lake: Lake, batch: Batch, source: Source | None = None) -> Sequence[Fetched]:
    """Return where a batch's files are, in the manifest's order; tasks that run elsewhere find them too.

    `source` is what they are read by: text that is not packed is decrypted in memory as it is read, without a plain
    copy. Raises StorageError for a key that is not there or does not open.
    """
    folder = layers.landing_path(batch.dataset, batch.id) / (batch.envelope.folder if batch.envelope else "")
    places = [
        Kept(lake.objects.location(folder / file.name), file.name, None if batch.envelope else file.bytes)
        for file in batch.files
    ]
    key = envelopes.opened(lake.key_ring, batch) if batch.envelope else None
    if key is None:
        return places
    streams = source is None or (source.reader in STREAMED and source.packed is None)
    return [
        SealedFile(place, file.name, file.bytes, key, as_stream=streams)
        for place, file in zip(places, batch.files, strict=True)
    ]


def write_out(lake: Lake, contract: Contract, name: str, folder: Path) -> list[Path]:
    """Write a batch's files into a folder as they were delivered, for their owner alone; return them.

    Raises RequestError for a batch that is not there and a file that is, DamagedBatchError for one that is not any more
    what the manifest says, StorageError for a folder that cannot be written.
    """
    manifest = layers.landing_path(contract.name, name) / MANIFEST
    landing = lake.judged("land", contract.name).get(name, {})
    text = lake.objects.read(manifest) if name and lake.objects.exists(manifest) else None
    if text is None and not landing:
        raise RequestError(
            f"there is no batch {name}.", dataset=contract.name,
            remedy=f"`lake batches {contract.name}` lists what there is.",
        )
    batch = Batch.at(contract.name, name, text, landing).sound()
    with machine_errors(str(folder)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise RequestError("this is a file.", where=str(folder), remedy="name a folder.") from None
        return _written_out(lake, batch, folder)


def _written_out(lake: Lake, batch: Batch, folder: Path) -> list[Path]:
    for file in batch.files:
        if (folder / file.name).exists():
            raise RequestError("there is such a file already.", where=file.name, remedy="name another folder.")
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder) as made:
        for file, place in zip(batch.files, files(lake, batch), strict=True):
            with place.local() as found:
                told = copy_in(found, Path(made) / file.name)
            if told != (file.bytes, file.sha256):
                raise DamagedBatchError(
                    "the landed file is not as it was delivered.", dataset=batch.dataset, where=file.name,
                    remedy="put it back from a copy of the lake.",
                )
        for file in batch.files:
            (Path(made) / file.name).chmod(0o600)
            (Path(made) / file.name).rename(folder / file.name)
    return [folder / file.name for file in batch.files]
