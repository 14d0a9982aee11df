"""The score-card counts what was decided, what waits and how right it is; the notebook shows it over a small city."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient
from typer.testing import CliRunner

from jobs.cli import app
from jobs.operation import scorecard
from jobs.operation.decisions import decide
from jobs.operation.score import ALL, score
from jobs.quality import docs
from jobs.releases import linkage, listing, recipes
from jobs.releases.verify import verify
from jobs.settings import PROJECT, Settings
from jobs.stages import conform, desensitise, land, load, publish, resolve
from jobs.storage.tables import Lake
from jobs.synthesis import city

DATASETS = ["public_security/household_register", "civil_affairs/deaths", "civil_affairs/marriage_registrations"]
PRODUCT = "products/population"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small lake of three days, and the truth about it beside the lake."""
    root = tmp_path_factory.mktemp("city")
    city.write(1_500, 3, 7, root / "city", PROJECT / "schemas" / "codes", None)
    made = Settings(root=root, raw=root / "city" / "raw")
    with Lake.open(made) as lake:
        for dataset in DATASETS:
            land.run(lake, dataset)
            load.run(lake, dataset)
            conform.run(lake, dataset)
        resolve.run(lake, "person")
    return made


def test_waiting_cases_grow_old_and_a_decided_one_waits_no_more(settings: Settings) -> None:
    now = datetime.now(UTC)
    with Lake.open(settings) as lake:
        before = scorecard.cases(lake, now)
        assert set(before["age"]) == {"today"}
        (row,) = scorecard.registers(lake, now + timedelta(days=9))
        assert row["cases_waiting"] == before["cases"].sum()
        assert row["oldest_days"] in (8, 9)
        assert set(scorecard.cases(lake, now + timedelta(days=9))["age"]) == {"this month"}
        waiting = scorecard.Desk.of(lake, "person").court.cases()["id"][0]
        decide(lake, waiting, "different", by="steward", reason="two files")
        resolve.run(lake, "person")
        (after,) = scorecard.registers(lake, now)
        assert (after["cases_waiting"], after["cases_decided"]) == (row["cases_waiting"] - 1, 1)
        assert 0 <= after["auto_decided"] < 1


