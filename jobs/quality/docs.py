"""Data Docs: Great Expectations' own report over every batch's kept profile, made fit for a closed network."""

from __future__ import annotations

import json
import re
from functools import cache
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from jobs.layers import Layer
from jobs.quality.gate import Bound, profile_path, validate
from jobs.storage.tables import Lake

# Scripts, style sheets, fonts and images the pages would fetch from elsewhere; a closed network shows them broken,
# and an open one tells a stranger that the page was read.
_OUTSIDE = re.compile(
    r"<script[^>]*\bsrc=\"(?:https?:)?//[^>]*>\s*</script>"
    r"|<link[^>]*\bhref=\"(?:https?:)?//[^>]*>"
    r"|<img[^>]*\bsrc=\"(?:https?:)?//[^>]*>"
    r"|@import url\([^)]*//[^)]*\);?",
    re.IGNORECASE,
)
TARGET = f"{Layer.OPS}/docs"
INDEX = f"{TARGET}/index.html"
_STYLE = (
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left}</style>"
)


def build(lake: Lake) -> str:
    """Build the site `ops/docs/` from the kept profiles; return its index below the lake's folder.

    Each profile is judged by its suite and rendered once by Great Expectations, then freed of everything that would
    call an outside host.
    """
    rows = []
    with lake.objects.assembly(Layer.OPS) as site:
        for dataset, batch, path in _profiles(lake):
            page = f"{dataset}-{batch}.html"
            html, told = _judged(lake, path, dataset)
            (site / page).write_bytes(html)
            rows.append(
                f"<tr><td>{dataset}</td><td><a href='{page}'>{batch}</a></td><td>{told['verdict']}</td>"
                f"<td>{told['successful']} of {told['evaluated']}</td></tr>"
            )
        head = "<tr><th>dataset</th><th>batch</th><th>expectations</th><th>successful</th></tr>"
        index = f"<!doctype html><meta charset='utf-8'><title>Data Docs</title>{_STYLE}<h1>Data Docs</h1><table>{head}"
        (site / "index.html").write_text(index + "".join(rows) + "</table>", encoding="utf-8")
        lake.objects.remove(TARGET)
        lake.objects.place(site, TARGET, seal="index.html")
    return INDEX


def _judged(lake: Lake, path: PurePosixPath, dataset: str) -> tuple[bytes, dict[str, Any]]:
    """Return a profile's page and what it says in short, made once for each state of the profile."""
    profile = lake.objects.read(path)
    page, result, digest = path.with_suffix(".html"), path.with_suffix(".result"), sha256(profile).hexdigest()
    if lake.objects.exists(result):
        told: dict[str, Any] = json.loads(lake.objects.read(result))
        if told.get("profile") == digest:
            return lake.objects.read(page), told
    kept = json.loads(profile)
    found = validate(kept["figures"], [Bound(**term) for term in kept["terms"]], dataset)
    html, told = offline(_page(found)).encode(), {**_told(found), "profile": digest}
    lake.objects.write(page, html)
    lake.objects.write(result, json.dumps(told).encode())
    return html, told


def _profiles(lake: Lake) -> list[tuple[str, str, PurePosixPath]]:
    return [
        (path.parent.name, path.stem, path)
        for name in sorted(lake.catalogue.contracts)
        for path in lake.objects.names(profile_path(name), "*.json")
    ]


def _told(result: dict[str, Any]) -> dict[str, Any]:
    statistics = result["statistics"]
    return {
        "verdict": "met" if result["success"] else "not met",
        "successful": statistics["successful_expectations"], "evaluated": statistics["evaluated_expectations"],
    }


def _page(result: dict[str, Any]) -> str:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    single = [
        ExpectationValidationResult(
            success=one["success"],
            expectation_config=ExpectationConfiguration(**one["expectation_config"]),
            result=one["result"],
            meta=one["meta"],
            exception_info=one["exception_info"],
        )
        for one in result["results"]
    ]
    whole = ExpectationSuiteValidationResult(
        success=result["success"], results=single, suite_name=result["suite_name"],
        suite_parameters=result["suite_parameters"], statistics=result["statistics"], meta=result["meta"],
    )
    return str(_view().render(ValidationResultsPageRenderer().render(whole)))


@cache
def _view() -> Any:
    """Return the library's renderer, made once: each one compiles its templates anew."""
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


def offline(page: str) -> str:
    """Return a page without anything a browser would fetch from another host."""
    return _OUTSIDE.sub("", page).replace("</head>", f"{_STYLE}</head>", 1)
