"""Every contract, register and type of a schemas folder, read once and checked against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from jobs.contract import Contract, TypeSpec
from jobs.errors import ContractError, RequestError
from jobs.periods import Regime, rules
from jobs.references import Location, check_references
from jobs.register import Register

M = TypeVar("M", bound=BaseModel)

try:  # libyaml is an order of magnitude faster; DAG files load contracts at every parse
    from yaml import CSafeLoader as _Safe
except ImportError:  # pragma: no cover
    from yaml import SafeLoader as _Safe  # type: ignore[assignment]


class _Loader(_Safe):
    """Read dates and the words yes, no, on, off as the text they are: a contract quotes departments' cells."""

    yaml_implicit_resolvers = {
        first: [
            (tag, re.compile(r"^(true|false)$") if tag.endswith(":bool") else pattern)
            for tag, pattern in resolvers
            if not tag.endswith(":timestamp") and not (tag.endswith(":bool") and first not in "tf")
        ]
        for first, resolvers in _Safe.yaml_implicit_resolvers.items()
    }


_TEXT, _LIST, _MAPPING = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


@dataclass(frozen=True)
class Problem:
    """Name one thing wrong in one file, with its line and what to do."""

    file: str
    line: int
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" + (f" Remedy: {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class Document:
    """Hold one YAML file with the line of each of its parts."""

    file: str
    data: Any
    node: yaml.Node | None

    def line(self, location: Location) -> int:
        """Return the line of a part, or of the nearest part around it."""
        node = self.node
        line = 1 if node is None else node.start_mark.line + 1
        for step in location:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if k.value == str(step)]
                if not found:
                    break
                line, node = found[0][0].start_mark.line + 1, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def problem(self, location: Location, what: str, remedy: str = "") -> Problem:
        """Return a problem at one part of this file."""
        where = ".".join(map(str, location))
        return Problem(self.file, self.line(location), f"{where}: {what}" if where else what, remedy)


@dataclass(frozen=True)
class Catalogue:
    """Hold all declarations of one schemas folder."""

    root: Path
    contracts: Mapping[str, Contract]
    registers: Mapping[str, Register]
    types: Mapping[str, TypeSpec]
    documents: Mapping[str, Document]
    periods: Mapping[str, Sequence[Regime]] = field(default_factory=dict)

    def contract(self, name: str) -> Contract:
        """Return one contract; raise RequestError naming the nearest ones when there is none."""
        if name not in self.contracts:
            from difflib import get_close_matches

            near = get_close_matches(name, self.contracts, n=3, cutoff=0.4)
            raise RequestError(
                f"there is no contract named {name!r}.",
                remedy=f"did you mean {', '.join(near)}?" if near else "`lake check` lists all contracts.",
            )
        return self.contracts[name]

    def datasets(self) -> list[Contract]:
        """Return the contracts that take deliveries, by name."""
        return [c for _, c in sorted(self.contracts.items()) if not c.is_product]

    def products(self) -> list[Contract]:
        """Return the contracts made from the lake's own tables, by name."""
        return [c for _, c in sorted(self.contracts.items()) if c.is_product]

    def feeding(self, register: str) -> list[Contract]:
        """Return the datasets whose rows speak about a register's entities."""
        return [c for c in self.datasets() if any(e.register_ == register for e in c.entities.values())]


def read_document(path: Path, root: Path) -> Document:
    """Read one YAML file; raise ContractError with file and line for bad syntax, a key given twice, no end."""
    file = path.relative_to(root.parent).as_posix() if path.is_relative_to(root.parent) else str(path)
    repeated: list[tuple[int, str]] = []
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            repeated += _repeated_keys(node)  # before merging puts other mappings' keys among a mapping's own
            data = _constructed(loader, node) if node is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or "not UTF-8 text"
        raise ContractError(f"not YAML: {what}.", where=f"{file}:{line}", remedy="mend the syntax.") from None
    except RecursionError:
        raise ContractError(
            "not YAML that ends: a part is within itself (&name, *name), or within too many others.",
            where=f"{file}:1", remedy="write it without.",
        ) from None
    for line, key in repeated:
        raise ContractError(f"the key {key!r} is given twice.", where=f"{file}:{line}", remedy="keep one of them.")
    return Document(file, data if data is not None else {}, node)


def _constructed(loader: _Loader, node: yaml.Node) -> Any:
    """Return what a node says: as PyYAML has it, but for texts, lists and mappings by text in a fifth of the time.

    A tag may stand before a node of any kind (`!!seq abc`): only what fits goes the fast way, PyYAML refuses the rest.
    """
    if _is_text(node):
        return node.value
    if node.tag == _LIST and isinstance(node, yaml.SequenceNode):
        return [_constructed(loader, one) for one in node.value]
    if node.tag == _MAPPING and isinstance(node, yaml.MappingNode) and all(_is_text(key) for key, _ in node.value):
        return {key.value: _constructed(loader, value) for key, value in node.value}
    try:
        return loader.construct_object(node, deep=True)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):  # of its own, for `!!int abc`
        what = "a value is not what its tag says"
        raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None


