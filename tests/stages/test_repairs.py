"""Rejected rows go back to their department as a workbook, come back mended, and close."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from jobs import layers
from jobs.batch import StageReport
from jobs.errors import DamagedBatchError, QualityGateError, RequestError, SourceError
from jobs.layers import Layer
from jobs.settings import Settings
from jobs.stages import conform, give_back, land, load, mending, resolve, retract
from jobs.storage.tables import Lake
from tests import forks

DATASET = "civil_affairs/deaths"
GOOD = {
    "登记编号": "S-1", "身份证号": "11010519491231002X", "姓名": "某甲", "性别": "女", "出生日期": "1949-12-31",
    "死亡日期": "2025-12-30", "登记机关区划": "110105", "登记日期": "2026-01-05",
}
BAD = [
    {**GOOD, "登记编号": "S-2", "身份证号": "110105194912310021"},
    {**GOOD, "登记编号": "S-3", "死亡日期": "不详"},
]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with Lake.open(Settings(root=tmp_path / "lake", raw=tmp_path / "raw")) as lake:
        yield lake


@pytest.fixture
def batch(lake: Lake) -> str:
    """A delivery of one good row and two bad ones, judged and given back."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in (GOOD, *BAD))
    _deliver(lake, "deaths_20260110.jsonl", lines)
    _judge(lake)
    give_back.run(lake)
    return lake.batches(DATASET)[0].id


def _deliver(lake: Lake, name: str, text: str) -> None:
    box = lake.settings.drop_box / "civil_affairs"
    box.mkdir(parents=True, exist_ok=True)
    (box / name).write_text(text, encoding="utf-8")


def _judge(lake: Lake) -> None:
    for stage in (land, load, conform):
        stage.run(lake, DATASET)


def _returned(lake: Lake, batch: str) -> Path:
    return lake.settings.drop_box / give_back.place(lake.catalogue.contract(DATASET), batch)


def _mend(file: Path, target: Path, changes: dict[str, dict[str, Any]]) -> Path:
    """Edit a workbook as a clerk would: by registration number, some cells."""
    book = openpyxl.load_workbook(file)
    sheet = book[book.sheetnames[0]]
    titles = {cell.value: cell.column for cell in sheet[1]}
    for row in range(2, sheet.max_row + 1):
        number = sheet.cell(row, titles["登记编号"]).value
        for title, value in changes.get(number, {}).items():
            sheet.cell(row, titles[title]).value = value
    target.parent.mkdir(parents=True, exist_ok=True)
    book.save(target)
    return target


def _hand_in(lake: Lake, batch: str, changes: dict[str, dict[str, Any]], version: str = "") -> Path:
    file = _returned(lake, batch)
    return _mend(file, lake.settings.drop_box / "civil_affairs/_repaired" / f"{file.stem}{version}.xlsx", changes)


def _repaired(lake: Lake, batch: str) -> Path:
    return lake.settings.drop_box / "civil_affairs/_repaired" / _returned(lake, batch).name


def _open(lake: Lake) -> set[str]:
    rows = mending.open_rows(lake, lake.catalogue.contract(DATASET))
    return {json.loads(cells)["登记编号"] for cells in rows["_cells"]}


def _silver(lake: Lake) -> list[str]:
    return sorted(lake.scan(Layer.SILVER, DATASET).select("registration_no").collect()["registration_no"])


