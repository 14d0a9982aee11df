"""What every description of a release says: the one entry all of them are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jobs.contract import THEMES, Contract, Join, Mode, ProductSource, Text
from jobs.layers import slug
from jobs.releases.describe import Column
from jobs.releases.metadata.departments import department

LICENCES = {
    "CC-BY-4.0": ("Creative Commons Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/"),
    "CC0-1.0": ("CC0 1.0 Universal", "https://creativecommons.org/publicdomain/zero/1.0/"),
}
OWN_TERMS = "LicenseRef-"  # SPDX: no licence of its list; the terms lie in the release
LICENCE_FILE = "LICENCE.txt"
# What a contract has by default whose data not everybody may have (GB/T 37964: 受控公开共享, 领地公开共享).
TERMS_OF_USE = {
    "LicenseRef-controlled-use": (
        Text(en="Terms of use of controlled data", zh="受控公开共享数据使用条款"),
        Text(
            en="For recipients bound by an agreement with the publisher, who has the last word where it says more or "
               "less: for the purpose agreed, not to be passed on or published, nobody in it to be identified, to be "
               "deleted when the agreement ends or a version is withdrawn.",
            zh="仅供与数据提供方签订协议的接收方按约定目的使用，以协议为准：不得转让或公开，不得识别其中的任何人，"
               "协议终止或版本撤回时应予删除。",
        ),
    ),
    "LicenseRef-enclave-use": (
        Text(en="Terms of use of enclave data", zh="领地公开共享数据使用条款"),
        Text(
            en="To be looked at in the publisher's enclave alone, by whom an agreement admits, which has the last "
               "word: nothing of it leaves the enclave unless the publisher lets it out, and nobody in it is to be "
               "identified.",
            zh="仅供协议准入的人员在数据提供方的数据领地内使用，以协议为准：未经数据提供方许可，任何内容不得带出，"
               "不得识别其中的任何人。",
        ),
    ),
}
MEDIA = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}

# The plan's domains in English, in the order of jobs.contract.THEMES.
THEMES_EN = (
    "Business registration", "Credit", "Transport", "Medical care", "Health", "Employment", "Social security",
    "Geography", "Culture", "Education", "Science and technology", "Intellectual property", "Natural resources",
    "Agriculture", "Forestry", "Environment", "Work safety", "Quality", "Statistics", "Meteorology",
)


_REGISTERS_ZH = {"persons": "人口基础信息库", "organisations": "法人单位基础信息库"}


class Cycle(NamedTuple):
    """Name an update cycle: the code of 发改高技〔2017〕1272号 field 11, its words, the EU authority table's code."""

    code: str
    text: Text
    authority: str


CYCLES = {
    "hourly": Cycle("1", Text(en="real time", zh="实时"), "HOURLY"),
    "daily": Cycle("2", Text(en="daily", zh="每日"), "DAILY"),
    "weekly": Cycle("3", Text(en="weekly", zh="每周"), "WEEKLY"),
    "monthly": Cycle("4", Text(en="monthly", zh="每月"), "MONTHLY"),
    "annual": Cycle("6", Text(en="every year", zh="每年"), "ANNUAL"),
    "irregular": Cycle("7", Text(en="irregular", zh="不定期"), "IRREG"),
}


class Catalogue(NamedTuple):
    """Say what a zone's catalogue and feed are called, who speaks in them, and what its domains are."""

    title: Text
    description: Text
    news: Text
    publisher: Text
    domains: Text


