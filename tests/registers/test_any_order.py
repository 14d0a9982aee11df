"""No order of deliveries, retractions, decisions and undos, and no repetition, changes what they come to."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.registers.assertions import DIFFERENT, PERSON, SAME, SCHEMA, UNSURE, difference, frame, in_force, rulings
from jobs.registers.cases import cases, decision, of_pair, undone
from jobs.registers.fold import fold
from jobs.registers.identities import identities
from jobs.registers.nearness import near, sharing
from jobs.registers.reopening import contradictions, joined
from jobs.registers.resolution import findings, resolved
from tests.registers.firms import (
    BLUE,
    FIRM,
    GREEN,
    KEY,
    KINDS,
    LEAD,
    OTHER,
    RANKS,
    RED,
    THIRD,
    TYPES,
    answer,
    claim,
    firms,
    marks,
    resolve,
)


@dataclass
class Lake:
    """A register that takes events one by one and touches only what they touch, as the stage does."""

    claims: list[dict[str, Any]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    entries: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={**SCHEMA, "_commit": pl.Int64}))
    ever: list[dict[str, Any]] = field(default_factory=list)
    commit: int = 0

    def take(self, *events: tuple[str, Any]) -> None:
        self.commit += 1
        touched: set[str] = set()
        for what, value in events:
            if what == "deliver":
                fresh = [] if value[0]["_batch_id"] in {one["_batch_id"] for one in self.claims} else value
                self.claims += [one for one in fresh if one["_batch_id"] not in self.gone]
                self.ever += value
                touched |= {one["_key_id"] for one in value}
            elif what == "retract":
                self.gone.add(value)
                touched |= {one["_key_id"] for one in self.claims if one["_batch_id"] == value}
                self.claims = [one for one in self.claims if one["_batch_id"] != value]
            else:
                self._enter(frame([value]))
                touched |= {value[name] for name in ("subject", "left", "right") if value[name]}
        before = in_force(self.entries)
        mine = firms([one for one in self.claims if one["_key_id"] in touched])
        _, wanted = findings(mine, FIRM, rulings(before))
        rules = before.filter(~pl.col("rule").is_in(["alike@1", "near@1", "contradiction@1"]))
        self._enter(difference(rules, wanted, pl.Series(sorted(touched), dtype=pl.String)))
        theirs = pl.col("left").is_in(touched) | pl.col("right").is_in(touched)
        pairs = sharing(marks(self.ever)).filter(theirs)
        ends = {*pairs["left"], *pairs["right"]}
        known = before.filter((pl.col("rule") == "near@1") & theirs)
        wanted = near(pairs, firms([one for one in self.claims if one["_key_id"] in ends]), FIRM)
        self._enter(difference(known, wanted, known["subject"]))
        theirs |= pl.col("subject").is_in(touched)
        joins = joined(before).filter(theirs)
        known = before.filter((pl.col("rule") == "contradiction@1") & theirs)
        self._enter(difference(known, contradictions(joins, firms(self.claims), FIRM), known["subject"]))

    def _enter(self, rows: pl.DataFrame) -> None:
        self.entries = pl.concat([self.entries, rows.with_columns(pl.lit(self.commit, pl.Int64).alias("_commit"))])

    def state(self) -> tuple[Any, ...]:
        handed = self.entries.filter(pl.col("rule") == PERSON).select(list(SCHEMA))
        whole = resolved(firms(self.claims), handed, FIRM, marks(self.claims))
        force = in_force(self.entries)
        found = identities(force, RANKS, FIRM.most_keys)
        rules = whole.force.filter(pl.col("rule") != "alike@1")
        assert force.rows() == rules.rows()  # what was kept step by step is what all claims together say
        rows = fold(whole.placed, FIRM, TYPES, {})
        return force.rows(), found.map.rows(), cases(force, found).rows(), rows.rows()


names = st.sampled_from([RED, BLUE, GREEN, "红星机械厂", None])
drawn_claims = st.builds(
    lambda keys, source, batch, day, name, born, boss: claim(
        " ".join(sorted(keys)), source, f"b{batch}", day, name=name, established_on=born, representative=boss
    ),
    st.sets(st.sampled_from(["A2", "A3", "C2", "C3", "R2", "R3", "T2"]), min_size=1, max_size=3),
    st.sampled_from([LEAD, OTHER, THIRD]), st.integers(1, 4), st.integers(1, 9), names,
    st.sampled_from([date(1990, 1, 1), date(1999, 9, 9), None]), st.sampled_from(["李红", "赵国强", None]),
)


@settings(max_examples=2 * settings.default.max_examples // 3)  # each is a dozen runs of the register
@given(st.lists(drawn_claims, min_size=2, max_size=10), st.integers(0, 10_000), st.data())
def test_any_order_of_deliveries_retractions_decisions_and_undos_ends_the_same(
    rows: list[dict[str, Any]], seed: int, data: st.DataObject
) -> None:
    for number, row in enumerate(rows):
        row["_source_row"] = number
    ids = sorted({row["_batch_id"] for row in rows})
    batches = {batch: [row for row in rows if row["_batch_id"] == batch] for batch in ids}
    whole = resolve(*rows)
    handed: list[dict[str, Any]] = []
    for case in whole.cases.iter_rows(named=True):
        for day in range(data.draw(st.integers(0, 2))):
            chosen = data.draw(st.sampled_from([SAME, DIFFERENT, UNSURE]))
            knows = data.draw(st.none() | st.sets(st.sampled_from(sorted({row["_evidence"] for row in rows}))))
            handed += decision(case, answer(chosen, day + 1), KEY, knows)
        if data.draw(st.booleans()):
            handed += undone(frame(handed), case["id"], answer("undo", 5))
    parted = of_pair(("A2", KINDS["A"]), ("R2", KINDS["R"]), whole.force)
    handed += decision(parted, answer(DIFFERENT), KEY) if data.draw(st.booleans()) else []
    events: list[tuple[str, Any]] = [("deliver", batch) for batch in batches.values()]
    events += [("decide", row) for row in handed]
    if data.draw(st.booleans()):
        events.append(("retract", data.draw(st.sampled_from(sorted(batches)))))
    calm, wild = Lake(), Lake()
    calm.take(*events)
    chance = random.Random(seed)
    shuffled = chance.sample(events, len(events)) + chance.sample(events, len(events) // 2)
    while shuffled:
        size = chance.randint(1, 3)
        wild.take(*shuffled[:size])
        shuffled = shuffled[size:]
    assert wild.state() == calm.state()
