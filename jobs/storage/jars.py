"""The engine's jars: named with their digests in `infra/jars.lock`, fetched once, never resolved at a start."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import EngineError
from jobs.settings import PROJECT, Settings

LOCK = PROJECT / "infra" / "jars.lock"


@dataclass(frozen=True)
class Jar:
    """Name one jar by its digest and Maven coordinates."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def file(self) -> str:
        """Return the jar's file name."""
        return f"{self.artifact}-{self.version}.jar"

    def url(self, repository: str) -> str:
        """Return where a Maven repository keeps it."""
        return f"{repository.rstrip('/')}/{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file}"


def locked(lock: Path = LOCK) -> list[Jar]:
    """Return the jars of a lock file: lines of `sha256  group:artifact:version`."""
    lines = [line.split() for line in lock.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return [Jar(digest, *coordinates.split(":")) for digest, coordinates in lines]


def folder(settings: Settings) -> Path:
    """Return the folder of the jars: LAKE_JARS, else the user's cache."""
    if settings.jars is not None:
        return settings.jars.expanduser().resolve()
    return settings.cache / "jars"


def paths(settings: Settings) -> list[Path]:
    """Return the jars' paths; raise EngineError when one is missing."""
    found = [folder(settings) / jar.file for jar in locked()]
    missing = [path.name for path in found if not path.is_file()]
    if missing:
        raise EngineError(
            f"{len(missing)} of the engine's jars are missing.", where=str(folder(settings)), remedy="run `make setup`."
        )
    return found


def fetch(settings: Settings) -> list[Path]:
    """Fetch what is missing or damaged, each verified before it gets its name; raise EngineError if it cannot."""
    import httpx

    target = folder(settings)
    target.mkdir(parents=True, exist_ok=True)
    with httpx.Client(follow_redirects=True, timeout=120) as client:
        for jar in locked():
            path = target / jar.file
            if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256:
                continue
            try:
                answer = client.get(jar.url(settings.maven_url)).raise_for_status()
            except httpx.HTTPError as error:
                raise EngineError(
                    f"a jar could not be fetched ({type(error).__name__}).", where=jar.file,
                    remedy="check the network, or set LAKE_MAVEN_URL to a mirror.",
                ) from None
            if hashlib.sha256(answer.content).hexdigest() != jar.sha256:
                raise EngineError(
                    "the fetched jar is not the pinned one.", where=jar.file,
                    remedy="set LAKE_MAVEN_URL to a true mirror.",
                )
            with tempfile.NamedTemporaryFile(dir=target, delete=False) as part:
                part.write(answer.content)
            os.replace(part.name, path)  # noqa: PTH105 (whole or absent)
    return paths(settings)


if __name__ == "__main__":
    import sys

    try:
        fetch(Settings())
    except EngineError as error:
        sys.exit(f"error: {error}")
