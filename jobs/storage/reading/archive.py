"""Files that hold files (ZIP, gzip): unpacked into a folder of ours, under names of ours, within limits."""

from __future__ import annotations

import gzip
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from jobs.errors import SourceError
from jobs.source import Source
from jobs.storage.reading.diagnosis import ZIP
from jobs.storage.reading.limits import Limits

_CHUNK = 1 << 20
_HEADER = 30  # bytes of a file's header in a ZIP archive, before its name
_TAR = (257, b"ustar")
_OF_THE_SYSTEM = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # what a file manager adds unasked
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, RuntimeError, ValueError)


@contextmanager
def unpacked(file: Path, source: Source, limits: Limits) -> Iterator[list[tuple[str, Path]]]:
    """Give the files to read in a delivered one, as pairs of the name to show and where it lies.

    A file that is not packed is its only one. Raises SourceError for an archive that is damaged, protected, empty of
    what the contract names, holds paths that leave it, or unpacks to more than allowed.
    """
    if source.packed is None:
        yield [(file.name, file)]
        return
    with tempfile.TemporaryDirectory(prefix="lake-unpacked-") as folder:
        try:
            if source.packed == "gzip":
                found = [(file.name, _gunzipped(file, Path(folder), limits))]
            else:
                found = _unzipped(file, source, Path(folder), limits)
        except _DAMAGED:
            raise SourceError(
                "the archive is damaged, half-written or of another kind.", remedy="deliver it again."
            ) from None
        yield found


def check_package(file: Path, limits: Limits, taken: dict[str, Callable[[bytes], None]] | None = None) -> None:
    """Unpack a workbook (a ZIP archive) once to nowhere; raise SourceError when it is damaged or a bomb.

    What its directory says about sizes may be a lie, so the bytes are counted. `taken` gets the bytes of the parts it
    names.
    """
    size, total = file.stat().st_size, 0
    with zipfile.ZipFile(file) as archive:
        check_directory(archive, size, limits)
        for entry in archive.infolist():
            take = (taken or {}).get(entry.filename)
            with archive.open(entry) as stream:
                while chunk := stream.read(_CHUNK):
                    total += len(chunk)
                    limits.check_unpacked(total, size)
                    if take is not None:
                        take(chunk)


def check_directory(archive: zipfile.ZipFile, size: int, limits: Limits) -> None:
    """Raise SourceError for an archive whose directory promises too much or that is protected; `size` in bytes."""
    entries = archive.infolist()
    if len(entries) > limits.max_members:
        raise SourceError(
            f"the archive holds more than {limits.max_members} files.", remedy="split it, or raise LAKE_MAX_MEMBERS."
        )
    limits.check_unpacked(sum(entry.file_size for entry in entries), size)
    if len({entry.filename for entry in entries}) < len(entries):
        raise SourceError("the archive holds two files of one name.", remedy="deliver it with each file once.")
    if _hides(archive):
        raise SourceError("the file is one archive after another.", remedy="deliver each by itself.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise SourceError("the archive is protected by a password.", remedy="deliver it without one.")


def _hides(archive: zipfile.ZipFile) -> bool:
    """Tell whether a file of an archive lies before, between or after those that its directory names.

    What stands before the first may be a program that unpacks it, so that only its beginning counts. Layout: PKWARE's
    APPNOTE.TXT, 4.3.
    """
    stream, entries = archive.fp, sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    if not entries or stream is None:
        return False
    place = stream.tell()
    try:
        stream.seek(0)
        if entries[0].header_offset and stream.read(len(ZIP)) == ZIP:
            return True
        nexts = [*(entry.header_offset for entry in entries[1:]), archive.start_dir]
        return any(_names_file(stream, _end(stream, entry), stop) for entry, stop in zip(entries, nexts, strict=True))
    finally:
        stream.seek(place)


def _end(stream: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Return where the bytes of a file of an archive end."""
    stream.seek(entry.header_offset)
    head = stream.read(_HEADER)
    name, extra = struct.unpack_from("<HH", head.ljust(_HEADER, b"\0"), 26)
    return entry.header_offset + _HEADER + int(name) + int(extra) + entry.compress_size


def _names_file(stream: IO[bytes], start: int, stop: int) -> bool:
    """Tell whether the header of a file lies in a gap; what is told of sizes after a file is shorter than one."""
    if stop - start < _HEADER:
        return False
    stream.seek(start)
    before = b""
    while start < stop and (chunk := stream.read(min(_CHUNK, stop - start))):
        if ZIP in before + chunk:
            return True
        start, before = start + len(chunk), chunk[1 - len(ZIP) :]
    return False


def _gunzipped(file: Path, folder: Path, limits: Limits) -> Path:
    target = folder / "unpacked"
    with gzip.open(file) as stream:
        _copy(stream, target, file.stat().st_size, limits, 0)
    with target.open("rb") as stream:
        stream.seek(_TAR[0])
        if stream.read(len(_TAR[1])) == _TAR[1]:
            raise SourceError("the file is a TAR archive.", remedy="deliver the files one by one, or as ZIP.")
    return target


def _unzipped(file: Path, source: Source, folder: Path, limits: Limits) -> list[tuple[str, Path]]:
    found, total = [], 0
    with zipfile.ZipFile(file) as archive:
        check_directory(archive, file.stat().st_size, limits)
        named = sorted((_name(entry), entry.header_offset, entry) for entry in archive.infolist() if not entry.is_dir())
        for name, _, _ in named:
            _refuse_leaving(name)
        wanted = [
            (name, entry)
            for name, _, entry in named
            if not name.startswith(_OF_THE_SYSTEM) and not name.endswith(_OF_THE_SYSTEM)
            and (fnmatchcase(name, source.member) or fnmatchcase(PurePosixPath(name).name, source.member))
        ]
        if not wanted:
            raise SourceError(
                f"the archive holds no file {source.member!r}.",
                remedy="mend member: in the contract, or deliver it again.",
            )
        if len({name for name, _ in wanted}) < len(wanted):
            raise SourceError("the archive holds two files of one name.", remedy="deliver it with each file once.")
        for number, (name, entry) in enumerate(wanted):
            target = folder / str(number)
            with archive.open(entry) as stream:
                total = _copy(stream, target, file.stat().st_size, limits, total)
            _refuse_nested(target, source, name)
            found.append((f"{file.name}/{name}", target))
    return found


def _copy(stream: IO[bytes] | gzip.GzipFile, target: Path, size: int, limits: Limits, total: int) -> int:
    with target.open("xb") as out:
        while chunk := stream.read(_CHUNK):
            total += len(chunk)
            limits.check_unpacked(total, size)
            out.write(chunk)
    return total


def _name(entry: zipfile.ZipInfo) -> str:
    """Return a file's name as its sender saw it: without the mark for UTF-8 it is in the sender's own code page."""
    name = entry.filename
    if not entry.flag_bits & 0x800 and not name.isascii():
        raw = name.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            try:
                name = raw.decode(encoding)
                break
            except UnicodeError:
                continue
    return "".join(c if c.isprintable() else "_" for c in name.replace("\\", "/"))


def _refuse_leaving(name: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
        raise SourceError("a path in the archive leaves it.", remedy="pack the files again, by their plain names.")


def _refuse_nested(target: Path, source: Source, name: str) -> None:
    with target.open("rb") as stream:
        start = stream.read(4)
    packed = start == b"PK\x03\x04" and source.reader not in ("xlsx", "ods")
    if packed or start.startswith((b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf")):
        raise SourceError(
            "the archive holds another archive or a workbook.", where=name,
            remedy="pack the files themselves, or mend reader: and member: in the contract.",
        )
