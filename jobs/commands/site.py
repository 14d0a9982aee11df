"""The verb about the open-data site: build it, serve it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.printing import AsJson, emit, progress, say

if TYPE_CHECKING:
    from jobs.storage.tables import Lake


class PortalAct(StrEnum):
    """Name what `lake portal` does."""

    BUILD = "build"
    SERVE = "serve"


def portal(
    act: Annotated[PortalAct, typer.Argument()],
    host: Annotated[str, typer.Option("--host", help="serve: address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="serve: port; 0 is any free one", min=0, max=65535)] = 8000,
    json: AsJson = False,
) -> None:
    """Build the open-data site into the open layer, or serve that layer.

    Example: lake portal build

    Example: lake portal serve --port 8000
    """
    if act is PortalAct.BUILD:
        _build(json)
    else:
        _serve(host, port)


def show_on_site(lake: Lake, *, json: bool | None = None) -> None:
    """Build the site, which shows what was released or withdrawn, then the feed; say on stderr what was done.

    Changes from a withdrawn version, in one that was put back since, go before.

    `json`: also print where the site is, or all that was done as JSON. Raises LakeError at the very end, when all that
    could be done is done, where a version or its data could not be read.
    """
    from jobs.errors import LakeError
    from jobs.portal.build import build
    from jobs.releases.announcement import announce, enter
    from jobs.stages.expire import take_back_changes

    failed: list[LakeError] = []
    with progress("building the site"):
        if take_back_changes(lake, failed):
            enter(lake)
        done = build(lake)
        lost = [str(one) for one in [*failed, *announce(lake)]]
    say(f"the site: {done['datasets']} datasets, {done['renewed']} looked at anew, {done['written']} files written.")
    if not done["front_end"]:
        say("without search and questions: `make portal` builds the front end.")
    if json:
        emit(done)
    elif json is not None:
        typer.echo(done["path"])
    if errors := dict.fromkeys([*done["errors"], *lost]):
        error = LakeError(f"all else is done, but what follows could not be read. {' '.join(errors)}")
        error.errors = [LakeError(one) for one in errors]
        raise error


def _build(json: bool) -> None:
    from jobs.storage.tables import Lake

    with Lake.open() as lake:
        show_on_site(lake, json=json)


def _serve(host: str, port: int) -> None:
    from jobs.errors import RequestError
    from jobs.layers import Layer
    from jobs.portal.serve import Served
    from jobs.settings import Settings
    from jobs.storage.stores import store

    folder = store(Settings()).mirror(Layer.OPEN)
    if not (folder / "index.html").is_file():
        raise RequestError("there is no site yet.", layer=Layer.OPEN, remedy="`lake portal build`.")
    try:
        server = Served(folder, host, port)
    except OSError:
        raise RequestError("this address cannot be listened on.", where=f"{host}:{port}", remedy="--port.") from None
    with server:
        typer.echo(server.address)
        server.serve_forever()
