"""What a phase used: of this process and of its children, also of those that have ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from jobs.benchmark.measuring import START, Meter, stored

BURN = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
FILL = "import time; held = bytearray(b'x') * (200 << 20); time.sleep(0.4)"


def _python(code: str, *words: str) -> None:
    subprocess.run([sys.executable, "-S", "-c", code, *words], check=True)


def test_children_count_in_cpu_memory_and_bytes(tmp_path: Path) -> None:
    meter = Meter("one", tmp_path, tmp_path, 1, {})
    with meter("ingest"):
        _python(BURN)
    with meter("resolve"):
        _python(FILL)
    with meter("merge"):
        _python("open(__import__('sys').argv[1], 'wb').write(bytes(5 << 20))", str(tmp_path / "file"))
    with meter("export"):
        _python("open(__import__('sys').argv[1], 'rb').read()", str(tmp_path / "file"))
    phases = meter.phases
    assert 0.35 < phases["ingest"].cpu < 2
    assert phases["ingest"].seconds >= 0.4
    assert phases["resolve"].rss > 200 << 20
    assert 5 << 20 <= phases["merge"].written < 8 << 20
    assert phases["export"].read >= 5 << 20
    assert phases["export"].written < 1 << 20


def test_the_result_tells_sums_and_leaves_starting_out(tmp_path: Path) -> None:
    shuffled = iter((10, 30, 30, 70))
    meter = Meter("one", tmp_path, tmp_path, 1, {"one": "1.0"})
    with meter(START):
        pass
    meter.shuffled = lambda: next(shuffled)
    for phase in ("ingest", "merge"):
        with meter(phase):
            pass
    (tmp_path / "register").mkdir()
    (tmp_path / "register" / "new").write_bytes(b"1234")
    (tmp_path / "old").write_bytes(b"123456")
    os.link(tmp_path / "old", tmp_path / "register" / "old")
    meter.finish()
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["total"] is None  # without an export there is nothing that others' totals could be compared with
    assert result["merged"]["shuffled"] == 60
    assert result["merged"]["seconds"] < sum(usage["seconds"] for usage in result["phases"].values())
    assert result["stored"]["register"] == 4
    assert stored(tmp_path / "absent") == 0
