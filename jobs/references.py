"""Where declarations name something that does not exist, or contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.contract import COUNTED, GROUP_THRESHOLD, PEOPLE, Contract, Join, ProductSource
from jobs.register import Register
from jobs.rows.microaggregation import MICROAGGREGATE
from jobs.rows.protection import protection_of
from jobs.sets.following import SUFFIXES, follows

if TYPE_CHECKING:
    from jobs.catalogue import Catalogue, Problem


def check_references(catalogue: Catalogue) -> list[Problem]:
    """Return every place where a declaration names something that does not exist or contradicts another."""
    problems: list[Problem] = []
    for name, register in catalogue.registers.items():
        document = catalogue.documents[f"registers/{name}"]
        problems += [
            document.problem(("fields", field, "type"), f"there is no type {spec.type!r}.")
            for field, spec in register.fields.items()
            if spec.type not in catalogue.types
        ]
        problems += [
            document.problem(("lead",), f"there is no dataset {one!r}.") for one in register.lead
            if one not in catalogue.contracts
        ]
    for contract in catalogue.contracts.values():
        document = catalogue.documents[contract.name]
        problems += [
            document.problem((), f"{contract.name} is the name of a table of {contract.name.removesuffix(end)}.")
            for end in SUFFIXES
            if contract.name.endswith(end) and contract.name.removesuffix(end) in catalogue.contracts
        ]
        problems += [document.problem(*found) for found in _contract_problems(contract, catalogue)]
    return problems


Location = tuple[str | int, ...]
Finding = tuple[Location, str, str]


def _contract_problems(contract: Contract, catalogue: Catalogue) -> Iterator[Finding]:
    """Yield (location, what, remedy) for one contract."""
    fields = contract.fields
    if contract.is_product == (contract.source is not None):
        yield (), "a contract has either source: (a dataset) or from: (a product).", "keep one of the two."
    for name, field in fields.items():
        here: Location = ("fields", name)
        if field.type not in catalogue.types:
            yield (*here, "type"), f"there is no type {field.type!r}.", f"types: {', '.join(sorted(catalogue.types))}."
            continue
        spec = catalogue.types[field.type]
        if field.type == "code" and not (field.codes or spec.codes):
            yield here, "type code needs codes: (a list of schemas/codes).", "name the code list."
        if field.codes and not (catalogue.root / "codes" / f"{field.codes}.csv").is_file():
            yield (*here, "codes"), f"there is no code list {field.codes!r}.", f"add schemas/codes/{field.codes}.csv."
        if spec.storage == "timestamp" and field.unit and field.unit not in COUNTED:
            yield (*here, "unit"), f"a timestamp counts in {' or '.join(COUNTED)}, not {field.unit!r}.", ""
        for kind, target in field.legacy.items():
            if target not in fields:
                yield (*here, "legacy", kind), f"{target!r} is no field.", "add the field, without from:."
        if field.publish and (field.protect == "drop" or (field.protect is None and spec.closed)):
            yield (
                (*here, "publish"),
                f"the field is published, but a {spec.class_} type without protect: never reaches gold.",
                "add protect: with a method that leaves something, or remove publish:.",
            )
        received = any(name in other.legacy.values() for other in fields.values())
        if not contract.is_product and not field.from_ and not received:
            yield here, "no from: and no other field's legacy: fills it.", "name the source column with from:."
    yield from _load_problems(contract, catalogue)
    yield from _entity_problems(contract, catalogue)
    yield from _release_problems(contract)
    if contract.release and contract.release.mode == "public" and contract.release.key != "none":
        about = [catalogue.contracts[name] for name in contract.reads_datasets if name in catalogue.contracts]
        links = [link.register_ for one in about for link in one.entities.values()]
        if contract.aggregate is None and PEOPLE in (*links, *contract.reads_registers):
            what = "rows about people have a public key, by which they can be followed from release to release."
            yield ("release", "key"), what, "release.key: none."
    yield from _period_problems(contract, catalogue)
    yield from _withhold_problems(contract, catalogue)
    if contract.is_product:
        yield from _product_problems(contract, catalogue)
    elif not (any(e.accepted for e in contract.examples) and any(e.rejected for e in contract.examples)):
        yield ("examples",), "at least one accepted and one rejected example are required.", "invent two rows."
    known = set(contract.source_columns)
    for number, example in enumerate(contract.examples):
        for column in example.given:
            if not contract.is_product and column not in known:
                yield ("examples", number, "given", column), "no field comes from this column.", ""


def _load_problems(contract: Contract, catalogue: Catalogue) -> Iterator[Finding]:
    load, fields = contract.load, contract.fields
    for key in load.key:
        if key not in fields:
            yield ("load", "key"), f"{key!r} is no field.", ""
    if load.as_of:
        if load.as_of not in fields:
            yield ("load", "as_of"), f"{load.as_of!r} is no field.", ""
        elif catalogue.types.get(fields[load.as_of].type) and catalogue.types[
            fields[load.as_of].type
        ].storage not in ("date", "timestamp"):
            yield ("load", "as_of"), f"{load.as_of!r} is no date.", "use a field of type date or timestamp."
    for number, rule in enumerate(contract.expect):
        for column in filter(None, (rule.column, *rule.columns)):
            if column not in fields:
                yield ("expect", number), f"{column!r} is no field.", ""


def _entity_problems(contract: Contract, catalogue: Catalogue) -> Iterator[Finding]:
    for role, link in contract.entities.items():
        here: Location = ("entities", role)
        if link.register_ not in catalogue.registers:
            yield here, f"there is no register {link.register_!r}.", f"registers: {', '.join(catalogue.registers)}."
            continue
        register = catalogue.registers[link.register_]
        for name in (*link.key, *link.fields.values()):
            if name not in contract.fields:
                yield here, f"{name!r} is no field of this contract.", ""
        for name in link.key:
            kind = contract.fields[name].type if name in contract.fields else None
            if kind is not None and kind not in register.kinds:
                remedy = f"kinds of {register.name}: {', '.join(register.kinds)}."
                yield (*here, "key"), f"{name!r} is of type {kind}, no kind of key of the register.", remedy
        for name in link.fields:
            if name not in register.fields:
                yield here, f"{name!r} is no field of the register {register.name}.", ""
        if register.keyed:
            yield from _keyed_problems(contract, role, register, catalogue)


def _keyed_problems(contract: Contract, role: str, register: Register, catalogue: Catalogue) -> Iterator[Finding]:
    """Yield what a keyed register cannot follow: it has one key per row, and moments tell what came after."""
    here: Location = ("entities", role)
    if contract.correctable(role):
        what = "a later row of one record may be about another entity, which a keyed register cannot follow."
        yield here, what, "put the entity's key into load.key."
    key = contract.entities[role].key
    if len(key) != 1 or (key[0] in contract.fields and not contract.fields[key[0]].required):
        yield (*here, "key"), "a keyed register needs one key in every row.", "name one field that is required."
    as_of = contract.fields.get(contract.load.as_of or "")
    if not as_of or as_of.type not in catalogue.types or catalogue.types[as_of.type].storage != "timestamp":
        what = f"the register {register.name} is keyed and orders by points in time, and load.as_of is none."
        yield ("load", "as_of"), what, "name a field of type timestamp."
    if contract.load.mode == "snapshot":
        what = "what the next snapshot lacks ends nothing in a keyed register."
        yield ("load", "mode"), what, "deliver changes, with load.deleted_when."


def _withhold_problems(contract: Contract, catalogue: Catalogue) -> Iterator[Finding]:
    if contract.withhold is None:
        return
    register = catalogue.registers.get(str(contract.from_.register_)) if contract.from_ else None
    if not follows(contract, register):
        what = "only a product of one register, without joins, sources or moments of values, can withhold rows."
        yield ("withhold",), what, "join in another product, or leave withhold: out."
    if contract.release and contract.aggregate is None and isinstance(contract.under_14, str):
        what = "children are counted among all rows whenever gold is made: none can be withheld."
        yield ("withhold",), what, "leave withhold: out, or say by which law: under_14: {exempt: REASON}."
    for name in contract.withhold.of:
        field = contract.fields.get(name)
        if field is None:
            yield ("withhold", "of"), f"{name!r} is no field.", ""
        elif field.type in catalogue.types and protection_of(field, catalogue.types) == "drop":
            yield ("withhold", "of"), f"{name!r} is dropped before gold.", "name fields that gold holds."


def _release_problems(contract: Contract) -> Iterator[Finding]:
    published, release = contract.published, contract.release
    if published and release is None:
        yield ("release",), "fields are published, but release: says no terms.", "add release:."
    if release is None:
        return
    if len(published) != sum(1 for f in contract.fields.values() if f.publish):
        yield ("fields",), "two fields are published under one name.", "rename one publish: as."
    columns = set(published) | set(contract.aggregate.measures if contract.aggregate else ())
    for column in (*release.not_identifying, *release.sensitive, *(release.key if release.key != "none" else ())):
        if column not in columns:
            yield ("release",), f"{column!r} is no published column.", f"published: {', '.join(sorted(columns))}."
    for column, reason in release.not_identifying.items():
        if len(reason.strip()) < 10:
            yield ("release", "not_identifying", column), "the reason is missing.", "say why it cannot identify."
    least = GROUP_THRESHOLD[release.mode]
    for name, spec in contract.fields.items():
        word, _, number = str(spec.publish.generalise if spec.publish else "").partition(":")
        if word == MICROAGGREGATE and number.isdecimal() and int(number) < least:
            what = f"the mean of {number} is of fewer than the {least} that a group of a {release.mode} release has."
            yield ("fields", name, "publish"), what, f"generalise: {MICROAGGREGATE}:{least}, or more."
    for field in release.only:
        if field not in contract.fields:
            yield ("release", "only"), f"{field!r} is no field.", ""


def _period_problems(contract: Contract, catalogue: Catalogue) -> Iterator[Finding]:
    period = contract.release.period if contract.release else None
    if period is None:
        return
    here: Location = ("release", "period")
    assert contract.release is not None
    if contract.release.key == "none" and contract.privacy is None and _about_people(contract, catalogue):
        # A group that stays as the last release had it would keep rows whose time is over.
        what = "rows about people wait for each other between releases, and one whose time is over must not."
        yield here, what, "remove period: and withdraw a version when its time is over, or give counts privacy:."
    if period.rule not in catalogue.periods:
        known = ", ".join(sorted(catalogue.periods)) or "none"
        yield (*here, "rule"), f"there is no rule {period.rule!r}.", f"schemas/periods.yaml has: {known}."
    for word, name in period.model_dump(by_alias=True, exclude={"rule"}).items():
        field = contract.fields.get(name) if name else None
        if field is None and name:
            yield (*here, word), f"{name!r} is no field.", ""
        elif field is not None and field.type in catalogue.types:
            spec = catalogue.types[field.type]
            if word != "class" and spec.storage != "date":
                yield (*here, word), f"{name!r} is no date.", "name a field of a date's type."
            if (field.protect or ("drop" if spec.closed else "keep")) != "keep":
                yield (*here, word), f"gold does not hold {name!r} as it is.", "protect: keep."


def _about_people(contract: Contract, catalogue: Catalogue) -> bool:
    """Tell whether rows are about people, as those are of which releases hold changes back."""
    seen = set[str]()
    one: Contract | None = contract
    while one is not None and one.name not in seen:
        seen.add(one.name)
        if one.from_ is None:
            return any(link.register_ == PEOPLE for link in one.entities.values())
        if one.from_.register_ == PEOPLE:
            return True
        one = catalogue.contracts.get(str(one.from_.dataset))
    return False


def _product_problems(contract: Contract, catalogue: Catalogue) -> Iterator[Finding]:
    source = contract.from_
    assert source is not None
    parts: tuple[ProductSource | Join, ...] = (source, *source.join)
    unknown = False
    for part in parts:
        if part.register_ and part.register_ not in catalogue.registers:
            yield ("from",), f"there is no register {part.register_!r}.", ""
            unknown = True
        if part.dataset and part.dataset not in catalogue.contracts:
            yield ("from",), f"there is no dataset {part.dataset!r}.", ""
            unknown = True
    if unknown:
        return
    so_far = _columns_of(source, catalogue)
    for column in source.where:
        if column not in so_far:
            yield ("from", "where", column), f"{column!r} is no column of what the product is made from.", ""
    for number, join in enumerate(source.join):
        there, here = _columns_of(join, catalogue), ("from", "join", number)
        for mine, theirs in join.on.items():
            if mine not in so_far or theirs not in there:
                column, whose = (mine, "the rows so far") if mine not in so_far else (theirs, "the joined table")
                yield (*here, "on"), f"{column!r} is no column of {whose}.", ""
            elif so_far[mine] != there[theirs]:
                what = f"{mine!r} is {so_far[mine]}, {theirs!r} is {there[theirs]}: they never meet."
                yield (*here, "on"), what, "join columns of one storage."
        for new, theirs in join.columns.items():
            if theirs not in there:
                yield (*here, "columns", new), f"{theirs!r} is no column of the joined table.", ""
            so_far[new] = there.get(theirs, "")
    for name, field in contract.fields.items():
        if (field.from_ or name) not in so_far:
            yield ("fields", name), f"{field.from_ or name!r} is no column the product has.", "name one with from:."


def _columns_of(part: ProductSource | Join, catalogue: Catalogue) -> dict[str, str]:
    """Return the columns of a register or a dataset's silver, with how each is stored."""
    stored = {name: spec.storage for name, spec in catalogue.types.items()}
    if part.register_:
        register = catalogue.registers[part.register_]
        known = {name: stored.get(one.type, "") for name, one in register.fields.items()}
        moment = "timestamp" if register.keyed else "date"
        told = {f"{name}_source": "text" for name in known} | {f"{name}_as_of": moment for name in known}
        return {**known, **told, "_entity_id": "text", "_kind": "text", "_status": "text"}
    known = {name: stored.get(one.type, "") for name, one in catalogue.contracts[str(part.dataset)].fields.items()}
    money = {f"{name}_currency": "text" for name, storage in known.items() if storage == "money"}
    return {**known, **money, "_batch_id": "text", "_data_date": "date", "_deleted": "boolean"}
