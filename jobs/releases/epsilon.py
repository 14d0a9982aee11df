"""The ε ledger: every draw of noise, made once, paid for before it is used, kept for whoever makes the release again.

`ops/epsilon/<dataset>/<key>.json` holds one draw: its ε, its noise, what all releases about the same rows had spent
with it. Entries are never removed: a withdrawn release has told what it told. They are as private as gold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from jobs import layers
from jobs.contract import Contract
from jobs.errors import ReleaseRefused, RequestError
from jobs.privacy import noise
from jobs.releases import listing
from jobs.releases.build import Draft
from jobs.releases.cells import roots
from jobs.releases.manifest import decimal
from jobs.releases.terms import summed_fields
from jobs.storage.leases import lease
from jobs.storage.objects import Store

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

_FOLDER = PurePosixPath("ops", "epsilon")
_PRIVATE = 0o600
_ROUNDING = 1e-9  # of sums of ε


def mechanisms(contract: Contract) -> dict[str, noise.Mechanism]:
    """Return measure → its noise: ε in equal shares, for a person whose rows are replaced by as many others."""
    assert contract.privacy is not None
    assert contract.aggregate is not None
    privacy, sums = contract.privacy, summed_fields(contract)
    share = privacy.epsilon / len(contract.aggregate.measures)
    return {
        measure: noise.mechanism(2 * privacy.most_rows * (privacy.most[measure] if measure in sums else 1), share)
        for measure in contract.aggregate.measures
    }


def spend(lake: Lake, made: Draft, batches: Sequence[Mapping[str, str]]) -> tuple[Draft, str]:
    """Return a draft with its noise, and the draw's name in the ledger; without `privacy:` the draft and an empty name.

    The draw of an attempt before is taken again when the same deliveries gave the same exact cells under the same
    terms. Raises ReleaseRefused when the budget is spent, and when exact values of the cells are out.
    """
    privacy = made.contract.privacy
    if refusal := clash(lake.objects, made.contract):
        raise refusal
    if privacy is None or made.exact is None:
        return made, ""
    name = _name(made, batches)
    waiting = {"seconds": lake.settings.lease_seconds, "wait_seconds": lake.settings.lease_wait_seconds}
    with lease(lake.objects, "ops.epsilon", **waiting, on_takeover=lambda _owner: None):
        if not lake.objects.exists(_FOLDER / name):
            before = spent(lake.objects, made.contract)
            if not affordable(lake.objects, made.contract):
                raise ReleaseRefused(
                    f"the ε budget is spent: {before:g} of {privacy.budget:g}, and the release needs "
                    f"{privacy.epsilon:g}.", dataset=made.contract.name, layer="open", where="privacy",
                    remedy="keep the last release; or lower epsilon, or raise the budget, and approve the new terms.",
                )
            _draw(lake.objects, name, made, before)
    return drawn(lake.objects, made, name), name


def foreseen(lake: Lake, made: Draft, batches: Sequence[Mapping[str, str]]) -> Draft:
    """Return a draft with the draw it has already, else as it is: zeros, and nothing is spent."""
    if made.exact is None or not lake.objects.exists(_FOLDER / _name(made, batches)):
        return made
    return drawn(lake.objects, made, _name(made, batches))


def drawn(objects: Store, made: Draft, name: str) -> Draft:
    """Return a draft with the noise of one draw, made consistent; raise RequestError when the draw is not there."""
    if not name or made.exact is None:
        return made
    if not objects.exists(_FOLDER / name):
        raise RequestError("the draw of its noise is gone: it cannot be rebuilt.", dataset=made.contract.name)
    entry, exact = json.loads(objects.read(_FOLDER / name)), made.exact
    noisy = [
        pl.Series(measure, noise.consistent(exact[measure].to_numpy() + np.array(drawn_, dtype=np.int64)))
        for measure, drawn_ in entry["noise"].items()
    ]
    table = exact.with_columns(noisy)
    return replace(made, table=table, private={
        "epsilon": entry["epsilon"], "spent": entry["spent"], "budget": entry["budget"], "of": entry["of"],
        "mechanism": "two-sided geometric noise on every cell (OpenDP)",
        "neighbours": "all rows of one person replaced by as many others",
        "most_rows": entry["most_rows"], "cells": exact.height, "measures": entry["measures"],
    })


def spent(objects: Store, contract: Contract) -> float:
    """Return the ε that every draw about a contract's rows has spent."""
    mine = set(roots(contract))
    return sum(float(one["epsilon"]) for one in _entries(objects) if mine & set(one["of"]))


def affordable(objects: Store, contract: Contract) -> bool:
    """Tell whether the budget pays for one more release."""
    privacy = contract.privacy
    return privacy is None or spent(objects, contract) + privacy.epsilon <= privacy.budget + _ROUNDING


def price(objects: Store, contract: Contract) -> str | None:
    """Return in one line what a release with noise spends and how far its cells will be off, None without noise."""
    privacy = contract.privacy
    if privacy is None:
        return None
    off = ", ".join(f"{name} ± {how.error_95} (95 %)" for name, how in mechanisms(contract).items())
    return (
        f"{privacy.epsilon:g}, with {spent(objects, contract):g} of {privacy.budget:g} spent; a cell is off by: {off}"
    )


def _draw(objects: Store, name: str, made: Draft, before: float) -> None:
    privacy, exact = made.contract.privacy, made.exact
    assert privacy is not None
    assert exact is not None
    hows = mechanisms(made.contract)
    entry = {
        "dataset": made.contract.name, "of": roots(made.contract), "terms": made.fingerprint,
        "epsilon": f"{privacy.epsilon:g}", "spent": f"{before + privacy.epsilon:g}", "budget": f"{privacy.budget:g}",
        "most_rows": privacy.most_rows, "drawn_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "measures": {
            measure: {
                "epsilon": decimal(how.epsilon, 6), "sensitivity": how.sensitivity, "scale": decimal(how.scale, 6),
                "expected_error": decimal(how.expected_error, 2), "error_95": how.error_95,
                "total_error": decimal(how.total_error(exact.height), 2),
            }
            for measure, how in hows.items()
        },
        "noise": {measure: noise.draw(exact[measure].to_numpy(), how).tolist() for measure, how in hows.items()},
    }
    objects.create(_FOLDER / name, json.dumps(entry).encode(), mode=_PRIVATE)


def _name(made: Draft, batches: Sequence[Mapping[str, str]]) -> str:
    """Name a draw after everything that would make another one: terms, deliveries, exact cells."""
    assert made.exact is not None
    total = hashlib.sha256(made.fingerprint.encode())
    total.update(json.dumps([dict(one) for one in batches], sort_keys=True).encode())
    total.update(made.exact.write_csv().encode())
    return f"{layers.slug(made.contract.name)}/{total.hexdigest()[:32]}.json"


def _entries(objects: Store) -> Iterator[dict[str, Any]]:
    for folder in objects.names(_FOLDER):
        for path in objects.names(folder, "*.json"):
            yield json.loads(objects.read(path))


def clash(objects: Store, contract: Contract) -> ReleaseRefused | None:
    """Return the refusal of a release by which a cell would be out with noise and without."""
    for one in listing.versions(objects, contract.name):
        noisy = one.manifest["risk"].get("differential_privacy") is not None
        if not one.withdrawn and noisy != (contract.privacy is not None):
            return ReleaseRefused(
                f"version {one.version} shows the same cells {'with' if noisy else 'without'} noise: together they "
                "undo it.", dataset=contract.name, layer="open",
                remedy=f"`lake withdraw {contract.name} {one.version}` first; what was seen stays seen.",
            )
    return None
