"""Verify a release of open data with this one file: `python verify.py DIR [--key F] [--head D] [--log FILE]`.

Python's standard library is enough; where pyarrow is installed the Parquet file is read too and compared with the CSV.
Nothing is asked of anybody: the release's folder, and beside it the earlier versions where they are at hand, say all.
`--key`: fingerprint (SHA-256 of the raw public key) of the signer you trust; without it the signer is not
authenticated. `--head`: SHA-256 of the manifest.json you expect. `--log`: the publisher's log.jsonl.
Ends with 0 only when all holds, 1 when something does not, 2 when there is no release at DIR.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import re
import stat
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, islice, zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST, SIGNATURE, ATTESTATION = "manifest.json", "manifest.sig", "attestation.json"
SEALED = (MANIFEST, SIGNATURE, ATTESTATION)  # what the list of files cannot hold: itself, and what is signed after it
FORMAT, WITHDRAWAL = "open-release/1", "open-release-withdrawal/1"
KEPT = (*SEALED, "verify.py")  # what stays of a release that is withdrawn
PAGES = ("index.html", "index.en.html")  # the portal's pages about a version, made anew by every build
VERSION = re.compile(r"^[0-9]+\.[0-9]+\.[0-9]+\Z")
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_CHUNK = 1 << 20
_PIECE, _BATCH, _LINES = 1 << 23, 1 << 17, 1 << 17  # bytes of CSV, rows of Parquet, bytes of lines looked at together
_KINDS = ("added", "removed", "changed")
_SPECIAL = re.compile(r'[,"\r\n]')


class Broken(Exception):  # noqa: N818 (says what does not hold, not what failed)
    """Say that nothing further can be checked, and why."""


@dataclass
class Findings:
    """Hold what was checked: (check, `holds`, `fails` or `note`, what was found)."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    status: str = "released"

    def fails(self, check: str, what: str) -> None:
        """Record a check that does not hold."""
        self.rows.append((check, "fails", what))

    def note(self, check: str, what: str) -> None:
        """Record what could not be checked, and why."""
        self.rows.append((check, "note", what))

    def judge(self, check: str, problems: list[str], what: str) -> None:
        """Record a check that holds when there are no problems."""
        self.rows += [(check, "fails", problem) for problem in problems] or [(check, "holds", what)]

    @property
    def problems(self) -> list[str]:
        """Return what does not hold, one sentence each."""
        return [f"{check}: {what}" for check, verdict, what in self.rows if verdict == "fails"]


def verify(folder: Path, *, key: str | None = None, head: str | None = None, log: Path | None = None) -> Findings:
    """Return everything that was checked of a release's folder, and what of it does not hold."""
    found = Findings()
    try:
        manifest, public = _signed_manifest(folder, found, key)
        digest = sha256(folder / MANIFEST)
        if head is not None:
            same = digest == head.lower()
            found.judge("head", [] if same else ["this is not the manifest that was expected."], digest[:16])
        gone = _withdrawn(folder, manifest, public, found)
        whole = any(path not in KEPT and not path.startswith("changes/") for path in gone)
        if log is not None:
            _check_log(log, manifest, public, digest, whole, found)
        _check_files(folder, manifest, gone, found)
        _check_chain(folder, manifest, found)
        if found.problems:
            return found  # what follows would only say it again, in other words
        if whole:
            found.status = "withdrawn"
            return found
        _check_table(folder, manifest, found)
        _check_changes(folder, manifest, gone, found)
    except Broken as broken:
        found.fails("release", str(broken))
    except Exception as error:  # whatever reading a file that is not what it should be can end in
        found.fails("release", f"it is not complete: {type(error).__name__} where every release has something.")
    return found


