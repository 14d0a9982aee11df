"""The rules as SQL, for every engine that speaks it; what differs between the dialects is an argument.

Tables and columns are named as in `rules`; beside them `s` (one row per person of the batch) holds `n_FIELD`, the value
that wins in the batch, and `s_FIELD`, its score, and `hit` (people of both) holds `w_FIELD`: it beats the register's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.benchmark.rules import (
    AGES_ON,
    BAND_YEARS,
    BATCH_AT,
    CHECKS,
    DEPARTMENTS,
    FIELDS,
    FIRST_YEAR,
    HISTORY,
    NARROW,
    PSEUDONYM_PREFIX,
    QUARANTINE,
    RANK,
    REASONS,
    REGISTER,
    WEIGHTS,
    WIDE,
    K,
    Policy,
)  # fmt: skip


@dataclass(frozen=True)
class Dialect:
    """Say how an engine writes text, whole division, a match of a whole pattern, and SHA-256 in hexadecimal."""

    text: str
    divided: str
    matches: Callable[[str, str], str]
    sha256: Callable[[str], str]


DUCKDB = Dialect(
    "VARCHAR", "//", lambda value, form: f"regexp_full_match({value}, '{form}')", lambda text: f"sha256({text})"
)
DATAFUSION = Dialect(
    "VARCHAR", "/", lambda value, form: f"regexp_like({value}, '^{form}$')",
    lambda text: f"encode(sha256({text}), 'hex')",
)
SPARK = Dialect("STRING", "div", lambda value, form: f"{value} RLIKE '^{form}$'", lambda text: f"sha2({text}, 256)")

_WHOLE, _OLD = "[0-9]{17}[0-9X]", "[0-9]{15}"


def judged(dialect: Dialect, department: str, source: str) -> str:
    """Return rows of an extract with id18 and the first reason against them; needs a table `known(code)`."""
    fields, div, m = ", ".join(DEPARTMENTS[department].fields), dialect.divided, dialect.matches
    total = " + ".join(f"(body {div} {10 ** (16 - n)}) % 10 * {weight}" for n, weight in enumerate(WEIGHTS))
    null, length, alphabet, division, day, check = REASONS
    return f"""
WITH spelled AS (
  SELECT rec_id, raw_id, {fields}, update_ts AS ts,
    CASE WHEN {m("raw_id", _WHOLE)} THEN raw_id ELSE upper(translate(raw_id, '{WIDE}', '{NARROW}')) END AS k
  FROM {source}),
bodies AS (
  SELECT *, CASE WHEN {m("k", _WHOLE)} THEN try_cast(substr(k, 1, 17) AS BIGINT)
    WHEN {m("k", _OLD)} THEN try_cast(substr(k, 1, 6) || '19' || substr(k, 7, 9) AS BIGINT) END AS body
  FROM spelled),
parts AS (
  SELECT *, (body {div} {10**7}) % 10000 AS y, (body {div} {10**5}) % 100 AS m, (body {div} 1000) % 100 AS d,
    body {div} {10**11} AS county, substr('{CHECKS}', cast(({total}) % 11 + 1 AS INT), 1) AS chk
  FROM bodies)
SELECT rec_id, raw_id, {fields}, ts, cast(body AS {dialect.text}) || chk AS id18,
  CASE WHEN k IS NULL OR k = '' THEN '{null}'
    WHEN character_length(k) NOT IN (15, 18) THEN '{length}'
    WHEN body IS NULL THEN '{alphabet}'
    WHEN code IS NULL THEN '{division}'
    WHEN NOT (y BETWEEN {FIRST_YEAR} AND {AGES_ON.year} AND m BETWEEN 1 AND 12 AND d BETWEEN 1 AND
      CASE WHEN m IN (4, 6, 9, 11) THEN 30
        WHEN m = 2 THEN CASE WHEN y % 4 = 0 AND (y % 100 <> 0 OR y % 400 = 0) THEN 29 ELSE 28 END
        ELSE 31 END) THEN '{day}'
    WHEN character_length(k) = 18 AND substr(k, 18, 1) <> chk THEN '{check}' END AS reason
