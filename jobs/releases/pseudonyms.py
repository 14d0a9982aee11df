"""Pseudonyms of what leaves the lake: every release has its own key, so that no two can be joined by them.

A published pseudonym is made from gold's, by the same function with the release's key: nobody outside can go back to
gold, from gold to another release, or from one release to the next. The key's id stands in the manifest.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from jobs import layers
from jobs.contract import Contract
from jobs.privacy.keyring import Key, KeyRing
from jobs.releases import listing
from jobs.rows.coarsening import SUPPRESSED
from jobs.rows.pseudonymisation import pseudonyms

if TYPE_CHECKING:
    from jobs.releases.build import Draft
    from jobs.releases.listing import Released
    from jobs.storage.objects import Store

_LONGEST_PURPOSE = 64
NEVER_THE_SAME = "every release has pseudonyms of its own"


def columns(contract: Contract) -> list[str]:
    """Return the published columns that hold pseudonyms."""
    return [
        field.publish.as_ for field in contract.fields.values() if field.publish and field.protect == "pseudonym"
    ]


def purpose(dataset: str) -> str:
    """Return the purpose of a dataset's release keys in the key ring; each release has the next key of it."""
    name = f"release_{layers.slug(dataset)}"
    if len(name) <= _LONGEST_PURPOSE:
        return name
    return f"{name[: _LONGEST_PURPOSE - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def check(objects: Store, contract: Contract) -> None:
    """Open the keys a release needs, and do nothing else; raise StorageError when one is gone or does not open."""
    if not columns(contract):
        return
    ring, last = KeyRing.of(objects), _last(objects, contract)
    if last is not None and (key_id := last.manifest["keys"].get("pseudonym")) and not last.withdrawn:
        ring.by_id(purpose(contract.name), key_id)
    ring.every()


def keyed(objects: Store, made: Draft, *, fresh: bool = True) -> Draft:
    """Return a draft with its release's pseudonyms: the last release's where all else is as it was, else of a new key.

    `fresh=False` makes no key: a draft that needs one comes back as it is, to look at only.
    """
    if not columns(made.contract):
        return made
    ring, name = KeyRing.of(objects), purpose(made.contract.name)
    last = _last(objects, made.contract)
    gone = last is None or last.withdrawn or listing.withdrawn_last(objects, made.contract.name, last.zone)
    known = "" if last is None or gone else str(last.manifest["keys"].get("pseudonym", ""))
    if known and last is not None:
        same = with_key(made, ring.by_id(name, known))
        if same.content == last.manifest["content"] and made.terms == last.manifest["terms"]:
            return same
    if not fresh:
        return made
    ring.ensure(name)
    return with_key(made, ring.rotate(name) if _used(objects, made, ring, name) else ring.current(name))


def by_id(objects: Store, made: Draft, key_id: str) -> Draft:
    """Return a draft with the pseudonyms of one release's key; raise StorageError when it is not in the ring."""
    if not key_id:
        return made
    return with_key(made, KeyRing.of(objects).by_id(purpose(made.contract.name), key_id))


def with_key(made: Draft, key: Key) -> Draft:
    """Return a draft with its pseudonyms made anew by a key; what was suppressed stays suppressed."""
    again = [
        pl.when(pl.col(name) == SUPPRESSED).then(pl.col(name))
        .otherwise(pseudonyms(made.table[name], key.secret, "release")).alias(name)
        for name in columns(made.contract)
    ]
    table = made.table.with_columns(again)
    return replace(made, table=table.sort(table.columns), pseudonym_key=key.id)


def _last(objects: Store, contract: Contract) -> Released | None:
    assert contract.release is not None
    return listing.latest(objects, contract.name, layers.zone(contract.release.mode))


def _used(objects: Store, made: Draft, ring: KeyRing, name: str) -> bool:
    """Tell whether the current key is that of any release there ever was, or may be: of one withdrawn damaged."""
    current = ring.current(name).id
    remains: list[listing.Damaged] = []
    there = listing.versions(objects, made.contract.name, remains=remains)
    return bool(remains) or any(one.manifest["keys"].get("pseudonym") == current for one in there)