# By the mode of what a zone holds: only what everybody may have is called open.
CATALOGUES: Mapping[str, Catalogue] = {
    "public": Catalogue(
        Text(en="Open data of the city", zh="公共数据开放目录"),
        Text(en="Every open dataset and every version of it.", zh="全部开放数据集及其全部版本。"),
        Text(en="Releases of open data", zh="开放数据发布"),
        Text(en="Open data portal", zh="公共数据开放网站"),
        Text(en="Open-data domains", zh="公共数据开放领域"),
    ),
    "controlled": Catalogue(
        Text(en="Controlled data of the city", zh="受控公开共享数据目录"),
        Text(
            en="Every dataset released under control, to recipients bound by an agreement, and every version of it.",
            zh="按协议向特定接收方受控提供的全部数据集及其全部版本。",
        ),
        Text(en="Releases of controlled data", zh="受控公开共享数据发布"),
        Text(en="Controlled data releases", zh="受控公开共享数据提供方"),
        Text(en="Data domains", zh="数据领域"),
    ),
    "enclave": Catalogue(
        Text(en="Enclave data of the city", zh="领地公开共享数据目录"),
        Text(
            en="Every dataset that may be looked at in the enclave alone, and every version of it.",
            zh="仅限在数据领地内使用的全部数据集及其全部版本。",
        ),
        Text(en="Releases of enclave data", zh="领地公开共享数据发布"),
        Text(en="Enclave data releases", zh="领地公开共享数据提供方"),
        Text(en="Data domains", zh="数据领域"),
    ),
}


class DataFile(NamedTuple):
    """Give a file's size and digests."""

    bytes: int
    sha256: str
    sm3: str


