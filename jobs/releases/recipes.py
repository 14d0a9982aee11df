"""Bring together what a release is assembled from, for a new version and for one that is made again."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from jobs import layers
from jobs.errors import ReleaseRefused, RequestError
from jobs.releases import assembly, build, epsilon, history, inputs, linkage, listing, origin, pseudonyms
from jobs.releases.assembly import Recipe
from jobs.releases.build import Draft
from jobs.releases.history import Past
from jobs.releases.holding import Comparison, settled
from jobs.releases.inputs import Inputs
from jobs.releases.signing import Signer
from jobs.releases.verify import ATTESTATION, PAGES, SIGNATURE
from jobs.sets.changes import comparable, differences

if TYPE_CHECKING:
    from jobs.storage.tables import Lake

# Who signed and when, and the portal's pages about the version; every other byte follows from the inputs.
VARIES = (SIGNATURE, ATTESTATION, *PAGES)


def recipe(lake: Lake, made: Draft, decided: Inputs, *, again: bool = False) -> Recipe:
    """Return the recipe of a draft with its inputs decided; of a version made `again` by the figures kept of it."""
    code, version = origin.code(lake.settings), decided.version
    name = made.contract.name
    figures = linkage.kept(lake.objects, name, version) if again else linkage.keep(lake, made.contract, version)
    past = _past(lake, made, decided.windows, code)
    return Recipe(made, decided, past, code, _rules(lake, made), _keys(made), figures)


def changes_since_last(lake: Lake, made: Draft) -> dict[str, Any] | None:
    """Return what a draft would change, None when the chain would start (anew) with it.

    `since`: the last version; `counts`: rows added, removed, changed; `why`: how many of them came from where.
    """
    assert made.contract.release is not None
    name, zone = made.contract.name, layers.zone(made.contract.release.mode)
    last = listing.latest(lake.objects, name, zone)
    if last is None or last.withdrawn or pseudonyms.columns(made.contract):
        return None
    if listing.withdrawn_last(lake.objects, name, zone):
        return None
    if not comparable(pl.read_parquet(last.data("parquet"), n_rows=0), made.table):
        return None
    past = _past(lake, made, {"last": last.version}, origin.code(lake.settings))
    counts = differences(past.tables[last.version], made.table, made.key).counts
    why = history.attribution(past, last.version, made.table, made.key)
    return {"since": last.version, "counts": counts, "why": why}


def rebuild(lake: Lake, dataset: str, version: str, into: Path | None = None) -> list[dict[str, Any]]:
    """Make a released version again from its kept inputs and compare it byte by byte, file by file.

    Returns a row per file: file, `equal` or what differs. `into`: keep what was made there. Raises RequestError when
    the version was withdrawn, its inputs are gone, or the terms are not the ones it was released under.
    """
    released = listing.version(lake.objects, dataset, version)
    decided, gold = inputs.kept(lake.objects, released)
    made = build.draft(gold.lazy(), lake.catalogue.contract(dataset), lake.catalogue, decided.judged_on)
    made = epsilon.drawn(lake.objects, made, decided.draw)
    made = settled(lake, made, Comparison(decided.against, decided.takedown))
    made = pseudonyms.by_id(lake.objects, made, decided.pseudonym_key)
    if made.fingerprint != released.manifest["terms"]["fingerprint"]:
        raise RequestError(
            f"version {version} was released under other terms.", dataset=dataset, layer="open",
            remedy=f"check out the commit it was made by, {released.manifest['code']['commit']}.",
        )
    attested = {key: said for key, said in released.attestation.items() if key not in ("format", "manifest_sha256")}
    with tempfile.TemporaryDirectory() as scratch:
        folder = into or Path(scratch) / version
        signer = Signer.open(lake.objects, lake.settings.signature)
        assembly.assemble(folder, recipe(lake, made, decided, again=True), attested, signer)
        return _compared(folder, released.folder, released.gone)


def _compared(made: Path, released: Path, gone: frozenset[str]) -> list[dict[str, Any]]:
    rows = []
    roots = (made, released)
    names = {path.relative_to(root).as_posix() for root in roots for path in root.rglob("*") if path.is_file()}
    for name in sorted(names - set(VARIES)):
        if name.startswith("withdrawal-"):
            continue
        one, other = made / name, released / name
        if name in gone:
            result = "withdrawn"
        elif not one.is_file() or not other.is_file():
            result = "missing in the rebuild" if other.is_file() else "not in the release"
        else:
            result = "equal" if one.read_bytes() == other.read_bytes() else "differs"
        rows.append({"file": name, "result": result})
    return rows


def _past(lake: Lake, made: Draft, windows: Mapping[str, str], code: dict[str, Any]) -> Past:
    """Return the public tables the windows start from, and the last release's gold rows by today's code and terms."""
    name, tables = made.contract.name, {}
    for version in dict.fromkeys(windows.values()):
        one = listing.version(lake.objects, name, version)
        if one.withdrawn:
            raise RequestError(
                f"version {version}, which it starts from, was withdrawn: it cannot be rebuilt.", dataset=name,
                layer="open",
            )
        tables[version] = pl.read_parquet(one.data("parquet"))
    if "last" not in windows:
        return Past()
    last = listing.version(lake.objects, name, windows["last"])
    same = last.manifest["code"]["sha256"] == code["sha256"] and last.manifest["terms"] == made.terms
    return Past(tables, same, None if same else _recomputed(lake, made, last))


def _recomputed(lake: Lake, made: Draft, last: listing.Released) -> pl.DataFrame | None:
    if made.exact is not None:
        return None  # the noise of another day would be drawn again
    try:
        decided, gold = inputs.kept(lake.objects, last)
        return build.draft(gold.lazy(), made.contract, made.catalogue, decided.judged_on).table
    except (RequestError, ReleaseRefused, pl.exceptions.PolarsError):
        return None  # the rows are gone, or are not what today's contract reads


def _rules(lake: Lake, made: Draft) -> dict[str, str]:
    """Return file → SHA-256 of what said what good rows are and, where they have a time in public, how long it is."""
    release, root = made.contract.release, lake.catalogue.root
    files = [*sorted(lake.settings.expectations.glob("*.yaml")), root / "types.yaml"]
    files += [root / "periods.yaml"] if release and release.period else []
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}


def _keys(made: Draft) -> dict[str, str]:
    """Return the id of the key of the published pseudonyms: another key, other values."""
    return {"pseudonym": made.pseudonym_key} if made.pseudonym_key else {}