FROM parts LEFT JOIN known ON county = code"""


def known(source: str) -> str:
    """Return the division table's codes as numbers."""
    return f"SELECT cast(division AS BIGINT) AS code FROM {source}"


def rejected(tables: dict[str, str]) -> str:
    """Return the quarantine of all departments; `tables` names each one's judged rows."""
    return " UNION ALL ".join(
        f"SELECT cast({DEPARTMENTS[name].code} AS INT) AS {', '.join(QUARANTINE)} FROM {table} WHERE reason IS NOT NULL"
        for name, table in tables.items()
    )


def latest(department: str, table: str) -> str:
    """Return a department's one row per person."""
    fields = ", ".join(DEPARTMENTS[department].fields)
    return f"""
SELECT id18, {fields}, ts FROM (
  SELECT *, row_number() OVER (PARTITION BY id18 ORDER BY ts DESC, rec_id DESC) AS nth
  FROM {table} WHERE reason IS NULL)
WHERE nth = 1"""


def scored(dialect: Dialect, tables: dict[str, str]) -> str:
    """Return all departments' values with their scores: id18, n_FIELD, s_FIELD."""
    arms = []
    for name, table in tables.items():
        values = []
        for field, rule in FIELDS.items():
            if field in DEPARTMENTS[name].fields:
                rank = rule.ranks[DEPARTMENTS[name].code]
                score = f"{rank * RANK} + ts" if rule.policy is Policy.PRIORITY else f"ts * 4 + {rank}"
                values.append(f"{field} AS n_{field}, CASE WHEN {field} IS NOT NULL THEN {score} END AS s_{field}")
            else:
                values.append(f"cast(NULL AS {dialect.text}) AS n_{field}, cast(NULL AS BIGINT) AS s_{field}")
        arms.append(f"SELECT id18, {', '.join(values)} FROM {table}")
    return " UNION ALL ".join(arms)


def resolved(scores: str, best_of: str) -> str:
    """Return one row per person: the winning value and score of each field; `best_of` is arg_max or max_by."""
    best = ", ".join(f"{best_of}(n_{f}, s_{f}) AS n_{f}, max(s_{f}) AS s_{f}" for f in FIELDS)
    return f"SELECT id18, {best} FROM ({scores}) AS u GROUP BY id18"


def wins(field: str, old: str, new: str = "s") -> str:
    """Return whether the batch's value of a field beats the register's; false where the batch has none."""
    rule = FIELDS[field]
    arms = " ".join(f"WHEN {code} THEN {rank}" for code, rank in rule.ranks.items())
    rank, time = f"CASE {old}.{field}_src {arms} END", f"{old}.{field}_ts"
    held = f"cast({rank} AS BIGINT) * {RANK} + {time}" if rule.policy is Policy.PRIORITY else f"{time} * 4 + {rank}"
    return f"coalesce({new}.s_{field} > coalesce({held}, -1), false)"


def provenance(dialect: Dialect, field: str, new: str = "") -> tuple[str, str]:
    """Return the department and the time that a winning score tells."""
    rule, score, div = FIELDS[field], f"{new}s_{field}", dialect.divided
    first = rule.policy is Policy.PRIORITY
    rank, time = (f"{score} {div} {RANK}", f"{score} % {RANK}") if first else (f"{score} % 4", f"{score} {div} 4")
    arms = " ".join(f"WHEN {rank} THEN {code}" for code, rank in rule.ranks.items())
    return f"cast(CASE {rank} {arms} END AS INT)", time


def matched(register: str, joined: str = "JOIN") -> str:
    """Return the people of register and batch side by side with w_FIELD and `chg`: a value really differs."""
    old = ", ".join(f"b.{column}" for column in REGISTER if column != "id18")
    new = ", ".join(f"s.n_{f}, s.s_{f}, {wins(f, 'b')} AS w_{f}" for f in FIELDS)
    changed = " OR ".join(f"(w_{f} AND n_{f} IS DISTINCT FROM {f})" for f in FIELDS)
    return f"""
SELECT *, ({changed}) AS chg
FROM (SELECT coalesce(b.id18, s.id18) AS id18, {old}, {new} FROM {register} AS b {joined} s ON b.id18 = s.id18) AS j"""


