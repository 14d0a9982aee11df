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
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST, SIGNATURE, ATTESTATION = "manifest.json", "manifest.sig", "attestation.json"
SEALED = (MANIFEST, SIGNATURE, ATTESTATION)  # what the list of files cannot hold: itself, and what is signed after it
FORMAT, WITHDRAWAL = "open-release/1", "open-release-withdrawal/1"
KEPT = (*SEALED, "verify.py")  # what stays of a release that is withdrawn
PAGES = ("index.html", "index.en.html")  # the portal's pages about a version, made anew by every build
_VERSION = re.compile(r"^[0-9]+\.[0-9]+\.[0-9]+$")
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_CHUNK = 1 << 20
# What reading a file that is not what it should be can end in.
_UNREADABLE = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError, RecursionError, StopIteration,
    csv.Error,
)


class Broken(Exception):  # noqa: N818 (says what does not hold, not what failed)
    """Say that nothing further can be checked, and why."""


@dataclass
class Findings:
    """Hold what was checked: (check, `holds`, `fails` or `note`, what was found)."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    status: str = "released"

    def holds(self, check: str, what: str) -> None:
        """Record a check that holds."""
        self.rows.append((check, "holds", what))

    def fails(self, check: str, what: str) -> None:
        """Record a check that does not hold."""
        self.rows.append((check, "fails", what))

    def note(self, check: str, what: str) -> None:
        """Record what could not be checked, and why."""
        self.rows.append((check, "note", what))

    def judge(self, check: str, problems: list[str], what: str) -> None:
        """Record a check that holds when there are no problems."""
        for problem in problems:
            self.fails(check, problem)
        if not problems:
            self.holds(check, what)

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
        if log is not None:
            _check_log(log, manifest, digest, found)
        gone = _withdrawn(folder, manifest, public, found)
        _check_files(folder, manifest, gone, found)
        _check_chain(folder, manifest, found)
        if found.problems:
            return found  # what follows would only say it again, in other words
        if gone and any(path not in KEPT for path in gone if not path.startswith("changes/")):
            found.status = "withdrawn"
            return found
        _check_table(folder, manifest, found)
        _check_changes(folder, manifest, gone, found)
    except Broken as broken:
        found.fails("release", str(broken))
    except _UNREADABLE as error:
        found.fails("release", f"it is not complete: {type(error).__name__} where every release has something.")
    return found


# -- documents and signatures ------------------------------------------------------------------------------------------
def read_canonical(path: Path) -> dict[str, Any]:
    """Return a signed document; raise Broken when it is not there or not canonical (RFC 8785, no fractions)."""
    if not path.is_file() or path.is_symlink():
        raise Broken(f"{path.name} is missing.")
    data = path.read_bytes()
    try:
        document = json.loads(data, parse_float=_no_fraction, parse_constant=_no_fraction)
    except ValueError:
        raise Broken(f"{path.name} is not JSON without fractions.") from None
    if not isinstance(document, dict) or canonical(document) != data:
        raise Broken(f"{path.name} is not canonical (RFC 8785).")
    return document


def canonical(document: Any) -> bytes:
    """Return RFC 8785 bytes of a document of ASCII keys, texts and whole numbers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _no_fraction(text: str) -> Any:
    raise ValueError(text)


