"""Clashes: when two claims under one key cannot speak of the same party."""

from __future__ import annotations

import polars as pl
from rapidfuzz import fuzz

from jobs.contract import Clash, Register

LIKE_ORGANISATIONS = 50.0  # rapidfuzz ratio, percent; below it two names share little more than a legal form


def held(claims: pl.DataFrame, register: Register) -> pl.Series:
    """Return for every claim whether it contradicts its key and so must wait for a decision.

    The earliest claim of a lead source anchors the key: claims that clash with it are held, the others stay. A
    clash without any lead claim holds every claim of the key. The answer depends on the claims alone, not on their
    order.
    """
    clash, lead = register.clash, pl.col("_dataset").is_in(register.lead)
    rows = claims.with_row_index("_at")
    evidence = [clash.name, *clash.other, *([clash.former] if clash.former else [])]
    able = rows.filter(pl.col(clash.name).is_not_null())
    several = able.group_by("_entity_id").agg(pl.col(clash.name).n_unique().alias("n")).filter(pl.col("n") > 1)
    able = able.join(several.select("_entity_id"), on="_entity_id", how="semi")
    if able.is_empty():
        return pl.Series("held", [False] * claims.height, pl.Boolean)
    order = ["_as_of", "_delivered_on", *evidence, "_dataset", "_batch_id", "_source_file", "_source_row"]
    anchors = able.filter(lead).sort(order, nulls_last=True).unique("_entity_id", keep="first", maintain_order=True)
    pairs = able.join(anchors.select("_entity_id", *evidence), on="_entity_id", how="inner", suffix="_other")
    against = pairs.filter(_clashing(pairs, clash))["_at"]
    orphans = able.join(anchors, on="_entity_id", how="anti")
    some = orphans.select("_entity_id", *evidence).unique()
    pairs = some.join(some, on="_entity_id", how="inner", suffix="_other")
    contested = pairs.filter(_clashing(pairs, clash)).select("_entity_id").unique()
    waiting = rows.join(contested, on="_entity_id", how="semi")["_at"]
    return rows["_at"].is_in(pl.concat([against, waiting]).implode()).alias("held")


def _clashing(pairs: pl.DataFrame, clash: Clash) -> pl.Series:
    """Return whether the names are wholly unlike and another field differs; an absent value contradicts nothing."""
    differs = pl.any_horizontal([(pl.col(f) != pl.col(f"{f}_other")).fill_null(False) for f in clash.other])
    suspects = pairs.with_row_index("_pair").filter(differs & (pl.col(clash.name) != pl.col(f"{clash.name}_other")))
    names = [clash.name, *([clash.former] if clash.former else [])]
    unlike = [
        not any(
            like(mine, theirs)
            for mine in row[: len(names)]
            for theirs in row[len(names) :]
            if mine is not None and theirs is not None
        )
        for row in suspects.select(*names, *[f"{name}_other" for name in names]).iter_rows()
    ]
    found = suspects["_pair"].filter(pl.Series(unlike, dtype=pl.Boolean))
    return pairs.with_row_index("_pair")["_pair"].is_in(found.implode())


def like(one: str, other: str) -> bool:
    """Tell whether two names may be one party's.

    Chinese personal names (up to four characters) are alike when they share a character of the given name, since a
    shared surname is no evidence; longer names by the share of characters in common.
    """
    if one == other:
        return True
    if max(len(one), len(other)) <= 4:
        return bool(set(one[1:]) & set(other[1:]))
    return fuzz.ratio(one, other) >= LIKE_ORGANISATIONS