def closed(hit: str) -> str:
    """Return the versions that end with this batch: rows of the history."""
    return f"SELECT {', '.join(HISTORY[:-1])}, cast({BATCH_AT} AS BIGINT) AS valid_to FROM {hit} WHERE chg"


def updated(dialect: Dialect, hit: str, *, everyone: bool = False) -> str:
    """Return the people of register and batch as the register has them after it; `everyone`: of either one."""
    first = first_values(dialect)
    fixed = {column: f"coalesce({column}, {first[column]})" if everyone else column for column in ("sex", "birth")}
    values = ["id18", *(f"{value} AS {column}" for column, value in fixed.items())]
    for field in FIELDS:
        source, time = provenance(dialect, field)
        for column, new in ((field, f"n_{field}"), (f"{field}_src", source), (f"{field}_ts", time)):
            values.append(f"CASE WHEN w_{field} THEN {new} ELSE {column} END AS {column}")
    new, changed = ("WHEN version IS NULL THEN 1 ", "version IS NULL OR chg") if everyone else ("", "chg")
    values.append(f"cast(CASE {new}WHEN chg THEN version + 1 ELSE version END AS INT) AS version")
    values.append(f"cast(CASE WHEN {changed} THEN {BATCH_AT} ELSE valid_from END AS BIGINT) AS valid_from")
    return f"SELECT {', '.join(values)} FROM {hit}"


def first_values(dialect: Dialect, new: str = "") -> dict[str, str]:
    """Return the columns of a person the register does not know yet; `new` is the batch's alias with its dot."""
    digits = f"{new}id18"
    born = "|| '-' ||".join(f"substr({digits}, {start}, {count})" for start, count in ((7, 4), (11, 2), (13, 2)))
    values = {
        "id18": digits,
        "sex": f"cast(CASE WHEN cast(substr({digits}, 17, 1) AS INT) % 2 = 1 THEN 1 ELSE 2 END AS INT)",
        "birth": f"cast({born} AS DATE)",
    }
    for field in FIELDS:
        source, time = provenance(dialect, field, new)
        values |= {field: f"{new}n_{field}", f"{field}_src": source, f"{field}_ts": time}
    return values | {"version": "cast(1 AS INT)", "valid_from": f"cast({BATCH_AT} AS BIGINT)"}


def banded(dialect: Dialect, register: str) -> str:
    """Return the register with what the export groups by: dv (division) and band (five years of age)."""
    day = AGES_ON.month * 100 + AGES_ON.day
    late = f"extract(month FROM birth) * 100 + extract(day FROM birth) > {day}"
    age = f"cast({AGES_ON.year} - extract(year FROM birth) - CASE WHEN {late} THEN 1 ELSE 0 END AS INT)"
    band = f"lpad(cast({age} {dialect.divided} {BAND_YEARS} * {BAND_YEARS} AS {dialect.text}), 3, '0')"
    return f"SELECT *, coalesce(division, substr(id18, 1, 6)) AS dv, {band} AS band FROM {register}"


def grouped(table: str) -> str:
    """Return how many people share division, sex and band."""
    return f"SELECT dv, sex, band, count(*) AS n FROM {table} GROUP BY dv, sex, band"


def exported(dialect: Dialect, table: str, groups: str) -> str:
    """Return the desensitised rows of groups that are large enough."""
    pid = dialect.sha256(f"'{PSEUDONYM_PREFIX}' || id18")
    return f"""
SELECT {pid} AS pid, left(name, 1) || '**' AS name, e.sex AS sex, e.band AS age_band, e.dv AS division, ethnic,
  left(phone, 3) || '****' || right(phone, 4) AS phone, left(address, 6) || '****' AS address, marital, insured,
  left(e.dv, 2) AS prov
FROM {table} AS e JOIN {groups} AS g ON e.dv = g.dv AND e.sex = g.sex AND e.band = g.band WHERE g.n >= {K}"""


def counted(groups: str) -> str:
    """Return how many people there are, and how many stand in groups too small to export."""
    return f"SELECT sum(n) AS register, coalesce(sum(CASE WHEN n < {K} THEN n END), 0) AS suppressed FROM {groups}"
