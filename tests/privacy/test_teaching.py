"""The lesson runs as it stands, and says what it teaches."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbclient import NotebookClient

from jobs.settings import PROJECT


@pytest.mark.parametrize("mode", ["controlled", "public"])
def test_the_lesson_measures_attacks_generalises_and_attacks_again(mode: str) -> None:
    notebook = nbformat.read(PROJECT / "notebooks" / "privacy.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are kept out of the repository"
    (cell,) = [cell for cell in notebook.cells if 'MODE = "controlled"' in cell.source]
    cell.source = cell.source.replace('MODE = "controlled"', f'MODE = "{mode}"')
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = "\n".join(
        one.get("text") or "".join(one["data"]["text/plain"])
        for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs
    )
    assert "k = 1" in shown
    assert "█" in shown
    singled, rows, true = re.search(r"([\d,]+) of ([\d,]+) rows singled out, ([\d,]+) of them truly", shown).groups()  # type: ignore[union-attr]
    assert rows == "4,000"
    assert singled == true
    assert int(true.replace(",", "")) > 500
    least = {"controlled": 5, "public": 20}[mode]
    assert int(re.search(r"optimal: True; k = (\d+), grade 3", shown)[1]) >= least  # type: ignore[index]
    assert re.search(r"before: [1-9][\d,]* claims, [1-9]", shown)
    assert "after: 0 claims, 0 truly singled out" in shown
    assert "after: 0 rows in classes of one illness" in shown
    assert "19 times in 20 a cell is off by at most" in shown
