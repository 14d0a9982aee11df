"""Every ecosystem's own validator accepts what a release says about itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import frictionless
import polars as pl
import pyarrow.parquet as pq
import pyshacl
import pytest
import rdflib
import yaml
from csvw import CSVW
from hypothesis import given
from hypothesis import strategies as st
from rdflib.compare import isomorphic

from jobs.contract import THEMES
from jobs.layers import Layer
from jobs.portal.serve import serving
from jobs.releases import formats, listing
from jobs.releases.fetching import fetch
from jobs.releases.metadata.croissant import schema_org
from jobs.releases.metadata.entry import CYCLES, THEMES_EN, Entry, cycle
from jobs.releases.metadata.portal import news_files, portal_files
from jobs.releases.metadata.rdf import Graph, Iri, Literal, json_ld, turtle
from jobs.releases.metadata.tabular import core_metadata
from jobs.releases.verify import verify

SHAPES = Path(__file__).parent / "dcat_ap" / "dcat-ap-3.0.0-SHACL.ttl"
DCAT = rdflib.Namespace("http://www.w3.org/ns/dcat#")
SPDX = rdflib.Namespace("http://spdx.org/rdf/terms#")
VCARD = rdflib.Namespace("http://www.w3.org/2006/vcard/ns#")


@pytest.fixture(scope="module")
def portal(three_versions) -> Path:
    return three_versions.objects.local("controlled")


@pytest.fixture(scope="module")
def release(portal) -> Path:
    return portal / "health__visits" / "1.0.2"


def document(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["health__visits/1.0.2/dcat", "catalogue", "harvest/catalogue"])
def test_the_catalogue_conforms_to_dcat_ap(portal, name):
    graph = rdflib.Graph().parse(portal / f"{name}.ttl")
    conforms, _, report = pyshacl.validate(graph, shacl_graph=rdflib.Graph().parse(SHAPES))
    assert conforms, report
    assert isomorphic(graph, rdflib.Graph().parse(portal / f"{name}.jsonld", format="json-ld"))
    assert not any(isinstance(node, rdflib.BNode) for node in graph.all_nodes())


def test_a_harvester_without_series_finds_each_dataset_once_and_knows_it_again(portal, three_versions):
    # As ckanext-dcat 2.4 reads: a package is whatever is a dcat:Dataset, known by its address, its resources by theirs.
    def packages(graph: rdflib.Graph):
        found = {}
        for one in graph.subjects(rdflib.RDF.type, DCAT.Dataset):
            files = sorted(graph.objects(one, DCAT.distribution))
            urls = [str(graph.value(file, DCAT.downloadURL)) for file in files]
            found[str(one)] = (str(graph.value(one, DCAT.version)), [str(file) for file in files], urls)
        return found

    graph = rdflib.Graph().parse(portal / "harvest/catalogue.ttl")
    assert not set(graph.subjects(rdflib.RDF.type, DCAT.DatasetSeries))
    series = "https://open-data.example.gov/controlled/health__visits/"
    (only,) = packages(graph)
    assert only == series
    version, files, urls = packages(graph)[series]
    assert version == "1.0.2"
    assert urls == [f"{series}1.0.2/visits.csv", f"{series}1.0.2/visits.parquet"]
    kinds = [graph.value(rdflib.URIRef(file), rdflib.DCTERMS.format) for file in files]
    assert [graph.value(kind, rdflib.RDF.type) for kind in kinds] == [rdflib.DCTERMS.IMT] * 2  # what it looks at first
    assert [str(graph.value(kind, rdflib.RDFS.label)) for kind in kinds] == ["CSV", "Parquet"]
    released = listing.everything(three_versions.objects, Layer.CONTROLLED)
    files_then = portal_files(released[:2], "https://open-data.example.gov/controlled/")
    earlier = rdflib.Graph().parse(data=files_then["harvest/catalogue.ttl"])
    before, same, others = packages(earlier)[series]
    assert (before, same) == ("1.0.1", files)
    assert others == [url.replace("1.0.2", "1.0.1") for url in urls]
    (catalogue,) = graph.subjects(rdflib.RDF.type, DCAT.Catalog)
    assert [str(one) for one in graph.objects(catalogue, DCAT.dataset)] == [series]


def test_the_shapes_would_find_a_dataset_without_a_title(release):
    graph = rdflib.Graph().parse(release / "dcat.ttl")
    graph.remove((None, rdflib.DCTERMS.title, None))
    conforms, _, _ = pyshacl.validate(graph, shacl_graph=rdflib.Graph().parse(SHAPES))
    assert not conforms


def test_the_catalogue_has_every_version_in_its_series(portal):
    graph = rdflib.Graph().parse(portal / "catalogue.ttl")
    series = rdflib.URIRef("https://open-data.example.gov/controlled/health__visits/")
    members = {str(one) for one in graph.subjects(DCAT.inSeries, series)}
    assert members == {f"{series}{version}/" for version in ("1.0.0", "1.0.1", "1.0.2")}
    last = rdflib.URIRef(f"{series}1.0.2/")
    assert graph.value(last, DCAT.previousVersion) == rdflib.URIRef(f"{series}1.0.1/")
    assert {one.language for one in graph.objects(last, rdflib.DCTERMS.title)} == {"en", "zh"}
    assert graph.value(last, rdflib.DCTERMS.issued)


@pytest.mark.parametrize("name", ["health__visits/1.0.2/dcat", "catalogue"])
def test_the_catalogue_says_who_may_have_a_version_and_its_grade(portal, release, name):
    graph = rdflib.Graph().parse(portal / f"{name}.ttl")
    version = rdflib.URIRef("https://open-data.example.gov/controlled/health__visits/1.0.2/")
    access = graph.value(version, rdflib.DCTERMS.accessRights)
    assert str(access) == "http://publications.europa.eu/resource/authority/access-right/RESTRICTED"
    stated = graph.value(version, rdflib.DCTERMS.rights)
    assert graph.value(stated, rdflib.RDF.type) == rdflib.DCTERMS.RightsStatement
    grade = document(release / "risk.json")["gb_t_43697"]["release"]
    said = {one.language: str(one) for one in graph.objects(stated, rdflib.RDFS.label)}
    assert f"grade {grade} of 4" in said["en"]
    assert f"第 {grade} 级" in said["zh"]


def test_the_dictionary_says_class_and_grade_of_every_column(release):
    columns = {row["column"]: row for row in pl.read_csv(release / "dictionary.csv").iter_rows(named=True)}
    told = {one["name"]: one for one in document(release / "manifest.json")["columns"]}
    assert {name: (row["class"], row["grade"]) for name, row in columns.items()} == {
        name: (one["class"], one["grade"]) for name, one in told.items()
    }
    assert columns["birth_band"]["class"] == "quasi"
    assert max(row["grade"] for row in columns.values()) <= document(release / "risk.json")["gb_t_43697"]["release"]


def test_the_catalogue_names_files_and_digests(release):
    graph = rdflib.Graph().parse(release / "dcat.ttl")
    listed = {
        str(graph.value(one, DCAT.downloadURL)).rpartition("/")[2]:
            str(graph.value(graph.value(one, rdflib.URIRef("http://spdx.org/rdf/terms#checksum")),
                            rdflib.URIRef("http://spdx.org/rdf/terms#checksumValue")))
        for one in graph.subjects(rdflib.RDF.type, DCAT.Distribution)
    }
    sums = dict(reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines())
    assert {name: digest.lower() for name, digest in listed.items()} == {
        name: sums[name] for name in ("visits.csv", "visits.parquet")
    }


def test_a_harvester_of_ckan_finds_all_it_makes_a_package_and_its_resources_from(portal):
    """The mapping of ckanext-dcat's profile `euro_dcat_ap_3`: what it reads of datasets and distributions."""
    graph = rdflib.Graph().parse(portal / "catalogue.ttl")
    assert isomorphic(graph, rdflib.Graph().parse(portal / "catalogue.jsonld"))
    versions = set(graph.subjects(DCAT.inSeries))
    assert len(versions) == 3

    def one(node, *path):
        for step in path:
            (node,) = graph.objects(node, step)
        return str(node)

    for version in versions:
        assert one(version, rdflib.DCTERMS.identifier) == str(version)
        (contact,) = graph.objects(version, DCAT.contactPoint)
        (publisher,) = graph.objects(version, rdflib.DCTERMS.publisher)
        for node, named in ((contact, VCARD.fn), (publisher, rdflib.FOAF.name)):  # it takes its own language, or any
            assert {(said.language, str(said)) for said in graph.objects(node, named)} == {
                ("en", "Health"), ("zh", "卫生健康部门")
            }
        assert one(version, DCAT.contactPoint, VCARD.hasEmail) == "mailto:open-data@health.example.gov"
        assert {str(word) for word in graph.objects(version, DCAT.keyword)} == {"卫生", "Health"}
        for step in (rdflib.DCTERMS.issued, rdflib.DCTERMS.modified, DCAT.version, DCAT.landingPage):
            assert one(version, step)
        files = list(graph.objects(version, DCAT.distribution))
        assert {one(file, DCAT.mediaType).partition("media-types/")[2] for file in files} == {
            "text/csv", "application/vnd.apache.parquet"
        }
        for file in files:
            path = portal / one(file, DCAT.downloadURL).removeprefix("https://open-data.example.gov/controlled/")
            assert one(file, DCAT.byteSize) == str(path.stat().st_size)
            assert one(file, SPDX.checksum, SPDX.checksumValue).lower() == sha256(path.read_bytes()).hexdigest()
            assert one(file, rdflib.DCTERMS.license) == f"{version}LICENCE.txt"
            assert one(file, DCAT.accessURL) == str(version)