# -- documents and signatures ------------------------------------------------------------------------------------------
def read_canonical(path: Path, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a signed document, of these names alone where they are given.

    Raises Broken when it is not there or not canonical (RFC 8785, no fractions, no number that others round).
    """
    if path.is_symlink() or not path.is_file():
        raise Broken(f"{path.name} is not a file of its own." if os.path.lexists(path) else f"{path.name} is missing.")
    return _canonical(path.read_bytes(), path.name, names)


def _canonical(data: bytes, name: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    try:
        document = json.loads(data, parse_float=_whole, parse_constant=_whole, parse_int=_whole)
        same = isinstance(document, dict) and canonical(document) == data
    except (ValueError, RecursionError):
        raise Broken(f"{name} is not JSON of texts and whole numbers.") from None
    if not same:
        raise Broken(f"{name} is not canonical (RFC 8785).")
    if names and sorted(document) != sorted(names):
        raise Broken(f"{name} holds something else than {', '.join(names)}.")
    return dict(document)


def canonical(document: Any) -> bytes:
    """Return RFC 8785 bytes of a document of ASCII keys, texts and whole numbers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _whole(text: str) -> int:
    if len(text) > 17 or abs(int(text)) >= 1 << 53:  # a fraction and NaN are no int either
        raise ValueError(text)
    return int(text)


def _hex(text: Any, name: str) -> bytes:
    """Return the bytes of lower-case hex digits: written in another way the same signature would be another file."""
    if not isinstance(text, str) or not re.fullmatch(r"(?:[0-9a-f]{2})*", text):
        raise Broken(f"{name} holds something else than hex digits.")
    return bytes.fromhex(text)


def _signed_manifest(folder: Path, found: Findings, key: str | None) -> tuple[dict[str, Any], bytes]:
    manifest = read_canonical(folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise Broken(f"{MANIFEST} is not of the format {FORMAT}.")
    signature = read_canonical(folder / SIGNATURE, ("algorithm", "attestation", "manifest", "public_key"))
    public = _hex(signature["public_key"], SIGNATURE)
    fingerprint = hashlib.sha256(public).hexdigest()
    attested = read_canonical(folder / ATTESTATION)
    for name, part in ((MANIFEST, "manifest"), (ATTESTATION, "attestation")):
        if not signed_by(public, (folder / name).read_bytes(), _hex(signature[part], SIGNATURE)):
            raise Broken(f"{name} is not what was signed.")
    if attested["manifest_sha256"] != sha256(folder / MANIFEST):
        found.fails("attestation", "it attests another manifest.")
    algorithm = "SM2" if len(public) == _SM2_BYTES else "Ed25519"
    if signature["algorithm"] != algorithm:
        raise Broken(f"{SIGNATURE} names another algorithm than signed.")
    found.judge("signature", [], f"{algorithm}, key {fingerprint}")
    if key is None:
        found.note("signer", "not authenticated: no --key was given.")
    else:
        same = fingerprint == key.lower()
        found.judge("signer", [] if same else ["another key signed than the one you trust."], "the key you trust")
    if VERSION.match(folder.resolve().name) and folder.resolve().name != manifest["version"]:
        found.fails("version", f"the folder is {folder.resolve().name}, the manifest is of {manifest['version']}.")
    return manifest, public


_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
Point = tuple[int, int, int, int]


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature over a message is a public key's: Ed25519 (RFC 8032, 5.1.7), SM2 where it is longer."""
    if len(public) == _SM2_BYTES:
        return _signed_by_sm2(public, message, signature)
    if len(public) != 32 or len(signature) != 64:
        return False
    key, nonce = _decompressed(public), _decompressed(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or scalar >= _L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    base_y = 4 * pow(5, _P - 2, _P) % _P
    base = _decompressed(base_y.to_bytes(32, "little"))
    assert base is not None
    left, right = _times(scalar, base), _plus(nonce, _times(challenge, key))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (left[1] * right[2] - right[1] * left[2]) % _P == 0


def _decompressed(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


def _plus(one: Point, other: Point) -> Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % _P, (one[1] + one[0]) * (other[1] + other[0]) % _P
    c, d = 2 * one[3] * other[3] * _D % _P, 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _plus(total, point)
        point, scalar = _plus(point, point), scalar >> 1
    return total


_SM2_BYTES = 64  # a public key: both coordinates
_SM2_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_SM2_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
SM2_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
SM2_BASE = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
Place = tuple[int, int] | None  # None: the point at infinity


def sm2_challenge(public: bytes, message: bytes) -> int:
    """Return what SM2 signs (GB/T 32918.2, 6.1): SM3 over the signer's digest, with the usual identity, and message."""
    if "sm3" not in hashlib.algorithms_available:
        raise Broken("it is signed by SM2, and this Python has no SM3.")
    identity = b"1234567812345678"
    curve = b"".join(number.to_bytes(32, "big") for number in (_SM2_P - 3, _SM2_B, *SM2_BASE))
    signer = hashlib.new("sm3", (8 * len(identity)).to_bytes(2, "big") + identity + curve + public).digest()
    return int.from_bytes(hashlib.new("sm3", signer + message).digest(), "big")


def _signed_by_sm2(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an SM2 signature (GB/T 32918.2, 7.1; curve of GB/T 32918.5) is a public key's."""
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    on_curve = x < _SM2_P and y < _SM2_P and (y * y - x * x * x + 3 * x - _SM2_B) % _SM2_P == 0
    if len(signature) != 64 or not on_curve or not (0 < r < SM2_ORDER and 0 < s < SM2_ORDER):
        return False
    both = (r + s) % SM2_ORDER
    place = sm2_plus(sm2_times(s, SM2_BASE), sm2_times(both, (x, y)))
    return both != 0 and place is not None and (sm2_challenge(public, message) + place[0]) % SM2_ORDER == r


def sm2_plus(one: Place, other: Place) -> Place:
    """Return the sum of two points of SM2's curve."""
    if one is None or other is None:
        return one or other
    if one[0] == other[0]:
        if (one[1] + other[1]) % _SM2_P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, _SM2_P) % _SM2_P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _SM2_P) % _SM2_P
    x = (slope * slope - one[0] - other[0]) % _SM2_P
    return x, (slope * (one[0] - x) - one[1]) % _SM2_P


def sm2_times(scalar: int, point: Place) -> Place:
    """Return a multiple of a point of SM2's curve."""
    total: Place = None
    while scalar:
        if scalar & 1:
            total = sm2_plus(total, point)
        point, scalar = sm2_plus(point, point), scalar >> 1
    return total


# -- files, chain, log, withdrawals ------------------------------------------------------------------------------------
def sha256(path: Path) -> str:
    """Return a file's SHA-256."""
    return _digest(path, "sha256")


def _digest(path: Path, algorithm: str) -> str:
    total = hashlib.new(algorithm)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


def merkle_root(files: Iterable[dict[str, Any]]) -> str:
    """Return the root over files by path, as RFC 6962 hashes (0 before leaves, 1 before nodes; leaf: path 0 digest)."""
    ordered = sorted(files, key=lambda one: one["path"].encode())
    leaves = [hashlib.sha256(b"\0" + f["path"].encode() + b"\0" + bytes.fromhex(f["sha256"])).digest() for f in ordered]
    return _root(leaves).hex()


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + _root(leaves[:split]) + _root(leaves[split:])).digest()


def _check_listed(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each file; raise Broken where it names a place that is none of its own."""
    listed = {one["path"]: one for one in manifest["files"]}
    for path in listed:
        pure = PurePosixPath(path)
        plain = str(pure) == path and path != "." and "\\" not in path and ":" not in path
        if pure.is_absolute() or ".." in pure.parts or not plain:
            raise Broken("the manifest names files outside the release.")
    # On many machines names that differ in case or composition alone are one file.
    if len({unicodedata.normalize("NFC", path).casefold() for path in listed}) != len(manifest["files"]):
        raise Broken("the manifest names a file twice.")
    starts = [*manifest["changes"]["from"], *([manifest["previous"]["version"]] if manifest["previous"] else [])]
    if not all(VERSION.match(one) for one in (manifest["version"], *starts)):
        raise Broken("the manifest names a version that is none.")
    if not set(manifest["data"].values()) <= set(listed):
        raise Broken("the manifest does not list its data.")
    return listed


def _check_files(folder: Path, manifest: dict[str, Any], gone: set[str], found: Findings) -> None:
    listed = _check_listed(manifest)
    inside = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    folders = {name for name, path in inside.items() if path.is_dir() and not path.is_symlink()}
    there = set(inside) - folders
    there -= {*SEALED, *(path.name for path in folder.glob("withdrawal-*.json"))}  # each of these was found signed
    pages = {name for name in PAGES if name in there and name not in listed and not (folder / name).is_symlink()}
    if pages:
        found.note("pages", f"{', '.join(sorted(pages))}: the portal's; nothing here speaks for them.")
    there -= pages
    above = {str(one) for path in listed for one in PurePosixPath(path).parents}
    problems = [f"{name} is missing." for name in sorted(set(listed) - there - gone)]
    problems += [f"{name} does not belong to the release." for name in sorted((there - set(listed)) | folders - above)]
    checked = sorted(there & set(listed))
    with ThreadPoolExecutor(2) as threads:  # hashing leaves the interpreter to others
        problems += filter(None, threads.map(lambda name: _altered(folder / name, name, listed[name]), checked))
    if merkle_root(manifest["files"]) != manifest["root"]:
        problems.append("the root is not that of the files.")
    found.judge("files", problems, f"{len(checked)} of {len(listed)} files, root {manifest['root'][:16]}")
    if left := there & gone:
        found.note("withdrawn", f"{len(left)} files that were withdrawn are still here.")


def _altered(path: Path, name: str, said: dict[str, Any]) -> str:
    """Return how a file is not what was released, nothing where it is."""
    told = path.lstat()
    plain = stat.S_ISREG(told.st_mode) and told.st_size == said["bytes"]
    for algorithm, called in (("sha256", "SHA-256"), ("sm3", "SM3")):
        if algorithm in hashlib.algorithms_available and not (plain and _digest(path, algorithm) == said[algorithm]):
            return f"{name} is not what was released: its {called} is another."
    return ""


def _check_chain(folder: Path, manifest: dict[str, Any], found: Findings) -> None:
    previous = manifest["previous"]
    if previous is None:
        found.judge("chain", [], "the first version")
        return
    beside = folder.resolve().parent / previous["version"] / MANIFEST
    if not beside.is_file():
        found.note("chain", f"the previous version {previous['version']} is not beside this one.")
        return
    problem = f"version {previous['version']} beside this one is not the one this one follows."
    found.judge("chain", [problem] * (sha256(beside) != previous["sha256"]), f"follows {previous['version']}")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a publisher's log; raise Broken when its chain does not hold."""
    entries, before = [], "0" * 64
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:
        raise Broken("the last line of the log is cut off.")
    for number, line in enumerate(lines, 1):
        entry = _canonical(line, f"line {number} of the log")
        if (entry.get("number"), entry.get("before")) != (number, before):
            raise Broken(f"line {number} of the log does not follow the line before it.")
        entries.append(entry)
        before = hashlib.sha256(line).hexdigest()
    return entries


def _check_log(path: Path, manifest: dict[str, Any], public: bytes, mine: str, gone: bool, found: Findings) -> None:
    """Find a release, whose manifest has the digest `mine`, in the publisher's log, and the log's end signed."""
    if not path.is_file():
        raise Broken(f"there is no log {path.name}.")
    entries = [entry for entry in read_log(path) if entry["dataset"] == manifest["dataset"]]
    about = {entry["kind"] for entry in entries if entry["manifest_sha256"] == mine}
    problems = [] if "release" in about else ["the log does not know this manifest."]
    if "withdrawal" in about and not gone:
        problems.append("the log says that this version was withdrawn; its statement is not here.")
    found.judge("log", problems, "the log knows this manifest")
    newest = [entry["version"] for entry in entries if entry["kind"] == "release"][-1:]
    if newest and newest[0] != manifest["version"]:
        found.note("log", f"there is a newer version, {newest[0]}.")
    seal = path.with_suffix(".sig")
    if not seal.is_file():
        found.note("log", f"{seal.name} is not beside it: whether lines at its end are missing cannot be told.")
        return
    said = read_canonical(seal, ("number", "public_key", "sha256", "signature"))
    lines = path.read_bytes().splitlines()
    signed = canonical({"number": said["number"], "sha256": said["sha256"]})
    if said["public_key"] != public.hex() or not signed_by(public, signed, _hex(said["signature"], seal.name)):
        raise Broken(f"{seal.name} is not of this release's signer.")
    ends = (len(lines), hashlib.sha256(lines[-1]).hexdigest()) == (said["number"], said["sha256"]) if lines else False
    problem = f"the log has {len(lines)} lines and another end than the {said['number']} that were signed."
    found.judge("log", [] if ends else [problem], f"its end is signed, {said['number']} lines")


def _withdrawn(folder: Path, manifest: dict[str, Any], public: bytes, found: Findings) -> set[str]:
    """Return the files that signed statements of withdrawal took away."""
    gone: set[str] = set()
    for path in sorted(folder.glob("withdrawal-*.json")):
        said = read_canonical(path, ("signature", "statement"))
        statement, seal = said["statement"], _hex(said["signature"], path.name)
        about = (statement["dataset"], statement["manifest_sha256"])
        mine = about == (manifest["dataset"], sha256(folder / MANIFEST)) and statement["format"] == WITHDRAWAL
        if not mine or not signed_by(public, canonical(statement), seal):
            raise Broken(f"{path.name} is not a statement of this release's signer about this release.")
        gone |= set(statement["files"])
        found.note("withdrawn", f"{', '.join(statement['versions'])} at {statement['at']}: {statement['reason']}")
    return gone


# -- rows --------------------------------------------------------------------------------------------------------------
def _records(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.reader(stream, strict=True)


def _check_table(folder: Path, manifest: dict[str, Any], found: Findings) -> None:
    csv.field_size_limit(1 << 30)
    path, risk, columns = folder / manifest["data"]["csv"], manifest["risk"], [o["name"] for o in manifest["columns"]]
    if next(_records(path), None) != columns:
        found.fails("schema", f"{path.name} has other columns than the manifest says.")
        return
    found.judge("schema", [], f"{len(columns)} columns")
    if json.loads((folder / "risk.json").read_bytes()) != risk:
        found.fails("groups", "risk.json and the manifest do not say the same.")
    sensitive = [name for name in risk["sensitive"] if name not in risk["quasi_identifiers"]]
    wanted = [] if risk["kind"] == "aggregate" else [*risk["quasi_identifiers"], *sensitive]
    tuples = _check_parquet(folder, manifest, wanted, found)
    records = islice(_records(path), 1, None)
    if risk["kind"] == "aggregate":
        rows = _check_cells(list(records), columns, risk, found)
    else:
        if tuples is None:  # not read by pyarrow
            places = [columns.index(name) for name in wanted]
            tuples = Counter(tuple([row[n] for n in places]) for row in records)
        rows = sum(tuples.values())
        _check_groups(tuples, sensitive, risk, found)
    said = manifest["rows"]
    found.judge("rows", [] if rows == said else [f"{path.name} has {rows} rows, not {said}."], f"{rows} rows")


def _check_groups(tuples: Counter[Any], sensitive: list[str], risk: dict[str, Any], found: Findings) -> None:
    """Judge the groups of a table of single rows, whose tuples are quasi-identifiers and sensitive values."""
    size, sizes = len(risk["quasi_identifiers"]), Counter[Any]()
    values: dict[tuple[str, Any], set[Any]] = {}
    for cell, rows in tuples.items():
        sizes[cell[:size]] += rows
        for name, value in zip(sensitive, cell[size:], strict=True):
            values.setdefault((name, cell[:size]), set()).add(value)
    lone = sorted({name for (name, _), known in values.items() if len(known) < 2})
    _judge_sizes(list(sizes.values()), risk, lone, found)


def _check_cells(cells: list[list[str]], columns: list[str], risk: dict[str, Any], found: Findings) -> int:
    """Judge the groups of a table of counts and sums; return its rows."""
    if risk.get("differential_privacy") is not None:
        _check_noisy(cells, columns, risk, found)
    elif not risk["counts"]:
        found.note("groups", "a table of sums alone does not show its groups.")
    else:
        quasi, count = [columns.index(name) for name in risk["quasi_identifiers"]], columns.index(risk["counts"][0])
        sizes: Counter[Any] = Counter()
        for row in cells:
            sizes[tuple(row[n] for n in quasi)] += int(row[count])
        _judge_sizes(list(sizes.values()), risk, [], found)
    return len(cells)


def _check_noisy(cells: list[list[str]], columns: list[str], risk: dict[str, Any], found: Findings) -> None:
    """Judge what a table with noise shows of itself: every cell is there once, no count is negative, ε is in budget."""
    said, quasi = risk["differential_privacy"], [columns.index(name) for name in risk["quasi_identifiers"]]
    names = {tuple(row[n] for n in quasi) for row in cells}
    problems = []
    if not len(names) == len(cells) == said["cells"] == risk["groups"]:
        problems.append(f"there are {len(names)} cells, not {said['cells']}.")
    if any(int(row[columns.index(name)]) < 0 for row in cells for name in said["measures"]):
        problems.append("a measure is negative.")
    if Fraction(said["spent"]) > Fraction(said["budget"]) + Fraction(1, 1_000_000):
        problems.append("more was spent than the budget.")
    found.judge("groups", problems, f"{len(cells)} cells with noise, epsilon {said['epsilon']} of {said['budget']}")


def _judge_sizes(sizes: list[int], risk: dict[str, Any], lone: list[str], found: Findings) -> None:
    problems = [f"{name} has one value only in some groups." for name in lone]
    if small := sum(1 for size in sizes if size < risk["threshold"]):
        problems.append(f"{small} groups are below the threshold of {risk['threshold']}.")
    if risk["quasi_identifiers"] and len(sizes) != risk["groups"]:
        problems.append(f"there are {len(sizes)} groups, not {risk['groups']}.")
    # Where people have several rows the publisher counts people: never more than there are rows.
    if not sizes or risk["smallest_group"] > min(sizes) or risk["smallest_group"] < risk["threshold"]:
        problems.append("the smallest group is not what the risk statement says.")
    average = sum((Fraction(1, size) for size in sizes if size), Fraction(0)) / max(len(sizes), 1)
    if Fraction(risk["gb_t_42460"]["r_avg"]) < average - Fraction(1, 1_000_000):
        problems.append("the average risk is higher than the risk statement says.")
    found.judge("groups", problems, f"{len(sizes)} groups of at least {min(sizes or [0])} (k = {risk['threshold']})")


def _check_parquet(folder: Path, manifest: dict[str, Any], wanted: list[str], found: Findings) -> Counter[Any] | None:
    """Compare Parquet with CSV where pyarrow is at hand; return how often each tuple of wanted columns is there."""
    try:
        from pyarrow import parquet
    except ImportError:
        found.note("parquet", "its digest holds; its rows were not read (pyarrow is not installed).")
        return None
    path, said = folder / manifest["data"]["parquet"], [(one["name"], one["arrow"]) for one in manifest["columns"]]
    starts = [f"changes/from-{start}/{kind}" for start in manifest["changes"]["from"] for kind in _KINDS]
    try:
        if [(one.name, str(one.type)) for one in parquet.read_schema(path)] != said:
            found.fails("parquet", "it has other columns or types than the manifest says.")
            return None
        tuples = _alike(path, folder / manifest["data"]["csv"], wanted)
        there = [name for name in starts if (folder / f"{name}.parquet").is_file()]
        differ = [name for name in there if _alike(folder / f"{name}.parquet", folder / f"{name}.csv", []) is None]
    except Exception as error:  # whatever a broken file makes a library say
        found.fails("parquet", f"it cannot be read: {type(error).__name__}.")
        return None
    problems = [] if tuples is not None else ["CSV and Parquet do not hold the same rows in the same order."]
    problems += [f"{name}: CSV and Parquet do not hold the same rows." for name in differ]
    found.judge("parquet", problems, "the same rows as the CSV")
    return tuples


def _alike(path: Path, beside: Path, wanted: list[str]) -> Counter[Any] | None:
    """Read a Parquet file and its CSV side by side, piece by piece; None where they differ, else counts of tuples."""
    from pyarrow import Table, parquet
    from pyarrow import csv as arrow_csv

    file, tuples = parquet.ParquetFile(path), Counter[Any]()
    names, kinds = file.schema_arrow.names, file.schema_arrow.types
    read, how = arrow_csv.ReadOptions(block_size=_PIECE), arrow_csv.ParseOptions(newlines_in_values=True)
    into = arrow_csv.ConvertOptions(column_types=dict(zip(names, kinds, strict=True)), null_values=[""])
    into.strings_can_be_null = into.quoted_strings_can_be_null = True
    cells = arrow_csv.open_csv(beside, read, how, into)
    pieces = (piece for piece in cells if piece.num_rows)
    piece = next(pieces, None)
    for batch in file.iter_batches(_BATCH):
        start = 0
        while start < batch.num_rows:
            if piece is None or piece.schema.names != names:
                return None
            rows = min(batch.num_rows - start, piece.num_rows)
            one, other = batch.slice(start, rows), piece.slice(0, rows)
            if not all(map(_same, one.columns, other.columns)):
                return None
            start, piece = start + rows, piece.slice(rows) if rows < piece.num_rows else next(pieces, None)
        if not wanted:
            tuples[()] += batch.num_rows
            continue
        numbered = [str(number) for number in range(len(wanted))]
        keys = Table.from_arrays([batch[name] for name in wanted], numbered)
        counted = keys.group_by(numbered).aggregate([([], "count_all")])
        for *key, times in zip(*(counted[name].to_pylist() for name in (*numbered, "count_all")), strict=True):
            tuples[tuple(key)] += times
    return tuples if piece is None else None


def _same(column: Any, cells: Any) -> bool:
    """Tell whether a column is its CSV's, which has an apostrophe before what a spreadsheet takes for a formula."""
    from pyarrow import compute, types

    if column.equals(cells) or not types.is_string(column.type):
        return bool(column.equals(cells))
    formula = compute.match_substring_regex(column, r"^[=+\-@\t\r]")
    return bool(compute.if_else(formula, compute.binary_join_element_wise("'", column, ""), column).equals(cells))


# -- changes -----------------------------------------------------------------------------------------------------------
def _check_changes(folder: Path, manifest: dict[str, Any], gone: set[str], found: Findings) -> None:
    """Count every file of changes and, where the version they start from is beside this one, replay them."""
    columns = [one["name"] for one in manifest["columns"]]
    for start, said in sorted(manifest["changes"]["from"].items()):
        base, name = folder / "changes" / f"from-{start}", f"changes from {start}"
        if any(path.startswith(f"changes/from-{start}/") for path in gone):
            found.note(name, "withdrawn.")
            continue
        balance: dict[bytes, int] = {}
        counts = dict.fromkeys(_KINDS if "changed" in said["counts"] else _KINDS[:2], 0)
        for kind in counts:
            for come, left in _moves(base / f"{kind}.csv", kind, columns):
                _weigh(balance, come, 1)
                _weigh(balance, left, -1)
                counts[kind] += len(come or left)
        if counts != said["counts"] or said["rows"] + counts["added"] - counts["removed"] != manifest["rows"]:
            found.fails(name, "they do not hold as many rows as the manifest says.")
            continue
        earlier = folder.resolve().parent / start / manifest["data"]["csv"]
        if not earlier.is_file():
            found.note(name, f"counted; not replayed, because {start} is not beside this version.")
            continue
        # Both are sorted alike, so that most lines cancel piece by piece, and no more than the changes is held.
        pieces = (_pieces(path, columns) for path in (earlier, folder / manifest["data"]["csv"]))
        for before, after in zip_longest(*pieces, fillvalue=()):
            if before != after:
                _weigh(balance, before, 1)
                _weigh(balance, after, -1)
        problem = f"{start} and these changes do not give this version."
        found.judge(name, [problem] if balance else [], ", ".join(f"{n} {kind}" for kind, n in counts.items()))


def _moves(path: Path, kind: str, columns: list[str]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Yield the lines that a file of changes brings and those it takes, many at a time."""
    if kind != "changed":
        yield from ((lines, []) if kind == "added" else ([], lines) for lines in _pieces(path, columns))
        return
    records = _records(path)
    place = {name: number for number, name in enumerate(next(records))}
    new, old = ([place.get(f"{side}{n}", place.get(n, -1)) for n in columns] for side in ("new.", "old."))
    while rows := list(islice(records, _BATCH)):
        yield [_line([row[n] for n in new]) for row in rows], [_line([row[n] for n in old]) for row in rows]


def _weigh(balance: dict[bytes, int], lines: Iterable[bytes], sign: int) -> None:
    """Add lines to a balance or take them from it; what comes to nothing is not in it."""
    for line in lines:
        if left := balance.pop(line, 0) + sign:
            balance[line] = left


def _pieces(path: Path, columns: list[str]) -> Iterator[list[bytes]]:
    """Yield a CSV's records below its header, many at a time, each as one line: equal cells, equal bytes."""
    names = next(_records(path))
    order = None if names == columns else [names.index(name) for name in columns]
    with path.open("rb") as stream:
        next(stream)
        while lines := stream.readlines(_LINES):
            if order is None and b'"' not in b"".join(lines):
                yield lines
                continue
            whole, open_ = [], b""
            for line in chain(lines, stream):  # beyond the piece only as far as its last record goes
                open_ += line
                if open_.count(b'"') % 2 == 0:
                    whole.append(_normal(open_, order))
                    open_ = b""
                    if len(whole) >= len(lines):
                        break
            yield [*whole, *([_normal(open_, order)] if open_ else [])]


def _normal(line: bytes, order: list[int] | None) -> bytes:
    if order is None and b'"' not in line:
        return line
    (cells,) = csv.reader(io.StringIO(line.decode(), newline=""), strict=True)
    return _line(cells if order is None else [cells[n] for n in order])


def _line(cells: list[str]) -> bytes:
    quoted = (f'"{cell.replace(chr(34), chr(34) * 2)}"' if _SPECIAL.search(cell) else cell for cell in cells)
    return (",".join(quoted) + "\r\n").encode()


def shown(text: str) -> str:
    """Return a text in which nothing moves a terminal's cursor, changes its colours or hides."""
    return "".join(one if one.isprintable() else f"\\u{{{ord(one):x}}}" for one in text)


def main() -> int:
    """Verify the folder named on the command line and print what was checked."""
    parser = argparse.ArgumentParser(description="Verify a release of open data.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).resolve().parent)
    parser.add_argument("--key", help="fingerprint of the signer you trust")
    parser.add_argument("--head", help="SHA-256 of the manifest.json you expect")
    parser.add_argument("--log", type=Path, help="the publisher's log.jsonl")
    asked = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name no console can spell
    if not asked.folder.is_dir():
        print(f"there is no folder {shown(str(asked.folder))}.", file=sys.stderr)
        return 2
    found = verify(asked.folder, key=asked.key, head=asked.head, log=asked.log)
    for check, verdict, what in found.rows:
        print(f"{verdict:5}  {check:20}  {shown(what)}")
    print("not as released." if found.problems else f"{found.status}: all that could be checked holds.")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