def _signed_manifest(folder: Path, found: Findings, key: str | None) -> tuple[dict[str, Any], bytes]:
    manifest = read_canonical(folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise Broken(f"{MANIFEST} is not of the format {FORMAT}.")
    signature = read_canonical(folder / SIGNATURE)
    public = bytes.fromhex(signature["public_key"])
    fingerprint = hashlib.sha256(public).hexdigest()
    for name, part in ((MANIFEST, "manifest"), (ATTESTATION, "attestation")):
        if not signed_by(public, (folder / name).read_bytes(), bytes.fromhex(signature[part])):
            raise Broken(f"{name} is not what was signed.")
    if read_canonical(folder / ATTESTATION)["manifest_sha256"] != sha256(folder / MANIFEST):
        found.fails("attestation", "it attests another manifest.")
    found.holds("signature", f"{'SM2' if len(public) == _SM2_BYTES else 'Ed25519'}, key {fingerprint}")
    if key is None:
        found.note("signer", "not authenticated: no --key was given.")
    else:
        same = fingerprint == key.lower()
        found.judge("signer", [] if same else ["another key signed than the one you trust."], "the key you trust")
    if _VERSION.match(folder.resolve().name) and folder.resolve().name != manifest["version"]:
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


def _check_files(folder: Path, manifest: dict[str, Any], gone: set[str], found: Findings) -> None:
    listed = {one["path"]: one for one in manifest["files"]}
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in listed):
        raise Broken("the manifest names files outside the release.")
    inside = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    there = {path.relative_to(folder).as_posix() for path in inside}
    there -= {*SEALED, *(path.name for path in folder.glob("withdrawal-*.json"))}  # each of these was found signed
    pages = {name for name in PAGES if name in there and name not in listed and not (folder / name).is_symlink()}
    if pages:
        what = ", ".join(sorted(pages))
        found.note("pages", f"{what}: the portal's, not of the release; nothing here speaks for them.")
    there -= pages
    problems = [f"{name} is missing." for name in sorted(set(listed) - there - gone)]
    problems += [f"{name} does not belong to the release." for name in sorted(there - set(listed))]
    checked = sorted(there & set(listed))
    for name in checked:
        path, said = folder / name, listed[name]
        if path.is_symlink() or path.stat().st_size != said["bytes"] or sha256(path) != said["sha256"]:
            problems.append(f"{name} is not what was released: its SHA-256 is another.")
        elif "sm3" in hashlib.algorithms_available and _digest(path, "sm3") != said["sm3"]:
            problems.append(f"{name} is not what was released: its SM3 is another.")
    if merkle_root(manifest["files"]) != manifest["root"]:
        problems.append("the root is not that of the files.")
    found.judge("files", problems, f"{len(checked)} of {len(listed)} files, root {manifest['root'][:16]}")


def _check_chain(folder: Path, manifest: dict[str, Any], found: Findings) -> None:
    previous = manifest["previous"]
    if previous is None:
        found.holds("chain", "the first version")
        return
    beside = folder.resolve().parent / previous["version"] / MANIFEST
    if not beside.is_file():
        found.note("chain", f"the previous version {previous['version']} is not beside this one.")
        return
    same = sha256(beside) == previous["sha256"]
    problem = f"version {previous['version']} beside this one is not the one this one follows."
    found.judge("chain", [] if same else [problem], f"follows {previous['version']}")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a publisher's log; raise Broken when its chain does not hold."""
    entries, before = [], "0" * 64
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        entry = json.loads(line)
        if canonical(entry) != line or entry["number"] != number or entry["before"] != before:
            raise Broken(f"line {number} of the log does not follow the line before it.")
        entries.append(entry)
        before = hashlib.sha256(line).hexdigest()
    return entries


def _check_log(path: Path, manifest: dict[str, Any], digest: str, found: Findings) -> None:
    mine = [entry for entry in read_log(path) if entry["dataset"] == manifest["dataset"]]
    known = [entry for entry in mine if entry["kind"] == "release" and entry["manifest_sha256"] == digest]
    found.judge("log", [] if known else ["the log does not know this manifest."], "the log knows this manifest")
    newest = [entry["version"] for entry in mine if entry["kind"] == "release"][-1:]
    if newest and newest[0] != manifest["version"]:
        found.note("log", f"there is a newer version, {newest[0]}.")


def _withdrawn(folder: Path, manifest: dict[str, Any], public: bytes, found: Findings) -> set[str]:
    """Return the files that signed statements of withdrawal took away."""
    gone: set[str] = set()
    for path in sorted(folder.glob("withdrawal-*.json")):
        said = read_canonical(path)
        statement, seal = said["statement"], bytes.fromhex(said["signature"])
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
    path, columns = folder / manifest["data"]["csv"], [one["name"] for one in manifest["columns"]]
    records = _records(path)
    if next(records, None) != columns:
        found.fails("schema", f"{path.name} has other columns than the manifest says.")
        return
    found.holds("schema", f"{len(columns)} columns")
    if json.loads((folder / "risk.json").read_bytes()) != manifest["risk"]:
        found.fails("groups", "risk.json and the manifest do not say the same.")
    rows = _check_groups(records, columns, manifest["risk"], found)
    said = manifest["rows"]
    found.judge("rows", [] if rows == said else [f"{path.name} has {rows} rows, not {said}."], f"{rows} rows")
    _check_parquet(folder, manifest, found)


