"""The contract language: what one YAML file may say about a dataset, a product, a register or a type.

A file's path is its name: `schemas/civil_affairs/deaths.yaml` describes `civil_affairs/deaths`. The models are
frozen and closed (an unknown key is an error); `jobs.catalogue` reads the files and checks them against each other.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from jobs.source import Model, Source

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
DatasetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$")]
Severity = Literal["error", "warn"]
Mode = Literal["public", "controlled", "enclave"]
# Kinds of sensitive personal information (PIPL art. 28, GB/T 45574-2025); children under 14 are `under_14`.
Special = Literal["biometric", "religion", "identity", "health", "finance", "whereabouts", "other"]

PEOPLE = "person"  # the register of people

# The 20 open-data domains of the plan (发改高技〔2017〕1449号 §三(一)4), in its order.
THEMES = (
    "企业登记", "信用", "交通", "医疗", "卫生", "就业", "社保", "地理", "文化", "教育",
    "科技", "知识产权", "自然资源", "农业", "林业", "环境", "安监", "质量", "统计", "气象",
)

COUNTED = {"s": 1_000_000, "ms": 1_000}  # units in which a timestamp may count from 1970, in microseconds

# Smallest group a released row may belong to, by mode of release (GB/T 42460-2023 annex D as implemented publicly).
GROUP_THRESHOLD: dict[str, int] = {"public": 20, "controlled": 5, "enclave": 3}


class Text(Model):
    """Hold one text in English and Chinese."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class Load(Model):
    """Say how a delivery changes what is known: row key, as-of date, deletions, drift."""

    mode: Literal["merge", "append", "snapshot"] = "append"
    key: tuple[Name, ...] = ()
    as_of: Name | None = Field(default=None, description="field with the date a row speaks of; default the data date")
    deleted_when: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="source column: cells that say the row's subject is withdrawn"
    )
    unknown_columns: Literal["stop", "keep", "drop"] = "stop"

    @model_validator(mode="after")
    def _keyed(self) -> Load:
        if self.mode != "append" and not self.key:
            raise ValueError(f"load.mode {self.mode} needs load.key: the fields that identify a row")
        return self


class RowEnvelope(Model):
    """Bound the records of one delivery: below `min` stops the batch, above `max` warns.

    A delivery without any record is refused unless the contract says `min: 0`: it is likelier to be a failed export.
    """

    min: int = Field(default=1, ge=0, description="0 where a delivery may honestly have no record, as of daily changes")
    max: int | None = Field(default=None, ge=1)


class EntityLink(Model):
    """Say which register a row feeds: by which key fields (first present wins) and with which fields."""

    register_: Name = Field(alias="register")
    key: tuple[Name, ...] = Field(min_length=1)
    fields: dict[Name, Name] = Field(default_factory=dict, description="register field: field of this dataset")


class Publish(Model):
    """Open one field to the public, maybe coarser than gold holds it."""

    as_: Name = Field(alias="as")
    generalise: str | None = None


class ContractField(Model):
    """Describe one field: where it comes from, its type, and what may leave silver of it."""

    from_: str | None = Field(default=None, alias="from")
    type: Name
    title: Text | None = None
    required: bool = False
    codes: Name | None = Field(default=None, description="code list of schemas/codes for type: code")
    unit: str | None = Field(
        default=None, description="of bare amounts of money (万元); of a timestamp that counts from 1970: s or ms"
    )
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    centenarians: bool = Field(
        default=True, description="15-digit citizen numbers with sequence 996 to 999 are of people born before 1900"
    )
    legacy: dict[Name, Name] = Field(
        default_factory=dict, description="older kind of identifier: field of this contract that receives it"
    )
    protect: str | None = None
    publish: Publish | None = None
    special: Special | None = Field(
        default=None, description="kind of sensitive personal information it tells (PIPL art. 28): of grade 4"
    )

    @property
    def unused(self) -> set[str]:
        """Return the words the language got later that say nothing here: they count in no fingerprint of before."""
        left_out = {"special": None, "centenarians": True}
        return {name for name, value in left_out.items() if getattr(self, name) == value}


