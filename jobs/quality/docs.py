"""Data Docs: Great Expectations' own report over every kept validation, made fit for a closed network."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

from jobs.layers import Layer
from jobs.quality.gate import validation_path
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
_STYLE = (
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left}</style>"
)


def build(lake: Lake) -> str:
    """Build the site `ops/docs/` from the kept validations; return its index below the lake's folder.

    Pages are rendered by Great Expectations, then freed of everything that would call an outside host.
    """
    results = _latest(lake)
    site = lake.objects.local(f"{Layer.OPS}/docs.part")
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    rows = []
    for dataset, batch, result in results:
        page = f"{dataset}-{batch}.html"
        (site / page).write_text(offline(_page(result)), encoding="utf-8")
        statistics = result["statistics"]
        verdict = "met" if result["success"] else "not met"
        rows.append(
            f"<tr><td>{dataset}</td><td><a href='{page}'>{batch}</a></td><td>{verdict}</td>"
            f"<td>{statistics['successful_expectations']} of {statistics['evaluated_expectations']}</td></tr>"
        )
    head = "<tr><th>dataset</th><th>batch</th><th>expectations</th><th>successful</th></tr>"
    index = f"<!doctype html><meta charset='utf-8'><title>Data Docs</title>{_STYLE}<h1>Data Docs</h1><table>{head}"
    (site / "index.html").write_text(index + "".join(rows) + "</table>", encoding="utf-8")
    return _swap(lake)


def _latest(lake: Lake) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path.parent.name, path.stem, json.loads(lake.objects.read(path)))
        for name in sorted(lake.catalogue.contracts)
        for path in lake.objects.names(validation_path(name), "*.json")
    ]


def _page(result: dict[str, Any]) -> str:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

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
    return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(whole)))


def offline(page: str) -> str:
    """Return a page without anything a browser would fetch from another host."""
    return _OUTSIDE.sub("", page).replace("</head>", f"{_STYLE}</head>", 1)


def _swap(lake: Lake) -> str:
    target = f"{Layer.OPS}/docs"
    lake.objects.remove(target)
    lake.objects.move(f"{Layer.OPS}/docs.part", target)
    return f"{target}/index.html"