def _check_groups(records: Iterator[list[str]], columns: list[str], risk: dict[str, Any], found: Findings) -> int:
    """Count rows and groups anew from the public file; return the rows."""
    quasi = [columns.index(name) for name in risk["quasi_identifiers"]]
    sensitive = [columns.index(name) for name in risk["sensitive"] if name not in risk["quasi_identifiers"]]
    if risk["kind"] == "aggregate":
        cells = list(records)
        if risk.get("differential_privacy") is not None:
            _check_noisy(cells, columns, risk, found)
            return len(cells)
        if not risk["counts"]:
            found.note("groups", "a table of sums alone does not show its groups.")
            return len(cells)
        count = columns.index(risk["counts"][0])
        sizes: Counter[Any] = Counter()
        for row in cells:
            sizes[tuple(row[n] for n in quasi)] += int(row[count])
        _judge_sizes(list(sizes.values()), risk, [], found)
        return len(cells)
    wanted = [*quasi, *sensitive]
    if not wanted:
        rows = sum(1 for _ in records)
        _judge_sizes([rows], risk, [], found)
        return rows
    tuples = Counter(map(itemgetter(*wanted), records))  # one column: texts, more: tuples
    sizes = Counter()
    values: dict[tuple[int, Any], set[str]] = {}
    for cell, rows in tuples.items():
        parts = (cell,) if len(wanted) == 1 else cell
        group = parts[: len(quasi)]
        sizes[group] += rows
        for number, value in enumerate(parts[len(quasi) :]):
            values.setdefault((number, group), set()).add(value)
    lone = sorted({risk["sensitive"][number] for (number, _), known in values.items() if len(known) < 2})
    _judge_sizes(list(sizes.values()), risk, lone, found)
    return sum(tuples.values())


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
    least = min(sizes, default=0)
    found.judge("groups", problems, f"{len(sizes)} groups of at least {least} (k = {risk['threshold']})")


def _check_parquet(folder: Path, manifest: dict[str, Any], found: Findings) -> None:
    """Compare Parquet with CSV, value by value, where pyarrow is at hand."""
    try:
        from pyarrow import compute, parquet, types
        from pyarrow import csv as arrow_csv
    except ImportError:
        found.note("parquet", "its digest holds; its rows were not read (pyarrow is not installed).")
        return
    table = parquet.read_table(folder / manifest["data"]["parquet"])
    said = [(one["name"], one["arrow"]) for one in manifest["columns"]]
    if [(one.name, str(one.type)) for one in table.schema] != said:
        found.fails("parquet", "it has other columns or types than the manifest says.")
        return
    cells = arrow_csv.read_csv(
        folder / manifest["data"]["csv"],
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict(zip(table.column_names, table.schema.types, strict=True)), strings_can_be_null=True,
            null_values=[""], quoted_strings_can_be_null=True,
        ),
    )
    same = cells.num_rows == table.num_rows
    for name in table.column_names if same else ():
        column = table[name]
        if types.is_string(column.type):  # the CSV has an apostrophe before what a spreadsheet takes for a formula
            formula = compute.match_substring_regex(column, r"^[=+\-@\t\r]")
            column = compute.if_else(formula, compute.binary_join_element_wise("'", column, ""), column)
        same = same and column.equals(cells[name])
    problem = "CSV and Parquet do not hold the same rows in the same order."
    found.judge("parquet", [] if same else [problem], "the same rows as the CSV")


