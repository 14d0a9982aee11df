"""The text of a drafted contract: fields as they were guessed, everything closed, examples invented."""

from __future__ import annotations

import re
from typing import Any

import yaml

from jobs.onboarding.guessing import Guess
from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import KINDS

# Invented cells for the examples, never the sample's: the first one the sample does not hold.
INVENTED = {
    "resident_id": ("11010519491231002X", "440524188001010014"), "division_code": ("110105", "440524"),
    "credit_code": ("91350100M000100Y43", "51100000500019541K"), "organisation_code": ("M000100Y4", "500019541"),
    "registration_number": ("110108000000016", "1101051234567"),
    "taxpayer_number": ("110105M000100Y4", "110105500019541"), "passport": ("EA0000017", "E90000013"),
    "travel_permit": ("H90000017", "M90000013"),
    "permanent_resident_number": ("USA110178010113", "911840197801010017"),
    "institution_certificate": ("事证第111010500001号", "事证第111010500002号"),
    "social_organisation_certificate": ("京社证字第A00001号", "沪民证字第A00002号"),
    "date": ("2026-01-05", "2026-01-06", "2026-01-07"), "timestamp": ("2026-01-05 13:45:00", "2026-01-06 13:45:01"),
    "money": ("5360.25元", "5361.25元"), "registered_capital": ("503万元人民币", "507万元人民币"),
    "integer": ("7", "11", "1013"), "decimal": ("7.25", "11.75", "1013.5"), "boolean": ("是", "yes", "√"),
    "phone": ("13900000000", "13900000001"), "person_name": ("某甲", "某乙"), "address": ("某某路某号", "某某街某号"),
    "organisation_name": ("某某公司", "某某单位"), "free_text": ("示例说明", "示例文字"), "text": ("示例甲", "示例乙"),
}
# What must be wrong about one cell when no column is filled everywhere.
_BROKEN = {
    "resident_id": ("110105194912310021", "check_character"), "date": ("2026-02-30", "not_a_date"),
    "timestamp": ("某时", "not_a_timestamp"), "integer": ("某数", "not_a_number"), "decimal": ("某数", "not_a_number"),
    "boolean": ("某答", "not_a_boolean"), "division_code": ("000001", "division"),
}
_INTRODUCTION = """\
# Drafted by `lake new` from a sample file. It holds none of the file's values, and it lets nothing out: every field
# is dropped (or a pseudonym) before gold, and nothing is published. Decide, then run `lake check`:
# - title, description, steward, schedule: what the table is, who answers for it, when it comes (without: triggered).
# - fields: an English name, the type, whether a cell is required, and with protect: what analysts may see.
#   publish: and release: open fields to the public; leave them out until somebody has decided that.
# - entities: which person or organisation a row speaks about, if it does; expect: rules between columns."""
_LOADING = """\
# mode: merge (new and corrected rows) or snapshot (the whole table each time) need key: [fields that identify a row];
# as_of: names the date field a row speaks of. unknown_columns: keep or drop lets a new column pass."""


def contract_text(
    dataset: str, source: dict[str, Any], guesses: dict[str, Guess], codes: CodeBook, values: set[str]
) -> str:
    """Return a contract as YAML from a guess per field; its examples are, if possible, none of the sample's values."""
    department, _, name = dataset.partition("/")
    title, required = name.replace("_", " ").capitalize(), _required(guesses)
    lines = [
        _INTRODUCTION,
        _line("title: ", {"en": title, "zh": "待命名"}),
        _line("description: ", {"en": f"{title}, one row per record.", "zh": "待说明，每条记录一行。"}),
        f"steward: open-data@{department.replace('_', '-')}.example.gov",
        '# schedule: "0 2 * * *"',
        _line("source: ", source),
        "load: {mode: append, unknown_columns: stop}",
        _LOADING,
        "fields:",
    ]
    receiving: dict[str, str] = {}
    for field_name, guess in guesses.items():
        field = {**guess.field, **({"required": True} if field_name in required else {})}
        targets = {kind: _target(kind) for kind in guess.legacy}
        if targets:
            field["legacy"] = {kind: target for kind, (target, _) in targets.items()}
            receiving |= {target: kind for target, kind in targets.values() if target not in guesses}
        lines.append(f"{_line(f'  {field_name}: ', field)}  # {_remark(field_name, guess)}")
    lines += [_line(f"  {target}: ", {"type": kind, "protect": "drop"}) for target, kind in receiving.items()]
    given = {guess.field["from"]: _invented(guess.field, codes, values) for guess in guesses.values()}
    broken, reason = _rejected(guesses, given, required)
    lines += ["examples:", _line("  - given: ", given), "    accepted: true"]
    lines += [_line("  - given: ", broken), f"    rejected: [{reason}]"]
    return "\n".join(lines) + "\n"


def _required(guesses: dict[str, Guess]) -> list[str]:
    """Return the fields to require: identifiers that are never empty, else the first such column.

    Where no column is filled everywhere and no type can break a rule, the first is required all the same: a contract
    needs one row it rejects.
    """
    full = [name for name, guess in guesses.items() if guess.complete]
    keys = [name for name in full if guesses[name].field["type"] in KINDS or name.endswith(("_no", "_id"))]
    if full or any(guess.field["type"] in _BROKEN for guess in guesses.values()):
        return keys or full[:1]
    return list(guesses)[:1]


def _line(start: str, mapping: dict[str, Any]) -> str:
    """Write a mapping as a flow of YAML after the start of a line; a long one goes on below its opening brace."""
    text = yaml.safe_dump(mapping, default_flow_style=True, allow_unicode=True, sort_keys=False, width=100).strip()
    first, *more = text.split("\n")
    return "\n".join([f"{start}{first}", *(f"{' ' * (len(start) + 1)}{line.strip()}" for line in more)])


def _remark(name: str, guess: Guess) -> str:
    unnamed = "name it; " if re.fullmatch(r"column_\d+", name) else ""
    if guess.share is None:
        return f"{unnamed}no narrower type fits: give it one, or keep what may hold anything dropped"
    return f"{unnamed}{int(guess.share * 100)} % of the filled cells are of this type"


def _target(kind: str) -> tuple[str, str]:
    """Return the field that receives an older kind of identifier, and its type."""
    if kind.startswith("registration_number"):
        return "registration_number", "registration_number"
    if kind.endswith("taxpayer_number"):
        return "taxpayer_number", "taxpayer_number"
    return kind, "organisation_code" if kind == "organisation_code" else "text"


def _invented(field: dict[str, Any], codes: CodeBook, values: set[str]) -> str:
    """Return an invented cell for a field, if possible one the sample does not hold."""
    choice = tuple(codes.labels(field["codes"]).values()) if "codes" in field else INVENTED[field["type"]]
    return next((cell for cell in choice if cell not in values), choice[0])


def _rejected(guesses: dict[str, Guess], given: dict[str, str], required: list[str]) -> tuple[dict[str, str], str]:
    """Return an invented row that breaks one rule, and the reason it is rejected for."""
    if required:
        left_empty = guesses[required[0]].field["from"]
        return {column: cell for column, cell in given.items() if column != left_empty}, f"{required[0]}.required"
    name = next(name for name, guess in guesses.items() if guess.field["type"] in _BROKEN)
    cell, rule = _BROKEN[guesses[name].field["type"]]
    return {**given, guesses[name].field["from"]: cell}, f"{name}.{rule}"