class Expectation(Model):
    """State one rule of the rows or of the table; error rejects (or withholds), warn is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Name
    column: Name | None = None
    other: Name | None = None
    columns: tuple[Name, ...] = ()
    min: float | str | None = None
    max: float | str | None = None
    values: tuple[str, ...] = ()
    pattern: str | None = None
    severity: Severity = "error"


class Period(Model):
    """Say by which fields a row's time in public is reckoned: it is not released after, and what shows it is withdrawn.

    All are dates in full in gold but `class`.
    """

    rule: Name = Field(description="rule of schemas/periods.yaml")
    decided: Name = Field(description="field with the day the period begins")
    class_: Name = Field(alias="class", description="field with the code that the rule's classes name")
    until: Name | None = Field(default=None, description="field with the day on which the row's own period ends")
    repaired: Name | None = Field(default=None, description="field with the day on which repair was granted")


_TERMS_OF_USE = {mode: f"LicenseRef-{mode}-use" for mode in ("controlled", "enclave")}


class Release(Model):
    """State the terms under which a dataset is opened."""

    key: Literal["none"] | tuple[Name, ...] = "none"
    licence: str = Field(default="CC-BY-4.0", description="of data that is not public, its terms of use by default")
    theme: str
    mode: Mode = "public"
    sensitive: tuple[Name, ...] = ()
    not_identifying: dict[Name, str] = Field(default_factory=dict, description="published column: the reason why")
    utility_floor: float = Field(default=0.7, ge=0, le=1, description="least share of rows a release must keep")
    only: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict, description="field: values; other rows are out of the release's scope"
    )
    period: Period | None = Field(default=None, description="rows are public for a time only: credit repair")

    @property
    def unused(self) -> set[str]:
        """Return the words the language got later that say nothing here: they count in no fingerprint of before."""
        return {"period"} if self.period is None else set()

    @model_validator(mode="before")
    @classmethod
    def _terms_of_use(cls, said: Any) -> Any:
        """Give data that not everybody may have its own terms where the contract names none."""
        if isinstance(said, dict) and "licence" not in said and said.get("mode", "public") != "public":
            return {**said, "licence": _TERMS_OF_USE.get(str(said["mode"]), "")}
        return said

    @model_validator(mode="after")
    def _licence_of_mode(self) -> Release:
        if self.mode != "public" and not self.licence.startswith("LicenseRef-"):
            raise ValueError(f"licence: mode: {self.mode} has terms of its own, named LicenseRef-…, not {self.licence}")
        if self.mode == "public" and self.licence in _TERMS_OF_USE.values():
            raise ValueError(f"licence: {self.licence} is for data that not everybody may have")
        return self

    @field_validator("theme")
    @classmethod
    def _theme(cls, theme: str) -> str:
        if theme not in THEMES:
            raise ValueError(f"theme is one of the plan's 20 domains: {' '.join(THEMES)}")
        return theme


class Example(Model):
    """Give one invented row and what must become of it; run as a test of the contract."""

    given: dict[str, str | None]
    accepted: bool | dict[Name, str | None] | None = None
    rejected: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_outcome(self) -> Example:
        if bool(self.accepted) == bool(self.rejected):
            raise ValueError("an example says either accepted: or rejected: [reasons]")
        return self


class Join(Model):
    """Join another register or dataset to a product's rows."""

    register_: Name | None = Field(default=None, alias="register")
    dataset: DatasetName | None = None
    on: dict[Name, Name] = Field(min_length=1, description="column so far: column of the joined table")
    how: Literal["inner", "left"] = "left"
    columns: dict[Name, Name] = Field(default_factory=dict, description="new name: column of the joined table")


class ProductSource(Model):
    """Say what a product is made from: a register or a dataset, filtered and joined."""

    register_: Name | None = Field(default=None, alias="register")
    dataset: DatasetName | None = None
    where: dict[Name, tuple[str, ...] | Literal["null", "not_null"]] = Field(default_factory=dict)
    join: tuple[Join, ...] = ()

    @model_validator(mode="after")
    def _one_root(self) -> ProductSource:
        if (self.register_ is None) == (self.dataset is None):
            raise ValueError("from: names either a register or a dataset")
        return self


class Aggregate(Model):
    """Turn a product into counts (or sums) per group of its published columns."""

    measures: dict[Name, str] = Field(min_length=1, description="column: count, or sum(field)")

    @field_validator("measures")
    @classmethod
    def _known(cls, measures: dict[str, str]) -> dict[str, str]:
        for measure in measures.values():
            if measure != "count" and not re.fullmatch(r"sum\([a-z][a-z0-9_]*\)", measure):
                raise ValueError("a measure is count or sum(field)")
        return measures


class Withhold(Model):
    """Keep rows of small groups out of gold: of a product that follows a register."""

    below: int = Field(ge=2, description="smaller groups are withheld")
    of: tuple[Name, ...] = Field(min_length=1, description="fields whose values in gold make a group")