def test_a_row_mended_in_the_workbook_is_accepted_and_its_ticket_closes(lake: Lake, batch: str) -> None:
    assert _returned(lake, batch).exists()
    assert _open(lake) == {"S-2", "S-3"}
    _hand_in(lake, batch, {"S-2": {"身份证号": GOOD["身份证号"]}})
    _judge(lake)
    assert _silver(lake) == ["S-1", "S-2"]
    assert _open(lake) == {"S-3"}
    first, second = lake.batches(DATASET)
    assert {first.repairs, second.repairs} == {None, batch}
    assert first.data_date == second.data_date
    runs = lake.runs().filter(pl.col("stage") == "conform")
    assert (runs["delivered"] == runs["accepted"] + runs["quarantined"] + runs["duplicates"]).all()
    resolve.run(lake, "person")

    give_back.run(lake)
    _hand_in(lake, batch, {"S-3": {"死亡日期": "2026-01-01"}}, "-2")
    _judge(lake)
    assert _open(lake) == set()
    assert _silver(lake) == ["S-1", "S-2", "S-3"]
    assert [report.delivered for report in give_back.run(lake)] == [0]
    assert not _returned(lake, batch).exists()
    assert give_back.run(lake) == []


def test_a_row_mended_badly_goes_back_with_what_is_wrong_now(lake: Lake, batch: str) -> None:
    _hand_in(lake, batch, {"S-2": {"身份证号": GOOD["身份证号"], "登记日期": "2024-01-01"}})
    _judge(lake)
    assert _open(lake) == {"S-2", "S-3"}
    give_back.run(lake)
    book = openpyxl.load_workbook(_returned(lake, batch))
    sheet = book[book.sheetnames[0]]
    told = {row[4]: row[1] for row in sheet.iter_rows(min_row=2, values_only=True)}
    assert "registered_on.not_before" in told["S-2"]
    assert "resident_id" not in told["S-2"]
    _hand_in(lake, batch, {"S-2": {"登记日期": "2026-01-05"}}, "-2")
    _judge(lake)
    assert _open(lake) == {"S-3"}
    assert _silver(lake) == ["S-1", "S-2"]


