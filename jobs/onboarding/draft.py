"""Draft a contract from a sample file: its layout, its columns, a guess at each type, and none of its values."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from jobs.catalogue import read_types
from jobs.contract import Contract
from jobs.errors import RequestError
from jobs.onboarding.guessing import guess
from jobs.onboarding.headers import refusal, refuse_data_as_header
from jobs.onboarding.precheck import records
from jobs.onboarding.recognition import SampleLayout, recognise
from jobs.onboarding.vocabulary import names
from jobs.onboarding.wording import contract_text
from jobs.rows.codes import CodeBook
from jobs.rows.judgement import REMARKS
from jobs.settings import Settings
from jobs.storage.readers import Limits

_FILE_DATE = re.compile(r"(?<!\d)(\d{4})([-_.]?)(\d{2})\2(\d{2})(?!\d)")


def draft(dataset: str, sample: Path) -> str:
    """Return the text of a contract for files like a sample: layout, fields, guessed types, invented examples.

    Nothing in it is opened, and it holds no value of the sample. Raises RequestError for a name the language does not
    allow and for a sample without a header, SourceError for a file that cannot be read at all.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*", dataset):
        raise refusal("a dataset is named department/dataset, in lower-case English.", "such as health/vaccinations.")
    if not sample.is_file():
        raise RequestError("there is no such file.", where=str(sample), remedy="name a delivered file.")
    settings = Settings()
    layout = recognise(sample, Limits.of(settings))
    types, codes = read_types(settings.schemas), CodeBook.load(settings.schemas / "codes")
    rows = _rows(dataset, sample, layout)
    refuse_data_as_header(layout.columns, rows)
    day = datetime.now(UTC).date()
    guesses = {
        name: guess(column, rows[column], types, codes, day)
        for name, column in zip(names(layout.columns), layout.columns, strict=True)
    }
    values = {text for column in rows.columns for text in rows[column].drop_nulls().unique().to_list()}
    path = f"{dataset.partition('/')[0]}/{_path_pattern(sample, values)}"
    reader, *others = layout.source.items()
    return contract_text(dataset, dict([reader, ("path", path), *others]), guesses, codes, values)


def _path_pattern(sample: Path, values: set[str]) -> str:
    """Return the file's name with its date as {date:…}; other long numbers, and words that are cells, become *."""
    stem, form = sample.stem, ""
    for found in _FILE_DATE.finditer(stem):
        year, sign, month, day = found.groups()
        if 1 <= int(month) <= 12 and 1 <= int(day) <= 31 and year[:2] in ("19", "20"):
            form = f"{{date:%Y{sign}%m{sign}%d}}"
            before, after = stem[: found.start()], stem[found.end() :]
            break
    else:
        before, after = stem, ""

    def anonymous(text: str) -> str:
        parts = re.split(r"([_\-\s.（）()]+)", re.sub(r"\d{4,}|[{}*]+", "*", text))
        return "".join("*" if part in values else part for part in parts)

    return f"{anonymous(before)}{form}{anonymous(after)}{sample.suffix}"


def _rows(dataset: str, sample: Path, layout: SampleLayout) -> pl.DataFrame:
    """Return the sample's first sound records as strings, read by the lake's own reader."""
    as_text = {"type": "text", "required": True}
    fields = {f"column_{n}": {"from": column, **as_text} for n, column in enumerate(layout.columns, 1)}
    text = {"en": "sample", "zh": "sample"}
    contract = Contract.model_validate(
        {
            "name": dataset, "title": text, "description": text, "steward": "sample@example.gov", "fields": fields,
            "source": {"path": "sample", **layout.source}, "load": {"unknown_columns": "drop"},
        }
    )
    found = next(records(sample, contract, Limits()))
    return found.filter(pl.col("_defect").is_null() | pl.col("_defect").is_in(REMARKS)).select(layout.columns)
