"""Make the pages: a pure function from datasets and scores to HTML in two languages, every value inert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from operator import attrgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobs.contract import THEMES, Text
from jobs.layers import slug
from jobs.portal.charts import spark
from jobs.portal.datasets import FIRST_ROWS, View, quality, statements
from jobs.portal.snippets import snippets
from jobs.portal.words import LANGUAGES, breaking_zh, words
from jobs.releases.damage import Damaged
from jobs.releases.metadata.departments import department
from jobs.releases.metadata.entry import THEMES_EN, Entry

FILES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Site:
    """Say where the site will stand (its address ends with /), whether scripts were built, and assets' digests."""

    address: str
    scripted: bool
    digests: Mapping[str, str]


def shared_pages(views: Sequence[View], card: Mapping[str, Any], site: Site) -> dict[str, bytes]:
    """Return file name → page that speaks of all datasets; of their data nothing is read.

    Chinese is `NAME.html`, English `NAME.en.html`, for these as for a dataset's pages.
    """
    made: dict[str, bytes] = {}
    newest = sorted(views, key=lambda one: one.released_at, reverse=True)
    for language in reversed(LANGUAGES):  # what a reader comes to first is the last of it
        render = _Renderer(language, site)
        made |= _group_pages(newest, render)
        made[f"ask{render.end}"] = render("ask.html", "ask", views=[one for one in views if one.latest])
        made[f"scores{render.end}"] = render("scores.html", "scores", card=card)
        made[f"index{render.end}"] = render("home.html", "index", views=newest, facets=_facets(views, language))
    names = [*made, *(name for one in views for name in page_names(one))]
    made["pages.xml"] = _site_map(sorted(names), site.address, views)
    maps = "".join(f"Sitemap: {site.address}{name}\n" for name in ("sitemap.xml", "pages.xml"))
    made["robots.txt"] = f"User-agent: *\nAllow: /\n{maps}".encode()
    return made


def compile_templates() -> None:
    """Compile every template once, so that processes forked from this one need not."""
    for language in LANGUAGES:
        for file in FILES.glob("*.html"):
            _templates(language).get_template(file.name)


def _group_pages(views: Sequence[View], render: _Renderer) -> dict[str, bytes]:
    """Return file name → page of each of the 20 domains, of each department, and of all of either."""
    made: dict[str, bytes] = {}
    names = THEMES if render.language == LANGUAGES[0] else THEMES_EN
    themes = {
        str(number): (name, [one for one in views if one.entry.theme_number == number])
        for number, name in enumerate(names, 1)
    }
    found = sorted({one.entry.dataset.partition("/")[0] for one in views})
    departments = {
        name: (render.said(department(name)), [one for one in views if one.entry.dataset.startswith(f"{name}/")])
        for name in found
    }
    for kind, heading, groups in (
        ("themes", render.words["domains"], themes), ("departments", render.words["departments"], departments),
    ):
        for place, (title, some) in groups.items():
            contacts = sorted({one.entry.contact for one in some}) if kind == "departments" else []
            name = f"{kind}/{place}/index"
            made[f"{name}{render.end}"] = render(
                "group.html", name, title=title, heading=heading, views=some, contacts=contacts, groups=[],
            )
        listed = [(place, title, len(some)) for place, (title, some) in groups.items()]
        made[f"{kind}/index{render.end}"] = render(
            "group.html", f"{kind}/index", title=heading, heading="", groups=listed, views=[], contacts=[],
        )
    return made


def dataset_pages(one: View, site: Site) -> dict[str, bytes]:
    """Return file name → page of a dataset's versions, each its folder's index, then of the dataset, its folder's."""
    made: dict[str, bytes] = {}
    renderers = [_Renderer(language, site) for language in LANGUAGES]
    for version in one.versions:
        for render in renderers:
            name, entry = f"{one.slug}/{version.version}/index", Entry.of(version.manifest)
            made[f"{name}{render.end}"] = render("version.html", name, view=one, one=version, entry=entry)
    for render in renderers:
        made |= _tombstones(one.gone, render.said(one.entry.title), render)
    for render in renderers:
        made[f"{one.slug}/index{render.end}"] = render(
            "dataset.html", f"{one.slug}/index", view=one, plots=one.plots(render.language, render.plot_titles),
            rows=one.table.head(FIRST_ROWS).iter_rows(named=True), snippets=snippets(one.entry),
            quality=quality(one.shown),
        )
    return made


