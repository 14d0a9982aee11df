"""A keyed register through the stages: opened, fed, withdrawn from, asked, in any order and over the engine."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from jobs.catalogue import load_catalogue
from jobs.errors import ContractError, RequestError, SourceError, StorageError
from jobs.operation.enquiries import Desk
from jobs.settings import Settings
from jobs.stages import maintain, open_register, resolve, retract
from jobs.storage.ledgers import Ledger
from jobs.storage.tables import Lake
from tests.stages.keyed_lake import FIELDS, KNOWN, NEWS, at, declaring, deliver, old_register
from tests.stages.mortal import KILLED, live, open_and_resolve


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the benchmark's register, with one division."""
    return declaring(tmp_path_factory.mktemp("keyed"), "110105")


def people(lake: Lake) -> list[tuple[object, ...]]:
    """What the register says, by name: values, phone's source."""
    rows = Ledger(lake, "person").scan_current().select(*FIELDS, "phone_source", "name_as_of").collect()
    return sorted(rows.iter_rows(), key=str)


def state(lake: Lake) -> pl.DataFrame:
    return Ledger(lake, "person").scan_current().drop("_commit").sort("_entity_id").collect()


def test_a_register_is_opened_fed_and_answers(tmp_path: Path, settings: Settings) -> None:
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        open_register.run(lake, "person", [old_register(tmp_path)])
        for dataset, rows in NEWS.items():
            deliver(lake, dataset, tmp_path / dataset, rows)
        (report,) = resolve.run(lake, "person")
        assert report.extra["entities"] == 3
        told = {row[0]: row for row in people(lake)}
        # ps is preferred for names, hi for phones of equal moments; a later moment wins where `latest` says so
        assert told["甲二"][:7] == ("甲二", None, "110105", None, "0", "20", "0")  # where nobody says it, the key does
        assert told["丙"][4] == "1"
        assert told["乙"][4] == "0"  # what is older than the register's own changes nothing
        assert Ledger(lake, "person").versions_log().rows == 2 + 2  # nor does it make a version
        desk = Desk.of(lake, lake.catalogue.registers["person"].name)
        (entity,) = state(lake).filter(pl.col("name") == "甲二")["_entity_id"]
        assert desk.resolve(entity)["state"] == "active"
        assert desk.row(entity, datetime(2025, 12, 31, tzinfo=UTC).date())["name"] == "甲"
        assert desk.row(entity, known_at=1)["name"] == "甲"
        assert desk.claims_of(entity)["_dataset"].sort().to_list() == sorted(NEWS)
        assert resolve.run(lake, "person") == []


def test_a_day_without_news_is_taken_and_changes_nobody(tmp_path: Path, settings: Settings) -> None:
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        open_register.run(lake, "person", [old_register(tmp_path)])
        before = state(lake)
        deliver(lake, "ps/extract", tmp_path / "ps", [])
        (report,) = resolve.run(lake, "person")
        assert (report.extra["entities"], report.extra["versions"]) == (2, {})
        assert state(lake).equals(before)
        assert resolve.run(lake, "person") == []


@pytest.mark.parametrize("order", [["ps", "ca", "hi"], ["hi", "ca", "ps"], ["ca", "ps", "hi"]])
def test_any_order_of_deliveries_gives_the_same_register(tmp_path: Path, settings: Settings, order: list[str]) -> None:
    lakes = []
    for number, pieces in enumerate(([list(NEWS)], [[f"{name}/extract"] for name in order])):
        with Lake.open(at(settings, tmp_path / str(number))) as lake:
            open_register.run(lake, "person", [old_register(tmp_path)])
            for piece in pieces:
                for dataset in piece:
                    deliver(lake, dataset, tmp_path / dataset, NEWS[dataset])
                resolve.run(lake, "person")
                maintain.run(lake)
            lakes.append(state(lake))
    assert lakes[0].equals(lakes[1])


def test_a_delivery_that_is_withdrawn_leaves_the_register_as_if_it_had_never_come(
    tmp_path: Path, settings: Settings
) -> None:
    with Lake.open(at(settings, tmp_path / "calm")) as lake:
        open_register.run(lake, "person", [old_register(tmp_path)])
        deliver(lake, "ca/extract", tmp_path / "ca", NEWS["ca/extract"])
        resolve.run(lake, "person")
        wanted = state(lake)
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        open_register.run(lake, "person", [old_register(tmp_path)])
        batches = {dataset: deliver(lake, dataset, tmp_path / dataset, rows) for dataset, rows in NEWS.items()}
        resolve.run(lake, "person")
        for dataset in ("ps/extract", "hi/extract"):
            retract.run(lake, dataset, batch=batches[dataset])
        (report,) = resolve.run(lake, "person")
        assert report.extra["entities"] == 2
        assert state(lake).equals(wanted)


def test_the_engines_workers_make_the_same_register(
    tmp_path: Path, settings: Settings, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "SHARED_ROWS", 0)  # as of large batches, whose files several tasks share
    found = []
    for name, more in (("here", {}), ("engine", {"engine_rows": 0, "spark": engine})):
        with Lake.open(at(settings, tmp_path / name, **more)) as lake:
            open_register.run(lake, "person", [old_register(tmp_path)])
            batches = {dataset: deliver(lake, dataset, tmp_path / dataset, rows) for dataset, rows in NEWS.items()}
            resolve.run(lake, "person")
            retract.run(lake, "ca/extract", batch=batches["ca/extract"])
            resolve.run(lake, "person")
            found.append(state(lake))
    assert found[0].equals(found[1])


