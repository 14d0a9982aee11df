"""Who approved which terms: `schemas/approvals.csv`, one line per approval, the last one of a dataset counts."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from jobs.catalogue import Catalogue, Problem
from jobs.contract import Contract
from jobs.errors import ContractError, ReleaseRefused, RequestError
from jobs.releases.terms import fingerprint
from jobs.storage.objects import Folder

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

FILE = "approvals.csv"
COLUMNS = ("dataset", "fingerprint", "approved_by", "approved_on", "note")

_ADDRESS, _WORD = re.compile(r"([^\s<>@]+)\s*@\s*([^\s<>@]+)"), re.compile(r"[\w.+-]+")


@dataclass(frozen=True)
class Approval:
    """Hold one approval of a dataset's terms, and the line of the file it stands on."""

    dataset: str
    fingerprint: str
    approved_by: str
    approved_on: str
    note: str
    line: int


def approve(lake: Lake, name: str, *, by: str, note: str = "") -> str:
    """Approve a dataset's terms as they stand and return their fingerprint; equal terms are approved once.

    The file is replaced whole. Raises RequestError when the dataset is not to be released or nobody approves,
    ContractError when the file is not one of approvals.
    """
    contract, by = lake.catalogue.contract(name), " ".join(by.split())
    if contract.release is None:
        raise RequestError("the contract has no release:, so there is nothing to approve.", dataset=name)
    if not by:
        raise RequestError("nobody approves.", dataset=name, remedy="say who: --by NAME.")
    print_ = fingerprint(contract, lake.catalogue)
    path = lake.catalogue.root / FILE
    with lake.writing("approvals"):
        given = read(path)
        if (last := given.get(name)) and last.fingerprint == print_:
            return print_
        text = path.read_text(encoding="utf-8") if path.is_file() else ",".join(COLUMNS) + "\n"
        if not text.endswith("\n"):
            text += "\n"
        day = datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([name, print_, by, day, " ".join(note.split())])
        Folder(path.parent).write(FILE, (text + line.getvalue()).encode())
    return print_


def same_person(one: str, other: str) -> bool:
    """Tell whether two ways to write somebody name one person, however written: who asks may not be who approves.

    A user's name, a name beside an address and the part of an address before its @ stand for the person; of two
    addresses only equal ones are one person's.
    """
    (address, names), (others_address, others_names) = _named(one), _named(other)
    if address and others_address:
        return address == others_address
    return not names.isdisjoint(others_names)


def _named(text: str) -> tuple[str, set[str]]:
    """Return the address in a text, if any, and the names that it gives somebody."""
    text = unicodedata.normalize("NFKC", text).casefold()
    found = _ADDRESS.search(text)
    local, domain = found.groups() if found else ("", "")
    beside = " ".join(_WORD.findall(_ADDRESS.sub(" ", text)))
    return f"{local}@{domain}" if found else "", {local, beside, " ".join(text.split())} - {""}


def read(path: Path) -> dict[str, Approval]:
    """Return dataset → its last approval; raise ContractError for a line that is none."""
    approvals, problems = _parse(path)
    if problems:
        first = problems[0]
        raise ContractError(first.what, where=f"{first.file}:{first.line}", remedy=first.remedy or None)
    return {approval.dataset: approval for approval in approvals}


def approved(contract: Contract, catalogue: Catalogue) -> Approval:
    """Return the approval of a dataset's terms as they stand; raise ReleaseRefused when there is none, or it lapsed."""
    last = read(catalogue.root / FILE).get(contract.name)
    if last is None:
        raise ReleaseRefused(
            "nobody approved the terms of release.", dataset=contract.name, layer="open", remedy=_remedy(contract.name)
        )
    if last.fingerprint != fingerprint(contract, catalogue):
        raise ReleaseRefused(
            "the approval lapsed: what decides the published columns has changed since.",
            dataset=contract.name, layer="open", where=f"{FILE}:{last.line}", remedy=_remedy(contract.name),
        )
    return last


def check_file(path: Path, catalogue: Catalogue) -> list[Problem]:
    """Return every problem of the approvals: broken lines, unknown datasets, approvals that lapsed.

    A dataset without an approval is no problem; it is only not released. No file is an empty file.
    """
    approvals, problems = _parse(path)
    file = _name(path)
    last: dict[str, Approval] = {}
    for one in approvals:
        last[one.dataset] = one
        if one.dataset not in catalogue.contracts:
            problems.append(Problem(file, one.line, f"there is no contract {one.dataset!r}.", "remove the line."))
    for name, one in last.items():
        contract = catalogue.contracts.get(name)
        if contract is None:
            continue
        if contract.release is None:
            problems.append(Problem(file, one.line, f"{name} has no release:.", "remove the line, or add release:."))
            continue
        try:
            lapsed = fingerprint(contract, catalogue) != one.fingerprint
        except ContractError:
            continue  # the contract has a problem of its own, reported where it stands
        if lapsed:
            what = f"the approval of {name} lapsed: what decides its published columns has changed since."
            problems.append(Problem(file, one.line, what, _remedy(name)))
    return sorted(problems, key=lambda problem: problem.line)


def _remedy(name: str) -> str:
    return f"look at `lake preview {name}`, then `lake approve {name} --by NAME`."


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _parse(path: Path) -> tuple[list[Approval], list[Problem]]:
    if not path.is_file():
        return [], []
    file, found, problems = _name(path), [], []
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True)
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            return [], [Problem(file, 1, "not a file of approvals.", f"its header is {','.join(COLUMNS)}.")]
        for cells in reader:
            if not cells:
                continue
            if what := _broken(cells):
                problems.append(Problem(file, reader.line_num, what, "mend the line, or remove it."))
            else:
                found.append(Approval(cells[0], cells[1], cells[2], cells[3], cells[4], reader.line_num))
    except (UnicodeDecodeError, csv.Error):
        return [], [Problem(file, 1, "not UTF-8 text in CSV.", "restore the file from version control.")]
    return found, problems


def _broken(cells: list[str]) -> str:
    """Return what is wrong with one line, empty when nothing is."""
    if len(cells) != len(COLUMNS):
        return f"the line has {len(cells)} cells, not {len(COLUMNS)}."
    _, print_, by, day, _ = cells
    if not re.fullmatch(r"[0-9a-f]{64}", print_):
        return "the fingerprint is not 64 hexadecimal digits."
    if not by.strip():
        return "approved_by is empty."
    try:
        date.fromisoformat(day)
    except ValueError:
        return "approved_on is no date such as 2026-01-31."
    return ""
