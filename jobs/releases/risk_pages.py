"""The page on which who approves a release sees its risk: one per content, so that a later preview changes none."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jobs import layers
from jobs.privacy.risk.page import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobs.storage.objects import Store

KEPT = timedelta(days=31)  # an approval waits for a week at most


def write(objects: Store, found: Mapping[str, Any]) -> str:
    """Write the page of a preview (`jobs.stages.publish.preview`); return where it lies, nothing without a risk.

    Pages of all datasets that no approval can wait for any more go.
    """
    _clear(objects)
    if not found["risk_report"]:
        return ""
    path = layers.risk_page_path(found["dataset"], f"{found['content'][:16]}-{found['fingerprint'][:16]}")
    objects.write(path, page(found["risk_report"], f"{found['dataset']} {found['version']}").encode())
    return objects.address(path)


def _clear(objects: Store) -> None:
    for path in objects.states(layers.RISK_PAGES):
        with suppress(FileNotFoundError):  # somebody else has just removed it
            if objects.age(path) > KEPT.total_seconds():
                objects.remove(path)
