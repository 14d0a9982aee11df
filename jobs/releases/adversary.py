"""What the strongest attacker could do to a release: the lake attacks it with its own population register first.

The attacker is taken to hold the register in full and to know how the contract coarsens. Who a row is about is known
only here, and only in memory: what is kept and published are counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs.contract import PEOPLE, Contract, ContractField
from jobs.errors import ReleaseRefused
from jobs.layers import Layer
from jobs.privacy.attack import WHOM, Linkage, Views, blame, document, infer, link, link_probably
from jobs.privacy.keyring import lake_key, secret
from jobs.privacy.risk.verdict import THRESHOLDS
from jobs.register import Register
from jobs.registers.fold import CONTESTED
from jobs.registers.keys import identified
from jobs.releases.build import SUBJECT, Draft
from jobs.releases.manifest import decimal
from jobs.rows.coarsening import Context, method_named
from jobs.rows.protection import coarsen, ladders, protection_of
from jobs.rows.pseudonymisation import pseudonyms
from jobs.storage.court import Court
from jobs.storage.ledgers import REGISTERS, Ledger

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

_UNKNOWABLE = ("pseudonym", "drop", "redacted")


def attack(lake: Lake, made: Draft) -> dict[str, Any] | None:
    """Return the outcome of linking a draft to the population register, None where it is about no person.

    Nor is a table with noise attacked: it has no groups to link, and what it can tell of anybody is bounded by its ε.

    A role's published columns are known to the attacker where the contract says which register field they are, or
    where the register has just one field of their type. Raises ReleaseRefused, with the columns to blame, when
    somebody is truly singled out, when claims are right too often, or when a row gives away more than its group.
    """
    contract, register = made.contract, lake.catalogue.registers.get(PEOPLE)
    spoken_of = roles(lake, contract)
    if made.exact is not None or register is None or not spoken_of or not lake.has(REGISTERS, f"{PEOPLE}_versions"):
        return None
    assert contract.release is not None
    tau = THRESHOLDS[contract.release.mode]
    people = Ledger(lake, PEOPLE).scan_current().filter(pl.col("_status") != CONTESTED).rename({"_entity_id": WHOM})
    found = []
    for role, declared in spoken_of.items():
        known = _known(made, register, declared)
        views = {column: _views(made, column) for column in known}
        population = people.select(WHOM, *[pl.col(field).alias(column) for column, field in known.items()]).collect()
        rows = made.anonymised.rows.with_columns(_subjects(lake, made, role))
        linked = link(rows, population, views, tau)
        hidden = [name for name in contract.published if name not in known] if contract.aggregate is None else []
        inferred = [infer(rows, list(known), name, tau) for name in hidden] if known else []
        probable = link_probably(rows, population, views, tau)
        told = document(linked, inferred, tau, lambda value: decimal(value, 4), probable)
        if told["succeeds"]:
            telling = [one.column for one in inferred if one.above]
            worst = linked if linked.succeeds(tau) or not probable.succeeds(tau) else probable
            raise _refusal(contract, worst, blame(rows, population, views, tau), telling)
        found.append({"role": role, **told})
    return {"against": f"the register of people, {found[0]['population']} of them", "roles": found}


def roles(lake: Lake, contract: Contract) -> dict[str, dict[str, str]]:
    """Return role → the register field that each field of the contract is, for every person it speaks about."""
    source = contract.from_
    if source is None:
        return {
            role: {field: name for name, field in one.fields.items()}
            for role, one in contract.entities.items() if one.register_ == PEOPLE
        }
    if source.register_ == PEOPLE:
        return {"subject": {name: field.from_ or name for name, field in contract.fields.items()}}
    if source.dataset is None:
        return {}
    behind = roles(lake, lake.catalogue.contract(source.dataset))
    read = {name: field.from_ or name for name, field in contract.fields.items()}
    return {
        role: {name: said[field] for name, field in read.items() if field in said} for role, said in behind.items()
    }


def _known(made: Draft, register: Register, declared: Mapping[str, str]) -> dict[str, str]:
    """Return published column → the register field an attacker reads it off from."""
    known = {}
    for column, name in made.contract.published.items():
        field = made.contract.fields[name]
        coarser = str(field.publish.generalise or "keep") if field.publish else "keep"
        if protection_of(field, made.catalogue.types) in _UNKNOWABLE or method_named(coarser)[0].whole:
            continue  # what a mean of several people was made from, nobody reads off one of them
        alike = [other for other, one in register.fields.items() if (one.type, one.codes) == (field.type, field.codes)]
        if declared.get(name) in register.fields:
            known[column] = declared[name]
        elif len(alike) == 1 and field.type not in ("text", "date"):
            known[column] = alike[0]
    return known


def _views(made: Draft, column: str) -> Views:
    """Return how the register's values would look in a published column: as the contract makes them, then coarser."""
    field = made.contract.fields[made.contract.published[column]]
    protect = _method(made, field, field.protect)
    publish = _method(made, field, field.publish and field.publish.generalise)

    def views(values: pl.Series, _published: pl.Series) -> list[pl.Series]:
        base = publish(protect(values))
        base = base.replace("", None) if base.dtype == pl.String else base
        return [base, *[coarsen(base, step, made.codes) for step in ladders(made.contract)[column]]]

    return views