def test_the_data_package_is_valid_and_its_data_is_read(release):
    report = frictionless.validate(str(release / "datapackage.json"), type="package")
    assert report.valid, report.flatten(["type"])
    assert {task.stats["rows"] for task in report.tasks} == {146}


def test_croissant_is_valid_and_its_records_load(release):
    import mlcroissant  # loads much that only this test needs

    dataset = mlcroissant.Dataset(str(release / "croissant.json"))
    assert dataset.metadata.issues.errors == set()
    assert dataset.metadata.issues.warnings == set()
    records = list(dataset.records("rows"))
    rows = pl.read_parquet(release / "visits.parquet")
    assert len(records) == rows.height
    first = {name.partition("/")[2]: value and value.decode() for name, value in records[0].items()}
    assert first == rows.row(0, named=True)


def test_csvw_is_valid_and_reads_codes_as_text(release):
    table = CSVW(str(release / "visits.csv-metadata.json"), validate=True)
    assert table.is_valid
    rows = table.to_json(minimal=True)
    assert len(rows) == 146
    assert rows[0]["division_code"] == "330100"


def test_the_page_of_a_search_engine_has_what_it_asks_for(release):
    said = document(release / "schema.jsonld")
    assert {"name", "description", "license", "creator", "distribution", "version"} <= set(said)
    assert said["@type"] == "Dataset"
    assert all(len(one["sha256"]) == 64 for one in said["distribution"])


