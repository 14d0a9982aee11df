"""A register whose rules are changed is folded anew: as if they had always been so."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from jobs.settings import Settings
from jobs.stages import conform, land, load, open_register, resolve, retract
from jobs.storage.ledgers import Ledger
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.stages import keyed_lake as keyed
from tests.stages.mortal import KILLED, live
from tests.stages.states import state
from tests.stages.test_keyed import settings  # noqa: F401 (a fixture)

DATASETS = ["public_security/household_register", "civil_affairs/deaths"]
REGISTER = Path("registers/person.yaml")
SEX = "{type: code, codes: sex, title: {en: Sex, zh: 性别}, prefer: [public_security/household_register]}"
OTHERS = "{type: code, codes: sex, title: {en: Sex, zh: 性别}, prefer: [civil_affairs/deaths]}"
NAME = "title: {en: Name, zh: 姓名}, prefer: [public_security/household_register]}"
LATEST = "title: {en: Name, zh: 姓名}, policy: latest}"


def changed(schemas: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    """Return a schemas folder whose person register says something else."""
    shutil.copytree(schemas, folder)
    text = (folder / REGISTER).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / REGISTER).write_text(text, encoding="utf-8")
    return folder


def fold(lake: Lake) -> None:
    resolve.run(lake, "person")


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake's folder: people of two departments, known to the register."""
    folder = tmp_path_factory.mktemp("rules")
    city.write(300, 2, 7, folder, Settings().schemas / "codes", None, DATASETS)
    with Lake.open(Settings(root=folder / "lake", raw=folder / "raw")) as lake:
        for stage in (land, load, conform):
            for dataset in DATASETS:
                stage.run(lake, dataset)
        resolve.run(lake, "person")
    return folder / "lake"


def test_other_rules_fold_everybody_anew_and_the_former_ones_bring_the_former_register_back(
    tmp_path: Path, resolved: Path
) -> None:
    others = changed(Settings().schemas, tmp_path / "schemas", (SEX, OTHERS), (NAME, LATEST))
    with Lake.open(Settings(root=resolved)) as lake:
        before = state(lake, DATASETS)
    fresh, lived = tmp_path / "fresh", tmp_path / "lived"
    shutil.copytree(resolved, fresh, ignore=lambda _folder, names: [n for n in names if n.startswith("person")])
    shutil.copytree(resolved, lived)
    with Lake.open(Settings(root=fresh, schemas=others)) as lake:
        resolve.run(lake, "person")
        wanted = state(lake, DATASETS)
    assert wanted["register.person"] != before["register.person"], "the other rules change somebody's row"
    with Lake.open(Settings(root=lived, schemas=others)) as lake:
        (report,) = resolve.run(lake, "person")
        assert report.extra["decisions"] == 0
        assert state(lake, DATASETS) == wanted
        assert resolve.run(lake, "person") == []
    with Lake.open(Settings(root=lived)) as lake:
        resolve.run(lake, "person")
        assert state(lake, DATASETS) == before


ALIKE = "alike: [[name, birth_date, sex_code, phone], [name, birth_date, sex_code, address]]"


@pytest.mark.parametrize(("old", "new"), [
    (ALIKE, "alike: [[name]]"), ("other: [birth_date, sex_code]", "other: [sex_code]"),
    ("kinds: [resident_id, passport, travel_permit]", "kinds: [travel_permit, passport, resident_id]"),
])  # fmt: skip
def test_rules_about_who_is_who_hold_for_the_claims_of_before_too(
    tmp_path: Path, resolved: Path, old: str, new: str
) -> None:
    others = changed(Settings().schemas, tmp_path / "schemas", (old, new))
    fresh, lived = tmp_path / "fresh", tmp_path / "lived"
    shutil.copytree(resolved, fresh, ignore=lambda _folder, names: [n for n in names if n.startswith("person")])
    shutil.copytree(resolved, lived)
    states = []
    for root in (fresh, lived):
        with Lake.open(Settings(root=root, schemas=others)) as lake:
            (report,) = resolve.run(lake, "person")
            assert report.extra["withdrawn"] == []
            states.append(state(lake, DATASETS))
    assert states[0] == states[1]


