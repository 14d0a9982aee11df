"""A zone's own files, derived from its releases: index, catalogue, feed, latest versions, the open one's site map."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from jobs.layers import slug
from jobs.releases.formats import json_bytes
from jobs.releases.listing import Damaged, Released
from jobs.releases.metadata.dcat import catalogue_graph, harvest_graph
from jobs.releases.metadata.entry import CATALOGUES, Entry
from jobs.releases.metadata.rdf import json_ld, turtle
from jobs.releases.versions import version_key

SITE_MAP = "sitemap.xml"
FEED_ENTRIES = 100  # newest first; the log has them all


def portal_files(
    releases: Sequence[Released], portal: str, damaged: Sequence[Damaged] = (), mode: str = "public"
) -> dict[str, bytes]:
    """Return file name → content of what programs go by; `releases` of one mode, by dataset and version.

    `damaged`: versions that cannot be read now, of which the log knows; they are told as such, or as withdrawn, by
    number. A dataset that has no others keeps the pointer to its latest version that it has, unless all are withdrawn.
    """
    there = [(Entry.of(one.manifest), one.attestation["released_at"]) for one in releases if not one.withdrawn]
    graph = catalogue_graph(there, portal, mode)
    newest_of = {entry.dataset: (entry, issued) for entry, issued in there}  # by version: the last one stays
    harvest = harvest_graph(list(newest_of.values()), portal, mode)
    files = {
        "index.json": json_bytes(index(releases, portal, damaged)),
        "catalogue.ttl": turtle(graph),
        "catalogue.jsonld": json_ld(graph),
        "harvest/catalogue.ttl": turtle(harvest),
        "harvest/catalogue.jsonld": json_ld(harvest),
    }
    for dataset, found in groupby(releases, key=lambda one: one.dataset):
        versions = list(found)
        one = newest(versions)
        said = pointer(one) if one else {"dataset": dataset, "version": None}
        if lost := [broken.version for broken in damaged if broken.dataset == dataset and not broken.withdrawn]:
            said["damaged"] = lost
        files[f"{slug(dataset)}/latest.json"] = json_bytes(said)
    nameless = {str(broken.dataset) for broken in damaged} - {one.dataset for one in releases}
    nameless -= {str(broken.dataset) for broken in damaged if not broken.withdrawn}
    for dataset in sorted(nameless):
        files[f"{slug(dataset)}/latest.json"] = json_bytes({"dataset": dataset, "version": None})
    return files


def news_files(
    releases: Sequence[Released], portal: str, damaged: Sequence[Damaged] = (), mode: str = "public"
) -> dict[str, bytes]:
    """Return file name → content of what leads people to pages: they must be there by then.

    Search engines are led to what is open alone.
    """
    files = {"feed.atom": feed(releases, portal, damaged, mode).encode()}
    return {**files, SITE_MAP: site_map(releases, portal).encode()} if mode == "public" else files


def newest(versions: Sequence[Released]) -> Released | None:
    """Return the newest version that was not withdrawn."""
    there = [one for one in versions if not one.withdrawn]
    return there[-1] if there else None


def pointer(one: Released) -> dict[str, Any]:
    """Return where the latest version is, and the digest of its manifest."""
    return {
        "dataset": one.dataset, "version": one.version, "path": f"{slug(one.dataset)}/{one.version}/",
        "manifest_sha256": one.manifest_sha256, "released_at": one.attestation["released_at"],
    }


def index(releases: Sequence[Released], portal: str, damaged: Sequence[Damaged] = ()) -> dict[str, Any]:
    """Return every dataset with its versions, their files' digests and the changes each can be reached by.

    A dataset of which no version can be read has nothing but their numbers and its name.
    """
    datasets: list[dict[str, Any]] = []
    lost: dict[str, list[dict[str, Any]]] = {}
    for broken in damaged:
        lost.setdefault(str(broken.dataset), []).append(_lost(broken, portal))
    for name, found in groupby(releases, key=lambda one: one.dataset):
        versions = list(found)
        one, last = newest(versions), versions[-1].manifest
        datasets.append(
            {
                "name": name, "title": last["about"]["title"], "theme": last["about"]["theme"],
                "licence": last["about"]["licence"], "latest": one.version if one else None,
                "versions": sorted(
                    [*(_version(version, portal) for version in versions), *lost.pop(name, [])],
                    key=lambda said: version_key(said["version"]),
                ),
            }
        )
    datasets += [{"name": name, "latest": None, "versions": versions} for name, versions in lost.items()]
    return {"portal": portal, "datasets": datasets}


def _lost(broken: Damaged, portal: str) -> dict[str, Any]:
    place = f"{slug(str(broken.dataset))}/{broken.version}/"
    said: dict[str, Any] = {
        "version": broken.version, "released_at": broken.told_at, "path": place, "url": portal + place,
        "status": "withdrawn" if broken.withdrawn else "damaged",
    }
    if broken.withdrawn:
        said["withdrawn"] = [{"at": one["at"], "reason": one["reason"]} for one in broken.said]
    return said


def _version(one: Released, portal: str) -> dict[str, Any]:
    place = f"{slug(one.dataset)}/{one.version}/"
    said: dict[str, Any] = {
        "version": one.version, "released_at": one.attestation["released_at"], "path": place, "url": portal + place,
        "manifest_sha256": one.manifest_sha256, "rows": one.manifest["rows"], "data_date": one.manifest["data_date"],
        "breaking": one.manifest["breaking"], "status": "withdrawn" if one.withdrawn else "released",
    }
    if one.withdrawn:
        return said | {"withdrawn": [{"at": at, "reason": reason} for at, reason in _reasons(one)]}
    said["files"] = [file for file in one.manifest["files"] if file["path"] not in one.gone]
    said["changes"] = {
        window: {"from": start, "path": f"changes/from-{start}/", **one.manifest["changes"]["from"][start]}
        for window, start in one.manifest["changes"]["windows"].items()
        if not any(path.startswith(f"changes/from-{start}/") for path in one.gone)
    }
    return said


def feed(
    releases: Sequence[Released], portal: str, damaged: Sequence[Damaged] = (), mode: str = "public"
) -> str:
    """Return releases and withdrawals as an Atom feed (RFC 4287), newest first.

    It leads to the site's page of each version or, where there is no site, to its data card.
    """
    events, said, page = [], CATALOGUES[mode], "" if mode == "public" else "README.md"
    for broken in damaged:
        place, name = f"{portal}{slug(str(broken.dataset))}/{broken.version}/", f"{broken.dataset} {broken.version}"
        if broken.withdrawn:
            events += [
                (one["at"], f"{place}#withdrawn", place, f"已撤回 withdrawn: {name}", one["reason"])
                for one in broken.said
            ]
        else:
            events.append((broken.told_at, place, place, name, "此版本暂时无法读取 · This version cannot be read now."))
    for one in releases:
        title, place = one.manifest["about"]["title"], f"{portal}{slug(one.dataset)}/{one.version}/"
        name = f"{title['zh']} · {title['en']} {one.version}"
        breaking = f" Breaking: {'; '.join(one.manifest['breaking'])}." if one.manifest["breaking"] else ""
        words = f"{one.manifest['rows']} rows, data of {one.manifest['data_date']}.{breaking}"
        events.append((one.attestation["released_at"], place, place, name, words))
        for at, reason in _reasons(one):
            events.append((at, f"{place}#withdrawn", place, f"已撤回 withdrawn: {name}", reason))
    events.sort(reverse=True)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>', '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<id>{escape(portal)}feed.atom</id>", f"<title>{said.news.zh} · {said.news.en}</title>",
        f"<updated>{events[0][0] if events else '1970-01-01T00:00:00Z'}</updated>",
        f'<link rel="self" href="{escape(portal)}feed.atom"/>',
        f'<link href="{escape(portal)}{"" if mode == "public" else "index.json"}"/>',
        f"<author><name>{said.publisher.en}</name></author>",
    ]
    for at, identity, place, name, words in events[:FEED_ENTRIES]:
        lines.append(
            f'<entry><id>{escape(identity)}</id><title>{escape(name)}</title><updated>{at}</updated>'
            f'<link href="{escape(place)}{page}"/><summary>{escape(words)}</summary></entry>'
        )
    return "\n".join([*lines, "</feed>"]) + "\n"


def site_map(releases: Sequence[Released], portal: str) -> str:
    """Return the addresses of all datasets and versions for search engines (sitemaps.org 0.9)."""
    pages: dict[str, str] = {}
    for one in releases:
        day = one.attestation["released_at"][:10]
        places = [portal, f"{portal}{slug(one.dataset)}/"]
        for place in places if one.withdrawn else [*places, f"{portal}{slug(one.dataset)}/{one.version}/"]:
            pages[place] = max(day, pages.get(place, day))
    lines = [f"<url><loc>{escape(page)}</loc><lastmod>{day}</lastmod></url>" for page, day in sorted(pages.items())]
    head = ['<?xml version="1.0" encoding="utf-8"?>', '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">']
    return "\n".join([*head, *lines, "</urlset>"]) + "\n"


def _reasons(one: Released) -> list[tuple[str, str]]:
    return [(said["at"], said["reason"]) for said in one.withdrawals if one.version in said["versions"]]
