"""Time the stand-alone `verify.py` on large releases: `python -m tests.benchmarks.verifying [ROWS] [--keep DIR]`.

The project's own writer makes three versions of so many rows, without a public key and with one, the second and third
with rows gone, come and changed; then `verify.py` verifies the last version in a process of its own,
alone (as one version downloaded) and beside the earlier ones (changes replayed). Printed: seconds from start to end,
most memory of the process, the folder's size, and what every check said. `--quoted` has cells that CSV must quote.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from jobs.catalogue import load_catalogue
from jobs.contract import Contract
from jobs.releases import assembly, build, verify
from jobs.releases.assembly import Recipe
from jobs.releases.history import Past
from jobs.releases.inputs import Inputs
from jobs.releases.signing import Signer
from jobs.releases.verify import MANIFEST, sha256
from jobs.settings import Settings

PLACES = ["330102", "330105", "330106", "330108", "330109", "330110", "330111", "330112"]
VERSIONS = ("1.0.0", "1.0.1", "1.0.2")


def gold(rows: int, *, quoted: bool) -> pl.DataFrame:
    """Return rows of a register that may be published as they are: number, place, kind, year, amount, name, remark."""
    draw = np.random.default_rng(1)
    remark = np.array([f"{'kept, ' if quoted and n % 5 == 0 else ''}ward {n}" for n in range(1000)])
    return pl.DataFrame(
        {
            "number": pl.int_range(rows, eager=True).cast(pl.String).str.zfill(9),
            "division_code": draw.choice(PLACES, rows), "kind_code": draw.choice(["1", "2", "9"], rows),
            "year": draw.integers(1930, 2020, rows).astype(np.int32), "amount": draw.integers(1, 500_000, rows),
            "name": pl.int_range(rows, eager=True).hash(7).cast(pl.String),
            "remark": remark[draw.integers(0, 1000, rows)],
        }
    )


def later(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Return the rows a version later: one in a hundred gone, one in a hundred changed."""
    draw = np.random.default_rng(seed)
    kept = rows.filter(pl.Series(draw.random(rows.height) > 0.01))
    changed = pl.Series(draw.random(kept.height) < 0.01)
    return kept.with_columns(pl.when(changed).then(pl.col("amount") + 1).otherwise(pl.col("amount")))


def contract(key: Any) -> Contract:
    """Return a contract of things that no person is behind, with a public key or without one."""
    kinds = {"year": "integer", "amount": "integer", "division_code": "division_code"}
    fields = {
        name: {"from": name, "type": kinds.get(name, "text"), "protect": "keep", "publish": {"as": name}}
        for name in ("number", "division_code", "kind_code", "year", "amount", "name", "remark")
    }
    plain = {name: "invented, and about no person" for name in fields if name not in ("division_code", "kind_code")}
    return Contract.model_validate(
        {
            "name": "health/wards", "title": {"en": "Wards", "zh": "病区"}, "steward": "open@health.example.gov",
            "description": {"en": "One row per ward, invented.", "zh": "虚构的病区。"}, "fields": fields,
            "source": {"reader": "csv", "path": "health/wards.csv"},
            "release": {"theme": "卫生", "mode": "controlled", "key": key, "not_identifying": plain},
        }
    )


def release(root: Path, made: list[build.Draft], settings: Settings, signer: Signer) -> None:
    """Write a version for each draft, the way `lake release` does, with the changes from all before."""
    now, tables, previous = datetime(2026, 3, 1, tzinfo=UTC), {}, None
    for version, one in zip(VERSIONS, made, strict=True):
        names = dict(zip(("last", "7_days"), reversed(list(tables)), strict=False))
        inputs = Inputs(version, [], "2026-03-01", settings.portal, previous, names, "" if names else "the first")
        recipe = Recipe(one, inputs, Past({v: tables[v] for v in names.values()}), {"commit": "none"}, {}, {})
        attested = assembly.attestation(version, {"approved_by": "nobody"}, now + timedelta(days=len(tables)))
        assembly.assemble(root / version, recipe, attested, signer)
        tables[version], previous = one.table, {"version": version, "sha256": sha256(root / version / MANIFEST)}


def verified(folder: Path, key: str) -> tuple[float, float, str]:
    """Return seconds, GiB at most, and what the program in a folder says of it."""
    began, most = time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, verify.__file__, str(folder), "--key", key], stdout=said, stderr=said,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
        while process.poll() is None:
            with suppress(OSError):  # it has just ended
                told = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                most = max([most, *(int(kib) / 2**20 for kib in re.findall(r"VmHWM:\s+(\d+)", told))])
            time.sleep(0.05)
        said.seek(0)
        return time.perf_counter() - began, most, said.read()


def measured(root: Path, rows: int, key: Any, schemas: Path, *, quoted: bool) -> None:
    """Make three versions below a folder, verify the last one alone and beside the others, and print what it took."""
    settings = Settings(root=root / "lake", schemas=schemas)
    catalogue, signer, series = load_catalogue(schemas), Signer.of(bytes(32)), root / f"key-{key != 'none'}"
    if not series.is_dir():
        tables = [gold(rows, quoted=quoted)]
        tables += [later(tables[0], 2)]
        tables += [later(tables[1], 3)]
        release(series, [build.draft(one.lazy(), contract(key), catalogue) for one in tables], settings, signer)
    alone = root / "alone" / VERSIONS[-1]
    shutil.rmtree(alone.parent, ignore_errors=True)
    shutil.copytree(series / VERSIONS[-1], alone)
    for what, folder in (("alone", alone), ("beside the earlier versions", series / VERSIONS[-1])):
        seconds, most, said = verified(folder, signer.fingerprint)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        print(f"{rows:,} rows, key {key}, {what}: {seconds:.1f} s, at most {most:.2f} GiB, {size:.0f} MB")
        print(said)


def main() -> None:
    """Make releases and verify them; print seconds, memory and the checks."""
    asked = argparse.ArgumentParser()
    asked.add_argument("rows", nargs="?", type=int, default=10_000_000)
    asked.add_argument("--keep", type=Path)
    asked.add_argument("--quoted", action="store_true")
    asked.add_argument("--key", choices=("none", "number"), default="none")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = given.keep or Path(scratch)
        key = "none" if given.key == "none" else (given.key,)
        print(f"load {os.getloadavg()[0]:.1f}")
        measured(root, given.rows, key, Settings().schemas, quoted=given.quoted)


if __name__ == "__main__":
    main()