def test_a_release_says_how_well_its_register_knows_who_is_who_and_says_the_same_when_made_again(
    settings: Settings
) -> None:
    with Lake.open(settings) as lake:
        desensitise.run(lake, PRODUCT)
        publish.run(lake, PRODUCT, approved_by="officer@city.example", triggered_by="operator")
        (counted,) = scorecard.registers(lake, datetime.now(UTC))
        released = listing.latest(lake.objects, PRODUCT)
        assert released is not None
        folder = released.folder
        (row,) = json.loads((folder / "quality.json").read_text(encoding="utf-8"))["registers"]
        waiting = counted["cases_waiting"]
        assert (row["register"], row["joined_by_people"]) == ("person", "0")
        assert row["cases_waiting"] == (str(waiting // 5 * 5) if waiting >= 5 or not waiting else "fewer than 5")
        for card, title in (("README.md", "## Who is who"), ("README.zh.md", "## 主体识别")):
            assert f"{title}\n" in (folder / card).read_text(encoding="utf-8")
        assert verify(folder).problems == []
        decide(lake, scorecard.Desk.of(lake, "person").court.cases()["id"][-1], "unsure", by="steward", reason="later")
        resolve.run(lake, "person")  # the register goes on; what was released does not
        assert {one["result"] for one in recipes.rebuild(lake, PRODUCT, released.version)} == {"equal"}
        assert linkage.kept(lake.objects, PRODUCT, released.version) == [row]
        publish.withdraw(lake, PRODUCT, [released.version], reason="a trial", by="officer@city.example")
        assert linkage.kept(lake.objects, PRODUCT, released.version) == []


def test_a_card_tells_counts_shares_and_days_and_hides_what_is_few() -> None:
    few = dict.fromkeys(linkage.COUNTS, "0") | {"cases_waiting": "fewer than 5", "joined_by_rules": "1200"}
    rows = [
        {"register": "person", **few, "oldest_days": None, "auto_decided": None},
        {"register": "organisation", **dict.fromkeys(linkage.COUNTS, "30"), "oldest_days": 12, "auto_decided": 0.91},
    ]
    english, chinese = (linkage.section(rows, chinese=one) for one in (False, True))
    assert "| person | 1200 | 0 | 0 | 0 | fewer than 5 | — | — |" in english
    assert "| organisation | 30 | 30 | 30 | 30 | 30 | 12 | 91% |" in english
    assert "| person | 1200 | 0 | 0 | 0 | 少于 5 | — | — |" in chinese
    assert linkage.section([], chinese=True) == []
    assert not [line for line in (*english, *chinese) if "rounded" in line or "取整" in line]  # these are not


def test_published_figures_of_a_register_are_rounded_down_and_the_card_says_so() -> None:
    counted = dict(zip(linkage.COUNTS, (0, 5, 9, 1204, 10), strict=True))
    told = [
        linkage._told({"register": "person", **counted, "oldest_days": days, "auto_decided": share})
        for days, share in ((12, 0.919), (None, None), (4, 0.95), (5, 0.15), (0, 1.0))
    ]
    assert [told[0][name] for name in linkage.COUNTS] == ["0", "5", "5", "1200", "10"]
    assert [(one["oldest_days"], one["auto_decided"]) for one in told] == [
        (10, 0.9), (None, None), (0, 0.95), (5, 0.15), (0, 1.0)]
    counted["cases_decided"] = 1
    few = linkage._told({"register": "person", **counted, "oldest_days": 12, "auto_decided": 0.9})
    assert few == {**told[0], "cases_decided": "fewer than 5", "auto_decided": None}
    english, chinese = ("\n".join(linkage.section(told, chinese=one)) for one in (False, True))
    assert "rounded down to a multiple of 5." in english
    assert "| person | 0 | 5 | 5 | 1200 | 10 | 10 | 90% |" in english
    assert "向下取整为 5 的倍数" in chinese


def test_the_score_says_where_the_data_docs_lie(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(settings.home))
    words = ["score", "--truth", str(settings.home / "city" / "truth"), "--json"]
    before = CliRunner().invoke(app, words)
    assert (before.exit_code, "`lake run maintain` builds them" in before.stderr) == (0, True)
    with Lake.open(settings) as lake:
        docs.build(lake)
    after = CliRunner().invoke(app, words)
    told = after.stderr.partition("Data Docs: ")[2].strip()
    assert json.loads(after.stdout)[0]["register"] == "person"
    assert DATASETS[0].replace("/", "__") in Path(told).read_text(encoding="utf-8")


def test_no_wrong_merge_is_among_rows_whose_keys_mislead(settings: Settings) -> None:
    with Lake.open(settings) as lake:
        rows = pl.DataFrame(score(lake, settings.home / "city" / "truth"))
    assert rows.filter(pl.col("dirt") == ALL)["precision"].item() > 0.999
    assert rows["wrong"].sum() == 0


def test_the_notebook_shows_cases_and_precision_and_nothing_of_anybody(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_ROOT", str(settings.home))
    monkeypatch.setenv("LAKE_SCHEMAS", str(PROJECT / "schemas"))
    notebook = nbformat.read(PROJECT / "notebooks" / "registers.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are kept out of the repository"
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = json.dumps([cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code"], ensure_ascii=False)
    assert "auto_decided" in shown
    assert "precision 1.0000" in shown
    assert "█" in shown
    assert "Data Docs" in shown
    truth = pl.read_parquet(settings.home / "city" / "truth" / "identifiers.parquet")["value"]
    assert not [value for value in truth if value in shown]
