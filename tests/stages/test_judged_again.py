"""A batch judged again under another contract: killed in the midst of it, the next run ends the work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.settings import Settings
from jobs.stages import conform, land, load
from jobs.storage.tables import Lake
from jobs.synthesis import city
from tests.stages.mortal import KILLED, live
from tests.stages.states import state

DATASET = "public_security/household_register"


@pytest.fixture(scope="module")
def conformed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake's folder with two days of one dataset in silver."""
    folder = tmp_path_factory.mktemp("city")
    city.write(300, 2, 7, folder, Settings().schemas / "codes", None, [DATASET])
    with Lake.open(Settings(root=folder / "lake", raw=folder / "raw")) as lake:
        for stage in (land, load, conform):
            stage.run(lake, DATASET)
    return folder / "lake"


def _changed(folder: Path, old: str, new: str) -> Path:
    """Return a schemas folder in which one line of the contract is another."""
    shutil.copytree(Settings().schemas, folder)
    path = folder / f"{DATASET}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def _stricter(folder: Path) -> Path:
    phone = "{from: 联系电话, type: phone, protect: drop}"
    return _changed(folder, phone, phone.replace("protect", "required: true, protect"))


def test_killed_at_any_write_of_judging_again_the_next_plain_run_ends_it(tmp_path: Path, conformed: Path) -> None:
    schemas = _stricter(tmp_path / "schemas")
    shutil.copytree(conformed, tmp_path / "calm")
    ended, writes = live(Settings(root=tmp_path / "calm", schemas=schemas), 0, "never", [DATASET], again=True)
    assert ended == 0
    with Lake.open(Settings(root=tmp_path / "calm", schemas=schemas)) as lake:
        wanted, judged = state(lake, [DATASET]), lake.judged("conform", DATASET)
        first_time = lake.runs().filter(stage="conform", outcome="done").unique("batch", keep="first")
        assert sum(row["quarantined"] for row in judged.values()) > first_time["quarantined"].sum()
    for number in range(2, writes // 2, 2):
        root = tmp_path / f"lake{number}"
        shutil.copytree(conformed, root)
        ended, _ = live(Settings(root=root, schemas=schemas), number, "after", [DATASET], again=True)
        assert ended == KILLED
        with Lake.open(Settings(root=root, schemas=schemas)) as lake:
            first = min(lake.judged("conform", DATASET))
            conform.run(lake, DATASET)  # what broke off is taken up without being named
            other = max(lake.judged("conform", DATASET))
            assert lake.judged("conform", DATASET)[first]["quarantined"] == judged[first]["quarantined"]
            conform.run(lake, DATASET, batch=other)
            assert state(lake, [DATASET]) == wanted
            accounts = {batch: row["accepted"] for batch, row in lake.judged("conform", DATASET).items()}
        assert accounts == {batch: row["accepted"] for batch, row in judged.items()}


def test_a_type_the_table_was_not_made_with_is_refused_before_anything_changes(
    tmp_path: Path, conformed: Path
) -> None:
    given = "{from: 户号, type: text, protect: pseudonym}"
    schemas = _changed(tmp_path / "schemas", given, "{from: 户号, type: integer, protect: drop}")
    shutil.copytree(conformed, tmp_path / "lake")
    with Lake.open(Settings(root=tmp_path / "lake", schemas=schemas)) as lake:
        before = state(lake, [DATASET])
        with pytest.raises(StorageError, match="type of household_no"):
            conform.run(lake, DATASET, batch=lake.batches(DATASET)[0].id)
        assert state(lake, [DATASET]) == before
        assert lake.has(Layer.QUARANTINE, DATASET)
