"""The terms of a release in one fingerprint: change anything that decides a published column, and it changes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from jobs.catalogue import Catalogue
from jobs.contract import GROUP_THRESHOLD, Contract, ContractField
from jobs.rows.codes import DIVISION
from jobs.rows.protection import ladders, protection_of

# Raise it when a method of jobs.rows.coarsening or the way of jobs.sets.anonymity changes what is published: every
# approval lapses then, and the next release of each dataset is a new major version.
METHODS = 1

INDUSTRY = "industry"


def fingerprint(contract: Contract, catalogue: Catalogue) -> str:
    """Return the SHA-256 (64 hex digits) over everything that decides a dataset's published columns, resolved."""
    canonical = json.dumps(resolved(contract, catalogue), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def resolved(contract: Contract, catalogue: Catalogue) -> dict[str, Any]:
    """Return the terms as one document: fields, types, protections, code lists' digests, threshold, licence, source.

    With `release.period` the regimes of its rule and the fields it reckons by too. Titles, descriptions, schedule and
    steward take no part: they decide no column. A code list that is missing counts as one without content.
    """
    release = contract.release
    deciding = [name for name in contract.fields if _decides(contract, name)]
    steps = ladders(contract)
    return {
        "dataset": contract.name,
        "methods": METHODS,
        "release": release.model_dump(mode="json", exclude=release.unused) if release else None,
        **({"regimes": regimes(contract, catalogue)} if release and release.period else {}),
        "threshold": GROUP_THRESHOLD[release.mode] if release else None,
        "quasi_identifiers": list(contract.quasi_identifiers),
        "aggregate": contract.aggregate.model_dump(mode="json") if contract.aggregate else None,
        **({"withhold": contract.withhold.model_dump(mode="json")} if contract.withhold else {}),
        **({"privacy": contract.privacy.model_dump(mode="json")} if contract.privacy else {}),
        "from": contract.from_.model_dump(mode="json") if contract.from_ else None,
        "deleted_when": {column: list(cells) for column, cells in contract.load.deleted_when.items()},
        "mode": contract.load.mode,
        "key": list(contract.load.key),
        "columns": list(contract.published),
        "fields": {name: _field(contract.fields[name], catalogue) for name in deciding},
        "ladders": {column: list(names) for column, names in steps.items()},
    }


def regimes(contract: Contract, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return the regimes by which a release's rows are public for a time, oldest first; none without `period`."""
    period = contract.release.period if contract.release else None
    return [one.model_dump(mode="json") for one in catalogue.periods.get(period.rule, ())] if period else []


def scope(contract: Contract, catalogue: Catalogue) -> dict[str, Any]:
    """Return what decides which gold rows a release is made from: `only`, `period` and its `regimes`."""
    assert contract.release is not None
    told = contract.release.model_dump(mode="json", by_alias=True, include={"only", "period"})
    return {**told, "regimes": regimes(contract, catalogue)}


def code_list(field: ContractField, catalogue: Catalogue) -> str | None:
    """Return the code list a field's published values come from, None for a field without one."""
    spec = catalogue.types.get(field.type)
    if field.codes or (spec and spec.codes):
        return field.codes or (spec.codes if spec else None)
    if field.type == "division_code":
        return DIVISION
    return INDUSTRY if field.protect == INDUSTRY else None


def summed_fields(contract: Contract) -> dict[str, str]:
    """Return measure → field, for the sums of an aggregate."""
    measures = contract.aggregate.measures if contract.aggregate else {}
    return {column: how[len("sum(") : -1] for column, how in measures.items() if how.startswith("sum(")}


def _decides(contract: Contract, name: str) -> bool:
    release = contract.release
    period = release.period.model_dump(exclude={"rule"}).values() if release and release.period else ()
    narrowing = {*(release.only if release else ()), *period}
    return bool(contract.fields[name].publish) or name in narrowing or name in summed_fields(contract).values()


def _field(field: ContractField, catalogue: Catalogue) -> dict[str, Any]:
    spec = catalogue.types.get(field.type)
    codes = code_list(field, catalogue)
    return {
        **field.model_dump(mode="json", exclude={"title", *field.unused}),
        "protection": protection_of(field, catalogue.types) if spec else None,
        "type_spec": spec.model_dump(mode="json", exclude={"title", "note"}) if spec else None,
        "code_list": {"name": codes, "sha256": list_digest(catalogue, codes)} if codes else None,
    }


def list_digest(catalogue: Catalogue, codes: str) -> str:
    """Return the SHA-256 of a code list's file, of nothing when there is none."""
    path = catalogue.root / "codes" / f"{codes}.csv"
    return hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest()
