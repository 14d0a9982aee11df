"""Assemble a release: a draft and its inputs to one immutable folder, equal inputs to equal bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from jobs import layers
from jobs.errors import ReleaseRefused
from jobs.privacy.scanner import scan, scan_text
from jobs.releases import cards, describe, formats, history, id_changes, verify
from jobs.releases.build import Draft, privacy
from jobs.releases.history import Past
from jobs.releases.inputs import Inputs
from jobs.releases.manifest import SUMS, seal, sm3
from jobs.releases.metadata import documents
from jobs.releases.metadata.entry import LICENCE_FILE, DataFile, entry_of
from jobs.releases.signing import Signer
from jobs.storage.objects import Store

_TABLES = (".csv", ".parquet")


@dataclass(frozen=True)
class Recipe:
    """Hold everything a release's bytes follow from; `code` is its commit and digest, `keys` the ids of keys it shows.

    `rules`: file → SHA-256 of what said what good rows are. `linkage`: see `linkage.figures`.
    """

    draft: Draft
    inputs: Inputs
    past: Past
    code: Mapping[str, Any]
    rules: Mapping[str, str]
    keys: Mapping[str, str]
    linkage: Sequence[Mapping[str, Any]] = ()


def place(objects: Store, recipe: Recipe, attested: Mapping[str, Any], signer: Signer) -> None:
    """Write a release's folder beside its place, read it back, verify it, and move it into place in one step.

    `attested` says who approved and when. Raises ReleaseRefused, and leaves nothing, when what was written is not what
    was meant or holds an identifier.
    """
    name, release = recipe.draft.contract.name, recipe.draft.contract.release
    assert release is not None
    zone = layers.zone(release.mode)
    with objects.assembly(layers.release_path(name, zone=zone)) as folder:
        assemble(folder, recipe, attested, signer)
        found = verify.verify(folder, key=signer.fingerprint)
        if found.problems:
            what = f"what was written is not what was meant: {found.problems[0]}"
            raise ReleaseRefused(what, dataset=name, layer="open")
        _scan(folder, recipe.draft)
        objects.place(folder, layers.release_path(name, recipe.inputs.version, zone), seal=verify.MANIFEST)


def assemble(folder: Path, recipe: Recipe, attested: Mapping[str, Any], signer: Signer) -> None:
    """Write every file of a release into a new folder, and seal it."""
    made, inputs = recipe.draft, recipe.inputs
    folder.mkdir(parents=True, exist_ok=True)
    stem = made.contract.dataset
    formats.write_parquet(made.table, made.columns, made.about, folder / f"{stem}.parquet")
    (folder / f"{stem}.csv").write_bytes(formats.csv_bytes(made.table))
    codes = _code_lists(made)
    for column, table in codes.items():
        (folder / "codes").mkdir(exist_ok=True)
        (folder / "codes" / f"{column}.csv").write_bytes(formats.csv_bytes(table))
    (folder / "dictionary.csv").write_bytes(formats.csv_bytes(describe.dictionary(made.columns)))
    changes = _write_changes(folder, recipe)
    risk, quality = {**privacy(made), "attack": inputs.attack}, list(inputs.quality)
    if inputs.under_14 is not None:
        risk["under_14"] = dict(inputs.under_14)
    entry = entry_of(
        made.contract, made.columns, version=inputs.version, portal=inputs.portal, data_date=inputs.data_date,
        rows=made.table.height, previous=inputs.previous["version"] if inputs.previous else None,
        grade=risk["gb_t_43697"]["release"],
    )
    entry = replace(entry, files={path.name: _data_file(path) for path in (folder / f"{stem}{end}" for end in _TABLES)})
    if id_changes.carried(made.contract, made.catalogue):
        (folder / id_changes.FILE).write_bytes(formats.csv_bytes(id_changes.table(inputs.id_changes)))
        entry = replace(entry, feed=_data_file(folder / id_changes.FILE), feed_rows=len(inputs.id_changes))
    entry = replace(entry, shown_until=made.until.isoformat() if made.until else None)
    linked = {"registers": list(recipe.linkage)} if recipe.linkage else {}
    written: dict[str, bytes] = {
        "risk.json": formats.json_bytes(risk),
        "quality.json": formats.json_bytes({"datasets": quality, **linked}),
        "changes.json": formats.json_bytes(changes),
        "README.md": cards.card_en(entry, risk, quality, changes, recipe.linkage).encode(),
        "README.zh.md": cards.card_zh(entry, risk, quality, changes, recipe.linkage).encode(),
        LICENCE_FILE: entry.licence_text.encode(),
        "verify.py": Path(verify.__file__).read_bytes(),
        **documents(entry, codes),
    }
    for name, data in written.items():
        (folder / name).write_bytes(data)
    facts = {
        **entry.document(),
        "breaking": list(inputs.breaking),
        "previous": dict(inputs.previous) if inputs.previous else None,
        "data": {"csv": f"{stem}.csv", "parquet": f"{stem}.parquet"},
        "terms": made.terms,
        "content": made.content,
        "changes": changes,
        "risk": risk,
        "quality": quality,
        "inputs": [dict(one) for one in inputs.batches],
        "code": dict(recipe.code),
        "rules": dict(recipe.rules),
        "code_lists": made.code_lists,
        "keys": dict(recipe.keys),
        **({"shown_until": made.until.isoformat()} if made.until else {}),
    }
    seal(folder, facts, attested, signer)


def attestation(version: str, approval: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return what is attested of a release: who approved what, when it was released."""
    return {"version": version, "released_at": now.isoformat(timespec="seconds").replace("+00:00", "Z"), **approval}


