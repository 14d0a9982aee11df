"""Gold that cannot follow its register any more is made anew: nothing of another past is left in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.privacy.keyring import KeyRing
from jobs.settings import Settings
from jobs.stages import desensitise, maintain, resolve
from jobs.storage import standing
from jobs.storage.batch_tables import Writer
from jobs.storage.ledgers import Ledger
from jobs.storage.standing import Standing
from jobs.storage.tables import Lake
from tests.stages.followed_lake import (
    PLACES,
    PRODUCT,
    City,
    another,
    another_contract,
    gold,
)
from tests.stages.keyed_lake import at, declaring, deliver


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the benchmark's register and its product, with three divisions."""
    return declaring(tmp_path_factory.mktemp("following"), *PLACES)


@pytest.mark.parametrize("what", ["key", "contract", "history", "state", "tables"])
def test_gold_that_was_made_otherwise_is_made_anew(tmp_path: Path, settings: Settings, what: str) -> None:
    schemas, town = tmp_path / "schemas", City(4)
    shutil.copytree(settings.schemas, schemas)
    root = at(settings, tmp_path / "lake").root
    with Lake.open(Settings(schemas=schemas, root=root)) as lake:
        deliver(lake, "ps/extract", tmp_path / "0", town.day(0))
        resolve.run(lake, "person")
        desensitise.run(lake, PRODUCT)
        deliver(lake, "ps/extract", tmp_path / "1", town.day(1))
        resolve.run(lake, "person")
        if what == "key":
            KeyRing.of(lake.objects).rotate("pseudonym")
    contract = schemas / "products" / "people.yaml"
    if what == "contract":
        contract.write_text(contract.read_text(encoding="utf-8").replace("below: 5", "below: 3"), encoding="utf-8")
    elif what == "history":  # of a register that is older than this
        shutil.rmtree(root / "registers" / "person_replaced")
    elif what == "state":
        shutil.rmtree(root / "silver" / "products__people_groups")
    elif what == "tables":  # the register itself was made anew
        for table in (root / "registers").glob("person*"):
            shutil.rmtree(table)
    with Lake.open(Settings(schemas=schemas, root=root)) as lake:
        resolve.run(lake, "person")
        (report,) = desensitise.run(lake, PRODUCT)
        assert report.extra["since"] == 0
        with another(lake, tmp_path / "anew") as anew:
            desensitise.run(anew, PRODUCT)
            assert gold(lake).equals(gold(anew))


