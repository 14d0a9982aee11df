"""The contract language's words for where deliveries come from and how they are written."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Model(BaseModel):
    """Refuse unknown keys and later changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Section(Model):
    """Pick one table out of a file of several: rows before and after it are none of this dataset's."""

    after: str | None = Field(default=None, min_length=1, description="how the cell begins that stands above the table")
    before: str | None = Field(default=None, min_length=1, description="how the first cell below the table begins")
    ends_at_blank: bool = Field(default=False, description="the table ends at its first blank row")
    header_repeats: bool = Field(default=False, description="the header may come again, as where files were joined")


class Paging(Model):
    """Say how a REST source is asked for page after page; the last one is empty, short, or names no other."""

    by: Literal["page", "offset", "cursor", "link"] = "page"
    parameter: str = Field(default="page", description="query parameter with the page, offset or cursor")
    first: int = Field(default=1, ge=0, description="number of the first page, or the first offset")
    size_parameter: str | None = Field(default=None, description="query parameter with the size of a page")
    size: int = Field(default=500, ge=1, le=100_000, description="records of a page")
    next: str | None = Field(default=None, description="a/path in the answer to the next cursor or link")

    @model_validator(mode="after")
    def _complete(self) -> Paging:
        if (self.by in ("cursor", "link")) != (self.next is not None):
            raise ValueError("paging by cursor or link needs next:, the others have none")
        return self


class Source(Model):
    """Say where deliveries come from and how to read them; encoding and dialect are declared, never guessed."""

    reader: Literal[
        "csv", "fixed_width", "xlsx", "xls", "ods", "json", "jsonl", "xml", "parquet", "dbf", "database", "rest"
    ]
    path: str | None = Field(
        default=None, description="below the drop box; * matches, {date:%Y%m%d} is the data date; a database file too"
    )
    packed: Literal["zip", "gzip"] | None = Field(default=None, description="how the delivered file is compressed")
    member: str = Field(default="*", description="which files of a ZIP archive to read; * matches")
    encoding: str = Field(default="utf-8", description="such as utf-8, gb18030, gbk, big5, utf-16")
    delimiter: str = Field(default=",", min_length=1, max_length=5, description="between cells of a csv")
    quote: str = Field(default='"', max_length=1, description="around cells of a csv, doubled inside; empty: none")
    escape: str = Field(default="", max_length=1, description="before a quote inside a quoted cell, where not doubled")
    comment: str = Field(default="", description="lines of text that begin so are no records")
    line_end: Literal["lf", "cr"] = Field(default="lf", description="lf reads LF and CRLF; cr is CR alone")
    header_row: int = Field(default=1, ge=1, description="row that holds the column names, or the first of them")
    header_rows: int = Field(default=1, ge=0, le=5, description="rows of the header, joined by a space; 0: none")
    columns: tuple[str, ...] = Field(default=(), description="names of the columns where header_rows is 0")
    widths: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="column: width, in order, of a fixed_width file"
    )
    widths_in: Literal["bytes", "characters"] = Field(default="bytes", description="what widths count")
    section: Section | None = Field(default=None, description="which table, where a file or worksheet holds several")
    sheet: str | None = Field(default=None, description="worksheet; default the first")
    records: str | None = Field(default=None, description="a/path to the records in json, xml, rest; default the top")
    url: str | None = Field(default=None, description="of a database or REST source; secrets as {ENVIRONMENT_NAME}")
    headers: dict[str, str] = Field(default_factory=dict, description="HTTP headers of a REST source; secrets likewise")
    paging: Paging | None = Field(default=None, description="how a REST source is asked for further pages")
    table: str | None = Field(default=None, description="table or view of the database")
    order_by: tuple[str, ...] = Field(default=(), description="columns that order the canonical dump")

    @model_validator(mode="after")
    def _complete(self) -> Source:
        if self.reader == "database":
            if not self.table or not self.order_by:
                raise ValueError("reader: database needs table: and order_by:")
            if (self.path is None) == (self.url is None):
                raise ValueError("reader: database needs either path: (a database file) or url:")
        elif self.reader == "rest":
            if not self.url or self.path or self.table:
                raise ValueError("reader: rest needs url:, and neither path: nor table:")
        elif not self.path or self.url or self.table:
            raise ValueError(f"reader: {self.reader} needs path:, and neither url: nor table:")
        if self.path is not None and (self.path.startswith("/") or ".." in self.path.split("/")):
            raise ValueError("path: stays below the drop box: no leading slash, no ..")
        if self.packed and self.reader in ("database", "rest"):
            raise ValueError(f"reader: {self.reader} takes no packed: file")
        return self

    @model_validator(mode="after")
    def _dialect(self) -> Source:
        if (self.reader == "fixed_width") != bool(self.widths):
            raise ValueError("reader: fixed_width needs widths:, and no other reader has them")
        if self.header_rows == 0 and not (self.columns or self.widths):
            raise ValueError("header_rows: 0 needs columns: (or widths:), which name them in their order")
        if self.columns and self.header_rows:
            raise ValueError("columns: name what has no header; set header_rows: 0")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns: names a column twice")
        special = [*self.delimiter, *self.quote, *self.escape]
        if any(sign in "\r\n\0\ufeff" for sign in special) or (self.quote and self.quote in self.delimiter):
            raise ValueError("delimiter:, quote: and escape: hold no line end, and delimiter: no quote")
        if self.escape and self.escape in (self.quote, *self.delimiter):
            raise ValueError("escape: differs from quote: and delimiter: (a doubled quote needs no escape:)")
        return self

    def date_pattern(self) -> re.Pattern[str]:
        """Return a pattern over a delivered file's path; group `date` is the data date where one is declared."""
        parts = re.split(r"(\{date:[^}]+\}|\*)", self.path or "*")
        digits = {"%Y": r"\d{4}", "%m": r"\d{2}", "%d": r"\d{2}"}

        def pattern(part: str) -> str:
            if part == "*":
                return r"[^/]*"
            if not part.startswith("{date:"):
                return re.escape(part)
            inside = re.escape(part[6:-1]).replace(r"\%", "%")
            for directive, group in digits.items():
                inside = inside.replace(directive, group)
            return f"(?P<date>{inside})"

        return re.compile("".join(map(pattern, parts)) + "$")

    @property
    def date_format(self) -> str | None:
        """Return the strftime format of the date in the file name, if one is declared."""
        found = re.search(r"\{date:([^}]+)\}", self.path or "")
        return found.group(1) if found else None
