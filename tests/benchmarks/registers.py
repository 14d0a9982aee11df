"""Two orders of one city's deliveries end in one register, and how long `lake why` takes on it.

    python -m tests.benchmarks.registers [PEOPLE] [DAYS] [FOLDER]

Writes a synthetic city, takes its deliveries in twice into lakes of their own: day by day, resolved each day; and in a
shuffled order with repetitions, resolved now and then. Compares claims in force, current rows, ledger, id map and cases
of both registers. Then asks `lake why` about people drawn at random, in a process of its own each time as a user does,
and inside one process. No engine is started. Prints one JSON line; exits with 1 when the orders differ. Needs some 2 GB
of disk per 100,000 people; the folder is removed unless it is named.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from jobs.operation.enquiries import Desk
from jobs.settings import PROJECT, Settings
from jobs.stages import conform, land, load, resolve
from jobs.storage.tables import Lake
from jobs.synthesis import city

DATASETS = (
    "public_security/household_register", "civil_affairs/deaths", "civil_affairs/marriage_registrations",
    "social_security/social_insurance", "market_regulation/enterprise_registrations",
)
REGISTERS = ("person", "organisation")
ASKED, ASKED_OUTSIDE = 200, 15
Delivery = tuple[str, Path]


def digest(rows: pl.DataFrame) -> str:
    """Return a digest of rows that does not depend on their order."""
    flat = rows.select(_flat(name, kind) for name, kind in sorted(rows.schema.items()))
    return hashlib.sha256(flat.hash_rows(seed=1).sort().to_numpy().tobytes()).hexdigest()


def _flat(name: str, kind: pl.DataType) -> pl.Expr:
    if not isinstance(kind, pl.List):
        return pl.col(name)
    one = pl.element().struct.json_encode() if isinstance(kind.inner, pl.Struct) else pl.element().cast(pl.String)
    return pl.col(name).list.eval(one).list.join("|")


def state(lake: Lake) -> dict[str, str]:
    """Return digests of what must not depend on the order of arrival."""
    found = {}
    for desk in Desk.all(lake):
        name = desk.register.name
        parts = {
            "rows": desk.ledger.scan_current().drop("_commit").collect(),
            "claims": desk.ledger.claims_in_force().scan().drop("_commit").collect(),
            "ledger": desk.court.force(), "ids": desk.court.id_map(), "cases": desk.court.cases(),
        }
        found |= {f"{name}.{part}": digest(rows) for part, rows in parts.items()}
    return found


def take(lake: Lake, batches: Sequence[Sequence[Delivery]]) -> float:
    """Take deliveries in, resolving after each batch of them; return the seconds that resolving took."""
    seconds = 0.0
    for batch in batches:
        for dataset, file in batch:
            land.run(lake, dataset, files=[file])
        for dataset in sorted({dataset for dataset, _ in batch}):
            load.run(lake, dataset)
            conform.run(lake, dataset)
        for register in REGISTERS:
            seconds += sum(report.seconds for report in resolve.run(lake, register))
    return seconds


def orders(files: dict[str, list[Path]]) -> tuple[list[list[Delivery]], list[list[Delivery]]]:
    """Return the deliveries day by day, and shuffled, cut anywhere and in part repeated."""
    days = max(len(found) for found in files.values())
    calm = [[(name, found[day]) for name, found in files.items() if day < len(found)] for day in range(days)]
    chance = random.Random(11)
    wild = [one for day in calm for one in day]
    chance.shuffle(wild)
    wild += wild[: len(wild) // 4]
    cuts = sorted(chance.sample(range(1, len(wild)), min(len(wild) - 1, days)))
    return calm, [wild[a:b] for a, b in zip([0, *cuts], [*cuts, len(wild)], strict=True)]


def asked(lake: Lake, settings: Settings) -> dict[str, float]:
    """Return the median and the slowest seconds of `lake why`, in one process and as a command."""
    desk = Desk.of(lake, "person")
    ids = desk.ledger.scan_current().select("_entity_id").collect()["_entity_id"].sample(ASKED, seed=3).to_list()
    inside, outside = [], []
    for one in ids:
        begun = time.monotonic()
        desk.why(one)
        inside.append(time.monotonic() - begun)
    told = {**os.environ, "LAKE_ROOT": str(settings.root)}
    for one in ids[:ASKED_OUTSIDE]:
        begun = time.monotonic()
        command = [Path(sys.executable).with_name("lake"), "why", one, "--json"]
        subprocess.run(command, env=told, check=True, capture_output=True)
        outside.append(time.monotonic() - begun)
    return {
        "why_p50_s": round(statistics.median(inside), 3), "why_slowest_s": round(max(inside), 3),
        "why_command_p50_s": round(statistics.median(outside), 3), "why_command_slowest_s": round(max(outside), 3),
    }


def run(people: int, days: int, folder: Path) -> dict[str, object]:
    """Return the figures of one city."""
    city.write(people, days, 1, folder / "city", PROJECT / "schemas" / "codes", None)
    files = {name: sorted((folder / "city" / "raw" / name).parent.glob(f"{Path(name).name}_*")) for name in DATASETS}
    keys = folder / "keys"
    keys.mkdir(parents=True)
    (keys / "register.key").write_bytes(b"r" * 32)
    found: dict[str, object] = {"people": people, "days": days}
    states = []
    for name, batches in zip(("in_order", "shuffled"), orders(files), strict=True):
        root = folder / name
        shutil.copytree(keys, root / "keys")
        settings = Settings(root=root, raw=folder / "none", engine_rows=sys.maxsize)
        with Lake.open(settings) as lake:
            found[f"{name}_resolve_s"] = round(take(lake, batches), 1)
            states.append(state(lake))
            if name == "in_order":
                found["claims"] = Desk.of(lake, "person").ledger.claims_log().rows
                found |= asked(lake, settings)
    found["differing"] = [part for part in states[0] if states[0][part] != states[1].get(part)]
    found["peak_memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return found


def main(people: int = 1_000_000, days: int = 3, place: str = "") -> None:
    """Measure, print one JSON line, and fail when the orders differ."""
    if place:
        Path(place).mkdir(parents=True)
        found = run(people, days, Path(place))
    else:
        with tempfile.TemporaryDirectory(prefix="registers-") as folder:
            found = run(people, days, Path(folder))
    print(json.dumps(found))
    sys.exit(1 if found["differing"] else 0)


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:3]), *sys.argv[3:4])
