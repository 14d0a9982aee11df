"""REST sources: every page of a JSON service, dumped as JSON lines."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from jobs.errors import SourceError
from jobs.source import Paging, Source
from jobs.storage.reading.json_lines import DECODER, RepeatedKeyError

MOST_PAGE_BYTES = 256 << 20
TRIES = 4
_AGAIN = {429, 500, 502, 503, 504}
_SECONDS = 60.0


def dump_rest(source: Source, url: str, headers: Mapping[str, str], target: Path, *, max_bytes: int) -> int:
    """Write the records of all pages as JSON lines, numbers as they are written; return how many there are.

    In the order of `order_by`, where given, else the service's. A request that fails for a passing reason is made
    again. Raises SourceError for another answer than JSON records, a page that comes twice, a redirect or link to
    another host, and more than `max_bytes`. Neither URL nor headers are part of a message: they may hold secrets.
    """
    lines: list[tuple[tuple[str, ...], str]] = []
    count = size = 0
    with (
        httpx.Client(headers=dict(headers), timeout=_SECONDS) as client,
        target.open("w", encoding="utf-8", newline="\n") as out,
    ):
        for number, records in enumerate(_pages(client, source, url), 1):
            for record in records:
                line = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace").decode()
                count, size = count + 1, size + len(line) + 1
                if size > max_bytes:
                    raise SourceError(
                        f"the source gives more than {max_bytes} bytes.", where=f"page {number}",
                        remedy="mend paging: in the contract, or raise LAKE_MAX_FILE_BYTES.",
                    )
                if source.order_by:
                    lines.append((_key(record, source.order_by, number), line))
                else:
                    out.write(f"{line}\n")
        out.writelines(f"{line}\n" for _, line in sorted(lines))
    return count


def _pages(client: httpx.Client, source: Source, url: str) -> Iterator[list[Any]]:
    """Yield the records of each page; the last one is empty, short, or names no other."""
    paging = source.paging
    path = [part for part in (source.records or "").split("/") if part]
    cursor: str | None = None
    place, before = paging.first if paging else 0, b""
    address, number = url, 0
    while True:
        number += 1
        answer, digest = _answer(client, address, _parameters(paging, place, cursor), number)
        records = _at(answer, path)
        if not isinstance(records, list):
            raise SourceError(
                f"the answer has no array of records at {source.records or 'its top'}.", where=f"page {number}",
                remedy="mend records: in the contract.",
            )
        if records and digest == before:
            raise SourceError(
                "the source gives the same page again.", where=f"page {number}", remedy="mend paging: in the contract."
            )
        before = digest
        yield records
        if paging is None or not records:
            return
        if paging.next is not None:
            following = _at(answer, paging.next.split("/"))
            if following in (None, "", False):
                return
            if paging.by == "link":
                address = _same_host(url, urljoin(address, str(following)), number)
            else:
                cursor = str(following)
        elif paging.size_parameter and len(records) < paging.size:
            return
        else:
            place += len(records) if paging.by == "offset" else 1


def _parameters(paging: Paging | None, place: int, cursor: str | None) -> dict[str, str]:
    if paging is None or paging.by == "link":
        return {}
    size = {paging.size_parameter: str(paging.size)} if paging.size_parameter else {}
    if paging.by == "cursor":
        return {**size, **({paging.parameter: cursor} if cursor is not None else {})}
    return {**size, paging.parameter: str(place)}


def _answer(client: httpx.Client, address: str, parameters: dict[str, str], number: int) -> tuple[Any, bytes]:
    """Return one page as data, and a digest of its bytes."""
    where = f"page {number}"
    body = b""
    for attempt in range(1, TRIES + 1):
        try:
            # Parameters of the address itself stay; a page's own are added.
            target = httpx.URL(address).copy_merge_params(parameters)
            with client.stream("GET", target) as response:
                if response.status_code in _AGAIN and attempt < TRIES:
                    time.sleep(0.2 * 2**attempt)
                    continue
                if response.status_code != httpx.codes.OK:
                    raise SourceError(
                        f"the source answered {response.status_code}.", where=where,
                        remedy="check url: and headers: in the contract, and that the service is up.",
                    )
                body = _bounded(response, where)
                break
        except (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError) as error:
            if attempt < TRIES and isinstance(error, httpx.TransportError):
                time.sleep(0.2 * 2**attempt)
                continue
            raise SourceError(
                f"the source cannot be reached ({type(error).__name__}).", where=where,
                remedy="check url: in the contract, and that the service is up.",
            ) from None
    try:
        return DECODER.decode(body.decode("utf-8-sig")), hashlib.sha256(body).digest()
    except (ValueError, RecursionError, RepeatedKeyError):
        raise SourceError(
            "the answer is no JSON in UTF-8.", where=where, remedy="check url: and headers: in the contract."
        ) from None


def _bounded(response: httpx.Response, where: str) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > MOST_PAGE_BYTES:
            raise SourceError(
                f"one page is larger than {MOST_PAGE_BYTES} bytes.", where=where,
                remedy="ask for smaller pages (paging:).",
            )
        parts.append(part)
    return b"".join(parts)


def _at(answer: Any, path: list[str]) -> Any:
    for key in path:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def _same_host(first: str, following: str, number: int) -> str:
    one, other = urlsplit(first), urlsplit(following)
    if (one.scheme, one.netloc.rpartition("@")[2]) != (other.scheme, other.netloc.rpartition("@")[2]):
        raise SourceError(
            "the next page lies on another host.", where=f"page {number}",
            remedy="the credentials are not sent there; ask the source's owner.",
        )
    return following


def _key(record: Any, order_by: tuple[str, ...], number: int) -> tuple[str, ...]:
    if not isinstance(record, dict) or any(name not in record for name in order_by):
        raise SourceError(
            "a record lacks a column of order_by.", where=f"page {number}", remedy="mend order_by: in the contract."
        )
    return tuple(str(record[name]) for name in order_by)
