"""Draft a release: gold rows to what may leave, and what that measures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

import polars as pl

from jobs.catalogue import Catalogue
from jobs.contract import GROUP_THRESHOLD, Contract
from jobs.errors import ReleaseRefused
from jobs.privacy import grades, minors
from jobs.privacy.risk import measure as risks
from jobs.releases import cells, describe, formats, periods, terms
from jobs.releases.manifest import decimal
from jobs.releases.metadata.entry import column_document
from jobs.rows.codes import CodeBook
from jobs.rows.protection import coarsen, generalise, gold_column, in_scope, ladders, protection_of
from jobs.sets.anonymity import Anonymised, anonymise
from jobs.sets.changes import check_key

SUBJECT, _AMOUNT = "_subject_", "_amount_"


@dataclass(frozen=True)
class Draft:
    """Hold what a release would be: its rows, what anonymity cost, its description, its terms.

    `table`: published columns in the contract's order, then measures; `anonymised` counts underlying gold rows.
    `held`: what was held back for what its difference to earlier releases would tell, None where nothing was compared.
    `exact`: the true cells of a table that is published with noise, which never leave; `table` is then zeros until
    `epsilon` has drawn the noise, and `private` says what that spent. `pseudonym_key`: id of the release's own key.
    `until`: the first day on which a row's time in public is over, None where rows have no such end; `day`: that on
    which it was not.
    """

    contract: Contract
    catalogue: Catalogue
    codes: CodeBook
    table: pl.DataFrame
    anonymised: Anonymised
    quasi: tuple[str, ...]
    fingerprint: str
    held: Mapping[str, Any] | None = None
    exact: pl.DataFrame | None = field(default=None, repr=False)
    private: Mapping[str, Any] | None = None
    pseudonym_key: str = ""
    until: date | None = None
    day: date | None = None

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
    def key(self) -> tuple[str, ...]:
        """Return the public row key, empty without one."""
        assert self.contract.release is not None
        return () if self.contract.release.key == "none" else self.contract.release.key

    @property
    def terms(self) -> dict[str, Any]:
        """Return the terms as a manifest holds them: their fingerprint, and what breaks readers by itself."""
        assert self.contract.release is not None
        return {"fingerprint": self.fingerprint, "key": list(self.key), "licence": self.contract.release.licence}

    @property
    def code_lists(self) -> dict[str, str]:
        """Return code list → SHA-256 of its file, for every list the columns use."""
        named = sorted({one.codes for one in self.columns if one.codes})
        return {name: terms.list_digest(self.catalogue, name) for name in named}

    @property
    def documents(self) -> list[dict[str, Any]]:
        """Return the columns as a manifest holds them."""
        return [column_document(one) for one in self.columns]

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


def draft(gold: pl.LazyFrame, contract: Contract, catalogue: Catalogue, day: date | None = None) -> Draft:
    """Return what a release of these gold rows would be; nothing is written.

    `day`: rows whose time in public has not begun or is over on it are out of scope (needed by `release.period`).
    Raises ReleaseRefused when the contract publishes nothing or more openly than its grade allows, and when its key
    does not tell the rows apart.
    """
    if contract.release is None or not contract.published:
        raise ReleaseRefused(
            "the contract opens nothing.", dataset=contract.name, layer="open",
            remedy="give fields publish: and the contract release:.",
        )
    codes = CodeBook.load(catalogue.root / "codes")
    found = grades.problem(contract, catalogue) or minors.problem(contract, catalogue)
    found = found or next(cells.problems(contract, catalogue, codes), None)
    if found:
        where, what, remedy = found
        raise ReleaseRefused(what, dataset=contract.name, layer="open", where=".".join(where), remedy=remedy)
    rows, until = periods.shown(_in_scope(gold, contract, catalogue), contract, catalogue, day)
    published = generalise(rows, contract, codes)
    published = published.with_columns(pl.col(pl.String).replace("", None))  # CSV could not tell the two apart
    if contract.privacy is not None:
        return replace(_undrawn(rows, published, contract, catalogue, codes), until=until, day=day)
    # In a table of counts every column splits the cells, whatever was argued about it.
    quasi = tuple(contract.published) if contract.aggregate else contract.quasi_identifiers
    subjects = {f"{SUBJECT}{name}": rows[name] for name in _subjects(contract, rows)}
    amounts = {} if contract.aggregate is None else _amounts(rows, contract, catalogue)
    result = anonymise(
        published.with_columns(**subjects, **amounts), quasi, GROUP_THRESHOLD[contract.release.mode],
        ladders(contract), coarsen, subjects=list(subjects), sensitive=contract.release.sensitive,
    )
    table = _counted(result.rows, contract) if contract.aggregate else result.rows
    if contract.release.key != "none":
        check_key(table, contract.release.key)
    print_ = terms.fingerprint(contract, catalogue)
    return Draft(contract, catalogue, codes, table, result, quasi, print_, until=until, day=day)


def _undrawn(
    rows: pl.DataFrame, published: pl.DataFrame, contract: Contract, catalogue: Catalogue, codes: CodeBook
) -> Draft:
    """Return the draft of a table that waits for its noise: its cells, of which nothing is known but the names."""
    privacy, aggregate = contract.privacy, contract.aggregate
    assert privacy is not None
    assert aggregate is not None
    whom = None if privacy.person is None else rows[gold_column(privacy.person, "pseudonym")]
    amounts = {
        name.removeprefix(_AMOUNT): values for name, values in _amounts(rows, contract, catalogue).items()
    }
    names = cells.declared(contract, catalogue, codes)
    exact = cells.counted(published, names, privacy, whom, amounts, aggregate.measures)
    table = names.with_columns(pl.lit(0, dtype=pl.Int64).alias(measure) for measure in aggregate.measures)
    # Groups protect nobody here: the noise does, and a cell of nobody is published like any other.
    counted = Anonymised(published, published.height, names.height, 0, 0.0, {}, pl.DataFrame())
    print_ = terms.fingerprint(contract, catalogue)
    return Draft(contract, catalogue, codes, table, counted, tuple(contract.published), print_, exact=exact)


def _in_scope(gold: pl.LazyFrame, contract: Contract, catalogue: Catalogue) -> pl.LazyFrame:
    assert contract.release is not None
    for name in contract.release.only:
        if protection_of(contract.fields[name], catalogue.types) == "drop":
            raise ReleaseRefused(
                f"release.only names {name}, which gold does not hold.", dataset=contract.name, layer="open",
                remedy="protect: it with a method that leaves the values named.",
            )
    return gold.filter(in_scope(contract, catalogue.types))


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


def privacy(made: Draft) -> dict[str, Any]:
    """Return the measured privacy of a draft.

    Risk by GB/T 42460-2023 annex D as implemented publicly: public R = R_max, else R = R_avg with the least favourable
    environment (1); 1 when a group is above the threshold, which cannot be here. Shares and risks are decimal strings.
    """
    contract, result = made.contract, made.anonymised
    assert contract.release is not None
    if made.exact is not None:
        return _noisy(made)
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
        "kept_share": decimal(result.kept_share, 4),
        "suppressed": result.suppressed,
        "coarsened": dict(result.coarsened),
        "held_back": dict(made.held) if made.held is not None else None,
        "gb_t_43697": grades.statement(contract, made.catalogue, result.delivered),
        "gb_t_42460": {
            "threshold": decimal(1 / made.threshold, 4), "r_max": decimal(largest, 6),
            "r_avg": decimal(result.average_risk, 6), "r": decimal(risk, 6), "grade": 4 if contract.aggregate else 3,
        },
    }


def risk_report(made: Draft) -> dict[str, Any] | None:
    """Return the whole risk of a draft's rows (jobs.privacy.risk.measure), of a table of counts that of rows counted.

    None where noise protects whoever is in it: nothing exact is told of such rows. Nor where no column identifies.
    """
    contract = made.contract
    assert contract.release is not None
    if made.exact is not None or not made.quasi:
        return None
    rows = made.anonymised.rows if contract.aggregate else made.table
    sensitive = [name for name in contract.release.sensitive if name not in made.quasi]
    return risks.measure(rows.lazy(), list(made.quasi), sensitive, mode=contract.release.mode)


def _noisy(made: Draft) -> dict[str, Any]:
    """Return the privacy of a draft with noise: what the noise guarantees, and no exact count of anything."""
    contract, measures = made.contract, made.contract.aggregate.measures if made.contract.aggregate else {}
    assert contract.release is not None
    counts = [measure for measure, how in measures.items() if how == "count"]
    total = int(made.table[counts[0]].sum()) if counts else None
    return {
        "kind": "aggregate", "mode": contract.release.mode, "quasi_identifiers": list(made.quasi),
        "not_identifying": {}, "sensitive": [], "counts": counts, "threshold": made.threshold,
        "groups": made.table.height, "smallest_group": None, "underlying_rows": total, "kept": total,
        "kept_share": "1.0000", "suppressed": 0, "coarsened": {}, "held_back": None,
        "gb_t_43697": grades.statement(contract, made.catalogue, 0),
        "gb_t_42460": {"threshold": None, "r_max": None, "r_avg": None, "r": None, "grade": 4},
        "differential_privacy": dict(made.private) if made.private is not None else None,
    }