def _is_text(node: yaml.Node) -> bool:
    return node.tag == _TEXT and isinstance(node, yaml.ScalarNode)


def _repeated_keys(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):  # any other key is refused when it is read
                if key.value in seen:
                    yield key.start_mark.line + 1, key.value
                seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value)


def _no_mapping(document: Document) -> Problem:
    return document.problem((), "not a mapping.", "write `key: value` lines.")


def _build(model: type[M], document: Document, name: str, problems: list[Problem]) -> M | None:
    data = document.data
    if not isinstance(data, dict):
        problems.append(_no_mapping(document))
        return None
    try:
        return model.model_validate({**data, "name": name})
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            remedy = "remove it, or see schemas/contract.schema.json." if item["type"] == "extra_forbidden" else ""
            problems.append(document.problem(item["loc"], f"{item['msg']}.", remedy))
        return None


def _check_folder(schemas: Path) -> None:
    if not (schemas / "types.yaml").is_file():
        raise ContractError(f"no types.yaml in {schemas}.", remedy="point LAKE_SCHEMAS at a schemas folder.")


def read_catalogue(schemas: Path) -> tuple[Catalogue, list[Problem]]:
    """Read a schemas folder; return what could be read and every problem found, files in name order."""
    _check_folder(schemas)
    problems: list[Problem] = []
    documents: dict[str, Document] = {}

    def document(path: Path, name: str) -> Document | None:
        try:
            documents[name] = read_document(path, schemas)
        except ContractError as error:
            file, _, line = (error.where or "?:1").rpartition(":")
            problems.append(Problem(file, int(line), error.what, error.remedy or ""))
            return None
        return documents[name]

    found = document(schemas / "types.yaml", "types")
    types = _types(found, problems) if found else {}
    registers: dict[str, Register] = {}
    for path in sorted((schemas / "registers").glob("*.yaml")):
        if (found := document(path, f"registers/{path.stem}")) and (
            register := _build(Register, found, path.stem, problems)
        ):
            registers[path.stem] = register
    contracts: dict[str, Contract] = {}
    for path in sorted(schemas.glob("*/*.yaml")):
        if path.parent.name in ("registers", "codes"):
            continue
        name = f"{path.parent.name}/{path.stem}"
        if (found := document(path, name)) and (contract := _build(Contract, found, name, problems)):
            contracts[name] = contract
    periods: Mapping[str, Sequence[Regime]] = {}
    if (schemas / "periods.yaml").is_file() and (found := document(schemas / "periods.yaml", "periods")):
        try:
            periods = rules(found.data)
        except ValidationError as error:
            problems += [found.problem(item["loc"], f"{item['msg']}.") for item in error.errors(include_url=False)]
    return Catalogue(schemas, contracts, registers, types, documents, periods), problems


def read_types(schemas: Path) -> dict[str, TypeSpec]:
    """Return the types of a schemas folder that can be read, and look at nothing else in it.

    Raises ContractError for a folder without types, and for a file of them that is none.
    """
    _check_folder(schemas)
    document = read_document(schemas / "types.yaml", schemas)
    if not isinstance(document.data, dict):
        problem = _no_mapping(document)
        raise ContractError(problem.what, where=f"{problem.file}:{problem.line}", remedy=problem.remedy)
    return _types(document, [])


def _types(document: Document, problems: list[Problem]) -> dict[str, TypeSpec]:
    types: dict[str, TypeSpec] = {}
    if not isinstance(document.data, dict):
        problems.append(_no_mapping(document))
        return types
    for name, spec in document.data.items():
        one = Document(document.file, spec, _child(document.node, name))
        if built := _build(TypeSpec, one, name, problems):
            types[name] = built
    return types


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((v for k, v in node.value if k.value == key), None)
    return None


def load_catalogue(schemas: Path) -> Catalogue:
    """Return a schemas folder's catalogue, read once for as long as its files stay as they are.

    Raises ContractError naming file and line of every problem.
    """
    told = [(path, path.stat()) for path in sorted(schemas.rglob("*"))]
    return _read(schemas, tuple((path, one.st_mtime_ns, one.st_size) for path, one in told))


@lru_cache(maxsize=4)
def _read(schemas: Path, _state: tuple[tuple[Path, int, int], ...]) -> Catalogue:
    catalogue, problems = read_catalogue(schemas)
    problems += check_references(catalogue)
    if problems:
        first = problems[0]
        rest = f" (and {len(problems) - 1} more; `lake check` lists all)" if len(problems) > 1 else ""
        raise ContractError(f"{first.what}{rest}", where=f"{first.file}:{first.line}", remedy=first.remedy or None)
    return catalogue
