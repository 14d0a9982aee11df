"""The engine's failures as the lake's errors, without the values they may quote."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import DamagedBatchError, EngineError, LakeError, QualityGateError, SourceError, StorageError
from jobs.settings import PROJECT
from jobs.storage.locations import refusal

_CARRIED = {kind.__name__: kind for kind in (SourceError, QualityGateError, DamagedBatchError, StorageError, LakeError)}
_CARRIER = re.compile(r"lake-error:(\{.*?\}):lake-error")


def carried(error: LakeError) -> RuntimeError:
    """Wrap a lake error so that it survives the way from a Spark worker to the client."""
    parts = {n: getattr(error, n) for n in ("what", "dataset", "layer", "where", "remedy")}
    return RuntimeError(f"lake-error:{json.dumps({'kind': type(error).__name__, **parts})}:lake-error")


@contextmanager
def carrying() -> Iterator[None]:
    """Let a worker's failures leave it without the values they may quote.

    The lake's own errors go whole; of any other its kind and the line of this project it came from.
    """
    try:
        yield
    except LakeError as error:
        raise carried(error) from None
    except Exception as error:
        if refused := refusal(error):
            raise carried(StorageError(refused[0], remedy=refused[1])) from None
        raise carried(LakeError(unexpected(error), remedy="this is a fault of the lake: report it.")) from None


def unexpected(error: BaseException) -> str:
    """Return what may be told of a foreign exception: its kind and the last line of this project it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PROJECT / "jobs")]
    place = f" in {Path(ours[-1].filename).relative_to(PROJECT)}:{ours[-1].lineno}" if ours else ""
    return f"unexpected {type(error).__name__}{place}."


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the engine's exceptions into the lake's, without the values they may quote."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        text = str(error)
        if found := _CARRIER.search(text):
            parts = json.loads(found.group(1))
            raise _CARRIED.get(parts.pop("kind"), LakeError)(**parts) from None
        if "No space left on device" in text:
            raise StorageError(
                "the disk is full; the table is as it was.", where=where, remedy="free space, then run again."
            ) from None
        condition = getattr(error, "getCondition", lambda: None)() or _status(error)
        raise EngineError(
            f"the engine refused ({condition}); the table is as it was.", where=where,
            remedy="see engine/engine.log in the lake's folder, then run again.",
        ) from None
    except Exception as error:
        if type(error).__module__.startswith("grpc"):
            raise EngineError(
                "the engine is gone; the table is as it was.", where=where,
                remedy="`lake engine start`, then run again.",
            ) from None
        raise


def _status(error: BaseException) -> str:
    """Return the kind of a failure without its text: the exception's name and the transport's status, if it had one."""
    cause = error.__cause__ or error.__context__
    code = getattr(cause, "code", None)
    status = f" {code().name}" if callable(code) else ""
    return f"{type(error).__name__}{status}"
