"""Inspection: everything `lake check` looks at, without touching a lake."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.catalogue import Problem, read_catalogue
from jobs.contract import json_schema
from jobs.errors import ContractError
from jobs.privacy import grades, minors
from jobs.quality.rulebook import read_rules
from jobs.references import check_references
from jobs.releases import cells
from jobs.releases.approvals import check_file
from jobs.rows.coarsening import method_named
from jobs.rows.codes import CodeBook
from jobs.rows.examples import check_examples
from jobs.rows.protection import gold_schema, published_schema
from jobs.rows.rules import rule_problem

SCHEMA_FILE = "contract.schema.json"


def inspect(schemas: Path, expectations: Path) -> tuple[list[Problem], dict[str, int]]:
    """Return every problem of a schemas folder and how many declarations it holds.

    Looks at syntax, references, rules and methods by name, grades against modes of release, examples, code lists,
    approvals, the rule book, and whether the JSON Schema beside the contracts is the one this version generates.
    """
    catalogue, problems = read_catalogue(schemas)
    problems += check_references(catalogue)
    broken = {problem.file for problem in problems}
    codes = CodeBook.load(schemas / "codes")
    for contract in catalogue.contracts.values():
        document = catalogue.documents[contract.name]
        if document.file in broken:
            continue  # what follows would only repeat it
        for name, field in contract.fields.items():
            for part, method in (("protect", field.protect), ("publish", field.publish and field.publish.generalise)):
                try:
                    found_method, _ = method_named(method or "keep")
                except ContractError as error:
                    problems.append(document.problem(("fields", name, part), error.what, error.remedy or ""))
                    continue
                if part == "protect" and found_method.whole:
                    said = (f"{method} is for a whole column.", "generalise by it under publish:.")
                    problems.append(document.problem(("fields", name, part), *said))
        for number, rule in enumerate(contract.expect):
            if what := rule_problem(rule):
                problems.append(document.problem(("expect", number), what))
        if document.file in {problem.file for problem in problems}:
            continue
        gold_schema(contract, catalogue.types)
        try:
            published_schema(contract, catalogue.types)
        except ContractError as error:
            problems.append(document.problem(tuple((error.where or "").split(".")), error.what, error.remedy or ""))
            continue
        for found in (grades.problem(contract, catalogue), minors.problem(contract, catalogue)):
            if found:
                problems.append(document.problem(*found))
        problems += [document.problem(*found) for found in cells.problems(contract, catalogue, codes)]
        problems += [document.problem(("examples",), what) for what in check_examples(contract, catalogue.types, codes)]
    problems += check_file(schemas / "approvals.csv", catalogue)
    problems += _schema_problems(schemas)
    read_rules(expectations)
    counts = {
        "contracts": len(catalogue.contracts), "registers": len(catalogue.registers), "types": len(catalogue.types)
    }
    return problems, counts


def schema_text() -> str:
    """Return the contract language as JSON Schema text, for editors."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _schema_problems(schemas: Path) -> list[Problem]:
    path = schemas / SCHEMA_FILE
    if path.is_file() and path.read_text(encoding="utf-8") != schema_text():
        place = f"{schemas.name}/{SCHEMA_FILE}"
        return [Problem(place, 1, "not what this version generates.", "`lake check --write-schema`.")]
    return []