# -- changes -----------------------------------------------------------------------------------------------------------
def _check_changes(folder: Path, manifest: dict[str, Any], gone: set[str], found: Findings) -> None:
    """Count every file of changes and, where the version they start from is beside this one, replay them."""
    columns = [one["name"] for one in manifest["columns"]]
    current: int | None = None
    for start, said in sorted(manifest["changes"]["from"].items()):
        base, name = folder / "changes" / f"from-{start}", f"changes from {start}"
        if any(path.startswith(f"changes/from-{start}/") for path in gone):
            found.note(name, "withdrawn.")
            continue
        come, left = _Sum(), _Sum()
        counts = {"added": come.add(_records(base / "added.csv")), "removed": left.add(_records(base / "removed.csv"))}
        if "changed" in said["counts"]:
            counts["changed"] = _pairs(base / "changed.csv", columns, left, come)
        if counts != said["counts"] or said["rows"] + counts["added"] - counts["removed"] != manifest["rows"]:
            found.fails(name, "they do not hold as many rows as the manifest says.")
            continue
        earlier = folder.resolve().parent / start / manifest["data"]["csv"]
        if not earlier.is_file():
            found.note(name, f"counted; not replayed, because {start} is not beside this version.")
            continue
        before = _Sum()
        before.lines(earlier)
        if current is None:
            now = _Sum()
            now.lines(folder / manifest["data"]["csv"])
            current = now.total
        same = (before.total + come.total - left.total - current) % (1 << 128) == 0
        problem = f"{start} and these changes do not give this version."
        found.judge(name, [] if same else [problem], ", ".join(f"{n} {kind}" for kind, n in counts.items()))


class _Sum:
    """Add up rows in any order: a keyed hash of each, the key new in every run, so that nobody can aim at it."""

    _KEY = os.urandom(32)

    def __init__(self) -> None:
        self.total = 0

    def put(self, record: bytes) -> None:
        self.total += int.from_bytes(hashlib.blake2b(record, key=self._KEY, digest_size=16).digest(), "big")

    def add(self, records: Iterator[list[str]]) -> int:
        """Add records but the header; return how many."""
        next(records)
        count = 0
        for count, cells in enumerate(records, 1):  # noqa: B007 (the last number is the count)
            self.put(_joined(cells))
        return count

    def lines(self, path: Path) -> None:
        """Add the records of a CSV file; a line without a quote is its own record."""
        with path.open("rb") as stream:
            if any(b'"' in chunk for chunk in iter(lambda: stream.read(_CHUNK), b"")):
                self.add(_records(path))
                return
            stream.seek(0)
            next(stream)
            for line in stream:
                self.put(line[:-2])


def _joined(cells: list[str]) -> bytes:
    plain = ",".join(cells)
    if plain.count(",") == len(cells) - 1 and not ('"' in plain or "\n" in plain or "\r" in plain):
        return plain.encode()
    return "\x1f".join(cells).encode() + b"\x1e"


def _pairs(path: Path, columns: list[str], left: _Sum, come: _Sum) -> int:
    """Add the old and the new side of changed rows; return how many."""
    records = _records(path)
    place = {name: number for number, name in enumerate(next(records))}
    count = 0
    for count, cells in enumerate(records, 1):  # noqa: B007 (the last number is the count)
        for total, side in ((left, "old."), (come, "new.")):
            total.put(_joined([cells[place.get(f"{side}{name}", place.get(name, -1))] for name in columns]))
    return count


def main() -> int:
    """Verify the folder named on the command line and print what was checked."""
    parser = argparse.ArgumentParser(description="Verify a release of open data.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(__file__).resolve().parent)
    parser.add_argument("--key", help="fingerprint of the signer you trust")
    parser.add_argument("--head", help="SHA-256 of the manifest.json you expect")
    parser.add_argument("--log", type=Path, help="the publisher's log.jsonl")
    asked = parser.parse_args()
    if not asked.folder.is_dir():
        print(f"there is no folder {asked.folder}.", file=sys.stderr)
        return 2
    found = verify(asked.folder, key=asked.key, head=asked.head, log=asked.log)
    for check, verdict, what in found.rows:
        print(f"{verdict:5}  {check:20}  {what}")
    print("not as released." if found.problems else f"{found.status}: all that could be checked holds.")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
