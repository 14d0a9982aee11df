"""`lake risk` on files as people have them: figures where there are any, else one clear sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from jobs.cli import app
from jobs.errors import LakeError
from jobs.privacy.risk.reidentification import class_average

TEXT = "性别,年龄,病\n" + "".join(f"{'男女'[n % 2]},{20 + n % 3},{'流感' if n % 4 else '感冒'}\n" for n in range(60))
KEYS = {
    "n", "classes", "k", "alpha_k", "l_distinct", "l_entropy", "l_recursive_c", "t", "beta", "delta", "uniques",
    "special_uniques", "prosecutor", "journalist", "marketer", "gbt42460",
}


def ask(tmp_path: Path, content: bytes, *words: str) -> Result:
    file = tmp_path / "extract.csv"
    file.write_bytes(content)
    return CliRunner().invoke(app, ["risk", str(file), *words, "--json"])


def found(tmp_path: Path, content: bytes, *words: str) -> dict[str, Any]:
    result = ask(tmp_path, content, *words)
    assert result.exit_code == 0, result.stderr
    measured: dict[str, Any] = json.loads(result.stdout)
    assert set(measured) >= KEYS
    return measured


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_chinese_text_is_the_same_table_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    measured = found(tmp_path, TEXT.encode(encoding), "--quasi", "性别,年龄", "--sensitive", "病")
    assert (measured["n"], measured["classes"], measured["k"], measured["l_distinct"]) == (60, 6, 10, {"病": 1})
    assert set(measured["prosecutor"]) == set(measured["journalist"]) == {"max", "avg", "share_above"}
    assert {"r_max", "r_avg", "exceedance", "p_env", "r", "tau", "grade"} <= set(measured["gbt42460"])
    assert measured["gbt42460"]["r_avg"] == measured["gbt42460"]["r_max"] == measured["marketer"] == 0.1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a,b,s\nm,"x, y",1\nm,"x, y",2\nf,"say ""no""",1\n', (3, 0, 2, 1)),
        ("a,b,s\n,,1\n,,2\nm,,1\n", (3, 0, 2, 1)),
        ("a,b,s\n01,1,1\n1,1,2\n", (2, 0, 2, 1)),  # numbers that are text are what is written
        ("a,b,s\n1,2,3\n", (1, 0, 1, 1)),
        ("a,b,s\n", (0, 0, 0, 0)),
        ("a,b,s", (0, 0, 0, 0)),
        ("a,b,s\n*,*,1\n*,*,2\n", (0, 2, 0, 0)),
        ("a,b,s\n" + "1,2,3\n" * 50, (50, 0, 1, 50)),
        ("a;b;s\r\n1;2;3\r\n1;2;4\r\n", (2, 0, 1, 2)),
        ("a,,b,s\n1,7,2,3\n1,8,2,4\n", (2, 0, 1, 2)),
    ],
)
def test_odd_tables_are_measured_as_they_are(tmp_path: Path, text: str, expected: tuple[int, int, int, int]) -> None:
    measured = found(tmp_path, text.encode(), "--quasi", "a,b", "--sensitive", "s")
    assert (measured["n"], measured["suppressed"], measured["classes"], measured["k"]) == expected
    assert (measured["gbt42460"] is None) == (measured["n"] == 0)


@pytest.mark.parametrize(
    ("content", "words", "code", "said"),
    [
        (b"", ("--quasi", "a"), 1, "the file is empty"),
        (b"a,b\n1,2\n3\n", ("--quasi", "a"), 1, "extract.csv:3: the line has 1 cells, the header 2"),
        (b"a,a\n1,2\n", ("--quasi", "a"), 1, "columns 1, 2 have one name"),
        (b'a,b\n1,"2\n', ("--quasi", "a"), 1, "a quoted cell does not end"),
        (bytes(range(128, 256)) * 9, ("--quasi", "a"), 1, "in none of UTF-8"),
        (b"a,b\n1,2\n", ("--quasi", "c"), 2, "no such column"),
        (b"a,b\n1,2\n", ("--quasi", ""), 2, "no quasi-identifier is named"),
        (b"a,b\n1,2\n", ("--quasi", "a,a"), 2, "named twice"),
        (b"a,b\n1,2\n", ("--quasi", "a", "--sensitive", "a"), 2, "named twice"),
        (b"a,b\n1,2\n", ("--quasi", "a", "--sensitive", "b", "--nominal", "c"), 2, "nominal column is not a sensitive"),
        (b"a,b\n1,2\n", ("--quasi", "a", "--acquaintances", "5"), 2, "go together"),
        (b"a,b\n1,2\n", ("--quasi", "a", "--html", "/nowhere/report.html"), 2, "cannot be written"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence_with_its_place_and_a_remedy(
    tmp_path: Path, content: bytes, words: tuple[str, ...], code: int, said: str
) -> None:
    result = ask(tmp_path, content, *words)
    error = result.exception
    assert isinstance(error, LakeError), error  # which `lake` prints in one line
    assert (error.exit_code, result.stdout) == (code, "")
    assert said in str(error)
    assert "Remedy: " in str(error)


@given(st.integers(1, 10**6), st.integers(1, 500))
def test_classes_of_one_size_have_exactly_its_risk_as_their_mean(size: int, classes: int) -> None:
    assert class_average(np.full(classes, size)) == 1 / size
