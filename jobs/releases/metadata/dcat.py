"""DCAT-AP 3.0.0 (SEMICeu, over W3C DCAT 3): datasets as series, their versions as members, files with checksums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.contract import Text
from jobs.releases.metadata.entry import CATALOGUES, CYCLES, MEDIA, Catalogue, Entry
from jobs.releases.metadata.rdf import Graph, Iri, Literal

_AUTHORITY = "http://publications.europa.eu/resource/authority/"
_ACCESS = {"public": "PUBLIC", "controlled": "RESTRICTED", "enclave": "NON_PUBLIC"}
_GRADES = {
    1: Text(en="no harm when it is known to everybody", zh="公开不造成危害"),
    2: Text(en="slight harm to people or organisations when it leaks", zh="泄露对个人、组织权益造成轻微危害"),
    3: Text(en="serious harm to people or organisations when it leaks", zh="泄露对个人、组织权益造成严重危害"),
    4: Text(en="especially serious harm to people or organisations when it leaks", zh="泄露造成特别严重危害"),
}
_FORMATS = {".csv": "CSV", ".parquet": "PARQUET"}
_NAMES = {".csv": "CSV", ".parquet": "Parquet"}


def spoken(text: Text) -> list[Literal]:
    """Return a text in both languages."""
    return [Literal(text.en, "en"), Literal(text.zh, "zh")]


def release_graph(entry: Entry, issued: str | None = None) -> Graph:
    """Return one version with its series; `issued` (ISO 8601) is left out of what must be the same on every rebuild."""
    graph = Graph()
    series = _series(graph, entry)
    _version(graph, entry, series, issued)
    return graph


def catalogue_graph(entries: Sequence[tuple[Entry, str]], portal: str, mode: str = "public") -> Graph:
    """Return the whole catalogue of a zone: every version that is there, with the time it was issued."""
    graph, listed = Graph(), []
    for entry, issued in entries:
        series = _series(graph, entry)
        listed += [Iri(series), Iri(_version(graph, entry, series, issued))]
    _catalogue(graph, listed, {entry.licence_url for entry, _ in entries}, portal, CATALOGUES[mode])
    return graph


def harvest_graph(entries: Sequence[tuple[Entry, str]], portal: str, mode: str = "public") -> Graph:
    """Return the catalogue for harvesters that know no series, CKAN's among them: one dataset each, its newest version.

    What CKAN makes of it is one package per `dcat:Dataset`, known again by its address, and of its files by theirs: so
    both stay the same whatever the version, and only where files are downloaded moves on. `entries`: newest versions.
    """
    graph, listed = Graph(), []
    for entry, issued in entries:
        files = [Iri(_distribution(graph, entry, name, entry.series)) for name in entry.files]
        page = graph.add(f"{entry.series}index.html", "foaf:Document") if mode == "public" else _page(graph, entry)
        listed.append(Iri(graph.add(
            entry.series, "dcat:Dataset", dcat__distribution=files, dcat__landingPage=Iri(page),
            **_described(graph, entry, entry.series, issued),
        )))
    _catalogue(graph, listed, {entry.licence_url for entry, _ in entries}, portal, CATALOGUES[mode])
    return graph


def _catalogue(graph: Graph, listed: list[Iri], licences: set[str], portal: str, said: Catalogue) -> None:
    publisher = graph.add(f"{portal}#publisher", "foaf:Agent", foaf__name=spoken(said.publisher))
    graph.add(
        f"{portal}#catalogue", "dcat:Catalog",
        dct__title=spoken(said.title), dct__description=spoken(said.description),
        dct__publisher=Iri(publisher), dcat__dataset=dict.fromkeys(listed), foaf__homepage=Iri(portal),
        dct__language=_languages(graph), dcat__themeTaxonomy=Iri(f"{portal}themes"),
        dct__license=Iri(min(licences)) if len(licences) == 1 else None,
    )
    graph.add(portal, "foaf:Document")
    graph.add(f"{portal}themes", "skos:ConceptScheme", dct__title=spoken(said.domains))


def _series(graph: Graph, entry: Entry) -> str:
    graph.add(entry.series, "dcat:Dataset")  # a series is a dataset; who does not infer it is told
    return graph.add(
        entry.series, "dcat:DatasetSeries", dct__title=spoken(entry.title), dct__description=spoken(entry.description),
        dct__publisher=Iri(_publisher(graph, entry)), dcat__contactPoint=Iri(_contact(graph, entry)),
        dct__accrualPeriodicity=Iri(_cycle(graph, entry)), dcat__theme=Iri(_theme(graph, entry)),
    )


def _version(graph: Graph, entry: Entry, series: str, issued: str | None) -> str:
    files = [Iri(_distribution(graph, entry, name)) for name in entry.files]
    previous = f"{entry.series}{entry.previous}/" if entry.previous else None
    return graph.add(
        entry.address, "dcat:Dataset", dcat__inSeries=Iri(series),
        dcat__previousVersion=Iri(previous) if previous else None, dcat__distribution=files,
        dcat__landingPage=Iri(_page(graph, entry)), **_described(graph, entry, entry.address, issued),
    )


def _described(graph: Graph, entry: Entry, identifier: str, issued: str | None) -> dict[str, Any]:
    """Return what is said of a version whatever it is called."""
    return {
        "dct__title": spoken(entry.title), "dct__description": spoken(entry.description),
        "dct__identifier": Literal(identifier), "dcat__version": Literal(entry.version),
        "dct__issued": Literal(issued, kind="xsd:dateTime") if issued else None,
        "dct__modified": Literal(entry.data_date, kind="xsd:date"),
        "dcat__keyword": [Literal(entry.theme, "zh"), Literal(entry.theme_en, "en")],
        "dcat__theme": Iri(_theme(graph, entry)), "dct__publisher": Iri(_publisher(graph, entry)),
        "dcat__contactPoint": Iri(_contact(graph, entry)), "dct__accrualPeriodicity": Iri(_cycle(graph, entry)),
        "dct__language": _languages(graph), "dct__accessRights": Iri(_access(graph, entry)),
        "dct__rights": _grade(graph, entry),
    }


def _distribution(graph: Graph, entry: Entry, name: str, base: str | None = None) -> str:
    said, suffix = entry.files[name], f".{name.rpartition('.')[2]}"
    place = graph.add(entry.address, "rdfs:Resource")
    download = graph.add(f"{entry.address}{name}", "rdfs:Resource")
    media = graph.add(f"https://www.iana.org/assignments/media-types/{MEDIA[suffix]}", "dct:MediaType")
    kind = graph.add(f"{_AUTHORITY}file-type/{_FORMATS[suffix]}", "dct:MediaTypeOrExtent")
    if base:  # CKAN shows the label of an IMT, and of any other format its address
        graph.add(kind, "dct:IMT", rdfs__label=Literal(_NAMES[suffix]))
    algorithm = graph.add("http://spdx.org/rdf/terms#checksumAlgorithm_sha256", "spdx:ChecksumAlgorithm")
    checksum = graph.add(
        f"{entry.address}{name}#sha256", "spdx:Checksum", spdx__algorithm=Iri(algorithm),
        spdx__checksumValue=Literal(said.sha256, kind="xsd:hexBinary"),
    )
    available = graph.add(f"{_AUTHORITY}planned-availability/STABLE", "skos:Concept", skos__prefLabel=[
        Literal("stable", "en"), Literal("稳定", "zh"),
    ])
    licence = graph.add(entry.licence_url, "dct:LicenseDocument", dct__title=Literal(entry.licence_name, "en"))
    called = f"{base}#{name}" if base else f"{entry.address}{name}#distribution"
    return graph.add(
        called, "dcat:Distribution", dct__title=Literal(name, "en"),
        dct__description=[
            Literal(f"{entry.title.en}, version {entry.version}, as {_NAMES[suffix]}.", "en"),
            Literal(f"{entry.title.zh}，版本 {entry.version}，{_NAMES[suffix]} 格式。", "zh"),
        ],
        dcat__accessURL=Iri(place), dcat__downloadURL=Iri(download),
        dcat__mediaType=Iri(media), dct__format=Iri(kind), dct__license=Iri(licence), spdx__checksum=Iri(checksum),
        dcat__byteSize=Literal(str(said.bytes), kind="xsd:nonNegativeInteger"), dcatap__availability=Iri(available),
    )


def _access(graph: Graph, entry: Entry) -> str:
    """State who may have it (dct:accessRights, the EU's table of access rights), by the mode of release."""
    return graph.add(f"{_AUTHORITY}access-right/{_ACCESS[entry.mode]}", "dct:RightsStatement")


def _grade(graph: Graph, entry: Entry) -> Iri | None:
    """State the grade of the rows (GB/T 43697-2024, as implemented) as DCAT 3 states other rights: dct:rights."""
    if entry.grade is None:
        return None
    means = _GRADES[entry.grade]
    return Iri(graph.add(f"{entry.portal}#grade-{entry.grade}", "dct:RightsStatement", rdfs__label=[
        Literal(f"GB/T 43697-2024 (as implemented): general data, grade {entry.grade} of 4: {means.en}", "en"),
        Literal(f"数据分级（GB/T 43697-2024，按本系统实现）：一般数据第 {entry.grade} 级，{means.zh}", "zh"),
    ]))


def _publisher(graph: Graph, entry: Entry) -> str:
    department = entry.dataset.partition("/")[0]
    return graph.add(f"{entry.portal}departments/{department}", "foaf:Agent", foaf__name=spoken(entry.publisher))


def _contact(graph: Graph, entry: Entry) -> str:
    department = entry.dataset.partition("/")[0]
    return graph.add(
        f"{entry.portal}departments/{department}#contact", "vcard:Kind", vcard__fn=spoken(entry.publisher),
        vcard__hasEmail=Iri(f"mailto:{entry.contact}"),
    )


def _theme(graph: Graph, entry: Entry) -> str:
    return graph.add(
        f"{entry.portal}themes/{entry.theme_number}", "skos:Concept", skos__inScheme=Iri(f"{entry.portal}themes"),
        skos__prefLabel=[Literal(entry.theme, "zh"), Literal(entry.theme_en, "en")],
    )


def _cycle(graph: Graph, entry: Entry) -> str:
    return graph.add(f"{_AUTHORITY}frequency/{CYCLES[entry.cycle].authority}", "dct:Frequency")


def _languages(graph: Graph) -> list[Iri]:
    return [Iri(graph.add(f"{_AUTHORITY}language/{code}", "dct:LinguisticSystem")) for code in ("ENG", "ZHO")]


def _page(graph: Graph, entry: Entry) -> str:
    # Only what is open has pages on the site; every release has its data card.
    name = "index.html" if entry.mode == "public" else "README.md"
    return graph.add(f"{entry.address}{name}", "foaf:Document")
