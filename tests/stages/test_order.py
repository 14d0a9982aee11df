"""Kill, repeat, shuffle: the lake ends as if nothing had happened."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from jobs.settings import Settings
from jobs.stages import conform, land, load, resolve, retract
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.stages.mortal import KILLED, live, run_all
from tests.stages.states import state

DATASETS = ["public_security/household_register", "civil_affairs/deaths", "market_regulation/enterprise_registrations"]

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small city's drop boxes over three days."""
    out = tmp_path_factory.mktemp("city")
    city.write(400, 3, 7, out, Settings().schemas / "codes", None, DATASETS)
    return out / "raw"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key ring for every lake of this module, so that their ids can be compared."""
    folder = tmp_path_factory.mktemp("keys")
    for number, purpose in enumerate(("register", "pseudonym")):
        (folder / f"{purpose}.key").write_bytes(bytes([number]) * 32)
    return folder


def _settings(root: Path, raw: Path, keys: Path, engine: str) -> Settings:
    shutil.copytree(keys, root / "keys")
    return Settings(root=root, raw=raw, spark=engine)


def _files(raw: Path, dataset: str) -> list[Path]:
    return sorted((raw / Path(dataset).parent).glob(f"{Path(dataset).name}_*"))


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, deliveries: Path, keys: Path, engine: str
) -> dict[str, object]:
    """The state of a lake that took everything in order, without a disturbance."""
    with Lake.open(_settings(tmp_path_factory.mktemp("calm"), deliveries, keys, engine)) as lake:
        run_all(lake, DATASETS)
        run_all(lake, DATASETS)  # a second run changes nothing, or the comparisons below fail
        reports = lake.runs()
        accounted = reports["accepted"] + reports["quarantined"] + reports["duplicates"] + reports["withheld"]
        assert (reports["delivered"] == accounted).all()
        return state(lake, DATASETS)


def test_days_and_datasets_in_any_order_with_repeats_give_the_same_lake(
    tmp_path: Path, deliveries: Path, keys: Path, engine: str, undisturbed: dict[str, object], soak: bool
) -> None:
    for seed in range(3, 33 if soak else 4):
        chance = random.Random(seed)
        with Lake.open(_settings(tmp_path / f"lake{seed}", tmp_path / "empty", keys, engine)) as lake:
            todo = [(dataset, file) for dataset in DATASETS for file in _files(deliveries, dataset)]
            chance.shuffle(todo)
            for dataset, file in [*todo, *todo[:3]]:
                land.run(lake, dataset, files=[file])
                if chance.random() < 0.7:
                    load.run(lake, dataset)
                    conform.run(lake, dataset)
                    resolve.run(lake, chance.choice(["person", "organisation"]))
            run_all(lake, DATASETS)
            assert state(lake, DATASETS) == undisturbed, f"seed {seed}"


@pytest.fixture(scope="module")
def over_engine(
    tmp_path_factory: pytest.TempPathFactory, deliveries: Path, keys: Path, engine: str
) -> tuple[dict[str, object], int]:
    """The state of a lake whose registers the engine's workers took in pieces, and how many writes that took."""
    settings = _settings(tmp_path_factory.mktemp("pieces"), deliveries, keys, engine)
    settings = settings.model_copy(update={"engine_rows": 0})
    _, writes = live(settings, 0, "never", DATASETS)
    with Lake.open(settings) as lake:
        return state(lake, DATASETS), writes


def test_a_register_taken_by_the_engines_workers_in_pieces_equals_one_taken_in_one_process(
    over_engine: tuple[dict[str, object], int], undisturbed: dict[str, object]
) -> None:
    assert over_engine[0] == undisturbed


def test_a_withdrawn_delivery_leaves_the_lake_as_if_it_had_never_come_and_a_reinstated_one_as_if_it_had_stayed(
    tmp_path: Path, deliveries: Path, keys: Path, engine: str
) -> None:
    dataset = DATASETS[0]
    first, second, third = _files(deliveries, dataset)
    with Lake.open(_settings(tmp_path / "never", tmp_path / "empty", keys, engine)) as lake:
        for file in (first, third):
            land.run(lake, dataset, files=[file])
        load.run(lake, dataset)
        conform.run(lake, dataset)
        resolve.run(lake, "person")
        never = state(lake, [dataset])
    with Lake.open(_settings(tmp_path / "withdrawn", tmp_path / "empty", keys, engine)) as lake:
        batch = ""
        for file in (first, second, third):
            landed = land.run(lake, dataset, files=[file])[0].batch
            batch = landed if file == second else batch
        load.run(lake, dataset)
        conform.run(lake, dataset)
        resolve.run(lake, "person")
        before = state(lake, [dataset])
        retract.run(lake, dataset, batch=batch)
        retract.run(lake, dataset, batch=batch)
        resolve.run(lake, "person")
        after = state(lake, [dataset])
        retract.run(lake, dataset, batch=batch, undo=True)
        conform.run(lake, dataset)
        resolve.run(lake, "person")
        again = state(lake, [dataset])
    for part in ("silver.public_security/household_register", "register.person", "claims.person"):
        assert after[part] == never[part]
        assert again[part] == before[part]


def test_a_run_killed_again_and_again_before_and_after_its_writes_ends_the_same(
    tmp_path: Path, deliveries: Path, keys: Path, engine: str, undisturbed: dict[str, object]
) -> None:
    settings = _settings(tmp_path / "lake", deliveries, keys, engine)
    deaths = 0
    for attempt in range(200):
        # After the 5th write, before the 8th, after the 11th, ...: every process gets a little further and dies.
        ended, _ = live(settings, 5 + attempt * 3 % 11, "before" if attempt % 2 else "after", DATASETS)
        if ended == 0:
            break
        assert ended == KILLED
        deaths += 1
    assert deaths > 10
    with Lake.open(settings) as lake:
        run_all(lake, DATASETS)
        assert state(lake, DATASETS) == undisturbed


def test_a_run_killed_once_at_any_write_in_a_task_or_over_the_engine_ends_the_same(
    tmp_path: Path, deliveries: Path, keys: Path, engine: str, undisturbed: dict[str, object],
    over_engine: tuple[dict[str, object], int], soak: bool,
) -> None:
    _, alone = live(_settings(tmp_path / "calm", deliveries, keys, engine), 0, "never", DATASETS)
    for rows, writes, some in ((0, over_engine[1], 1), (500_000, alone, 2)):
        points = [(number, moment) for number in range(1, writes + 1) for moment in ("before", "after")]
        for number, moment in points if soak else random.Random(rows).sample(points, some):
            folder = tmp_path / f"lake{rows}-{number}-{moment}"
            settings = _settings(folder, deliveries, keys, engine).model_copy(update={"engine_rows": rows})
            assert live(settings, number, moment, DATASETS)[0] == KILLED
            with Lake.open(settings) as lake:
                run_all(lake, DATASETS)
                assert state(lake, DATASETS) == undisturbed, f"killed {moment} write {number} of {writes}"
            shutil.rmtree(folder)
