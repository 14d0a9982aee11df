"""The house rules that a machine can hold: who may import whom, sizes, names, nothing left to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from jobs.settings import PROJECT

LONGEST_MODULE = 400
LONGEST_DAG_FILE = 100
# Copied alone into every release, so that whoever downloads one can verify it: it cannot be two modules.
ALONE = {"jobs/releases/verify.py": 700}
ROOMS = ("jobs", "dags", "tests")
PURE = ("rows", "sets", "registers")
PURE_FORBIDDEN = {"os", "time", "random", "socket", "subprocess", "pyspark", "deltalake", "airflow", "httpx", "minio"}
HEAVY = {"pyspark", "polars", "pandas", "pyarrow", "great_expectations", "deltalake", "delta"}
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "manager", "misc"}
LEFT_OPEN = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X:", "NotImplemented" + "Error")))
PROSE = {".py", ".sh", ".yaml", ".yml", ".md", ".toml", ".json", ".properties"}


def _modules(*parts: str) -> list[Path]:
    found = sorted(PROJECT.joinpath(*parts).rglob("*.py"))
    assert found, f"nothing to judge in {'/'.join(parts)}"
    return found


def _name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def _imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from jobs import layers` names a module, `from jobs.layers import slug` something inside one.
            if node.module == "jobs":
                yield from (f"jobs.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> frozenset[str]:
    """Return every module a file imports, inside functions too."""
    return frozenset(_imported(ast.walk(_tree(path))))


def _top_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when the module is imported; type-checking blocks do not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _top_nodes(child)


@cache
def _top_imports(path: Path) -> frozenset[str]:
    return frozenset(_imported(_top_nodes(_tree(path))))


def _under(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("room", ["rows", "sets"])
def test_rows_and_sets_import_nothing_of_ours_but_the_language_errors_and_each_other(room: str) -> None:
    allowed = ("jobs.contract", "jobs.periods", "jobs.register", "jobs.errors", "jobs.rows", "jobs.sets")
    for path in _modules("jobs", room):
        ours = {module for module in _imports(path) if _under(module, "jobs")}
        assert all(_under(module, *allowed) for module in ours), f"{_name(path)} imports {ours}"


def test_registers_import_nothing_of_ours_but_the_pure_core() -> None:
    allowed = ("jobs.contract", "jobs.register", "jobs.errors", "jobs.rows", "jobs.sets", "jobs.registers")
    for path in _modules("jobs", "registers"):
        ours = {module for module in _imports(path) if _under(module, "jobs")}
        assert all(_under(module, *allowed) for module in ours), f"{_name(path)} imports {ours}"


@pytest.mark.parametrize("room", PURE)
def test_the_pure_core_knows_no_clock_environment_process_or_engine(room: str) -> None:
    for path in _modules("jobs", room):
        found = {module.partition(".")[0] for module in _imports(path)} & PURE_FORBIDDEN
        assert not found, f"{_name(path)} imports {found}"
        asked = re.findall(r"\b(?:date\.today|datetime\.now|datetime\.utcnow)\b", path.read_text(encoding="utf-8"))
        assert not asked, f"{_name(path)} asks the clock"


def test_storage_never_imports_what_stands_on_it() -> None:
    for path in _modules("jobs", "storage"):
        above = {m for m in _imports(path) if _under(m, "jobs.stages", "jobs.commands", "jobs.operation", "jobs.cli")}
        assert not above, f"{_name(path)} imports {above}"


def test_only_one_module_makes_spark_sessions_and_only_storage_commits_to_delta() -> None:
    others = _modules("jobs", "benchmark", "peers")  # work as the other engines' own users do
    others.append(PROJECT / "jobs" / "benchmark" / "tables.py")
    for path in (path for path in _modules("jobs") if path not in others):
        text = path.read_text(encoding="utf-8")
        if "SparkSession.builder" in text:
            assert _name(path) == "jobs/storage/engine.py"
        if any(_under(module, "deltalake", "delta") for module in _imports(path)):
            assert path.is_relative_to(PROJECT / "jobs" / "storage"), f"{_name(path)} imports Delta"


def test_command_modules_import_nothing_heavy_before_a_verb_runs() -> None:
    for path in [PROJECT / "jobs" / "cli.py", *_modules("jobs", "commands")]:
        heavy = {module.partition(".")[0] for module in _top_imports(path)} & HEAVY
        assert not heavy, f"{_name(path)} imports {heavy} at the top"


def test_dags_are_wiring_only() -> None:
    wiring = {"jobs.catalogue", "jobs.contract", "jobs.layers", "jobs.operation.schedules", "jobs.settings"}
    for path in _modules("dags"):
        top, everything = _top_imports(path), _imports(path)
        assert {module for module in top if _under(module, "jobs")} <= wiring, _name(path)
        assert not {module.partition(".")[0] for module in top} & HEAVY, _name(path)
        inside = {module for module in everything - top if _under(module, "jobs")}
        assert all(_under(module, "jobs.stages", "jobs.operation.tasks") for module in inside), _name(path)
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_DAG_FILE, _name(path)


def test_the_heavy_rooms_load_no_engine_by_being_imported() -> None:
    for path in _modules("jobs"):
        found = {module.partition(".")[0] for module in _top_imports(path)} & {"pyspark", "great_expectations"}
        assert not found, f"{_name(path)} imports {found} at the top"


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    for room in ROOMS:
        for path in _modules(room):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= ALONE.get(_name(path), LONGEST_MODULE), f"{_name(path)} has {lines} lines"


def test_names_say_what_a_thing_is() -> None:
    for room in ROOMS:
        for path in _modules(room):
            names = [path.stem, *path.relative_to(PROJECT).parts[:-1]]
            for node in ast.walk(_tree(path)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    names.append(node.name)
            for name in names:
                words = {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)}
                assert not words & FORBIDDEN_NAMES, f"{name} in {_name(path)}"


def test_a_test_of_ours_is_never_left_out() -> None:
    leaving_out = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b")
    for path in _modules("tests"):
        if path == PROJECT / "tests/conftest.py":  # leaves out, loudly, what a machine lacks; in CI that fails instead
            continue
        assert not leaving_out.search(path.read_text(encoding="utf-8")), _name(path)


def test_the_files_of_tests_that_are_handed_out_first_are_there() -> None:
    text = (PROJECT / "tests" / "conftest.py").read_text(encoding="utf-8")
    (named,) = re.findall(r"^LONGEST = \((.*?)^\)", text, re.DOTALL | re.MULTILINE)
    files = re.findall(r'"([^"]+)"', named)
    assert len(files) > 10
    assert [file for file in files if not (PROJECT / "tests" / file).is_file()] == []


def test_nothing_is_left_to_do() -> None:
    folders = ("jobs", "dags", "tests", "infra", "schemas", "expectations", "notebooks")
    files = [path for folder in folders for path in (PROJECT / folder).rglob("*") if path.suffix in PROSE]
    files += [path for path in PROJECT.iterdir() if path.suffix in PROSE or path.name == "Makefile"]
    assert len(files) > 100
    for path in files:
        found = LEFT_OPEN.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{_name(path)} says {found and found.group()}"


def test_there_are_no_other_rooms_at_the_top() -> None:
    known = {
        "dags", "jobs", "schemas", "expectations", "infra", "notebooks", "tests",
        "build", "logs",  # made by tools
    }
    found = {path.name for path in PROJECT.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))}
    assert {name for name in found if not name.endswith(".egg-info")} <= known
