"""The verbs that link what has no key: link for tables, match for a register's records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.printing import AsJson, emit, progress, say, table


def link(
    files: Annotated[list[Path], typer.Argument(help="tables: CSV, XLSX or Parquet; one is searched for duplicates")],
    out: Annotated[Path, typer.Option("--out", help="folder for clusters, pairs, charts and summary")],
    config: Annotated[Path | None, typer.Option("--config", help="YAML: columns, blocking, threshold, sources")] = None,
    truth: Annotated[
        str | None, typer.Option("--truth", help="column of true clusters: measured, never compared")
    ] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="column that names rows: shown, never compared")] = None,
    threshold: Annotated[float | None, typer.Option("--threshold", help="probability of a match", min=0, max=1)] = None,
    train: Annotated[Path | None, typer.Option("--train", help="also freeze what was learned in this model")] = None,
    model: Annotated[Path | None, typer.Option("--model", help="learn nothing: weigh by this frozen model")] = None,
    json: AsJson = False,
) -> None:
    """Link or deduplicate tables of people or organisations without a key; nothing has to be labelled or set.

    Example: lake link people.csv register.xlsx --out linked --train people.model.json
    """
    from jobs.errors import RequestError
    from jobs.linking.config import LinkConfig, read_config
    from jobs.linking.linkage import link as link_tables
    from jobs.linking.model import read_model, write_model
    from jobs.linking.report import summary_of, write_results
    from jobs.storage.undeclared import read

    if train and model:
        raise RequestError("--train and --model exclude each other.", remedy="give one of them.")
    if threshold is not None and not 0 < threshold < 1:
        raise RequestError("--threshold is a probability between 0 and 1, neither of them.", remedy="give 0.9, say.")
    settings = read_config(config) if config else LinkConfig()
    frozen = read_model(model) if model else None
    with progress(f"linking {', '.join(file.name for file in files)}"):
        names = _sources(files)
        tables = {name: read(file) for name, file in zip(names, files, strict=True)}
        linked = link_tables(tables, settings, id_column=id_column, truth=truth, model=frozen, threshold=threshold)
        summary = summary_of(linked, truth)
        written = write_results(linked, summary, out, id_column)
        if train:
            write_model(linked.model, train)
            written.append(train)
    if json:
        emit({**summary, "files": [str(path) for path in written]})
        return
    shown = ("rows", "clusters", "clusters_of_several", "largest_cluster", "pairs_compared", "threshold")
    table([summary], shown, title=", ".join(names))
    table([{"column": c, "compared_as": role} for c, role in summary["columns"].items()], ("column", "compared_as"))
    if truth:
        figures = summary["quality"]
        table(
            [{"figure": name.replace("_", " "), "value": value} for name, value in figures.items()], ("figure", "value")
        )
    for note in summary["notes"]:
        say(note)
    say("written: " + ", ".join(str(path) for path in written))


def match(
    register: Annotated[str, typer.Argument(help="register whose records without a key are weighed")],
    model: Annotated[Path | None, typer.Option("--model", help="weigh by this frozen model")] = None,
    train: Annotated[Path | None, typer.Option("--train", help="learn from the register and freeze")] = None,
    high: Annotated[float, typer.Option("--high", help="probability from which a pair is one entity", min=0.5)] = 0.99,
    low: Annotated[float, typer.Option("--low", help="probability from which a person is asked", min=0.2)] = 0.5,
    json: AsJson = False,
) -> None:
    """Weigh a register's records without a key against all others: sure pairs become edges, unsure ones cases.

    Example: lake match organisation --model organisation.model.json
    """
    from jobs.errors import RequestError
    from jobs.linking.model import read_model, write_model
    from jobs.operation.matching import fingerprint
    from jobs.operation.matching import match as weigh
    from jobs.operation.matching import train as learn
    from jobs.storage.tables import Lake

    if (train is None) == (model is None):
        raise RequestError("either --train or --model.", remedy="train a model once, then weigh by it.")
    if not low <= high < 1:
        raise RequestError("--low is at most --high, and --high below 1.", remedy="give --low 0.5 --high 0.99, say.")
    with Lake.open() as lake, progress(f"matching {register}"):
        if train is not None:
            learned = learn(lake, register)
            write_model(learned, train)
            document: dict[str, object] = {"register": register, "model": fingerprint(learned), "file": str(train)}
        else:
            assert model is not None
            document = weigh(lake, register, read_model(model), high=high, low=low)
    if json:
        emit(document)
        return
    table([document], list(document))
    if model is not None:
        say(f"`lake run resolve {register}` takes it up; `lake cases` lists the unsure pairs.")


def _sources(files: list[Path]) -> list[str]:
    """Return each file's name, with its folder where two files have one name."""
    from jobs.errors import RequestError

    names = [file.name for file in files]
    if len(set(names)) < len(names):
        names = [file.as_posix() for file in files]
    if len(set(names)) < len(names):
        raise RequestError("one file is named twice.", remedy="name each file once.")
    return names
