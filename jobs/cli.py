"""The `lake` command: every verb of the lake, for people and for machines.

Exit codes: 0 done, 1 the data said no (rejected, withheld, refused), 2 the request was wrong.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from jobs import environment
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

GARBAGE = 100_000  # containers made before garbage is looked for: most commands end sooner, and imports make many


def _root(
    root: Annotated[
        Path | None, typer.Option("--root", help="the lake's folder; default LAKE_ROOT, else .lake here")
    ] = None,
) -> None:
    if root is not None:
        os.environ["LAKE_ROOT"] = str(root)


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """Return the command line: all of it, or of words that name a verb what they need, so that no other is built."""
    found = typer.Typer(
        name="lake",
        help="A government data lake: departments' extracts in, registers inside, open datasets out.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    found.callback()(_root)
    named = _named(words)
    known = any(verb.__name__ == named for verbs in PANELS.values() for verb in verbs)
    for panel, verbs in PANELS.items():
        for verb in verbs:
            if not known or verb.__name__ == named:
                found.command(rich_help_panel=panel)(verb)
    return found


def _named(words: Sequence[str]) -> str | None:
    """Return the verb's function that words name after the options of the command itself, None where none does."""
    rest = iter(words)
    for word in rest:
        if word == "--root":
            next(rest, None)
        elif not word.startswith("-"):
            return word.replace("-", "_")
        elif not word.startswith("--root="):
            return None
    return None


app = command_line()


def main() -> None:
    """Run the command line; turn every failure into one message and an exit code, never a traceback."""
    gc.set_threshold(GARBAGE)
    environment.quicken()
    try:
        command_line(sys.argv[1:])()
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
    finally:
        gc.freeze()  # nothing is looked through once more at the end: that takes as long as the imports


if __name__ == "__main__":
    main()
