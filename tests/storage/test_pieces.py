"""Pieces: a large file read in parts gives what it gives as a whole, each record once and under its own number."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from jobs.contract import Contract
from jobs.storage.readers import Limits, read
from jobs.storage.reading.pieces import plan
from tests.storage.trials import contract


def _rows(file: Path, how: Contract, *pieces: Any) -> list[tuple[Any, ...]]:
    found = [row for one in pieces or (None,) for batch in read(file, how, Limits(), one) for row in batch.to_pylist()]
    return sorted((row["_source_row"], row["证号"], row["姓名"], row["_defect"]) for row in found)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_pieces_give_what_the_whole_gives(encoding: str, quoted: bool, seed: int, tmp_path) -> None:
    dice, lines = random.Random(seed), ["证号,姓名"]
    for n in range(3_000):
        name = f'"某{n}\n又名,{n}"' if quoted and dice.random() < 0.2 else f"某{n}"
        lines.append(dice.choice(["", f"A{n}", f"A{n},x,y"]) if dice.random() < 0.02 else f"A{n},{name}")
    file, how = tmp_path / "a.csv", contract(required=False, encoding=encoding)
    file.write_bytes("\n".join(lines).encode(encoding))
    pieces = plan(file, how.source, 5_000)
    assert len(pieces) > 3
    assert [piece.stop for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]
    assert _rows(file, how, *pieces) == _rows(file, how)


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("证号,姓名\n" + "A1,某甲\n" * 2_000, {"encoding": "utf-16"}),
        ("证号,姓名\n" + "A1,某甲\n" * 2_000, {"section": {"before": "合计"}}),
        ("证号,姓名\n" + "A1,某甲\n" * 2_000 + "证号,姓名\n" + "A1,某甲\n" * 2_000, {}),
        ('证号,姓名\nA1,"某甲\n' + "A2,某甲\n" * 2_000, {}),
        ("证号|姓名\n" + "A1|某甲\n" * 2_000, {"quote": "`", "delimiter": "|"}),
    ],
)
def test_a_file_that_cannot_be_cut_safely_is_one_piece(text: str, how: dict[str, Any], tmp_path) -> None:
    file, one = tmp_path / "a.csv", contract(required=False, **how)
    file.write_bytes(text.encode(how.get("encoding", "utf-8")))
    assert len(plan(file, one.source, 1_000)) == 1
