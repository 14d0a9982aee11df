"""Verbs of the court: cases that wait for a person, and a person's decisions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.entities import RegisterOption, Unmask
from jobs.commands.printing import AsJson, emit, say, table
from jobs.operation.masking import shown

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


class State(StrEnum):
    """Name the states of a case, and groups of them."""

    WAITING = "waiting"
    OPEN = "open"
    REOPENED = "reopened"
    DECIDED = "decided"
    ALL = "all"


class Answer(StrEnum):
    """Name what a person may answer."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"
    UNDO = "undo"


def cases(
    case: Annotated[str | None, typer.Argument(help="one case, with its evidence side by side")] = None,
    register: RegisterOption = None,
    state: Annotated[State, typer.Option("--state", help="waiting: open or reopened")] = State.WAITING,
    unmask: Unmask = False,
    chart: Annotated[
        Path | None, typer.Option("--chart", help="write the waterfall of a linked pair's weight, as a page, here")
    ] = None,
    json: AsJson = False,
) -> None:
    """List cases that wait for a decision: keys that contradict themselves, and keys that may be one party's.

    Example: lake cases --register person

    Example: lake cases case-0123456789ab --chart weights.html
    """
    from jobs.errors import RequestError
    from jobs.operation.enquiries import Desk
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        if case is not None:
            _show(lake, case, register, unmask=unmask, chart=chart, json=json)
            return
        if chart is not None:
            raise RequestError("a chart is of one case.", remedy="name the case.")
        chosen = {State.WAITING: ("open", "reopened"), State.ALL: ("open", "reopened", "decided")}.get(
            state, (state.value,))
        rows = [
            {"case": row["id"], "kind": row["kind"], "register": desk.register.name, "state": row["state"],
             "keys": [key["id"] for key in row["keys"]], "suggestion": row["suggestion"],
             "confidence": row["confidence"], "judgement": row["judgement"], "as_of": row["as_of"]}
            for desk in Desk.all(lake, register)
            for row in desk.court.cases().iter_rows(named=True)
            if row["state"] in chosen
        ]
    if json:
        emit(rows)
    elif rows:
        table([{**row, "keys": "\n".join(row["keys"][:3])} for row in rows], list(rows[0]))
    else:
        say("no case waits." if state is State.WAITING else "there is none.")


def _show(
    lake: Lake, case: str, register: str | None, *, unmask: bool, chart: Path | None, json: bool
) -> None:
    """Print one case: each side's statements, who says them and since when; of a linked pair what its weight is of."""
    from jobs.errors import RequestError
    from jobs.operation.enquiries import Desk

    for desk in Desk.all(lake, register):
        document = desk.case(case)
        if document is None:
            continue
        name = desk.register.name
        if chart is not None:
            _draw(document, chart)
        for side in document["sides"]:
            side["says"] = [shown(lake.catalogue, name, said, unmask=unmask) for said in side["says"]]
        if json:
            emit(document)
            return
        answer = f" · decided: {document['judgement']}" if document["judgement"] else ""
        say(f"{document['kind']} of {name} · {document['state']}{answer} · suggested: {document['suggestion']}"
            f" ({document['confidence']:.0%})")
        rows = [{"side": number, **said, "sources": "\n".join(said["sources"])}
                for number, side in enumerate(document["sides"], 1) for said in side["says"]]
        table(rows, list(rows[0]) if rows else ["side"], title=case)
        if document["weights"]:
            table(document["weights"], ("step", "bits"), title="what its weight comes of")
        return
    raise RequestError(f"there is no case {case}.", remedy="`lake cases --state all` lists them.")


def _draw(case: dict[str, Any], file: Path) -> None:
    """Write the waterfall of a case's weight as a page."""
    from jobs.errors import RequestError
    from jobs.linking.charts import case_page
    from jobs.storage.undeclared import write_page

    added = [(one["step"], one["bits"]) for one in case["weights"]]
    if not added and case["kind"] == "linked":
        again = f"`lake match {case['register']} --model FILE`, then `lake run resolve {case['register']}`."
        raise RequestError("the pair was weighed by a version that kept no steps.", remedy=f"weigh it again: {again}")
    if not added:
        raise RequestError("no model weighed this case: only a linked pair has a chart.", remedy="leave --chart out.")
    title = f"{case['id']}: {sum(bits for _, bits in added):.1f} bits, probability {case['confidence']:.4f}"
    write_page(case_page(title, added), file)
    say(f"chart: {file}")


def decide(
    case: Annotated[str, typer.Argument(help="a case, or two ids joined by + that nobody asked about")],
    judgement: Annotated[Answer, typer.Argument(help="undo takes back what was decided on the case")],
    reason: Annotated[str, typer.Option("--reason", help="why; kept for ever, so without any personal value")],
    by: Annotated[str | None, typer.Option("--by", help="who decides; default: the user of this machine")] = None,
    register: RegisterOption = None,
    json: AsJson = False,
) -> None:
    """Decide a case; the decision enters the ledger, wins over rules, and can be undone.

    Example: lake decide case-0123456789ab different --reason "two files, two photographs"
    """
    from jobs.commands.user import user
    from jobs.operation.decisions import decide as enter
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        taken = enter(lake, case, judgement.value, by=by or user(), reason=reason, register=register)
    document: dict[str, Any] = {"case": case, "judgement": judgement.value, **taken}
    if json:
        emit(document)
    else:
        say(f"{case}: {judgement.value}; `lake run resolve {taken['register']}` takes it up.")
