"""Verbs about running the lake: synth, demo, up, down, engine, setup-storage, runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.printing import AsJson, emit, progress, say, table


class Act(StrEnum):
    """Name what `lake engine` does."""

    START = "start"
    STOP = "stop"
    STATUS = "status"


def synth(
    out: Annotated[Path, typer.Option("--out", help="folder to write; it may not exist or must be empty")],
    people: Annotated[int, typer.Option("--people", min=200)] = 20_000,
    days: Annotated[int, typer.Option("--days", min=1, max=366)] = 3,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="a dataset to make, such as health/births; may come again")
    ] = None,
) -> None:
    """Write a synthetic city's deliveries and the truth about them; no real person or firm is in it.

    Example: lake synth --people 20000 --days 3 --seed 1 --out city
    """
    from jobs.errors import RequestError
    from jobs.settings import Settings
    from jobs.synthesis import city

    if out.exists() and any(out.iterdir()):
        raise RequestError("the folder is not empty.", where=str(out), remedy="name another.")
    summary = city.write(people, days, seed, out, Settings().schemas / "codes", say, only or city.ALL)
    typer.echo(str(summary))


def score(
    truth: Annotated[Path, typer.Option("--truth", help="the truth that `lake synth` wrote")], json: AsJson = False
) -> None:
    """Score the registers against a synthetic city's truth: precision, recall, wrong merges, by class of dirt.

    Says where the Data Docs lie: how each delivery met its quality checks.

    Example: lake score --truth city/truth
    """
    from jobs.operation.score import score as judged
    from jobs.operation.scorecard import data_docs
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        rows, docs = judged(lake, truth), data_docs(lake)
    if json:
        emit(rows)
    else:
        table(rows, ("register", "dirt", "claims", "held", "precision", "recall", "wrong"))
    say(f"Data Docs: {docs or 'not built yet; `lake run maintain` builds them.'}")


def demo(
    people: Annotated[int, typer.Option("--people", min=2_000)] = 20_000,
    days: Annotated[int, typer.Option("--days", min=3, max=30)] = 3,
    seed: Annotated[int, typer.Option("--seed")] = 1,
    buckets: Annotated[bool, typer.Option("--buckets", help="keep the lake in a MinIO server of its own")] = False,
) -> None:
    """Run everything once for real: a city's deliveries through Airflow and Spark to approved open datasets.

    Example: lake demo
    """
    from jobs.operation import demo as demonstration

    raise typer.Exit(demonstration.run(people=people, days=days, seed=seed, buckets=buckets))


def up() -> None:
    """Start Airflow and the engine and keep them running; print address and login.

    Example: lake up
    """
    from jobs.operation import airflow
    from jobs.settings import Settings
    from jobs.storage import engine

    settings = Settings()
    with progress("starting the engine and Airflow"):
        engine.start(settings)
        running = airflow.up(settings)
    typer.echo(f"{running.url}  user {running.user}  password {running.password}")


def down() -> None:
    """Stop what `lake up` started.

    Example: lake down
    """
    from jobs.operation import airflow
    from jobs.settings import Settings
    from jobs.storage import engine

    airflow.down(Settings())
    engine.stop(Settings())


def engine(act: Annotated[Act, typer.Argument()], json: AsJson = False) -> None:
    """Start, stop or show the Spark engine.

    Example: lake engine status
    """
    from jobs.settings import Settings
    from jobs.storage import engine as server

    settings = Settings()
    if act is Act.START:
        with progress("starting the engine"):
            server.start(settings)
    elif act is Act.STOP:
        server.stop(settings)
    status = server.status(settings)
    if json:
        emit(status)
    else:
        typer.echo(" ".join(f"{key}={value}" for key, value in status.items()))


def setup_storage(json: AsJson = False) -> None:
    """Make the buckets, policies and users of a lake in buckets, those that are missing; needs the server's own keys.

    Example: lake setup-storage
    """
    from jobs.catalogue import load_catalogue
    from jobs.errors import RequestError
    from jobs.settings import Settings
    from jobs.storage.buckets import Bucket
    from jobs.storage.rights import set_up
    from jobs.storage.stores import store

    settings = Settings()
    bucket = store(settings)
    if not isinstance(bucket, Bucket):
        raise RequestError("this lake is in a folder: nothing to set up.", remedy="set LAKE_STORAGE=s3://NAME.")
    departments = {contract.department for contract in load_catalogue(settings.schemas).datasets()}
    done = set_up(bucket, sorted(departments), settings.landing_lock_days)
    if json:
        emit(done)
    else:
        table(done, ("kind", "name", "done"))


def runs(
    last: Annotated[int, typer.Option("--last", min=1, help="how many")] = 30, json: AsJson = False
) -> None:
    """List what the stages did: the accounting of every batch, newest last.

    Example: lake runs --last 10
    """
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        rows = lake.runs().tail(last)
    found = list(rows.iter_rows(named=True))
    if json:
        emit(found)
    else:
        told = [
            {
                "when": f"{row['recorded_at']:%m-%d %H:%M:%S}", "what": f"{row['stage']} {row['dataset']}",
                "batch": row["batch"], "outcome": row["outcome"], "in": row["delivered"], "good": row["accepted"],
                "bad": row["quarantined"], "twice": row["duplicates"], "withheld": row["withheld"], "s": row["seconds"],
            }
            for row in found
        ]
        table(told, tuple(told[0]) if told else ("when",))
