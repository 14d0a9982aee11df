"""The commands of the README and of CONTRIBUTING do what the text around them says, run as they are written."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.settings import PROJECT
from tests import forks

LAKE = Path(sys.executable).with_name("lake")
FIRMS = """\
企业名称,统一社会信用代码,注册日期,企业类型,法人代表,注册资金,经营范围,所在省份,地区,注册地址
甲有限公司,91350100M000100Y43,2015-06-30,有限责任公司,某甲,500(万元),软件开发,浙江,丽水,路1号
甲有限公司,91350100M000100Y43,2015-06-30,有限责任公司,某甲,500(万元),软件开发,浙江,丽水,路1号
乙厂,110108000000016,2009年3月2日,个人独资企业,某乙,5(),五金加工,浙江,丽水,路2号
丙公司,91350200M000000510,2015-06-30,有限责任公司,某丙,10万元,零售,浙江,丽水,路3号
"""


def _run(
    words: list[str], folder: Path, engine: str, *, started: bool = True, **settings: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAKE_ROOT": str(folder / "lake"), "LAKE_SPARK": engine, **settings}
    if not started:
        return forks.lake(*words, environment=environment, folder=folder)
    return subprocess.run(
        [LAKE, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False, encoding="utf-8"
    )


def _block(document: str, heading: str) -> list[list[str]]:
    """Return the `lake` commands of the first shell block below a heading."""
    text = (PROJECT / document).read_text(encoding="utf-8").partition(f"## {heading}")[2]
    found = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return [shlex.split(line)[1:] for line in found.group(1).splitlines() if "lake" in line]


def test_the_readmes_commands_take_a_real_file_in(tmp_path: Path, engine: str) -> None:
    (tmp_path / "extract.csv").write_text(FIRMS, encoding="utf-8")
    ingest, rejected, resolve = _block("README.md", "Take in a real file")
    done = _run([*ingest, "--json"], tmp_path, engine)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert {name: account[name] for name in ("delivered", "accepted", "quarantined", "duplicates")} == {
        "delivered": 4, "accepted": 2, "quarantined": 1, "duplicates": 1,
    }
    assert account["reasons"] == {"credit_code.check_character": 1}
    assert account["warnings"]["credit_code.legacy_registration_number"] == 1
    told = _run(rejected, tmp_path, engine)
    assert told.returncode == 0
    assert "credit_code.check_character" in told.stdout
    assert "91350200M000000510" not in told.stdout
    resolved = _run([*resolve, "--json"], tmp_path, engine)
    assert resolved.returncode == 0, resolved.stderr
    assert json.loads(resolved.stdout)[0]["entities"] == 2


@pytest.mark.parametrize(("encoding", "delimiter"), [("gb18030", ";"), ("utf-8", "\t")])
def test_a_layout_nobody_has_seen_is_onboarded_by_new_check_and_ingest(
    tmp_path: Path, engine: str, encoding: str, delimiter: str
) -> None:
    shutil.copytree(PROJECT / "schemas", tmp_path / "schemas")
    sample = tmp_path / "permits.csv"
    with sample.open("w", encoding=encoding, newline="") as file:
        table = csv.writer(file, delimiter=delimiter)
        table.writerow(["许可证编号", "持证单位", "持证单位信用代码", "发证日期", "有效期至", "发证机关区划"])
        for n in range(40):
            code = "91350100M000100Y43" if n % 2 else "52610500MJU60350X1"
            firm, day = f"{'甲乙丙丁'[n % 4]}公司", f"2025年{1 + n % 12}月3日"
            table.writerow([f"XK-{n:04d}", firm, code, day, "2030-01-01", "110105"])
    schemas = {"LAKE_SCHEMAS": str(tmp_path / "schemas")}
    for words in (["new", "transport/permits", "--sample", sample.name], ["check"]):
        done = _run(words, tmp_path, engine, started=encoding == "utf-8", **schemas)
        assert done.returncode == 0, done.stdout + done.stderr
    drafted = (tmp_path / "schemas" / "transport" / "permits.yaml").read_text(encoding="utf-8")
    assert "XK-0001" not in drafted
    assert "甲公司" not in drafted
    words = ["ingest", "transport/permits", sample.name, "--json"]
    done = _run(words, tmp_path, engine, started=False, **schemas)
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert (account["delivered"], account["accepted"]) == (40, 40)
