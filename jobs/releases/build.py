"""Build a release: gold rows to what may leave, and that to one immutable folder of files."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from jobs import layers
from jobs.catalogue import Catalogue
from jobs.contract import GROUP_THRESHOLD, Contract
from jobs.errors import ReleaseRefused
from jobs.privacy.scanner import scan, scan_text
from jobs.releases import describe, formats, listing, terms
from jobs.releases.verify import verify
from jobs.rows.codes import CodeBook
from jobs.rows.protection import coarsen, generalise, gold_column, ladders, protection_of
from jobs.sets.anonymity import Anonymised, anonymise
from jobs.storage.objects import Folder

DICTIONARY, DATAPACKAGE, DCAT = "dictionary.csv", "datapackage.json", "dcat.jsonld"
_SUBJECT, _AMOUNT = "_subject_", "_amount_"


@dataclass(frozen=True)
class Draft:
    """Hold what a release would be: its rows, what anonymity cost, its description, its terms.

    `table`: published columns in the contract's order, then measures; `anonymised` counts underlying gold rows.
    """

    contract: Contract
    catalogue: Catalogue
    codes: CodeBook
    table: pl.DataFrame
    anonymised: Anonymised
    quasi: tuple[str, ...]
    fingerprint: str

    @property
    def threshold(self) -> int:
        """Return the smallest group the release's mode allows."""
        assert self.contract.release is not None
        return GROUP_THRESHOLD[self.contract.release.mode]

    @cached_property
    def columns(self) -> list[describe.Column]:
        """Return the description of every column, in the table's order."""
        return describe.columns(self.contract, self.catalogue, self.table, self.quasi, self.threshold)

    @cached_property
    def content(self) -> dict[str, str]:
        """Return the digests that tell whether another release would say the same in the same words."""
        about = json.dumps(self.about, sort_keys=True) + describe.dictionary(self.columns).write_csv()
        return {
            "rows": hashlib.sha256(formats.csv_bytes(self.table)).hexdigest(),
            "description": hashlib.sha256(about.encode()).hexdigest(),
        }

    @property
    def about(self) -> dict[str, str]:
        """Return the dataset's titles, descriptions and licence, as the Parquet schema holds them."""
        contract = self.contract
        assert contract.release is not None
        return {
            "dataset": contract.name, "title": contract.title.en, "title_zh": contract.title.zh,
            "description": contract.description.en, "description_zh": contract.description.zh,
            "licence": contract.release.licence,
        }


def draft(gold: pl.LazyFrame, contract: Contract, catalogue: Catalogue) -> Draft:
    """Return what a release of these gold rows would be; nothing is written.

    Raises ReleaseRefused when the contract publishes nothing.
    """
    if contract.release is None or not contract.published:
        raise ReleaseRefused(
            "the contract opens nothing.", dataset=contract.name, layer="open",
            remedy="give fields publish: and the contract release:.",
        )
    rows = _in_scope(gold, contract, catalogue).collect()
    codes = CodeBook.load(catalogue.root / "codes")
    published = generalise(rows, contract, codes)
    published = published.with_columns(pl.col(pl.String).replace("", None))  # CSV could not tell the two apart
    # In a table of counts every column splits the cells, whatever was argued about it.
    quasi = tuple(contract.published) if contract.aggregate else contract.quasi_identifiers
    subjects = {f"{_SUBJECT}{n}": rows[c] for n, c in enumerate(_subjects(contract, rows))}
    amounts = {} if contract.aggregate is None else _amounts(rows, contract, catalogue)
    result = anonymise(
        published.with_columns(**subjects, **amounts), quasi, GROUP_THRESHOLD[contract.release.mode],
        ladders(contract), coarsen, subjects=list(subjects), sensitive=contract.release.sensitive,
    )
    table = _counted(result.rows, contract) if contract.aggregate else result.rows
    return Draft(contract, catalogue, codes, table, result, quasi, terms.fingerprint(contract, catalogue))


def _in_scope(gold: pl.LazyFrame, contract: Contract, catalogue: Catalogue) -> pl.LazyFrame:
    assert contract.release is not None
    for name, wanted in contract.release.only.items():
        how = protection_of(contract.fields[name], catalogue.types)
        if how == "drop":
            raise ReleaseRefused(
                f"release.only names {name}, which gold does not hold.", dataset=contract.name, layer="open",
                remedy="protect: it with a method that leaves the values named.",
            )
        gold = gold.filter(pl.col(gold_column(name, how)).cast(pl.String).is_in(list(wanted)))
    return gold


def _subjects(contract: Contract, rows: pl.DataFrame) -> list[str]:
    """Return the gold columns with pseudonyms of the people a row is about.

    Counting them keeps one person with many rows from being a crowd.
    """
    keys = [name for link in contract.entities.values() if link.register_ == "person" for name in link.key]
    known = [name for name in dict.fromkeys(keys) if contract.fields[name].protect == "pseudonym"]
    return [name for name in known if name in rows.columns]


def _amounts(rows: pl.DataFrame, contract: Contract, catalogue: Catalogue) -> dict[str, pl.Series]:
    """Return measure → the gold values it sums; an amount in a foreign currency takes no part."""
    found = {}
    for measure, name in terms.summed_fields(contract).items():
        field = contract.fields[name]
        column = gold_column(name, protection_of(field, catalogue.types))
        values = rows[column]
        if f"{column}_currency" in rows.columns:
            foreign = (rows[f"{column}_currency"] != (field.currency or "CNY")).fill_null(value=False)
            values = pl.select(pl.when(~foreign).then(values)).to_series()
        found[f"{_AMOUNT}{measure}"] = values
    return found