def test_the_core_metadata_has_the_thirteen_elements_of_the_guide(release):
    said = document(release / "core-metadata.json")
    assert len(said) == 13
    assert [one["字段"] for one in said["信息项信息"]] == ["division_code", "sex_code", "birth_band", "remark"]


@pytest.mark.parametrize(
    ("mode", "shared", "opened"),
    [("public", "1 无条件共享", "1"), ("controlled", "2 有条件共享", "0"), ("enclave", "2 有条件共享", "0")],
)
def test_only_what_is_public_is_said_to_be_open_to_everybody(release, mode, shared, opened):
    entry = replace(Entry.of(document(release / "manifest.json")), mode=mode)
    said = core_metadata(entry)
    assert (said["共享属性"]["共享类型"], said["开放属性"]["是否向社会开放"]) == (shared, opened)
    assert (said["共享属性"]["共享条件"] is None) == (said["开放属性"]["开放条件"] is not None) == (mode == "public")
    assert schema_org(entry)["isAccessibleForFree"] == (mode == "public")


def test_a_controlled_card_calls_nothing_open(release):
    text = (release / "README.zh.md").read_text(encoding="utf-8")
    assert "| 领域 | 5 卫生 |" in text
    assert "开放" not in text


def test_controlled_data_has_terms_of_use_that_lie_in_it_and_nothing_says_that_its_licence_is_open(release, portal):
    files = [path for path in release.iterdir() if path.is_file() and path.suffix != ".parquet"]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert [name for name, text in texts.items() if "CC-BY" in text or "creativecommons" in text] == []
    assert "受控公开共享数据使用条款" in texts["LICENCE.txt"]
    assert "not to be passed on" in texts["LICENCE.txt"]
    address = "https://open-data.example.gov/controlled/health__visits/1.0.2/LICENCE.txt"
    (licence,) = document(release / "datapackage.json")["licenses"]
    assert (licence["name"], licence["path"]) == ("LicenseRef-controlled-use", address)
    assert document(release / "schema.jsonld")["license"] == document(release / "croissant.json")["license"] == address
    assert f"| terms of use | [Terms of use of controlled data]({address}) |" in texts["README.md"]
    assert f"| 使用条款 | [受控公开共享数据使用条款]({address}) |" in texts["README.zh.md"]
    assert f"Terms of use of controlled data: {address}" in texts["odcs.yaml"]
    (dataset,) = document(portal / "index.json")["datasets"]
    assert dataset["licence"] == "LicenseRef-controlled-use"