@dataclass(frozen=True)
class Entry:
    """Describe one version of a dataset; `files` are its data files by name, `data_date` is ISO 8601."""

    dataset: str
    version: str
    portal: str
    title: Text
    description: Text
    licence: str
    theme: str
    contact: str
    cycle: str
    data_date: str
    rows: int
    sources: tuple[str, ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    previous: str | None = None
    files: Mapping[str, DataFile] = field(default_factory=dict)
    feed: DataFile | None = None  # what became of the organisations' identifiers in it, where it shows any
    feed_rows: int = 0
    shown_until: str | None = None  # the day from which a row of it may be public no longer
    mode: Mode = "public"
    grade: int | None = None  # of general data, GB/T 43697-2024, as the release says of its rows

    @property
    def series(self) -> str:
        """Return the address of the dataset, whatever its version."""
        return f"{self.portal}{slug(self.dataset)}/"

    @property
    def address(self) -> str:
        """Return the address of this version."""
        return f"{self.series}{self.version}/"

    @property
    def name(self) -> str:
        """Return the dataset's name as a web-safe word, such as `products-population`."""
        return self.dataset.replace("/", "-").replace("_", "-")

    @property
    def stem(self) -> str:
        """Return the data files' name without its ending."""
        return self.dataset.rpartition("/")[2]

    @property
    def publisher(self) -> Text:
        """Return the department's name."""
        return department(self.dataset)

    @property
    def spoken_sources(self) -> list[Text]:
        """Return what it was made from, as people say it."""
        return [self._spoken(one) for one in self.sources]

    def _spoken(self, source: str) -> Text:
        if source.startswith("register of "):
            return Text(en=source, zh=_REGISTERS_ZH.get(source.removeprefix("register of "), source))
        own = "/" not in source  # the dataset stands on deliveries of its own
        return Text(en=source, zh=f"{self.title.zh}（{self.publisher.zh}）" if own else source)

    @property
    def licence_name(self) -> str:
        """Return the licence's full name."""
        if self.licence in TERMS_OF_USE:
            return TERMS_OF_USE[self.licence][0].en
        return LICENCES.get(self.licence, (self.licence, ""))[0]

    @property
    def licence_named(self) -> Text:
        """Return what people call the licence, for a page in either language."""
        if self.licence in TERMS_OF_USE:
            return TERMS_OF_USE[self.licence][0]
        return Text(en=self.licence_name, zh=self.licence)

    @property
    def licence_url(self) -> str:
        """Return the address of the licence's text: terms of its own lie in the release."""
        if self.licence.startswith(OWN_TERMS):
            return f"{self.address}{LICENCE_FILE}"
        if self.licence.startswith(("http://", "https://")):
            return self.licence
        return LICENCES[self.licence][1] if self.licence in LICENCES else f"https://spdx.org/licenses/{self.licence}"

    @property
    def licence_text(self) -> str:
        """Return what the release's own file says of the licence."""
        if self.licence in TERMS_OF_USE:
            name, terms = TERMS_OF_USE[self.licence]
            lines = [name.zh, terms.zh, "", name.en, terms.en, "", self.contact]
        elif self.licence.startswith(OWN_TERMS):  # the publisher's own, of which no text is known
            lines = ["使用条款请向数据提供方索取。", "The steward gives the terms of use.", "", self.contact]
        else:
            lines = [self.licence_name, self.licence_url]
        return "\n".join([*lines, *([] if "/" in self.licence else [f"SPDX: {self.licence}"])]) + "\n"

    @property
    def theme_number(self) -> int:
        """Return the theme's place among the plan's 20 open-data domains, from 1."""
        return THEMES.index(self.theme) + 1

    @property
    def theme_en(self) -> str:
        """Return the theme in English."""
        return THEMES_EN[self.theme_number - 1]

    def document(self) -> dict[str, Any]:
        """Return the entry without its files, as a manifest holds it under `about`, `columns` and their like."""
        return {
            "dataset": self.dataset,
            "version": self.version,
            "rows": self.rows,
            "key": list(self.key),
            "data_date": self.data_date,
            "about": {
                "portal": self.portal, "title": self.title.model_dump(), "description": self.description.model_dump(),
                "licence": self.licence, "theme": self.theme, "contact": self.contact, "cycle": self.cycle,
                "sources": list(self.sources),
            },
            "columns": [column_document(one) for one in self.columns],
        }

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Entry:
        """Return the entry a manifest holds, its data files with it."""
        about, previous, risk = manifest["about"], manifest["previous"], manifest["risk"]
        wanted = set(manifest["data"].values())
        files = {
            one["path"]: DataFile(one["bytes"], one["sha256"], one["sm3"])
            for one in manifest["files"] if one["path"] in wanted
        }
        return cls(
            manifest["dataset"], manifest["version"], about["portal"], Text(**about["title"]),
            Text(**about["description"]), about["licence"], about["theme"], about["contact"], about["cycle"],
            manifest["data_date"], manifest["rows"], tuple(about["sources"]),
            tuple(_column(one) for one in manifest["columns"]), tuple(manifest["key"]),
            previous["version"] if previous else None, files, mode=risk["mode"],
            grade=risk.get("gb_t_43697", {}).get("release"),
        )


def entry_of(
    contract: Contract, columns: Sequence[Column], *, version: str, portal: str, data_date: str, rows: int,
    previous: str | None, grade: int,
) -> Entry:
    """Return the entry of a release of a contract's dataset, its files still to be written."""
    release = contract.release
    assert release is not None
    return Entry(
        contract.name, version, portal, contract.title, contract.description, release.licence, release.theme,
        contract.steward, cycle(contract.schedule), data_date, rows, tuple(_sources(contract)), tuple(columns),
        () if release.key == "none" else release.key, previous, mode=release.mode, grade=grade,
    )


def cycle(schedule: str | None) -> str:
    """Return the update cycle that a cron schedule amounts to."""
    parts = (schedule or "").split()
    if len(parts) != 5:
        return "irregular"
    _, hour, day, month, weekday = parts
    if month != "*":
        return "annual" if day.isdigit() and month.isdigit() else "irregular"
    if day != "*":
        return "monthly" if day.isdigit() else "irregular"
    if weekday != "*":
        return "weekly" if weekday.isdigit() else "irregular"
    return "daily" if hour.isdigit() else "hourly"


def column_document(one: Column) -> dict[str, Any]:
    """Return a column as a manifest holds it."""
    return {
        "name": one.name, "type": one.type, "arrow": one.arrow, "title": one.title.model_dump(),
        "description": one.derivation.model_dump(), "terms": one.terms, "codes": one.codes, "quasi": one.quasi,
        "measure": one.measure, "class": one.class_, "grade": one.grade,
    }


def _column(said: Mapping[str, Any]) -> Column:
    return Column(
        said["name"], Text(**said["title"]), Text(**said["description"]), said["type"], said["arrow"], said["terms"],
        said["codes"], said["quasi"], said["measure"], said.get("class", "ordinary"), said.get("grade", 0),
    )


def _sources(contract: Contract) -> list[str]:
    if contract.from_ is None:
        return [f"{contract.title.en} ({department(contract.name).en})"]
    parts: list[ProductSource | Join] = [contract.from_, *contract.from_.join]
    return [f"register of {part.register_}s" if part.register_ else str(part.dataset) for part in parts]
