"""A small graph without blank nodes, written as Turtle and as JSON-LD: equal graphs, equal bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

PREFIXES = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcatap": "http://data.europa.eu/r5r/",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


class Iri(NamedTuple):
    """Name a thing by its address."""

    address: str


class Literal(NamedTuple):
    """Hold a text in a language, or a value of a type (a prefixed name such as `xsd:date`)."""

    value: str
    language: str = ""
    kind: str = ""


Node = Iri | Literal
_UNSAFE = re.compile(r'[<>"{}|^`\\\x00-\x20]')  # what no address holds as it stands


@dataclass
class Graph:
    """Hold statements: subject's address → predicate (prefixed name) → objects."""

    statements: dict[str, dict[str, list[Node]]] = field(default_factory=dict)

    def add(self, subject: str, kind: str, **properties: Iterable[Node] | Node | None) -> str:
        """State what a subject is and its properties (`dct__title` for `dct:title`); return its address."""
        said = self.statements.setdefault(subject, {})
        said.setdefault("rdf:type", [])
        for name, given in {"rdf__type": name_of(kind), **properties}.items():
            nodes = [given] if isinstance(given, Iri | Literal) else [] if given is None else list(given)
            objects = said.setdefault(name.replace("__", ":"), [])
            objects += [node for node in nodes if node not in objects]
        return subject


def name_of(prefixed: str) -> Iri:
    """Return the address a prefixed name stands for."""
    prefix, _, local = prefixed.partition(":")
    return Iri(PREFIXES[prefix] + local)


def turtle(graph: Graph) -> bytes:
    """Return a graph as Turtle 1.1, sorted."""
    lines = [f"@prefix {prefix}: <{address}> ." for prefix, address in PREFIXES.items()]
    for subject, said in sorted(graph.statements.items()):
        lines += ["", _address(subject)]
        listed = [(name, objects) for name, objects in sorted(said.items(), key=_types_first) if objects]
        for number, (name, objects) in enumerate(listed, 1):
            values = ", ".join(_turtle_node(node) for node in sorted(objects))
            lines.append(f"    {'a' if name == 'rdf:type' else name} {values} {'.' if number == len(listed) else ';'}")
    return ("\n".join(lines) + "\n").encode()


def json_ld(graph: Graph) -> bytes:
    """Return a graph as JSON-LD 1.1 with prefixes for context, sorted."""
    nodes = []
    for subject, said in sorted(graph.statements.items()):
        node: dict[str, Any] = {"@id": subject}
        for name, objects in sorted(said.items(), key=_types_first):
            if name == "rdf:type":
                node["@type"] = [_short(one.address) for one in sorted(objects) if isinstance(one, Iri)]
            elif objects:
                node[name] = [_json_node(one) for one in sorted(objects)]
        nodes.append(node)
    document = {"@context": PREFIXES, "@graph": nodes}
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def _types_first(one: tuple[str, Any]) -> tuple[bool, str]:
    return one[0] != "rdf:type", one[0]


def _short(address: str) -> str:
    for prefix, start in PREFIXES.items():
        if address.startswith(start):
            return f"{prefix}:{address[len(start) :]}"
    return address


def _json_node(node: Node) -> dict[str, str]:
    if isinstance(node, Iri):
        return {"@id": node.address}
    if node.language:
        return {"@value": node.value, "@language": node.language}
    return {"@value": node.value, "@type": node.kind} if node.kind else {"@value": node.value}


def _turtle_node(node: Node) -> str:
    if isinstance(node, Iri):
        return _address(node.address)
    text = json.dumps(node.value, ensure_ascii=False)  # the escapes of JSON are escapes of Turtle too
    return text + (f"@{node.language}" if node.language else f"^^{node.kind}" if node.kind else "")


def _address(address: str) -> str:
    return f"<{_UNSAFE.sub(lambda found: f'%{ord(found[0]):02X}', address)}>"
