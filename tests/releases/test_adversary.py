"""Before a release leaves, the lake attacks it with its own register of people."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.errors import ReleaseRefused
from jobs.layers import Layer
from jobs.portal.build import build
from jobs.releases import approvals, listing, recipes
from jobs.releases.verify import verify
from jobs.settings import Settings
from jobs.stages import conform, desensitise, land, load, publish, resolve
from jobs.storage.tables import Lake
from jobs.synthesis import city

DATASET = "public_security/household_register"
SAFE = {
    "division_code": {"as": "division_code"}, "sex_code": {"as": "sex_code"},
    "birth_date": {"as": "birth_band", "generalise": "ten_years"},
    "marital_status_code": {"as": "marital_status_code"},
}


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake's folder with a small city's people in silver and in the register."""
    folder = tmp_path_factory.mktemp("city")
    city.write(1500, 1, 7, folder, Settings().schemas / "codes", None, [DATASET])
    with Lake.open(Settings(root=folder / "lake", raw=folder / "raw")) as lake:
        for stage in (land, load, conform):
            stage.run(lake, DATASET)
        resolve.run(lake, "person")
    return folder / "lake"


@contextmanager
def _lake(
    registered: Path, folder: Path, publishing: dict[str, Any], argued: dict[str, str], under_14: str = "",
    **protect: str,
) -> Iterator[Lake]:
    """Open a copy of the lake whose household register is released on given terms, approved and desensitised."""
    shutil.copytree(registered, folder / "lake")
    shutil.copytree(Settings().schemas, folder / "schemas")
    path = folder / "schemas" / f"{DATASET}.yaml"
    words = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, how in publishing.items():
        words["fields"][name]["publish"] = how
    for name, how in protect.items():
        words["fields"][name]["protect"] = how
    words["release"] = {"theme": "统计", "utility_floor": 0.1, "not_identifying": argued}
    words["under_14"] = under_14 or {"exempt": "so that nothing but the attack stands in the way"}
    path.write_text(yaml.safe_dump(words, allow_unicode=True, sort_keys=False), encoding="utf-8")
    with Lake.open(Settings(root=folder / "lake", schemas=folder / "schemas")) as lake:
        desensitise.run(lake, DATASET)
        approvals.approve(lake, DATASET, by="officer@city.example")
        yield lake


def test_terms_that_argue_a_birthday_away_are_refused_with_the_column_to_blame(
    tmp_path: Path, registered: Path
) -> None:
    unsafe = {**SAFE, "birth_date": {"as": "born_on"}}
    argued = {"born_on": "nobody knows anybody's birthday"}
    with _lake(registered, tmp_path, unsafe, argued, birth_date="keep") as lake:
        shown = publish.preview(lake, DATASET)
        with pytest.raises(ReleaseRefused) as refused:
            publish.run(lake, DATASET, approved_by="officer")
        assert "truly singled out" in refused.value.what
        assert str(refused.value.where).startswith("born_on (")
        assert refused.value.remedy
        assert str(shown["attack"]).startswith("refused: ")
        assert str(shown["verdict"]).startswith("FAILS: the lake's own attack succeeds")
        assert lake.runs().filter(outcome="refused")["withheld"].to_list() == [shown["underlying_rows"]]
        assert not listing.versions(lake.objects, DATASET)


def test_a_claim_that_no_row_speaks_of_a_child_is_counted_against_the_rows(tmp_path: Path, registered: Path) -> None:
    with _lake(registered, tmp_path, SAFE, {}, under_14="claimed, and wrong: whole families live here") as lake:
        (report,) = [one for one in [lake.last_report("desensitise", DATASET, b) for b in lake.judged(
            "desensitise", DATASET)] if one.outcome == "done"]
        births = lake.scan(Layer.SILVER, DATASET).select("birth_date").collect()["birth_date"]
        children = births.filter(births > datetime.now(UTC).date() - timedelta(days=14 * 365)).len()
        assert 0 < children <= report.extra["under_14"] < len(births)
        assert (report.extra["age_unknown"], report.extra["age_known"]) == (0, report.delivered)
        shown = publish.preview(lake, DATASET)
        with pytest.raises(ReleaseRefused) as refused:
            publish.run(lake, DATASET, approved_by="officer")
        assert f"{report.extra['under_14']} rows speak of children" in refused.value.what
        assert "children" in str(shown["verdict"])
        assert "children" in str(shown["refused"])
        assert not listing.versions(lake.objects, DATASET)


def test_a_release_of_large_groups_leaves_and_says_what_the_attack_came_to(tmp_path: Path, registered: Path) -> None:
    with _lake(registered, tmp_path, SAFE, {}) as lake:
        publish.run(lake, DATASET, approved_by="officer")
        (released,) = listing.versions(lake.objects, DATASET)
        (role,) = released.manifest["risk"]["attack"]["roles"]
        assert set(role["known"]) == {"division_code", "sex_code", "birth_band", "marital_status_code"}
        assert role["met"] > 1000
        assert (role["claims"], role["singled_out_true"], role["succeeds"]) == (0, 0, False)
        assert role["least_people"] >= 20
        assert json.loads((released.folder / "risk.json").read_text())["attack"] == released.manifest["risk"]["attack"]
        assert not verify(released.folder).problems
        assert {row["result"] for row in recipes.rebuild(lake, DATASET, released.version)} == {"equal"}
        assert "register of people" in (released.folder / "README.md").read_text(encoding="utf-8")
        build(lake)
        pages = lake.objects.local("open/public_security__household_register")
        assert f"{role['population']:,} of them" in (pages / "index.en.html").read_text(encoding="utf-8")
        assert f"至少与 {role['least_people']:,} 人吻合" in (pages / "index.html").read_text(encoding="utf-8")
