"""Serve the open layer as a web server or bucket would: files only, ranges, any origin may read, nothing else."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 16
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".wasm": "application/wasm",
    ".parquet": "application/vnd.apache.parquet", ".jsonld": "application/ld+json; charset=utf-8",
    ".ttl": "text/turtle; charset=utf-8", ".atom": "application/atom+xml; charset=utf-8",
    ".md": "text/markdown; charset=utf-8", ".py": "text/plain; charset=utf-8", ".jsonl": "application/x-ndjson",
}


class Served(ThreadingHTTPServer):
    """Serve one folder; `folder` is absolute and resolved."""

    daemon_threads = True

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder = folder.resolve()
        super().__init__((host, port), _Handler)

    @property
    def address(self) -> str:
        """Return the site's address, with its last slash."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/"


@contextmanager
def serving(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[Served]:
    """Serve a folder from a thread of its own while the block runs; port 0 is any free one."""
    server = Served(folder, host, port)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def found(folder: Path, target: str) -> Path | None:
    """Return the file a request's target names, a folder's index.html; None for what is not there or not open.

    Nothing outside the folder, no link that leads out, no name that begins with a dot (a release in the making) is
    open.
    """
    name = unquote(urlsplit(target).path)
    parts = [part for part in name.split("/") if part]
    if "\x00" in name or "\\" in name or any(part.startswith(".") for part in parts):
        return None
    try:
        path = folder.joinpath(*parts).resolve()
        if path.is_dir():
            path /= "index.html"
        inside = path.is_relative_to(folder) and path.resolve().is_relative_to(folder)
        return path if inside and path.is_file() else None
    except OSError:  # a name longer than the system allows
        return None


def part_of(asked: str | None, size: int) -> tuple[int, int] | None:
    """Return first and last byte of a Range header (RFC 9110, one range); None means the whole file.

    Raises ValueError for a range the file does not have. Several ranges or another unit are answered whole.
    """
    told = _RANGE.fullmatch((asked or "").strip())
    if told is None or told.group(1) == told.group(2) == "":
        return None
    first, last = told.groups()
    if not first:
        if int(last) == 0 or size == 0:
            raise ValueError
        return max(size - int(last), 0), size - 1
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise ValueError
    return start, end


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Served
    timeout = 60

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_OPTIONS(self) -> None:
        self.send_response(HTTPStatus.NO_CONTENT)
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range, ETag")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Keep quiet: who reads what is nobody's business."""

    def _answer(self, *, body: bool) -> None:
        path = found(self.server.folder, self.path)
        if path is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        asked = urlsplit(self.path).path
        if path.name == "index.html" and not asked.endswith(("/", "index.html")):
            self.send_response(HTTPStatus.MOVED_PERMANENTLY)  # relative links of a folder's page need its last slash
            self.send_header("Location", "/" + asked.strip("/") + "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with path.open("rb") as stream:
            told = os.fstat(stream.fileno())
            size, tag = told.st_size, f'"{told.st_size:x}-{told.st_mtime_ns:x}"'
            if tag in (self.headers.get("If-None-Match") or ""):
                self._unchanged(tag)
                return
            whole = self.headers.get("If-Range") not in (None, tag)  # a part of another content is no part of this one
            try:
                part = None if whole else part_of(self.headers.get("Range"), size)
            except ValueError:
                self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"bytes */{size}")
                return
            start, end = part or (0, size - 1)
            self.send_response(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK)
            if part:
                self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(end - start + 1))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Cache-Control", "no-cache")  # kept, and asked for again only if it changed
            self.send_header("ETag", tag)
            self.end_headers()
            if body:
                self._send(stream, start, end - start + 1)

    def _send(self, stream: BinaryIO, start: int, left: int) -> None:
        stream.seek(start)
        while left > 0 and (chunk := stream.read(min(CHUNK, left))):
            try:
                self.wfile.write(chunk)
            except (BrokenPipeError, ConnectionResetError):  # the reader went away
                self.close_connection = True
                return
            left -= len(chunk)

    def _unchanged(self, tag: str) -> None:
        self.send_response(HTTPStatus.NOT_MODIFIED)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("ETag", tag)
        self.end_headers()

    def _refuse(self, status: HTTPStatus, content_range: str | None = None) -> None:
        text = f"{status.value} {status.phrase}\n".encode()
        self.send_response(status)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
