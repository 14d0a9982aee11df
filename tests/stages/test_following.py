"""Gold that follows its register: whatever happens, it is what making it anew would give."""

from __future__ import annotations

import shutil
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from jobs.catalogue import load_catalogue
from jobs.errors import ContractError, ReleaseRefused
from jobs.layers import Layer, table_path
from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, maintain, open_register, resolve, retract
from jobs.storage import standing
from jobs.storage.ledgers import Ledger
from jobs.storage.standing import Standing
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.stages.followed_lake import (
    DAYS,
    PLACES,
    PRODUCT,
    City,
    another,
    another_contract,
    gold,
    kept_out,
    number,
    told,
)
from tests.stages.keyed_lake import at, declaring, deliver, old_register
from tests.stages.mortal import KILLED, live


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the benchmark's register and its product, with three divisions."""
    return declaring(tmp_path_factory.mktemp("following"), *PLACES)


def test_after_every_day_gold_is_what_making_it_anew_gives(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FILE_ROWS", 0)  # as a large table: what came is settled by maintenance alone
    town, batches, moved = City(1), list[str](), set()
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        for today in range(DAYS):
            batches.append(deliver(lake, "ps/extract", tmp_path / str(today), town.day(today)))
            if today == DAYS - 1:
                retract.run(lake, "ps/extract", batch=batches[0])
            resolve.run(lake, "person")
            (report,) = desensitise.run(lake, PRODUCT)
            assert report.extra["since"] == today  # followed, not made anew
            with another(lake, tmp_path / "anew") as anew:
                desensitise.run(anew, PRODUCT)
                assert gold(lake).equals(gold(anew))
                assert kept_out(lake).equals(kept_out(anew))
            assert (report.accepted, report.withheld) == (gold(lake).height, kept_out(lake).height)
            living = Ledger(lake, "person").scan_current().filter(pl.col("_status") == "active").collect().height
            assert report.delivered == living
            sizes = gold(lake).group_by("division", "sex", "birth_age_band").len()
            assert sizes["len"].min() >= 5
            moved.add((gold(lake).height, kept_out(lake).height))
            assert desensitise.run(lake, PRODUCT) == []
        assert len(moved) == DAYS  # every day something moved
        settled = lake.version(Layer.GOLD, PRODUCT)
        assert lake.rows(Layer.SILVER, Standing(lake, PRODUCT).changes) > 0
        before = gold(lake)
        (report,) = maintain.run(lake)
        assert report.extra["made_anew"] == []
        assert lake.version(Layer.GOLD, PRODUCT) > settled
        assert told(lake.scan(Layer.GOLD, PRODUCT)).equals(before)  # any reader of the plain table sees it now
        assert gold(lake).equals(before)
        assert lake.rows(Layer.SILVER, Standing(lake, PRODUCT).changes) == 0
        for number_, today in enumerate((5, 6, 7)):  # several commits at once, one of them withdraws
            batches.append(deliver(lake, "ps/extract", tmp_path / str(today), town.day(today)))
            if number_ == 1:
                retract.run(lake, "ps/extract", batch=batches[2])
            resolve.run(lake, "person")
        (report,) = desensitise.run(lake, PRODUCT)
        assert (report.extra["since"], report.extra["commit"]) == (DAYS, DAYS + 3)
        with another(lake, tmp_path / "anew") as anew:
            desensitise.run(anew, PRODUCT)
            assert gold(lake).equals(gold(anew))
            assert kept_out(lake).equals(kept_out(anew))


def test_a_small_table_is_whole_for_any_reader_after_every_change(tmp_path: Path, settings: Settings) -> None:
    town = City(2)
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        for today in range(3):
            deliver(lake, "ps/extract", tmp_path / str(today), town.day(today))
            resolve.run(lake, "person")
            desensitise.run(lake, PRODUCT)
            assert told(lake.scan(Layer.GOLD, PRODUCT)).equals(gold(lake))
            with another(lake, tmp_path / "anew") as anew:
                desensitise.run(anew, PRODUCT)
                assert gold(lake).equals(gold(anew))


def test_a_product_of_a_register_with_cases_follows_births_moves_and_deaths(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(Settings().schemas, schemas)
    contract = schemas / "products" / "population.yaml"
    withhold = "withhold: {below: 12, of: [residence_code, sex_code]}\naggregate:"
    contract.write_text(contract.read_text(encoding="utf-8").replace("aggregate:", withhold), encoding="utf-8")
    datasets = ["public_security/household_register", "civil_affairs/deaths"]
    city.write(300, 3, 7, tmp_path, Settings().schemas / "codes", None, datasets)
    days = sorted({file.stem.rpartition("_")[2] for file in (tmp_path / "raw").rglob("*.*")})
    with Lake.open(Settings(schemas=schemas, root=tmp_path / "lake", raw=tmp_path / "nothing")) as lake:
        for number_, today in enumerate(days):
            for dataset in datasets:
                files = sorted((tmp_path / "raw" / dataset).parent.glob(f"{Path(dataset).name}_{today}*"))
                land.run(lake, dataset, files=files)
                load.run(lake, dataset)
                conform.run(lake, dataset)
            resolve.run(lake, "person")
            (report,) = desensitise.run(lake, "products/population")
            assert report.extra["since"] == number_
            with another(lake, tmp_path / "anew") as anew:
                desensitise.run(anew, "products/population")
                found = [told(Standing(one, "products/population").rows()) for one in (lake, anew)]
                assert found[0].equals(found[1])
                assert found[0].height > 100
                kept = [told(one.scan(Layer.SILVER, "products/population_withheld")) for one in (lake, anew)]
                assert kept[0].equals(kept[1])
                assert kept[0].height > 0
    assert len(days) == 3


def test_the_engines_workers_change_gold_as_one_process_does(tmp_path: Path, settings: Settings, engine: str) -> None:
    found = []
    for name, more in (("here", {}), ("engine", {"engine_rows": 0, "spark": engine})):
        town = City(3)
        with Lake.open(at(settings, tmp_path / name, **more)) as lake:
            (lake.settings.root / "keys" / "pseudonym.key").write_bytes(b"p" * 32)
            for today in range(2):
                deliver(lake, "ps/extract", tmp_path / f"{name}{today}", town.day(today))
                resolve.run(lake, "person")
                desensitise.run(lake, PRODUCT)
            found.append((gold(lake).drop("person"), kept_out(lake).drop("person")))
    assert found[0][0].equals(found[1][0])
    assert found[0][1].equals(found[1][1])


def test_what_a_register_was_opened_with_is_shown_too(tmp_path: Path, settings: Settings) -> None:
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        open_register.run(lake, "person", [old_register(tmp_path)])
        (report,) = desensitise.run(lake, PRODUCT)
        assert (report.accepted, report.withheld) == (0, 2)
        same = {"division": "110105", "name": "丁"}
        news = [(number("110105", date(1949, 12, 31), at), "2026-01-02", same) for at in (101, 103, 105, 107)]
        deliver(lake, "ps/extract", tmp_path / "news", news)
        resolve.run(lake, "person")
        (report,) = desensitise.run(lake, PRODUCT)
        assert report.accepted + report.withheld == 6
        with another(lake, tmp_path / "anew") as anew:
            desensitise.run(anew, PRODUCT)
            assert gold(lake).equals(gold(anew))


def test_nobody_of_a_small_group_is_ever_written_into_golds_folder(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FILE_ROWS", 0)
    people = [number("110105", date(1990, 1, 1), at_) for at_ in range(1, 13, 2)]  # six men of one age
    here, there = {"division": "110105"}, {"division": "330106"}
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        deliver(lake, "ps/extract", tmp_path / "0", [(key, "2026-01-02", here) for key in people[:5]])
        resolve.run(lake, "person")
        desensitise.run(lake, PRODUCT)
        assert gold(lake).height == 5
        moves = [(key, "2026-01-03", there) for key in people[:2]]
        deliver(lake, "ps/extract", tmp_path / "1", [*moves, (people[5], "2026-01-03", {**here, "name": "新"})])
        resolve.run(lake, "person")
        desensitise.run(lake, PRODUCT)
        assert gold(lake).height == 0
        maintain.run(lake)
        assert lake.scan(Layer.GOLD, PRODUCT).collect().is_empty()
        written = pl.concat([pl.read_parquet(file) for file in (tmp_path / "lake" / "gold").rglob("*.parquet")])
        assert "新" not in written["name_initial"].to_list()


def test_rows_cannot_be_withheld_where_children_are_counted_anew(tmp_path: Path, settings: Settings) -> None:
    release = "release: {theme: 统计}\nunder_14: nobody in it is younger than that\nwithhold:"
    with pytest.raises(ContractError, match="none can be withheld"):
        load_catalogue(another_contract(tmp_path, settings.schemas, ("withhold:", release)).schemas)


@pytest.mark.parametrize(("old", "new", "what"), [
    ("of: [division", "of: [nothing", "is no field"),
    ("  sex:      {type: text, protect: keep}", "  sex:      {type: text, protect: drop}", "is dropped before gold"),
    ("from: {register: person}", "from: {dataset: ps/extract}", "only a product of one register"),
])  # fmt: skip
def test_what_cannot_be_withheld_is_refused_in_the_contract(
    tmp_path: Path, settings: Settings, old: str, new: str, what: str
) -> None:
    with pytest.raises(ContractError, match=what):
        load_catalogue(another_contract(tmp_path, settings.schemas, (old, new)).schemas)


def test_an_identifier_among_what_comes_is_refused_and_gold_is_as_it_was(tmp_path: Path, settings: Settings) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(settings.schemas, schemas)
    contract = schemas / "products" / "people.yaml"
    told_ = contract.read_text(encoding="utf-8").replace("phone:    {type: text, protect: mask_phone}",
                                                         "phone:    {type: text, protect: keep}")
    contract.write_text(told_, encoding="utf-8")
    root, same = at(settings, tmp_path / "lake").root, {"division": "110105", "phone": "0571"}
    with Lake.open(Settings(schemas=schemas, root=root)) as lake:
        people = [number("110105", date(1990, 1, 1), at) for at in range(1, 15, 2)]
        deliver(lake, "ps/extract", tmp_path / "0", [(key, "2026-01-02", same) for key in people])
        resolve.run(lake, "person")
        desensitise.run(lake, PRODUCT)
        before = gold(lake)
        deliver(lake, "ps/extract", tmp_path / "1", [(people[0], "2026-01-03", {"phone": "13812345678"})])
        resolve.run(lake, "person")
        with pytest.raises(ReleaseRefused, match="phone") as refused:
            desensitise.run(lake, PRODUCT)
        assert "13812345678" not in str(refused.value)
        assert gold(lake).equals(before)
        for table in (Standing(lake, PRODUCT).changes, *Standing(lake, PRODUCT).withholding):
            shutil.rmtree(root / table_path(Layer.SILVER, table), ignore_errors=True)
        shutil.rmtree(root / "gold")
    with Lake.open(Settings(schemas=schemas, root=root)) as lake:
        with pytest.raises(ReleaseRefused, match="phone"):  # made anew, too, nothing of it is written
            desensitise.run(lake, PRODUCT)
        files = [*(root / "gold").rglob("*.parquet"), *(root / "silver").glob("products*/*.parquet")]
        phones = [pl.read_parquet(file)["phone"].to_list() for file in files]
        assert all("13812345678" not in some for some in phones)


def follow(lake: Lake) -> None:
    resolve.run(lake, "person")
    desensitise.run(lake, PRODUCT)


@pytest.mark.parametrize("large", [False, True])
def test_killed_at_any_write_the_next_run_ends_as_if_nothing_had_happened(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, soak: bool, large: bool
) -> None:
    if large:
        monkeypatch.setattr(standing, "FILE_ROWS", 0)
    town = City(5)
    with Lake.open(at(settings, tmp_path / "given")) as lake:
        deliver(lake, "ps/extract", tmp_path / "0", town.day(0))
        follow(lake)
        deliver(lake, "ps/extract", tmp_path / "1", town.day(1))
        resolve.run(lake, "person")

    def lake_of(name: str) -> Settings:
        shutil.copytree(tmp_path / "given", tmp_path / name)
        return Settings(schemas=settings.schemas, root=tmp_path / name)

    work = partial(desensitise.run, name=PRODUCT)
    calm = lake_of("calm")
    ended, writes = live(calm, 0, "never", [], work=work)
    assert ended == 0
    with Lake.open(lake_of("before")) as lake:
        before = gold(lake)
    with Lake.open(calm) as lake:
        wanted = gold(lake), kept_out(lake)
    points = [(number_, moment) for number_ in range(1, writes + 1) for moment in ("before", "after")]
    for number_, moment in points if soak else points[::2]:
        mortal = lake_of(f"{moment}{number_}")
        assert live(mortal, number_, moment, [], work=work)[0] == KILLED
        with Lake.open(mortal) as lake:
            assert any(gold(lake).equals(one) for one in (before, wanted[0])), (number_, moment)  # never half a change
            desensitise.run(lake, PRODUCT)
            assert gold(lake).equals(wanted[0]), (number_, moment)
            assert kept_out(lake).equals(wanted[1])
            assert desensitise.run(lake, PRODUCT) == []
