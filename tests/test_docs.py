"""The documents say what is true: every command parses, every file and setting they name exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from jobs.cli import PANELS, app
from jobs.settings import PROJECT, Settings

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "infra/README.md", "schemas/codes/README.md")
ROOMS = ("dags", "jobs", "schemas", "expectations", "infra", "notebooks", "tests", ".ci")
INVENTED = re.compile(r"[A-Z]{3,}|[*{}<>…]")  # DEPARTMENT/DATASET and patterns stand for something else
COMMANDS: Any = typer.main.get_command(app)
VERBS = [verb for panel in PANELS.values() for verb in panel]


def _text(document: str) -> str:
    return (PROJECT / document).read_text(encoding="utf-8")


def _code(text: str) -> Iterator[str]:
    """Yield every piece of code of a Markdown text: spans between backquotes and lines of fenced shell blocks."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    for language, block in fence.findall(text):
        if language in ("", "sh", "bash", "shell", "console"):
            yield from (line.removeprefix("$ ").strip() for line in block.splitlines())
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", fence.sub("", text)))


def _commands(program: str) -> list[tuple[str, str]]:
    """Return (document, command line) of every call of a program in the documents."""
    call = re.compile(rf"^(?:\.venv/bin/)?({program}(?: .*)?)$")
    return [
        (document, found.group(1).partition(" #")[0])
        for document in DOCUMENTS
        for code in _code(_text(document))
        if (found := call.match(code))
    ]


def _parse(line: str) -> None:
    """Parse a command line as `lake` would, without running it; raise what the user would be told."""
    words = shlex.split(line)[1:]
    if not words or words == ["--help"]:
        return
    context = typer.Context(COMMANDS)
    if words[0] == "--root":
        words = words[2:]
    command = COMMANDS.get_command(context, words[0])
    assert command is not None, f"there is no verb {words[0]}"
    if len(words) > 1:
        command.make_context(words[0], words[1:])


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_every_verb_has_help_and_an_example_that_parses(verb: Callable[..., None]) -> None:
    name, doc = verb.__name__.replace("_", "-"), verb.__doc__ or ""
    shown = CliRunner().invoke(app, [name, "--help"])
    assert shown.exit_code == 0
    examples = [found.partition(" (")[0] for found in re.findall(r"Example:\s*(lake .*)", doc)]
    assert examples, f"lake {name} has no example"
    assert f"lake {name}" in re.sub(r"\s+", " ", shown.stdout)
    for example in examples:
        assert example.split()[1] == name
        _parse(example)


def test_every_lake_command_in_the_documents_parses() -> None:
    lines = [(document, line) for document, line in _commands("lake") if "…" not in line]
    assert len(lines) > 5
    for document, line in lines:
        try:
            _parse(re.sub(r"\bDEPARTMENT/DATASET\b", "civil_affairs/deaths", line))
        except Exception as error:
            pytest.fail(f"{document}: `{line}`: {error}")


def test_every_make_target_in_the_documents_exists() -> None:
    listed = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^make (\w+)", listed, re.MULTILINE))
    assert {"setup", "check", "test", "unit", "demo", "up", "down", "clean"} <= targets
    lines = _commands("make")
    assert len(lines) > 3
    for document, line in lines:
        words = [word for word in line.split()[1:] if "=" not in word]
        assert set(words) <= targets, f"{document}: `{line}`"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_a_document_names_exists(document: str) -> None:
    text = _text(document)
    home = (PROJECT / document).parent
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    named = [code for code in _code(text) if re.fullmatch(r"[\w.\-/]+", code) and code.partition("/")[0] in ROOMS]
    tabled = re.findall(r"^\| `([\w.\-/]+\.\w+)` \|", text, re.MULTILINE)
    for path in [*links, *tabled, *named]:
        if path and not INVENTED.search(path):
            assert (home / path).exists() or (PROJECT / path).exists(), f"{document} names {path}"


def _shown(default: object) -> str:
    if isinstance(default, Path):
        return default.relative_to(PROJECT).as_posix() if default.is_absolute() else str(default)
    return "" if default is None else str(default)


def test_the_table_of_settings_is_the_settings() -> None:
    rows = [
        f"| `LAKE_{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    table = "\n".join(["| variable | default | what |", "|---|---|---|", *rows])
    assert table in _text("infra/README.md"), f"infra/README.md should hold:\n{table}"


def test_every_dependency_earns_its_place_in_one_line() -> None:
    project = tomllib.loads(_text("pyproject.toml"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[\[=<>~ ]", line)[0] for line in wanted}
    told = _text("CONTRIBUTING.md")
    missing = {name for name in names if name not in told and not (name.startswith("types-") and "types-*" in told)}
    assert not missing