class Privacy(Model):
    """Publish a table of counts and sums with noise: differential privacy for every person in it."""

    epsilon: float = Field(gt=0, le=10, description="ε that each release spends")
    budget: float = Field(gt=0, le=100, description="ε that all releases about the same rows may spend together")
    person: Name | None = Field(default=None, description="field with the pseudonym of the person a row is about")
    most_rows: int = Field(default=1, ge=1, description="rows of one person that count; the others do not")
    most: dict[Name, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="summed measure: largest amount of one row; a larger one counts as this"
    )
    cells: dict[Name, tuple[str, ...]] = Field(
        default_factory=dict,
        description="published column: its values, or beginnings of codes as 3301*; default: its whole code list",
    )


class Exemption(Model):
    """Say by which law rows about children under 14 need no more care than others."""

    exempt: str = Field(min_length=10)


class Contract(Model):
    """Describe one dataset or product from source to release."""

    name: DatasetName
    title: Text
    description: Text
    steward: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    schedule: str | None = Field(default=None, description="cron of the dataset's DAG; none: triggered")
    source: Source | None = None
    from_: ProductSource | None = Field(default=None, alias="from")
    load: Load = Load()
    rows: RowEnvelope = RowEnvelope()
    entities: dict[Name, EntityLink] = Field(default_factory=dict)
    fields: dict[Name, ContractField] = Field(min_length=1)
    expect: tuple[Expectation, ...] = ()
    withhold: Withhold | None = None
    aggregate: Aggregate | None = None
    release: Release | None = None
    examples: tuple[Example, ...] = ()
    privacy: Privacy | None = None
    under_14: Annotated[str, StringConstraints(min_length=10)] | Exemption | None = Field(
        default=None,
        description="why no published row speaks of a child under 14, which is checked, or {exempt: by which law it"
        " may}; without it every column is sensitive",
    )

    @property
    def department(self) -> str:
        """Return the department's folder name."""
        return self.name.partition("/")[0]

    @property
    def dataset(self) -> str:
        """Return the dataset's name inside its department."""
        return self.name.partition("/")[2]

    @property
    def is_product(self) -> bool:
        """Tell whether the contract derives from the lake's own tables."""
        return self.from_ is not None

    @property
    def reads_registers(self) -> tuple[str, ...]:
        """Return the registers gold is made from."""
        parts: list[ProductSource | Join] = [self.from_, *self.from_.join] if self.from_ else []
        return tuple(part.register_ for part in parts if part.register_)

    @property
    def reads_datasets(self) -> tuple[str, ...]:
        """Return the datasets gold is made from: a dataset's own rows, or what a product names."""
        if self.from_ is None:
            return (self.name,)
        parts: list[ProductSource | Join] = [self.from_, *self.from_.join]
        return tuple(part.dataset for part in parts if part.dataset)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Return the source's column names in the order of the fields, each once, deletion columns included."""
        names = [field.from_ for field in self.fields.values() if field.from_]
        return tuple(dict.fromkeys([*names, *self.load.deleted_when]))

    def correctable(self, role: str) -> bool:
        """Tell whether a later row of one record may be about another entity: the row key does not say about whom."""
        key = self.load.key
        return self.load.mode != "append" and bool(key) and not set(self.entities[role].key) <= set(key)

    @property
    def required_columns(self) -> tuple[str, ...]:
        """Return the source columns a delivery may not lack."""
        names = [field.from_ for field in self.fields.values() if field.from_ and field.required]
        return tuple(dict.fromkeys([*names, *self.load.deleted_when]))

    @property
    def published(self) -> dict[str, str]:
        """Return published column: field, in the order of the contract."""
        return {field.publish.as_: name for name, field in self.fields.items() if field.publish}

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """Return the published columns that count as quasi-identifying: all not argued away (default closed)."""
        if self.release is None:
            return ()
        return tuple(c for c in self.published if c not in self.release.not_identifying)


class TypeSpec(Model):
    """Describe a type: what it stores, how sensitive it is. Its cleaning and rules are code of the same name."""

    name: Name
    title: Text
    storage: Literal["text", "integer", "decimal", "date", "timestamp", "boolean", "money"]
    class_: Literal["direct", "quasi", "sensitive", "ordinary"] = Field(alias="class")
    grade: int = Field(ge=1, le=4)
    codes: Name | None = Field(default=None, description="code list the type always uses")
    note: str | None = None

    @property
    def closed(self) -> bool:
        """Tell whether a field of this type is dropped before gold unless it is protected."""
        return self.class_ in ("direct", "sensitive")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a contract file, for editors."""
    schema = Contract.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Dataset or product contract of the government data lake"
    schema["properties"].pop("name")  # a file's path is its name
    schema["required"] = [key for key in schema["required"] if key != "name"]
    return schema