def _method(made: Draft, field: ContractField, name: object) -> Callable[[pl.Series], pl.Series]:
    method, argument = method_named(str(name or "keep"))
    return lambda values: method.apply(values, Context(domain=field.type, codes=made.codes, argument=argument))


def _subjects(lake: Lake, made: Draft, role: str) -> pl.Series:
    """Return whose row each is, as the register's id; null where that is not known."""
    whom, contract = made.anonymised.subjects, made.contract
    nobody = pl.Series(WHOM, [None] * made.anonymised.rows.height, pl.String)
    link_ = contract.entities.get(role)
    fields = [name for name in link_.key if f"{SUBJECT}{name}" in whom.columns] if link_ else []
    if link_ is None or not fields or not lake.has(Layer.SILVER, contract.name):
        return nobody
    field = fields[0]
    wanted = list(dict.fromkeys([*link_.key, *contract.load.key, "_fingerprint"]))
    rows = lake.scan(Layer.SILVER, contract.name).select(wanted).unique(list(link_.key)).collect()
    register, key = lake.catalogue.registers[PEOPLE], secret(lake.objects, "register")
    ids = identified(rows, contract, role, register, key)["_key_id"]
    shown = pseudonyms(rows[field], lake_key(lake.objects, "pseudonym").secret, contract.fields[field].type)
    places = Court(lake, PEOPLE).id_map().select("id", "entity")
    table = pl.DataFrame({"shown": shown, "id": ids}).join(places, on="id", how="left")
    table = table.select("shown", pl.coalesce("entity", "id").alias(WHOM)).drop_nulls("shown").unique("shown")
    rows = whom.select(pl.col(f"{SUBJECT}{field}").alias("shown"))
    return rows.join(table, on="shown", how="left", maintain_order="left")[WHOM]


def _refusal(
    contract: Contract, linked: Linkage, blamed: list[tuple[str, float]], telling: list[str]
) -> ReleaseRefused:
    what = (
        f"the lake's own attack succeeds: {linked.singled_out_true} people truly singled out, {linked.claims} claims "
        f"of which {linked.precision:.0%} are expected to be true" if linked.claims
        else f"a row gives away more than its group in {', '.join(telling)}"
    )
    coarser = ", ".join(f"{column} (without it {left:.0f} true claims are left)" for column, left in blamed[:3])
    return ReleaseRefused(
        f"{what}.", dataset=contract.name, layer=Layer.OPEN, where=coarser or ", ".join(telling) or None,
        remedy="publish these columns coarser, or not at all.",
    )