def test_the_same_workbook_twice_and_one_nobody_edited_change_nothing(lake: Lake, batch: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no row of the workbook was changed"):
        land.run(lake, DATASET, mended=_returned(lake, batch))
    mended = _mend(_returned(lake, batch), tmp_path / "mended.xlsx", {"S-2": {"身份证号": GOOD["身份证号"]}})
    first = land.run(lake, DATASET, mended=mended)[0]
    again = land.run(lake, DATASET, mended=mended)[0]
    assert (first.outcome, again.outcome, again.batch) == ("done", "known", first.batch)
    _judge(lake)
    assert land.run(lake, DATASET, mended=mended)[0].outcome == "known"
    assert _silver(lake) == ["S-1", "S-2"]


def test_a_workbook_that_is_not_ours_says_why_and_deliveries_go_on(lake: Lake, batch: str) -> None:
    _hand_in(lake, batch, {"S-2": {"行号 row": "二"}})
    _deliver(lake, "deaths_20260111.jsonl", json.dumps({**GOOD, "登记编号": "S-9"}, ensure_ascii=False) + "\n")
    _judge(lake)
    assert _silver(lake) == ["S-1", "S-9"]
    answer = _returned(lake, batch).with_suffix(".txt").read_text(encoding="utf-8")
    assert "lost its ticket" in answer
    assert "Remedy" in answer
    assert GOOD["姓名"] not in answer
    _judge(lake)
    assert lake.runs().filter(pl.col("outcome") == "refused").height == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"S-2": {"行号 row": "99"}}, "were not rejected in batch"),
        ({"S-2": {"文件 file": None}}, "lost its ticket"),
        ({"S-2": {"行号 row": "3"}, "S-3": {"行号 row": "3"}}, "the same ticket"),
    ],
)
def test_a_ticket_that_was_tampered_with_is_refused(
    lake: Lake, batch: str, tmp_path: Path, changes: dict[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        land.run(lake, DATASET, mended=_mend(_returned(lake, batch), tmp_path / "mended.xlsx", changes))
    assert len(lake.batches(DATASET)) == 1


def test_another_datasets_workbook_is_refused(lake: Lake, batch: str) -> None:
    with pytest.raises(SourceError, match="names another dataset"):
        land.run(lake, "civil_affairs/social_organisations", mended=_returned(lake, batch))


def test_rows_mended_to_the_same_cells_are_as_many_tickets(lake: Lake, batch: str) -> None:
    twice = json.dumps({**BAD[0], "登记编号": "S-2", "姓名": "某乙"}, ensure_ascii=False) + "\n"
    _deliver(lake, "deaths_20260110.jsonl", twice + json.dumps({**GOOD, "登记编号": "S-8"}, ensure_ascii=False) + "\n")
    _judge(lake)
    give_back.run(lake)
    other = next(one.id for one in lake.batches(DATASET) if one.id != batch)
    same = {"S-2": {"身份证号": GOOD["身份证号"], "姓名": "某丙"}}
    for one in (batch, other):
        _hand_in(lake, one, same)
    _judge(lake)
    assert _open(lake) == {"S-3"}
    assert len(lake.batches(DATASET)) == 4
    assert land.run(lake, DATASET, mended=_repaired(lake, batch))[0].batch == next(
        one.id for one in lake.batches(DATASET) if one.repairs == batch
    )


def test_a_cell_too_long_for_a_workbook_is_what_was_delivered(lake: Lake, tmp_path: Path) -> None:
    long = "长" * 33_000
    bad = {**BAD[0], "死亡日期": long}
    _deliver(lake, "deaths_20260110.jsonl", "".join(
        json.dumps(row, ensure_ascii=False) + "\n" for row in (GOOD, bad)))
    _judge(lake)
    give_back.run(lake)
    first = lake.batches(DATASET)[0].id
    with pytest.raises(RequestError, match="no row of the workbook was changed"):
        land.run(lake, DATASET, mended=_returned(lake, first))
    mended = _mend(_returned(lake, first), tmp_path / "mended.xlsx", {"S-2": {"身份证号": GOOD["身份证号"]}})
    land.run(lake, DATASET, mended=mended)
    _judge(lake)
    rows = mending.open_rows(lake, lake.catalogue.contract(DATASET))
    assert json.loads(rows["_cells"][0])["死亡日期"] == long


def test_a_withheld_delivery_comes_anew_as_a_whole(lake: Lake, tmp_path: Path) -> None:
    _deliver(lake, "deaths_20260110.jsonl", "".join(
        json.dumps({**BAD[0], "登记编号": f"S-{n}"}, ensure_ascii=False) + "\n" for n in range(10)))
    land.run(lake, DATASET)
    load.run(lake, DATASET)
    with pytest.raises(QualityGateError):
        conform.run(lake, DATASET)
    assert give_back.run(lake) == []
    assert _open(lake) == set()


def test_a_workbook_under_another_name_is_taken_all_the_same(lake: Lake, batch: str) -> None:
    target = lake.settings.drop_box / "civil_affairs/_repaired/副本 退回.xlsx"
    _mend(_returned(lake, batch), target, {"S-2": {"身份证号": GOOD["身份证号"]}})
    first = min(one.name for one in lake.catalogue.datasets() if one.department == "civil_affairs")
    reports = land.run(lake, first)
    if first == DATASET:
        _judge(lake)
        assert _open(lake) == {"S-3"}
    else:
        assert [report.outcome for report in reports] == ["refused"]
        assert "names another dataset" in (target.parents[1] / "_returned/副本 退回.txt").read_text(encoding="utf-8")


def test_a_snapshot_is_mended_at_its_source(lake: Lake, batch: str, tmp_path: Path) -> None:
    contract = lake.catalogue.contract(DATASET)
    snapshot = contract.model_copy(update={"load": contract.load.model_copy(update={"mode": "snapshot"})})
    with pytest.raises(RequestError, match="a snapshot is delivered whole"):
        mending.prepare(lake, snapshot, _returned(lake, batch), tmp_path, datetime.now(UTC))


def test_a_data_engineer_does_the_same_by_hand(lake: Lake, batch: str, tmp_path: Path) -> None:
    environment = {**os.environ, "LAKE_ROOT": str(lake.settings.root), "LAKE_RAW": str(lake.settings.drop_box)}

    def verb(*words: str) -> str:
        done = forks.lake(*words, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    file = tmp_path / "rejected.xlsx"
    verb("rejected", DATASET, "--workbook", str(file))
    assert file.stat().st_mode & 0o077 == 0
    assert _returned(lake, batch).stat().st_mode & 0o007 == 0
    mended = _mend(file, tmp_path / "mended.xlsx", {"S-2": {"身份证号": GOOD["身份证号"]}})
    words = [sys.executable, "-m", "jobs.cli", "repair", DATASET, str(mended), "--json"]
    told = json.loads(subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout)
    assert (told["delivered"], told["accepted"], told["quarantined"]) == (1, 1, 0)
    assert {row["batch"]: row["outcome"] for row in json.loads(verb("batches", DATASET, "--json"))} == {
        batch: "done", told["batch"]: "done",
    }
    assert _open(lake) == {"S-3"}


def test_a_withdrawn_delivery_takes_its_repairs_with_it(lake: Lake, batch: str) -> None:
    _hand_in(lake, batch, {"S-2": {"身份证号": GOOD["身份证号"]}})
    _judge(lake)
    retract.run(lake, DATASET, batch=batch)
    assert _silver(lake) == []
    assert _open(lake) == set()
    retract.run(lake, DATASET, batch=batch, undo=True)
    conform.run(lake, DATASET)
    assert _silver(lake) == ["S-1", "S-2"]
    assert _open(lake) == {"S-3"}
    repair = next(one.id for one in lake.batches(DATASET) if one.repairs)
    for one in (repair, batch):
        retract.run(lake, DATASET, batch=one)
    retract.run(lake, DATASET, batch=batch, undo=True)
    conform.run(lake, DATASET)
    assert _silver(lake) == ["S-1"], "a repair that was withdrawn by itself stays so"
    assert _open(lake) == {"S-2", "S-3"}


def _corrected(*numbers: str) -> str:
    return "".join(json.dumps({**GOOD, "登记编号": number}, ensure_ascii=False) + "\n" for number in numbers)


def test_a_later_delivery_that_brings_a_row_sound_closes_its_ticket(lake: Lake, batch: str) -> None:
    _deliver(lake, "deaths_20260109.jsonl", _corrected("S-3"))
    _judge(lake)
    assert _open(lake) == {"S-2", "S-3"}, "an older state of the record mends nothing"
    _deliver(lake, "deaths_20260111.jsonl", _corrected("S-2"))
    _judge(lake)
    assert _open(lake) == {"S-3"}
    told = next(one for one in give_back.run(lake, DATASET) if one.batch == batch)
    assert (told.delivered, told.extra["overtaken"]) == (1, 1)
    later = next(one.id for one in lake.batches(DATASET) if str(one.data_date) == "2026-01-11")
    retract.run(lake, DATASET, batch=later)
    assert _open(lake) == {"S-2", "S-3"}


def test_rows_brought_anew_before_they_were_given_back_are_on_record(lake: Lake) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in (GOOD, *BAD))
    for name, text in (("deaths_20260110.jsonl", lines), ("deaths_20260111.jsonl", _corrected("S-2", "S-3"))):
        _deliver(lake, name, text)
    _judge(lake)  # both landed within one second: their order is still known
    (told,) = give_back.run(lake, DATASET)
    assert (told.batch[:10], told.delivered, told.extra["overtaken"]) == ("2026-01-10", 0, 2)
    assert not _returned(lake, told.batch).exists()
    assert give_back.run(lake, DATASET) == []


def test_a_row_whose_key_is_in_doubt_is_not_closed_by_a_record_that_has_it(lake: Lake, batch: str) -> None:
    _deliver(lake, "deaths_20260111.jsonl", _corrected("S-2", "S-3"))
    _judge(lake)
    contract, batches = lake.catalogue.contract(DATASET), {one.id: one for one in lake.batches(DATASET)}
    found = lake.scan(Layer.QUARANTINE, DATASET).collect()

    def closed(*reasons: str) -> int:
        rows = found.with_columns(_reasons=pl.lit(list(reasons)))
        return mending._brought_later(lake, contract, rows, batches).height

    key = contract.load.key[0]
    assert [closed("sex.code"), closed("record.second_table"), closed("sex.code", f"{key}.pattern")] == [2, 0, 0]
    first = {batch: batches[batch]}
    assert mending._brought_later(lake, contract, found, first).is_empty()


def test_a_repair_that_lands_while_its_delivery_is_withdrawn_is_withdrawn_too(lake: Lake, batch: str) -> None:
    _hand_in(lake, batch, {"S-2": {"身份证号": GOOD["身份证号"]}})
    land.run(lake, DATASET)
    lake.record(StageReport("retract", DATASET, batch, "retracted"))  # by who had not seen the repair yet
    for stage in (load, conform):
        stage.run(lake, DATASET)
    assert _silver(lake) == ["S-1"], "the repair is not judged"
    retract.run(lake, DATASET, batch=batch, undo=True)
    for stage in (load, conform):
        stage.run(lake, DATASET)
    assert _silver(lake) == ["S-1", "S-2"]


@pytest.mark.parametrize("left", [None, b'["tickets"]', b'{"tickets": [[1, "2"]]}'])
def test_a_repair_that_says_no_more_what_it_mends_is_named_and_stops_nothing(
    lake: Lake, batch: str, tmp_path: Path, left: bytes | None
) -> None:
    _hand_in(lake, batch, {"S-2": {"身份证号": GOOD["身份证号"]}})
    _judge(lake)
    (repair,) = (one.id for one in lake.batches(DATASET) if one.repairs)
    tickets = lake.objects.local(layers.landing_path(DATASET, repair) / mending.TICKETS)
    whole = tickets.read_bytes()
    if left is None:
        tickets.unlink()
    else:
        tickets.write_bytes(left)
    with pytest.raises(DamagedBatchError, match=f"batch {repair}: {mending.TICKETS}.*Remedy.*lake retract") as told:
        give_back.run(lake)
    assert [(one.batch, one.quarantined) for one in told.value.reports] == [(batch, 1)]
    assert _open(lake) == {"S-3"}  # what it brought is in silver, and closes the other as any later delivery would
    _hand_in(lake, batch, {"S-3": {"死亡日期": "2026-01-01"}}, "-2")
    assert [report.outcome for report in land.run(lake, DATASET)] == ["done"]  # others are mended beside it
    environment = {**os.environ, "LAKE_ROOT": str(lake.settings.home), "LAKE_RAW": str(lake.settings.drop_box)}
    done = forks.lake(
        "rejected", DATASET, "--batch", batch, "--workbook", str(tmp_path / "rows.xlsx"), environment=environment
    )
    assert (done.returncode, f"batch {repair}: {mending.TICKETS}" in done.stderr) == (0, True), done.stderr
    tickets.write_bytes(whole)
    assert mending.unreadable(lake, lake.catalogue.contract(DATASET)) == []
    give_back.run(lake)
    assert _open(lake) == {"S-3"}


def test_a_repair_that_lost_its_manifest_and_its_tickets_is_made_whole_by_the_same_workbook(
    lake: Lake, batch: str
) -> None:
    changes = {"S-2": {"身份证号": GOOD["身份证号"]}}
    _hand_in(lake, batch, changes)
    land.run(lake, DATASET)
    (repair,) = (one for one in lake.batches(DATASET) if one.repairs)
    for name in (land.MANIFEST, mending.TICKETS):
        lake.objects.remove(layers.landing_path(DATASET, repair.id) / name)
    _hand_in(lake, batch, changes, "-2")
    assert [(report.batch, report.outcome) for report in land.run(lake, DATASET)] == [(repair.id, "known")]
    _judge(lake)
    assert (_silver(lake), _open(lake)) == (["S-1", "S-2"], {"S-3"})