@pytest.mark.parametrize("large", [False, True])
def test_a_contract_that_follows_no_more_and_then_does_again_shows_what_is_true_each_time(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(standing, "FILE_ROWS", 0)
    town, root = City(6), at(settings, tmp_path / "lake").root
    plain = ("withhold: {below: 5, of: [division, sex, birth]}\n", "")
    joined = ("from: {register: person}", "from: {register: person, where: {name_source: not_null}}")
    for today, changes in enumerate([[plain], [plain], [plain, joined], [plain], [plain]]):
        with Lake.open(another_contract(root, settings.schemas, *changes)) as lake:
            deliver(lake, "ps/extract", tmp_path / str(today), town.day(today))
            resolve.run(lake, "person")
            desensitise.run(lake, PRODUCT)
            living = Ledger(lake, "person").scan_current().select(pl.len()).collect().item()
            assert gold(lake).height == living
            if large and today == 1:
                assert lake.scan(Layer.GOLD, PRODUCT).collect().height < living
            maintain.run(lake) if today == 2 else None
            assert gold(lake).height == living


def test_a_register_that_was_put_back_to_an_earlier_day_takes_gold_with_it(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FILE_ROWS", 0)
    town, root = City(7), at(settings, tmp_path / "lake").root
    with Lake.open(Settings(schemas=settings.schemas, root=root)) as lake:
        for today in range(3):
            deliver(lake, "ps/extract", tmp_path / str(today), town.day(today))
            resolve.run(lake, "person")
            desensitise.run(lake, PRODUCT)
            if today == 0:
                shutil.copytree(root / "registers", tmp_path / "earlier")
    shutil.rmtree(root / "registers")
    shutil.copytree(tmp_path / "earlier", root / "registers")
    for again in range(3):
        with Lake.open(Settings(schemas=settings.schemas, root=root)) as lake:
            if again == 1:  # all that waits; then one more, and there are as many commits as there were
                resolve.run(lake, "person")
            if again == 2:
                deliver(lake, "ps/extract", tmp_path / "other", town.day(5))
                resolve.run(lake, "person")
            desensitise.run(lake, PRODUCT)
            with another(lake, tmp_path / "anew") as anew:
                desensitise.run(anew, PRODUCT)
                assert gold(lake).equals(gold(anew))


def test_a_register_with_another_past_of_as_many_commits_is_another(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FILE_ROWS", 0)
    town, root = City(10), at(settings, tmp_path / "lake").root
    plain = ("withhold: {below: 5, of: [division, sex, birth]}\n", "")
    for today in range(3):
        with Lake.open(another_contract(root, settings.schemas, plain)) as lake:
            deliver(lake, "ps/extract", tmp_path / str(today), town.day(today))
            resolve.run(lake, "person")
            if today < 2:
                desensitise.run(lake, PRODUCT)
        if today == 0:
            shutil.copytree(root / "registers", tmp_path / "earlier")
        elif today == 1:
            shutil.rmtree(root / "registers")
            shutil.copytree(tmp_path / "earlier", root / "registers")
    with Lake.open(Settings(schemas=root / "schemas", root=root)) as lake:
        assert desensitise.run(lake, PRODUCT)
        with another(lake, tmp_path / "anew") as anew:
            desensitise.run(anew, PRODUCT)
            assert gold(lake).equals(gold(anew))


def test_maintenance_makes_gold_anew_where_its_tables_do_not_agree(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FILE_ROWS", 0)
    town = City(11)
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        for today in range(2):
            deliver(lake, "ps/extract", tmp_path / str(today), town.day(today))
            resolve.run(lake, "person")
            desensitise.run(lake, PRODUCT)
        wanted, own = gold(lake), Standing(lake, PRODUCT)
        schema = dict(lake.scan(Layer.GOLD, PRODUCT).collect_schema())
        gone = wanted.select(list(schema)).head(1).with_columns(person=pl.lit("nobody"), _change=-1, _commit=2)
        with Writer(lake.folder(Layer.SILVER, own.changes), standing.signed(schema)) as writer:
            writer.write(gone)
        made = own.made()
        assert made is not None
        own.append(writer.files(), schema, made)
        with pytest.raises(StorageError, match="is not there"):
            gold(lake)
        (report,) = maintain.run(lake)
        assert report.extra["made_anew"] == [PRODUCT]
        assert gold(lake).equals(wanted)


def test_a_table_that_somebody_emptied_is_noticed(tmp_path: Path, settings: Settings) -> None:
    root = at(settings, tmp_path / "lake").root
    with Lake.open(Settings(schemas=settings.schemas, root=root)) as lake:
        deliver(lake, "ps/extract", tmp_path / "0", City(8).day(0))
        resolve.run(lake, "person")
        desensitise.run(lake, PRODUCT)
        before = gold(lake)
    for table in ("gold/products__people", "silver/products__people_withheld"):
        shutil.rmtree(root / table)
        with Lake.open(Settings(schemas=settings.schemas, root=root)) as lake:
            assert desensitise.run(lake, PRODUCT)
            assert gold(lake).equals(before)


def test_maintenance_goes_on_though_one_products_contract_changed_meanwhile(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "FILE_ROWS", 0)
    town, root = City(9), at(settings, tmp_path / "lake").root
    with Lake.open(another_contract(root, settings.schemas)) as lake:
        for today in range(2):
            deliver(lake, "ps/extract", tmp_path / str(today), town.day(today))
            resolve.run(lake, "person")
            desensitise.run(lake, PRODUCT)
        before = gold(lake)
    more = ("  province:", "  again: {from: sex, type: text, protect: keep}\n  province:")
    with Lake.open(another_contract(root, settings.schemas, more)) as lake:
        (report,) = maintain.run(lake)
        assert report.extra["made_anew"] == []
        assert gold(lake).equals(before)
        desensitise.run(lake, PRODUCT)
        assert "again" in gold(lake).columns
