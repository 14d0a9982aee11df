"""What the pages show of one dataset, read from its releases and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
from markupsafe import Markup

from jobs.contract import Text
from jobs.layers import slug
from jobs.portal import charts
from jobs.portal.profile import Profile, counts, plottable, profile
from jobs.releases.damage import Damaged
from jobs.releases.listing import Released
from jobs.releases.metadata.croissant import schema_org
from jobs.releases.metadata.departments import department
from jobs.releases.metadata.entry import CYCLES, Entry
from jobs.releases.metadata.portal import newest

FIRST_ROWS = 10
MOST_TILES = 80

Labels = dict[str, dict[str, Text]]


@dataclass(frozen=True)
class View:
    """Hold a dataset's versions, oldest first, and its newest one on offer (None when all are withdrawn).

    What that one holds is read when it is first asked for. `damaged`: versions that cannot be read now; `gone`: those
    of them that were withdrawn.
    """

    versions: tuple[Released, ...]
    latest: Released | None
    entry: Entry
    damaged: tuple[str, ...] = ()
    gone: tuple[Damaged, ...] = ()

    @cached_property
    def table(self) -> pl.DataFrame:
        """Return the public rows; none when all versions are withdrawn."""
        return pl.read_parquet(self.latest.data("parquet")) if self.latest else pl.DataFrame()

    @cached_property
    def labels(self) -> Labels:
        """Return column → code → its label."""
        return _labels(self.latest) if self.latest else {}

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """Return the profiles by column, in the table's order."""
        return {name: profile(self.table[name]) for name in self.table.columns}

    @property
    def schema_org(self) -> dict[str, Any]:
        """Return what search engines read of the dataset."""
        return schema_org(self.entry)

    @property
    def slug(self) -> str:
        """Return the dataset's folder, and its table's name in questions."""
        return slug(self.entry.dataset)

    @property
    def department(self) -> Text:
        """Return the name of the department."""
        return department(self.entry.dataset)

    @property
    def cycle(self) -> Text:
        """Return the update cycle in words."""
        return CYCLES[self.entry.cycle].text

    @property
    def shown(self) -> Released:
        """Return the version the page speaks of: the newest on offer, else the last one withdrawn."""
        return self.latest or self.versions[-1]

    @property
    def grade(self) -> str:
        """Return the data's grade as the release measured it."""
        return str(self.shown.manifest["risk"]["gb_t_42460"]["grade"])

    @property
    def released_at(self) -> str:
        """Return when the version shown was released, ISO 8601 in UTC."""
        return str(self.shown.attestation["released_at"])

    @property
    def searched(self) -> dict[str, str]:
        """Return what a search looks through: titles, and everything else said of the dataset."""
        entry = self.entry
        fields = [f"{one.name} {one.title.zh} {one.title.en}" for one in entry.columns]
        return {
            "slug": self.slug,
            "title": f"{entry.title.zh} {entry.title.en} {entry.dataset}",
            "text": " ".join(
                [entry.description.zh, entry.description.en, self.department.zh, self.department.en, entry.theme,
                 entry.theme_en, *fields]
            ),
        }

    def cell(self, column: str, value: Any, language: str) -> str:
        """Return a cell as people read it: its code's label behind it, nothing for null."""
        if value is None:
            return ""
        label = self.labels.get(column, {}).get(str(value))
        return f"{value} {getattr(label, language)}" if label and str(value) != label.zh else str(value)

    def plots(self, language: str, titles: dict[str, str]) -> list[dict[str, Any]]:
        """Return the plots people look for: heading, SVG, and its values; `titles` heads each kind."""
        documents, found = self.shown.manifest["columns"], []
        measure = next((one["name"] for one in documents if one["measure"] == "count"), None)
        named = {one.name: one.title for one in self.entry.columns}
        for column, kind in plottable(self.table, documents) if self.latest else []:
            label = getattr(named[column], language)
            title = f"{titles[kind]}：{label}" if language == "zh" else f"{titles[kind]}: {label}"
            amounts = counts(self.table, column, measure)
            spoken = [(self.cell(column, value, language), amount) for value, amount in amounts]
            svg: Markup
            if kind == "time":
                svg = charts.columns(amounts, title)
            elif kind == "division":
                amounts = sorted(amounts, key=lambda one: (-one[1], one[0]))
                if len({value[:2] for value, _ in amounts}) == 1:
                    amounts = sorted(amounts[:MOST_TILES])
                spoken = [(self.cell(column, value, language), amount) for value, amount in amounts]
                known = self.labels.get(column, {})
                rows = [(v, getattr(known[v], language) if v in known else v, amount) for v, amount in amounts]
                svg = charts.tiles(rows, title, language)
            else:
                spoken = sorted(spoken, key=lambda one: (-one[1], one[0]))
                svg = charts.bars(spoken, title)
            found.append({"title": title, "svg": svg, "values": [(n, charts.spelled(a)) for n, a in spoken]})
        return found


def view(versions: Sequence[Released], damaged: Sequence[str] = (), gone: Sequence[Damaged] = ()) -> View:
    """Look at a dataset's releases, oldest first and at least one; withdrawn data is not looked for."""
    latest = newest(versions)
    return View(tuple(versions), latest, Entry.of((latest or versions[-1]).manifest), tuple(damaged), tuple(gone))


def statements(one: Released) -> list[dict[str, Any]]:
    """Return the statements of withdrawal that name this very version."""
    return [said for said in one.withdrawals if one.version in said["versions"]]


def quality(one: Released) -> list[dict[str, Any]]:
    """Return the accounting of the deliveries a version stands on."""
    return [dict(row) for row in one.manifest["quality"]]


def search_index(views: Sequence[View]) -> bytes:
    """Return what the pages' search reads, as JSON."""
    return json.dumps([one.searched for one in views], ensure_ascii=False, separators=(",", ":")).encode()


def _labels(one: Released) -> Labels:
    found: Labels = {}
    for column in one.manifest["columns"]:
        path = one.folder / "codes" / f"{column['name']}.csv"
        if path.is_file():
            rows = pl.read_csv(path, infer_schema=False).fill_null("").iter_rows(named=True)
            found[column["name"]] = {
                row["code"]: Text(zh=row["label_zh"] or row["code"], en=row["label_en"] or row["code"]) for row in rows
            }
    return found
