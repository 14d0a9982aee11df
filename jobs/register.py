"""What one YAML file says of a base register: its keys, its fields, whom it believes, when it refuses to merge."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field, model_validator

from jobs.contract import DatasetName, Name, Text
from jobs.source import Model

# Of the code that makes claims and rows where keys are judged: another one where it comes to others from the same rows.
EDITION = 2


class RegisterField(Model):
    """Describe one field of a register and who is believed about it."""

    type: Name
    title: Text
    codes: Name | None = None
    policy: Literal["preferred", "latest"] = Field(
        default="preferred", description="preferred: source rank before date; latest: date before source rank"
    )
    prefer: tuple[DatasetName, ...] = Field(default=(), description="most believed source first; the rest are equal")
    null: Literal["no_claim", "clears"] = "no_claim"
    of_key: Literal["birth_date", "sex_code", "division_code"] | None = Field(
        default=None, description="of a keyed register: what the citizen ID number says of it until a source does"
    )


class Clash(Model):
    """Say when two claims under one key speak of two different parties.

    Two contradictions among `name`, `other` and `changing`, or a wholly unlike name from a source that is not the lead.
    """

    name: Name = Field(description="field whose values must be wholly unlike to contradict each other")
    other: tuple[Name, ...] = Field(min_length=1, description="fields fixed for life: a difference is a contradiction")
    changing: tuple[Name, ...] = Field(
        default=(), description="fields that change in a life: the lead's own change of them is history"
    )
    former: Name | None = Field(
        default=None, description="field with an earlier name, under which a party may still go"
    )
    most_parties: int = Field(
        default=4, ge=1, description="more parties than this under one key: it stands for nobody, all its rows wait"
    )
    alike: tuple[tuple[Name, ...], ...] = Field(
        default=(), description="fields that, when all are equal, suggest that two keys are one party's"
    )


class Register(Model):
    """Describe a base register: its keys, its fields, whom it believes, when it refuses to merge."""

    name: Name
    title: Text
    description: Text
    kinds: tuple[Name, ...] = Field(min_length=1, description="kinds of key, best first")
    lead: tuple[DatasetName, ...] = Field(default=(), description="sources whose claims anchor a contested key")
    fields: dict[Name, RegisterField] = Field(min_length=1)
    clash_: Clash | Literal["none"] = Field(
        alias="clash", description="none: a keyed register, the key alone says who is who and no two keys are one party"
    )
    speaks: Literal["every_row", "newest_row"] = Field(
        default="every_row",
        description="of a keyed register: whether a delivery's rows about one entity all count, or the newest alone",
    )
    most_keys: int = Field(default=50, ge=2, description="an entity of more keys than this is held, never merged")

    @property
    def keyed(self) -> bool:
        """Tell whether an entity is its key: nothing is judged, joined or held."""
        return self.clash_ == "none"

    @property
    def clash(self) -> Clash:
        """Return the conflict rule; a keyed register has none."""
        assert isinstance(self.clash_, Clash)
        return self.clash_

    @property
    def rules(self) -> str:
        """Return 16 hex digits of everything that decides what the register's rows are: all but what it is called.

        Where it changes the register is made anew.
        """
        called: Any = {"title": True, "description": True, "fields": {name: {"title"} for name in self.fields}}
        told = self.model_dump(mode="json", exclude=called, exclude_defaults=True)
        by = told if self.keyed else [EDITION, told]
        return hashlib.sha256(json.dumps(by, sort_keys=True).encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _keyed(self) -> Register:
        if self.keyed and len(self.kinds) != 1:
            raise ValueError("a keyed register (clash: none) has one kind of key")
        if not self.keyed and self.speaks != "every_row":
            raise ValueError("speaks: newest_row is for keyed registers (clash: none)")
        return self

    @property
    def of_key(self) -> dict[str, str]:
        """Return field: what the key itself says of it (GB 11643), of the fields that have it from there."""
        return {name: field.of_key for name, field in self.fields.items() if field.of_key}

    @model_validator(mode="after")
    def _told_by_key(self) -> Register:
        if self.of_key and not (self.keyed and self.kinds == ("resident_id",)):
            raise ValueError("of_key is for a keyed register (clash: none) whose kind of key is resident_id")
        return self

    @model_validator(mode="after")
    def _clash_fields(self) -> Register:
        if self.keyed:
            return self
        clash = self.clash
        named = (clash.name, *clash.other, *clash.changing, clash.former, *(f for one in clash.alike for f in one))
        for name in filter(None, named):
            if name not in self.fields:
                raise ValueError(f"clash names {name}, which is no field of the register")
        return self