def test_a_commit_planned_by_other_rules_is_carried_out_and_everything_once_more(
    tmp_path: Path, resolved: Path
) -> None:
    others = changed(Settings().schemas, tmp_path / "schemas", (SEX, OTHERS), (NAME, LATEST))
    root = tmp_path / "lake"
    shutil.copytree(resolved, root)
    with Lake.open(Settings(root=root)) as lake:
        before = state(lake, DATASETS)
    ended, _ = live(Settings(root=root, schemas=others), 1, "after", DATASETS, work=fold)
    assert ended == KILLED
    with Lake.open(Settings(root=root)) as lake:  # the rules are the former ones again
        assert len(resolve.run(lake, "person")) == 2
        assert resolve.run(lake, "person") == []
        assert state(lake, DATASETS) == before


def test_what_a_register_is_called_changes_nothing(tmp_path: Path, resolved: Path) -> None:
    renamed = changed(Settings().schemas, tmp_path / "schemas", ("en: Phone, zh: 联系电话", "en: Telephone, zh: 电话"))
    shutil.copytree(resolved, tmp_path / "lake")
    with Lake.open(Settings(root=tmp_path / "lake", schemas=renamed)) as lake:
        assert resolve.run(lake, "person") == []


def test_killed_while_everybody_is_folded_anew_the_next_run_ends_it(tmp_path: Path, resolved: Path) -> None:
    others = changed(Settings().schemas, tmp_path / "schemas", (SEX, OTHERS), (NAME, LATEST))
    shutil.copytree(resolved, tmp_path / "calm")
    ended, writes = live(Settings(root=tmp_path / "calm", schemas=others), 0, "never", DATASETS, work=fold)
    assert ended == 0
    with Lake.open(Settings(root=tmp_path / "calm", schemas=others)) as lake:
        wanted = state(lake, DATASETS)
    assert writes >= 6
    for number in range(1, writes, 2):
        root = tmp_path / f"lake{number}"
        shutil.copytree(resolved, root)
        ended, _ = live(Settings(root=root, schemas=others), number, "after", DATASETS, work=fold)
        assert ended == KILLED
        with Lake.open(Settings(root=root, schemas=others)) as lake:
            resolve.run(lake, "person")
            assert state(lake, DATASETS) == wanted
            assert resolve.run(lake, "person") == []


def test_a_keyed_register_is_folded_anew_from_what_it_was_opened_with_and_its_claims(
    tmp_path: Path, settings: Settings  # noqa: F811 (the fixture)
) -> None:
    latest = "name:     {type: text, title: {en: Name, zh: 姓名}, policy: latest}"
    old = "name:     {type: text, title: {en: Name, zh: 姓名}, prefer: [ps/extract, ca/extract, hi/extract]}"
    others = changed(settings.schemas, tmp_path / "schemas", (old, latest))
    found: list[pl.DataFrame] = []
    for name, first in (("fresh", others), ("lived", settings.schemas)):
        own = keyed.at(settings, tmp_path / name)
        with Lake.open(own.model_copy(update={"schemas": first})) as lake:
            open_register.run(lake, "person", [keyed.old_register(tmp_path)])
            batches = {one: keyed.deliver(lake, one, tmp_path / one, rows) for one, rows in keyed.NEWS.items()}
            resolve.run(lake, "person")
            retract.run(lake, "hi/extract", batch=batches["hi/extract"])
            resolve.run(lake, "person")
        with Lake.open(Settings(root=own.root, schemas=others)) as lake:
            again = resolve.run(lake, "person")
            assert [report.extra["entities"] for report in again] == ([] if name == "fresh" else [3])
            found.append(Ledger(lake, "person").scan_current().drop("_commit").sort("_entity_id").collect())
    assert found[0].equals(found[1])
    assert "甲三" in found[0]["name"], "the later of two names, where the first source was believed before"