def test_killed_before_and_after_every_write_the_next_run_ends_as_if_nothing_had_happened(
    tmp_path: Path, settings: Settings, soak: bool
) -> None:
    with Lake.open(at(settings, tmp_path / "given")) as lake:
        for dataset, rows in NEWS.items():
            deliver(lake, dataset, tmp_path / dataset, rows)
    work = partial(open_and_resolve, register="person", old=old_register(tmp_path), dataset="hi/extract")

    def lake_of(name: str) -> Settings:
        shutil.copytree(tmp_path / "given", tmp_path / name)
        return Settings(schemas=settings.schemas, root=tmp_path / name)

    calm = lake_of("calm")
    ended, writes = live(calm, 0, "never", [], work=work)
    assert ended == 0
    with Lake.open(calm) as lake:
        wanted = state(lake)
    points = [(number, moment) for number in range(1, writes + 1) for moment in ("before", "after")]
    for number, moment in points if soak else points[::3]:
        mortal = lake_of(f"{moment}{number}")
        assert live(mortal, number, moment, [], work=work)[0] == KILLED
        with Lake.open(mortal) as lake:
            work(lake)
            assert state(lake).equals(wanted), (number, moment)
            assert lake.last_report("resolve", "person", "commit-3").extra["entities"] == wanted.height


def test_a_key_that_is_there_twice_does_not_open_a_register(tmp_path: Path, settings: Settings) -> None:
    with Lake.open(at(settings, tmp_path / "lake")) as lake, pytest.raises(SourceError, match="another row has"):
        open_register.run(lake, "person", [old_register(tmp_path, resident_id=KNOWN)])


def test_what_cannot_open_a_register_is_refused_and_leaves_it_closed(tmp_path: Path, settings: Settings) -> None:
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        with pytest.raises(RequestError, match="keyed registers: person"):
            open_register.run(lake, "parcel", [old_register(tmp_path)])
        pl.read_parquet(old_register(tmp_path)).drop("phone_as_of").write_parquet(tmp_path / "less.parquet")
        with pytest.raises(SourceError, match="no column phone_as_of"):
            open_register.run(lake, "person", [tmp_path / "less.parquet"])
        assert Desk.all(lake) == []
        open_register.run(lake, "person", [old_register(tmp_path)])
        (entity, _) = state(lake)["_entity_id"]
        assert Desk.all(lake)[0].resolve(entity)["state"] == "active"  # before anything was delivered
        with pytest.raises(RequestError, match="has commits already"):
            open_register.run(lake, "person", [old_register(tmp_path)])
        assert len(people(lake)) == 2


def test_an_opening_that_was_interrupted_waits_to_be_finished_with_the_same_files(
    tmp_path: Path, settings: Settings
) -> None:
    mortal, old = at(settings, tmp_path / "lake"), old_register(tmp_path)
    work = partial(open_and_resolve, register="person", old=old, dataset="hi/extract")
    assert live(mortal, 4, "after", [], work=work)[0] == KILLED
    with Lake.open(mortal) as lake:
        deliver(lake, "ps/extract", tmp_path / "ps", NEWS["ps/extract"])
        with pytest.raises(StorageError, match="open-register"):
            resolve.run(lake, "person")
        with pytest.raises(RequestError, match="with other files"):
            open_register.run(lake, "person", [old_register(tmp_path / "other", name="丁")])
        open_register.run(lake, "person", [old])
        (report,) = resolve.run(lake, "person")
        assert report.extra["entities"] == 3
        assert [row[0] for row in people(lake)] == ["丙", "乙", "甲二"]


@pytest.mark.parametrize(("changed", "what"), [
    ({"resident_id": KNOWN.lower()}, "one spelling"),
    ({"resident_id": None}, "no key"),
    ({"name_source": None}, "without source"),
    ({"name_source": "hi/nothing"}, "says nothing of it"),
    ({"phone_as_of": None}, "without source or moment"),
])  # fmt: skip
def test_a_row_nobody_could_find_or_trust_does_not_open_a_register_and_is_not_quoted(
    tmp_path: Path, settings: Settings, changed: dict[str, object], what: str
) -> None:
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        with pytest.raises(SourceError, match=what) as raised:
            open_register.run(lake, "person", [old_register(tmp_path, **changed)])
        assert "row 1" in str(raised.value)
        assert "甲" not in str(raised.value)
        assert KNOWN not in str(raised.value).upper()


@pytest.mark.parametrize(("old", "new", "what"), [
    ("mode: append", "mode: snapshot, key: [raw_id]", "ends nothing in a keyed register"),
    ("as_of: update_ts, ", "", "orders by points in time"),
    ("centenarians: false, required: true", "centenarians: false", "one key in every row"),
    ("mode: append", "mode: merge, key: [rec_id]", "about another entity"),
])  # fmt: skip
def test_what_a_keyed_register_cannot_follow_is_refused_in_the_contract(
    tmp_path: Path, settings: Settings, old: str, new: str, what: str
) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(settings.schemas, schemas)
    contract = schemas / "ps" / "extract.yaml"
    text = contract.read_text(encoding="utf-8")
    assert old in text
    contract.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ContractError, match=what):
        load_catalogue(schemas)
