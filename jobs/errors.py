"""What can go wrong, as a user reads it: where it happened, what is wrong, what to do.

No message holds a cell's content: rows are named by file and number, values never.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LakeError(Exception):
    """Say what is wrong, where, and what to do about it.

    `what` is one sentence; `dataset`, `layer` and `where` (file, row, rule) locate it; `remedy` is the next
    step. `exit_code` is what the command line ends with: 1 the data said no, 2 the request was wrong.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        dataset: str | None = None,
        layer: str | None = None,
        where: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.report: Any = None  # the accounting of the batch a stage gave up, if there is one
        self.reports: list[Any] = []  # and of the batches it finished all the same
        self.errors: list[LakeError] = [self]  # each by itself, where several went wrong together
        self.what, self.dataset, self.layer, self.where, self.remedy = what, dataset, layer, where, remedy
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries (Spark workers, Airflow); keyword-only arguments need help there.
        return _revive, (type(self), self.what, self.dataset, self.layer, self.where, self.remedy)

    def __str__(self) -> str:
        place = " · ".join(part for part in (self.dataset, self.layer, self.where) if part)
        text = f"{place}: {self.what}" if place else self.what
        return f"{text} Remedy: {self.remedy}" if self.remedy else text


def _revive(
    kind: type[LakeError], what: str, dataset: str | None, layer: str | None, where: str | None, remedy: str | None
) -> LakeError:
    return kind(what, dataset=dataset, layer=layer, where=where, remedy=remedy)


def together(errors: Sequence[LakeError]) -> LakeError:
    """Return one error that says them all, for work that went on beside what failed; the only one as it is."""
    if len(errors) == 1:
        return errors[0]
    found = LakeError(f"{len(errors)} things failed, all else is done. {' '.join(map(str, errors))}")
    found.errors = [one for error in errors for one in error.errors]
    return found


class ContractError(LakeError):
    """A contract, register, code list or approval is not what the language allows."""

    exit_code = 2


class RequestError(LakeError):
    """The request names something that does not exist or cannot be done."""

    exit_code = 2


class SourceError(LakeError):
    """A delivered file or table cannot be read; its bytes are kept."""


class QualityGateError(LakeError):
    """A batch does not meet its contract as a table; it is withheld."""


class ConflictError(LakeError):
    """Two writers want the same table, or two claims the same key."""


class ReleaseRefused(LakeError):  # noqa: N818 (a refusal is an answer, not a fault)
    """A release may not leave the lake."""


class PrivacyError(LakeError):
    """A person's identifier stands where none may be."""


class EngineError(LakeError):
    """The Spark engine is missing, gone, or failed."""


class StorageError(LakeError):
    """The storage did not do what was asked: full, forbidden, or gone."""


class GoneError(StorageError):
    """A file that was there is not any more."""


class DamagedBatchError(StorageError):
    """One landed batch is not what was landed: its files or its manifest; other batches are none the worse."""
