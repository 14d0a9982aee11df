"""The verb end to end, on invented people: small files, real Splink and DuckDB."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.linking.config import LinkConfig, read_config
from jobs.linking.linkage import link
from jobs.settings import PROJECT
from tests.linking.invented import chinese_people, strangers

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def run(*words):
    return CliRunner().invoke(app, ["link", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("link")
    people = chinese_people(120)
    people.write_csv(made / "people.csv")
    (made / "shuffled").mkdir()
    people.sample(fraction=1.0, shuffle=True, seed=1).write_csv(made / "shuffled" / "people.csv")
    result = run(
        made / "people.csv", "--truth", "真值", "--out", made / "out", "--train", made / "model.json", "--json"
    )
    assert result.exit_code == 0, result.output
    return made


def test_chinese_people_are_found_again_in_other_spellings(folder):
    quality = json.loads((folder / "out" / "summary.json").read_text())["quality"]
    assert quality["precision"] >= 0.95
    assert quality["recall"] >= 0.9


def test_the_order_of_rows_changes_no_cluster_and_a_model_no_weight(folder):
    again = folder / "again"
    result = run(
        folder / "shuffled" / "people.csv", "--truth", "真值", "--out", again, "--model", folder / "model.json"
    )
    assert result.exit_code == 0, result.output

    def clusters(where, table):
        found = pl.read_csv(where / "clusters.csv").sort("row")["cluster_id"]
        return sorted(zip(pl.read_csv(table).rows(), found, strict=True), key=repr)

    assert clusters(folder / "out", folder / "people.csv") == clusters(again, folder / "shuffled" / "people.csv")
    weights = [pl.read_csv(where / "pairs.csv")["match_weight"].sort() for where in (folder / "out", again)]
    assert (weights[0] - weights[1]).abs().max() < 1e-6


def test_charts_stand_alone_and_hold_no_cell(folder):
    people = pl.read_csv(folder / "people.csv", infer_schema=False)
    for name in ("match_weights.html", "waterfall.html"):
        page = (folder / "out" / name).read_text(encoding="utf-8")
        assert "<svg" in page
        assert "http://" not in page
        assert "https://" not in page
        assert "<script" not in page
        assert not [cell for cell in people["姓名"].drop_nulls() if len(cell) > 2 and cell in page]


def test_where_nearly_nothing_matches_nearly_nothing_is_merged():
    people = strangers(200, 4)
    linked = link({"people": people}, LinkConfig(), truth="person")
    several = linked.rows.group_by("_cluster").agg(pl.len(), pl.col("person").n_unique().alias("people"))
    assert several.filter(pl.col("people") > 1).height == 0
    assert several.filter(pl.col("len") > 1).height >= 2


def test_the_configuration_in_the_manual_is_one(tmp_path):
    manual = (PROJECT / "README.md").read_text(encoding="utf-8")
    file = tmp_path / "link.yaml"
    file.write_text(manual.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert read_config(file).threshold == 0.9


@pytest.mark.parametrize(
    ("text", "named"), [("threshold: 2", "threshold"), ("colums: {}", "colums"), ("columns: {a: nothing}", "columns.a")]
)
def test_a_wrong_configuration_is_refused_by_the_entry_that_is_wrong(tmp_path, folder, text, named):
    file = tmp_path / "link.yaml"
    file.write_text(text, encoding="utf-8")
    result = run(folder / "people.csv", "--config", file, "--out", tmp_path / "out")
    assert named in str(result.exception)
    assert result.exception.exit_code == 2


def test_a_column_that_is_not_there_is_named(tmp_path, folder):
    result = run(folder / "people.csv", "--truth", "nowhere", "--out", tmp_path)
    assert "nowhere" in str(result.exception)
    assert result.exception.exit_code == 2
