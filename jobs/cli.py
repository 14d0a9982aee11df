"""The `lake` command: every verb of the lake, for people and for machines.

Exit codes: 0 done, 1 the data said no (rejected, withheld, refused), 2 the request was wrong.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from jobs.commands import (
    benchmark,
    cases,
    contracts,
    deliveries,
    entities,
    exposure,
    identification,
    linking,
    operation,
    privacy,
    publishing,
    site,
)
from jobs.errors import LakeError

app = typer.Typer(
    name="lake",
    help="A government data lake: departments' extracts in, registers inside, open datasets out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PANELS = {
    "Deliveries": (
        deliveries.ingest, deliveries.run, deliveries.retract, deliveries.batches, deliveries.delivered,
        deliveries.rejected, deliveries.repair,
    ),
    "Contracts (no Java needed)": (contracts.check, contracts.new, contracts.precheck),
    "Identifiers and codes (no Java needed)": (identification.identify, identification.code),
    "Registers": (
        entities.entity, entities.resolve, entities.why, entities.history, cases.cases, cases.decide, linking.link,
        linking.match, entities.open_register,
    ),
    "Open data": (
        publishing.approve, publishing.preview, publishing.release, publishing.releases, publishing.diff,
        publishing.export, publishing.withdraw, publishing.verify, site.portal,
    ),
    "Privacy (no Java needed)": (privacy.risk, exposure.attack, privacy.anonymise, exposure.scan, privacy.keys),
    "Operation": (
        operation.demo, operation.up, operation.down, operation.engine, operation.setup_storage, operation.runs,
        operation.synth, operation.score, benchmark.bench,
    ),
}

for panel, verbs in PANELS.items():
    for verb in verbs:
        app.command(rich_help_panel=panel)(verb)


@app.callback()
def _root(
    root: Annotated[
        Path | None, typer.Option("--root", help="the lake's folder; default LAKE_ROOT, else .lake here")
    ] = None,
) -> None:
    if root is not None:
        os.environ["LAKE_ROOT"] = str(root)


def main() -> None:
    """Run the command line; turn every failure into one message and an exit code, never a traceback."""
    try:
        app()
    except LakeError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("stopped; run it again to go on where it was.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("LAKE_DEBUG"):
            raise
        from jobs.storage.translation import unexpected

        # The text of a foreign exception may quote a cell; only its kind and place are shown.
        typer.echo(f"error: {unexpected(error)} Remedy: run again with LAKE_DEBUG=1 and report it.", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