def gone_pages(gone: Sequence[Damaged], site: Site) -> dict[str, bytes]:
    """Return file name → page of a dataset of which nothing but versions that were withdrawn damaged is left."""
    made: dict[str, bytes] = {}
    for render in [_Renderer(language, site) for language in LANGUAGES]:
        dataset = str(gone[0].dataset)
        made |= _tombstones(gone, dataset, render)
        name = f"{slug(dataset)}/index"
        made[f"{name}{render.end}"] = render("gone.html", name, title=dataset, gone=gone, version="")
    return made


def _tombstones(gone: Sequence[Damaged], title: str, render: _Renderer) -> dict[str, bytes]:
    """Return file name → page of each version that was withdrawn damaged: when and why."""
    names = {f"{slug(str(one.dataset))}/{one.version}/index": one for one in gone}
    return {
        f"{name}{render.end}": render("gone.html", name, title=title, gone=[one], version=one.version)
        for name, one in names.items()
    }


def page_names(one: View) -> list[str]:
    """Return the names of a dataset's pages."""
    versions = [*(version.version for version in one.versions), *(gone.version for gone in one.gone)]
    folders = [one.slug, *(f"{one.slug}/{version}" for version in versions)]
    return [f"{folder}/index{_end(language)}" for folder in folders for language in LANGUAGES]


class _Renderer:
    """Fill templates in one language; what is not marked as HTML is escaped, what is not there is an error."""

    def __init__(self, language: str, site: Site) -> None:
        self.language, self.words, self.end, self.site = language, words(language), _end(language), site
        self.plot_titles = {kind: self.words[f"plot_{kind}"] for kind in ("time", "division", "category")}

    def __call__(self, template: str, name: str, **values: Any) -> bytes:
        other = next(one for one in LANGUAGES if one != self.language)
        place = {
            "root": "../" * name.count("/"), "here": f"{name}{self.end}",
            "there": f"{name.rpartition('/')[2]}{_end(other)}", "other": other, "page": name,
        }
        return _templates(self.language).get_template(template).render(site=self.site, **place, **values).encode()

    def said(self, text: Text) -> str:
        """Return a text in the page's language."""
        return str(getattr(text, self.language))


@cache  # compiling templates costs more than filling them
def _templates(language: str) -> Environment:
    """Return the templates with what all pages in a language know."""
    made = Environment(
        loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"said": attrgetter(language), "bytes": size, "share": share, "number": "{:,}".format}
    made.globals |= {
        "colon": "：" if language == "zh" else ": ", "comma": "，" if language == "zh" else ", ",
        "w": words(language), "language": language, "spark": spark, "statements": statements,
        "department": department, "breaking_zh": breaking_zh, "end": _end(language),
        "themes": list(zip(THEMES, THEMES_EN, strict=True)),
    }
    return made


def size(number: int) -> str:
    """Return a size in bytes as people read it."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= step:
            return f"{number / step:.1f} {unit}"
    return f"{number} B"


def share(value: float | None) -> str:
    """Return a share as percent, a dash for none."""
    return "—" if value is None else f"{value:.1%}"


def _end(language: str) -> str:
    return ".html" if language == LANGUAGES[0] else f".{language}.html"


def _facets(views: Sequence[View], language: str) -> dict[str, list[tuple[str, str]]]:
    """Return facet → (value, words) of what can be chosen, beside the domains, which are always all 20."""
    told = {
        "department": {one.entry.dataset.partition("/")[0]: getattr(one.department, language) for one in views},
        "grade": {one.grade: one.grade for one in views},
        "format": {"csv": "CSV", "parquet": "Parquet"},
        "cycle": {one.entry.cycle: getattr(one.cycle, language) for one in views},
    }
    return {name: sorted(values.items()) for name, values in told.items()}


def _site_map(names: Sequence[str], address: str, views: Sequence[View]) -> bytes:
    """Return the addresses of the pages with their other language (sitemaps.org 0.9)."""
    days = {one.slug: one.released_at[:10] for one in views}
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml">',
    ]
    for name in names:
        if name.endswith(".en.html"):
            continue
        day = days.get(name.partition("/")[0])
        links = "".join(
            f'<xhtml:link rel="alternate" hreflang="{language}" '
            f'href="{escape(address + name.removesuffix(".html") + _end(language))}"/>'
            for language in LANGUAGES
        )
        for language in LANGUAGES:
            place = escape(address + name.removesuffix(".html") + _end(language))
            when = f"<lastmod>{day}</lastmod>" if day else ""
            lines.append(f"<url><loc>{place}</loc>{when}{links}</url>")
    return "\n".join([*lines, "</urlset>"]).encode() + b"\n"
