"""Fetch a published release over HTTP, to verify it where it is served."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from jobs.errors import RequestError, SourceError
from jobs.releases.verify import MANIFEST, SEALED, VERSION

TIMEOUT_SECONDS = 60.0
_STATEMENTS = 100  # a release is touched by a withdrawal or two


def fetch(url: str, into: Path) -> Path:
    """Fetch a release, and the manifest of the version before it, below a folder; return the release's folder there.

    Files the server does not have are simply not there; whether they may be is the verifier's question. Raises
    RequestError when there is no release at the address, SourceError when the server cannot be reached.
    """
    base = url.rstrip("/").removesuffix(f"/{MANIFEST}") + "/"
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True) as client:
            manifest = _manifest(client, base)
            folder = into / str(manifest["version"])
            folder.mkdir(parents=True)
            for name in (*SEALED, *[one["path"] for one in manifest["files"]]):
                _store(client, base + name, folder, name)
            for number in range(1, _STATEMENTS):
                if not _store(client, f"{base}withdrawal-{number}.json", folder, f"withdrawal-{number}.json"):
                    break
            if manifest["previous"]:
                name = f"{manifest['previous']['version']}/{MANIFEST}"
                _store(client, f"{base}../{name}", into, name)
    except httpx.HTTPError as error:
        raise SourceError(f"the server cannot be reached ({type(error).__name__}).", where=url) from None
    return folder


def _manifest(client: httpx.Client, base: str) -> dict[str, Any]:
    answer = client.get(base + MANIFEST)
    try:
        manifest = json.loads(answer.content) if answer.is_success else {}
        known = all(key in manifest for key in ("version", "files", "previous"))
        if known and VERSION.match(manifest["version"]):  # it names a folder of this machine
            return dict(manifest)
    except (ValueError, TypeError):
        pass
    raise RequestError(f"there is no {MANIFEST} of a release.", where=base, remedy="name a version's folder.")


def _store(client: httpx.Client, url: str, folder: Path, name: str) -> bool:
    """Fetch one file; tell whether the server has it."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise RequestError("the manifest names files outside the release.", where=url)
    with client.stream("GET", url) as answer:
        if not answer.is_success:
            return False
        target = folder / pure
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            for chunk in answer.iter_bytes():
                stream.write(chunk)
    return True