def _counted(rows: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return one row per published tuple with its measures."""
    assert contract.aggregate is not None
    measures = [
        (pl.len().cast(pl.Int64) if how == "count" else pl.col(f"{_AMOUNT}{measure}").sum()).alias(measure)
        for measure, how in contract.aggregate.measures.items()
    ]
    published = list(contract.published)
    return rows.group_by(published).agg(measures).sort(published)


def next_version(last: Mapping[str, Any] | None, made: Draft) -> str:
    """Return the version a draft would have; the last one's when it says the same in the same words.

    MAJOR: other terms; MINOR: other rows; PATCH: the same rows in other words.
    """
    if last is None:
        return "1.0.0"
    major, minor, patch = listing.version_key(last["version"])
    if last["fingerprint"] != made.fingerprint:
        return f"{major + 1}.0.0"
    if last["content"]["rows"] != made.content["rows"]:
        return f"{major}.{minor + 1}.0"
    if last["content"] != made.content:
        return f"{major}.{minor}.{patch + 1}"
    return str(last["version"])


def place(objects: Folder, made: Draft, version: str, signed: Mapping[str, Any]) -> None:
    """Write a release's folder beside its place, read it back, verify it, and move it into place in one step.

    `signed` says who approved and what it was made from. Raises ReleaseRefused, and leaves nothing, when what was
    written is not what was meant or holds an identifier.
    """
    name = made.contract.name
    part = layers.release_path(name, f".part-{uuid.uuid4().hex}")
    folder = objects.local(part)
    try:
        folder.mkdir(parents=True)
        _write(objects, part, made, version, signed)
        problems = verify(folder, validate=False)
        if problems:
            raise ReleaseRefused(f"what was written is not what was meant: {problems[0]}", dataset=name, layer="open")
        _scan(folder, made)
        objects.move(part, layers.release_path(name, version))
    finally:
        objects.remove(part)


def _write(objects: Folder, part: Any, made: Draft, version: str, signed: Mapping[str, Any]) -> None:
    folder, contract = objects.local(part), made.contract
    formats.write_parquet(made.table, made.columns, made.about, folder / f"{contract.dataset}.parquet")
    objects.write(part / f"{contract.dataset}.csv", formats.csv_bytes(made.table))
    objects.write(part / DICTIONARY, formats.csv_bytes(describe.dictionary(made.columns)))
    names = (f"{contract.dataset}.csv", f"{contract.dataset}.parquet")
    files = {name: ((folder / name).stat().st_size, formats.digest(folder / name)) for name in names}
    statement = statement_of(made, version, signed)
    package = describe.datapackage(contract, made.columns, made.table, made.codes, statement, files)
    objects.write(part / DATAPACKAGE, formats.json_bytes(package))
    objects.write(part / DCAT, formats.json_bytes(describe.dcat(contract, statement, files)))
    objects.write(part / listing.STATEMENT, formats.json_bytes(statement))
    objects.write(part / formats.SUMS, formats.sums_bytes(folder))


def statement_of(made: Draft, version: str, signed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the release's statement: what it is, who let it go, what was done for privacy and how it measures."""
    contract = made.contract
    return {
        "dataset": contract.name,
        "version": version,
        "released_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "rows": made.table.height,
        "fingerprint": made.fingerprint,
        "content": made.content,
        **signed,
        "privacy": privacy(made),
    }


def privacy(made: Draft) -> dict[str, Any]:
    """Return the measured privacy of a draft.

    Risk by GB/T 42460-2023 annex D as implemented publicly: public R = R_max, else R = R_avg with the least favourable
    environment (1); 1 when a group is above the threshold, which cannot be here.
    """
    contract, result = made.contract, made.anonymised
    assert contract.release is not None
    largest = 1 / result.smallest_group if result.smallest_group else 0.0
    measures = contract.aggregate.measures if contract.aggregate else {}
    risk = largest if contract.release.mode == "public" else result.average_risk
    return {
        "kind": "aggregate" if contract.aggregate else "microdata",
        "mode": contract.release.mode,
        "quasi_identifiers": list(made.quasi),
        "not_identifying": dict(contract.release.not_identifying),
        "sensitive": list(contract.release.sensitive),
        "counts": [measure for measure, how in measures.items() if how == "count"],
        "threshold": made.threshold,
        "groups": result.groups,
        "smallest_group": result.smallest_group,
        "underlying_rows": result.delivered,
        "kept": result.kept,
        "kept_share": round(result.kept_share, 4),
        "suppressed": result.suppressed,
        "coarsened": dict(result.coarsened),
        "gb_t_42460": {
            "threshold": round(1 / made.threshold, 4), "r_max": round(largest, 6),
            "r_avg": round(result.average_risk, 6), "r": round(risk, 6), "grade": 4 if contract.aggregate else 3,
        },
    }


def _scan(folder: Path, made: Draft) -> None:
    """Raise ReleaseRefused when any file of the folder holds an identifier; measures are numbers of nobody."""
    measures = [one.name for one in made.columns if one.measure]
    name = made.contract.dataset
    found = scan(pl.read_parquet(folder / f"{name}.parquet").drop(measures))
    found += scan(formats.read_csv(folder / f"{name}.csv").drop(measures))
    if found:
        where = ", ".join(sorted({f"{one.column} ({one.kind}, {one.count} rows)" for one in found}))
    else:
        where = ", ".join(
            sorted(
                path.name for path in folder.iterdir()
                if path.suffix != ".parquet" and path.name not in (f"{name}.csv", formats.SUMS)
                and scan_text(path.read_text(encoding="utf-8"))
            )
        )
    if where:
        raise ReleaseRefused(
            "the release would hold identifiers; nothing was released.", dataset=made.contract.name, layer="open",
            where=where, remedy="publish: these columns coarser, or not at all.",
        )