def _code_lists(made: Draft) -> dict[str, pl.DataFrame]:
    """Return column → the part of its code list it uses."""
    return {
        one.name: describe.code_table(made.table[one.name], one.codes, made.codes)
        for one in made.columns if one.codes and made.codes.has(one.codes)
    }


def _write_changes(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Write the changes from each version a window starts from; return what `changes.json` says about them."""
    made, inputs = recipe.draft, recipe.inputs
    found: dict[str, Any] = {}
    for version, changes in history.changes_since(recipe.past, made.table, made.key).items():
        base = folder / "changes" / f"from-{version}"
        base.mkdir(parents=True)
        formats.write_plain(changes.added, base / "added")
        formats.write_plain(changes.removed, base / "removed")
        if changes.changed is not None:
            formats.write_plain(changes.changed, base / "changed")
        found[version] = {"rows": recipe.past.tables[version].height, "counts": changes.counts}
    return {
        "windows": dict(inputs.windows),
        "restart": inputs.restart,
        "from": found,
        "attribution": history.attribution(recipe.past, inputs.windows.get("last"), made.table, made.key),
    }


def _data_file(path: Path) -> DataFile:
    return DataFile(path.stat().st_size, verify.sha256(path), sm3(path))


def _scan(folder: Path, made: Draft) -> None:
    """Raise ReleaseRefused when any file of the folder holds an identifier; measures are numbers of nobody."""
    measures = [one.name for one in made.columns if one.measure]
    measures += [f"{side}.{name}" for name in measures for side in ("old", "new")]
    unread = {*SUMS.values(), *verify.SEALED, "verify.py"}  # digests, signatures and dates; and the program
    found: set[str] = set()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        table = inside.startswith("changes/") or path.stem == made.contract.dataset
        if path.is_dir() or inside in unread:
            continue
        if path.suffix in _TABLES and table:
            rows = pl.read_parquet(path) if path.suffix == ".parquet" else formats.read_csv(path)
            found |= {f"{one.column} ({one.kind}, {one.count} rows)" for one in scan(rows.drop(measures, strict=False))}
        elif scan_text(_without_digests(path.read_text(encoding="utf-8"))):
            found.add(inside)
    if found:
        raise ReleaseRefused(
            "the release would hold identifiers; nothing was released.", dataset=made.contract.name, layer="open",
            where=", ".join(sorted(found)), remedy="publish: these columns coarser, or not at all.",
        )


def _without_digests(text: str) -> str:
    """Return a description without its digests, of which one in some thousands looks like somebody's number."""
    return verify.DIGEST.sub("", text)