def test_the_data_contract_is_one_by_the_standards_linter(release, tmp_path):
    linter = Path(sys.executable).with_name("odcslint")

    def judged(text: str):
        (tmp_path / "odcs.yaml").write_text(text, encoding="utf-8")
        return subprocess.run([linter, "check", "odcs.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False)

    contract = (release / "odcs.yaml").read_text(encoding="utf-8")
    good = judged(contract)
    assert good.returncode == 0, good.stdout + good.stderr
    assert judged(contract.replace("kind: DataContract", "kind: Contract")).returncode == 1
    assert judged(contract.replace("logicalType: object", "logicalType: heap")).returncode == 1


def test_the_data_contract_names_every_column_and_its_type(release):
    said = yaml.safe_load((release / "odcs.yaml").read_text(encoding="utf-8"))
    assert (said["kind"], said["apiVersion"], said["version"]) == ("DataContract", "v3.0.2", "1.0.2")
    columns = pl.read_parquet(release / "visits.parquet").columns
    assert [one["name"] for one in said["schema"][0]["properties"]] == columns


def test_no_two_descriptions_disagree(release):
    manifest = document(release / "manifest.json")
    names = [one["name"] for one in manifest["columns"]]
    assert [one["name"] for one in document(release / "datapackage.json")["resources"][0]["schema"]["fields"]] == names
    assert [one["@id"] for one in document(release / "croissant.json")["recordSet"][0]["field"]] == [
        f"rows/{name}" for name in names
    ]
    assert [one["name"] for one in document(release / "visits.csv-metadata.json")["tableSchema"]["columns"]] == names
    entry = Entry.of(manifest)
    assert entry.document() == {key: manifest[key] for key in entry.document()}
    for file in ("datapackage.json", "croissant.json", "schema.jsonld"):
        assert document(release / file)["version"] == "1.0.2"


def test_the_card_says_the_same_in_both_languages(release):
    chinese, english = ((release / name).read_text(encoding="utf-8") for name in ("README.zh.md", "README.md"))
    figures = [set(re.findall(r"\d+\.\d{6}", text)) for text in (chinese, english)]
    assert figures[0] == figures[1] != set()
    for text in (chinese, english):
        assert "1.0.2" in text
        assert "open-data@health.example.gov" in text


def test_feed_and_site_map_are_well_formed_and_complete(portal, three_versions):
    atom = {"a": "http://www.w3.org/2005/Atom"}
    feed = ElementTree.parse(portal / "feed.atom").getroot()
    assert all(feed.find(f"a:{name}", atom) is not None for name in ("id", "title", "updated", "author"))
    entries = feed.findall("a:entry", atom)
    assert len(entries) == 3
    for entry in entries:
        assert all(entry.findtext(f"a:{name}", namespaces=atom) for name in ("id", "title", "updated", "summary"))
    assert [one.find("a:link", atom).attrib["href"] for one in entries] == [
        f"https://open-data.example.gov/controlled/health__visits/{version}/README.md" for version in
        ("1.0.2", "1.0.1", "1.0.0")
    ]  # there is no site
    released = listing.everything(three_versions.objects, Layer.CONTROLLED)
    opened = news_files(released, "https://open-data.example.gov/")
    pages = [one.text for one in ElementTree.fromstring(opened["sitemap.xml"]).iter() if one.tag.endswith("loc")]
    assert len(pages) == 5
    assert all(page.startswith("https://open-data.example.gov/") for page in pages)
    assert not (portal / "sitemap.xml").exists()


def test_the_index_leads_to_every_file_by_its_digest(portal):
    (dataset,) = document(portal / "index.json")["datasets"]
    assert dataset["latest"] == document(portal / "health__visits" / "latest.json")["version"] == "1.0.2"
    for version in dataset["versions"]:
        for file in version["files"]:
            assert (portal / version["path"] / file["path"]).stat().st_size == file["bytes"]
        for change in version["changes"].values():
            assert (portal / version["path"] / change["path"] / "added.parquet").is_file()


def test_the_plans_domains_have_their_english_names_and_cycles_their_codes():
    assert len(THEMES_EN) == len(THEMES) == 20
    schedules = {
        None: "irregular", "0 2 * * *": "daily", "*/5 * * * *": "hourly", "0 2 * * 1": "weekly", "0 2 1 * *": "monthly",
        "0 2 1 1 *": "annual", "@daily": "irregular",
    }
    assert {schedule: cycle(schedule) for schedule in schedules} == schedules
    assert set(schedules.values()) <= set(CYCLES)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)


@given(st.lists(st.tuples(st.integers(0, 3), TEXTS, st.sampled_from(["", "en", "zh"])), max_size=8))
def test_a_graph_reads_the_same_from_turtle_and_json_ld(statements):
    graph = Graph()
    for number, text, language in statements:
        said = [Literal(text, language), Iri(f"https://a.example/{number}")]
        graph.add(f"https://a.example/{number}", "dcat:Dataset", dct__title=said)
    one = rdflib.Graph().parse(data=turtle(graph), format="turtle")
    other = rdflib.Graph().parse(data=json_ld(graph), format="json-ld")
    assert isomorphic(one, other)
    texts = {(str(node), node.language or "") for node in one.objects(None, rdflib.DCTERMS.title)
             if isinstance(node, rdflib.Literal)}
    assert texts == {(text, language) for _, text, language in statements}


# -- files fit for range reads, on disk and over HTTP ------------------------------------------------------------------
def test_parquet_is_written_for_range_reads(tmp_path):
    rows = pl.DataFrame({"n": range(300_000), "text": [f"{n:06}" for n in range(300_000)]})
    columns = [_column("n", "int64"), _column("text", "string")]
    formats.write_parquet(rows, columns, {}, tmp_path / "a.parquet")
    said = pq.ParquetFile(tmp_path / "a.parquet").metadata
    assert said.num_row_groups == 3
    assert all(said.row_group(n).num_rows <= 1 << 17 for n in range(3))
    group = said.row_group(1)
    assert (group.column(0).statistics.min, group.column(0).statistics.max) == (131_072, 262_143)
    assert group.column(0).has_column_index
    assert group.sorting_columns[0].column_index == 0
    assert pl.read_parquet(tmp_path / "a.parquet").equals(rows)


def _column(name, arrow):
    from jobs.contract import Text
    from jobs.releases.describe import Column

    words = Text(en=name, zh=name)
    return Column(name, words, words, "string", arrow, "text > keep > keep")


@pytest.fixture(scope="module")
def address(portal) -> Iterator[str]:
    with serving(portal) as server:
        yield server.address


def test_a_release_is_verified_where_it_is_served(release, address, tmp_path):
    folder = fetch(f"{address}health__visits/1.0.2/", tmp_path)
    found = verify(folder)
    assert found.problems == []
    assert ("chain", "holds", "follows 1.0.1") in found.rows
