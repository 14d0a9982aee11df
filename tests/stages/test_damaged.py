"""A register whose files are not whole: a clear error, nothing changed, and the run after the repair succeeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.errors import StorageError
from jobs.settings import Settings
from jobs.stages import open_register, resolve
from jobs.storage.tables import Lake
from tests.stages.test_keyed import NEWS, at, deliver, old_register, settings, state

__all__ = ["settings"]  # a fixture
DAMAGES: dict[str, tuple[str, str, Callable[[bytes], bytes | None]]] = {
    "half a file": ("person/*.parquet", "damaged", lambda whole: whole[: len(whole) // 2]),
    "other bytes": ("person/*.parquet", "damaged", lambda whole: b"PAR1" + bytes(len(whole) - 8) + b"PAR1"),
    "no file": ("person/*.parquet", "missing", lambda _: None),
    "half a log": ("person/_delta_log/*.json", "damaged", lambda whole: whole[: len(whole) // 2]),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_register_is_told_and_left_as_it_was(tmp_path: Path, settings: Settings, how: str) -> None:
    pattern, word, damage = DAMAGES[how]
    with Lake.open(at(settings, tmp_path / "lake")) as lake:
        open_register.run(lake, "person", [old_register(tmp_path)])
        for dataset, rows in NEWS.items():
            deliver(lake, dataset, tmp_path / dataset, rows)
        before = state(lake)
    file = max((tmp_path / "lake" / "registers").glob(pattern))
    whole = file.read_bytes()
    if (left := damage(whole)) is None:
        file.unlink()
    else:
        file.write_bytes(left)
    again = Settings(schemas=settings.schemas, root=tmp_path / "lake")
    told = f"a file of a table is {word}; nothing counts that was not committed"
    with pytest.raises(StorageError, match=told), Lake.open(again) as lake:
        resolve.run(lake, "person")
    file.write_bytes(whole)
    with Lake.open(again) as lake:
        assert state(lake).equals(before)
        (report,) = resolve.run(lake, "person")
        assert report.extra["entities"] == 3
