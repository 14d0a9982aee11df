"""A delivery of a dataset, and the accounting of what a stage did with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, Literal

from jobs.errors import DamagedBatchError

Outcome = Literal["started", "done", "withheld", "refused", "known", "retracted", "reinstated"]


@dataclass(frozen=True)
class LandedFile:
    """Name one delivered file by its bytes."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Envelope:
    """Say how a batch's files are encrypted: the id of the lake's key, and the batch's own (base64) wrapped by it.

    The files lie in `folder` below the batch's place: a name of one attempt to land it, whose key no other has.
    """

    cipher: str
    key: str
    wrapped: str
    folder: str = ""


@dataclass(frozen=True)
class Batch:
    """Identify one delivery by dataset, data date and content, never by when it arrived.

    `received_at` (ISO 8601, UTC) is information; it takes no part in the identity, nor does the envelope: sizes and
    digests are those of the plain bytes. A batch of repaired rows names the one whose rejected rows it mends.
    `damage` is not part of a manifest: it says what is wrong with one that cannot be believed. Of such a batch the id
    and its data date are known, and what the records of runs say; nothing of its files.
    """

    dataset: str
    id: str
    data_date: date
    dated_by: Literal["file name", "request", "receipt"]
    received_at: str
    files: tuple[LandedFile, ...]
    repairs: str | None = None
    envelope: Envelope | None = None
    damage: str | None = None

    @staticmethod
    def content_hash(dataset: str, files: Sequence[LandedFile]) -> str:
        """Return the SHA-256 over the dataset's name and its files' digests, in digest order."""
        content = {"dataset": dataset, "files": sorted(file.sha256 for file in files)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @classmethod
    def name_for(cls, dataset: str, data_date: date, files: Sequence[LandedFile]) -> str:
        """Return a batch's id: `<data date>-<first 12 hex of the content hash>`."""
        return f"{data_date.isoformat()}-{cls.content_hash(dataset, files)[:12]}"

    def to_json(self) -> str:
        """Return the manifest kept beside the landed bytes."""
        manifest = {
            "dataset": self.dataset,
            "batch": self.id,
            "data_date": self.data_date.isoformat(),
            "dated_by": self.dated_by,
            "received_at": self.received_at,
            "files": [vars(file) for file in self.files],
            **({"repairs": self.repairs} if self.repairs else {}),
            **({"envelope": vars(self.envelope)} if self.envelope else {}),
        }
        return json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Batch:
        """Read a manifest; what else its envelope says, as a later version's may, is left.

        Raises ValueError, TypeError, KeyError, AttributeError or RecursionError for what is none.
        """
        manifest = json.loads(text)
        envelope, known = manifest.get("envelope"), {one.name for one in fields(Envelope)}
        found = cls(
            manifest["dataset"],
            manifest["batch"],
            date.fromisoformat(manifest["data_date"]),
            manifest["dated_by"],
            manifest["received_at"],
            tuple(LandedFile(**file) for file in manifest["files"]),
            manifest.get("repairs"),
            Envelope(**{name: value for name, value in envelope.items() if name in known}) if envelope else None,
        )
        texts = [
            found.dataset, found.id, found.dated_by, found.received_at, found.repairs or "",
            *(text for file in found.files for text in (file.name, file.sha256)),
            *(vars(found.envelope).values() if found.envelope else ()),
        ]
        if not all(isinstance(text, str) for text in texts) or not all(type(file.bytes) is int for file in found.files):
            raise TypeError("a manifest's names and digests are texts, its sizes whole numbers.")
        return found

    @classmethod
    def at(cls, dataset: str, name: str, text: bytes | None, landed: Mapping[str, Any]) -> Batch:
        """Return the batch that lies under a name in landing, `text` being its manifest, None where that is gone.

        Damage is told, not raised, so that a dataset's other batches go on. Of a damaged one, its record of `ops.runs`
        (`landed`, empty where there is none) says when it was received and what it repairs.
        """
        try:
            batch = cls.from_json(text) if text is not None else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            batch = None
        if batch is not None:
            # A repair's name is also made of the tickets it mends, which are not in its manifest; what was refused
            # lies one folder deeper, under any name.
            named = name if batch.repairs or "/" in name else cls.name_for(batch.dataset, batch.data_date, batch.files)
            if (batch.dataset, batch.id, named) == (dataset, name, name):
                return batch
        try:
            day = date.fromisoformat(name[:10])
        except ValueError:
            day = date.min  # no name that a batch is given
        damage = "is gone" if text is None else "cannot be read" if batch is None else "is not that of what was landed"
        at = landed.get("recorded_at")
        return cls(
            dataset, name, day, "receipt", at.isoformat(timespec="microseconds") if at else "", (),
            json.loads(landed.get("extra") or "{}").get("repairs"), damage=damage,
        )

    def fault(self, remedy: str = "") -> DamagedBatchError | None:
        """Return the error of a damaged manifest, None of a sound one; `remedy` is what to do once it is put back."""
        if self.damage is None:
            return None
        return DamagedBatchError(
            f"the batch's manifest {self.damage}; nothing was done with this batch, and no other is touched.",
            dataset=self.dataset, layer="landing", where=f"batch {self.id}: _manifest.json",
            remedy=f"put it back from a copy of the lake{f', then {remedy}' if remedy else '.'}",
        )

    def sound(self, remedy: str = "") -> Batch:
        """Return the batch; raise DamagedBatchError where its manifest is damaged (`fault`)."""
        if fault := self.fault(remedy):
            raise fault
        return self


@dataclass
class StageReport:
    """Account for one stage's work on one batch; a row of `ops.runs`.

    The law of every judged batch: delivered = accepted + quarantined + duplicates + withheld.
    `reasons` and `warnings` count rows per rule; no field holds a cell's content.
    """

    stage: str
    dataset: str
    batch: str
    outcome: Outcome = "done"
    delivered: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    withheld: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seconds: float = 0.0
    extra: Mapping[str, object] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Tell whether every delivered row is accounted for."""
        return self.delivered == self.accepted + self.quarantined + self.duplicates + self.withheld
