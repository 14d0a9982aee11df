"""What may be done to a release's files, names, documents and log: each is caught and named, without a traceback."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import RequestError
from jobs.portal.serve import serving
from jobs.releases import formats
from jobs.releases import verify as program
from jobs.releases.fetching import fetch
from jobs.releases.signing import Signer
from jobs.releases.verify import WITHDRAWAL, canonical, sha256, shown, verify
from jobs.sets.changes import differences
from tests.releases.test_verify import reseal


@pytest.fixture
def folder(three_versions, tmp_path) -> Path:
    """Copy all three versions, and the log with its seal, as somebody who downloaded them has them."""
    opened = three_versions.objects.local("controlled")
    shutil.copytree(opened / "health__visits", tmp_path / "copy")
    for name in ("log.jsonl", "log.sig"):
        shutil.copy(opened / name, tmp_path / name)
    return tmp_path / "copy" / "1.0.2"


@pytest.fixture
def trusted(three_versions) -> str:
    return Signer.open(three_versions.objects).fingerprint


def put(path: Path, change):
    path.write_bytes(change(path.read_bytes()))


def linked(path: Path):
    path.rename(path.parents[1] / f"elsewhere-{path.name}")
    path.symlink_to(path.parents[1] / f"elsewhere-{path.name}")


def a_folder_for(path: Path):
    path.unlink()
    path.mkdir()


def a_pipe_for(path: Path):
    path.unlink()
    os.mkfifo(path)


def hard_linked(folder: Path):
    (folder / "dictionary.csv").unlink()
    os.link(folder / "visits.csv", folder / "dictionary.csv")


def other_case(folder: Path):
    (folder / "visits.csv").rename(folder / "Visits.csv")


def one_more(name: str | bytes):
    return lambda folder: (folder / os.fsdecode(name)).write_bytes(b"")


def signature(folder: Path, change):
    said = json.loads((folder / "manifest.sig").read_bytes())
    (folder / "manifest.sig").write_bytes(canonical(change(said)))


MANIFEST = "manifest.json"
TAMPERINGS = {
    "a link for the manifest": (lambda f: linked(f / MANIFEST), "manifest.json is not a file of its own"),
    "a link for the attestation": (lambda f: linked(f / "attestation.json"), "attestation.json is not a file of its"),
    "a link for a folder": (lambda f: linked(f / "codes"), "codes does not belong"),
    "a link that leads nowhere": (lambda f: (f / "more.csv").symlink_to("nowhere"), "more.csv does not belong"),
    "a folder for a file": (lambda f: a_folder_for(f / "visits.csv"), "visits.csv is missing"),
    "a folder for the attestation": (lambda f: a_folder_for(f / "attestation.json"), "attestation.json is not a file"),
    "a folder for a statement": (lambda f: (f / "withdrawal-1.json").mkdir(), "withdrawal-1.json is not a file"),
    "a pipe for a file": (lambda f: a_pipe_for(f / "visits.csv"), "visits.csv is not what was released"),
    "a pipe for the manifest": (lambda f: a_pipe_for(f / MANIFEST), "manifest.json is not a file of its own"),
    "an empty folder": (lambda f: (f / "more").mkdir(), "more does not belong"),
    "a hard link to another file": (hard_linked, "dictionary.csv is not what was released"),
    "a name in another case": (other_case, "Visits.csv does not belong"),
    "a name with a sign that is not seen": (one_more("visits\u200b.csv"), "visits\u200b.csv does not belong"),
    "a name in letters of another script": (one_more("vіsits.csv"), "vіsits.csv does not belong"),
    "a name in other composition": (one_more(unicodedata.normalize("NFD", "é.csv")), "does not belong"),
    "a name that is no text": (one_more(b"\xff\xfe.csv"), "does not belong"),
    "a name that moves the cursor": (one_more("\x1b[2K\rreleased: all holds."), "does not belong"),
    "an empty file": (lambda f: put(f / "visits.csv", lambda _: b""), "visits.csv is not what was released"),
    "a file twice over": (lambda f: put(f / "visits.csv", lambda data: data * 2), "visits.csv is not what was"),
    "other line ends": (
        lambda f: put(f / "visits.csv", lambda data: data.replace(b"\r\n", b"\n")), "visits.csv is not what was",
    ),
    "other line ends in the sums": (
        lambda f: put(f / "SHA256SUMS", lambda data: data.replace(b"\n", b"\r\n")), "SHA256SUMS is not what was",
    ),
    "a mark of byte order": (lambda f: put(f / MANIFEST, lambda data: b"\xef\xbb\xbf" + data), "is not canonical"),
    "bytes after the manifest": (lambda f: put(f / MANIFEST, lambda data: data + b"\n"), "is not canonical"),
    "a second document": (lambda f: put(f / MANIFEST, lambda data: data + b"{}"), "is not JSON of texts"),
    "a key twice": (lambda f: put(f / MANIFEST, lambda data: b'{"rows":1,' + data[1:]), "is not canonical"),
    "another encoding": (lambda f: put(f / MANIFEST, lambda data: data.decode().encode("utf-16")), "is not canonical"),
    "escaped letters": (lambda f: put(f / MANIFEST, lambda data: data.replace(b"rows", b"r\\u006fws")), "canonical"),
    "half a pair of letters": (
        lambda f: put(f / MANIFEST, lambda data: b'{"a":"\\ud800",' + data[1:]), "is not JSON of texts",
    ),
    "a number beyond all": (lambda f: put(f / MANIFEST, lambda data: b'{"a":1e999,' + data[1:]), "is not JSON of"),
    "no number": (lambda f: put(f / MANIFEST, lambda data: b'{"a":NaN,' + data[1:]), "is not JSON of texts"),
    "an endless number": (
        lambda f: put(f / MANIFEST, lambda data: b'{"a":' + b"9" * 9999 + b"," + data[1:]), "is not JSON of texts",
    ),
    "a number that others round": (
        lambda f: put(f / MANIFEST, lambda data: b'{"a":9007199254740993,' + data[1:]), "is not JSON of texts",
    ),
    "a zero below zero": (lambda f: put(f / MANIFEST, lambda data: b'{"a":-0,' + data[1:]), "is not canonical"),
    "a depth without end": (lambda f: put(f / MANIFEST, lambda _: b'{"a":' * 200_000), "is not JSON of texts"),
    "a signature in capitals": (
        lambda f: signature(f, lambda said: said | {"manifest": said["manifest"].upper()}), "something else than hex",
    ),
    "a signature with spaces": (
        lambda f: signature(f, lambda said: said | {"attestation": f"{said['attestation']} "}), "else than hex",
    ),
    "a signature that is a number": (
        lambda f: signature(f, lambda said: said | {"manifest": 1}), "something else than hex digits",
    ),
    "a signature by another name": (
        lambda f: signature(f, lambda said: said | {"algorithm": "SM2"}), "names another algorithm",
    ),
    "a remark beside the signature": (
        lambda f: signature(f, lambda said: said | {"remark": "none"}), "holds something else than algorithm",
    ),
    "a statement of nothing": (
        lambda f: (f / "withdrawal-1.json").write_bytes(b"{}"), "withdrawal-1.json holds something else than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_whatever_is_done_to_a_folder_is_caught_and_named(folder, trusted, tampering):
    tamper, said = TAMPERINGS[tampering]
    tamper(folder)
    problems = verify(folder, key=trusted).problems
    assert any(said in problem for problem in problems), problems


def test_a_hard_link_to_the_same_bytes_is_the_same_file(folder, trusted):
    shutil.copy(folder / "visits.csv", folder.parents[1] / "kept.csv")
    (folder / "visits.csv").unlink()
    os.link(folder.parents[1] / "kept.csv", folder / "visits.csv")
    assert verify(folder, key=trusted).problems == []


HOSTILE_NAMES = ("\udcff.csv", "\x1b[2K\rreleased: all holds.", "x\nreleased: all that holds.", "\u202egpj")


def test_the_program_prints_hostile_names_so_that_they_do_nothing(folder, trusted):
    for name in HOSTILE_NAMES:
        one_more(name)(folder)
    alone = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder), "--key", trusted]
    done = subprocess.run(alone, capture_output=True, check=False, env={"PYTHONIOENCODING": "ascii", "LANG": "C"})
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.rstrip().endswith(b"not as released.")
    assert not any(line.startswith(b"released") for line in done.stdout.splitlines())
    assert b"\x1b" not in done.stdout
    assert done.stdout.count(b"does not belong to the release") == len(HOSTILE_NAMES)


def test_what_people_read_is_shown_as_it_is():
    assert shown("撤回：数据有误 (ε = 1)") == "撤回：数据有误 (ε = 1)"
    assert shown("a\tb\u202e") == "a\\u{9}b\\u{202e}"


# -- the log -----------------------------------------------------------------------------------------------------------
def test_the_log_holds_and_its_end_is_signed(folder, trusted):
    found = verify(folder, key=trusted, log=folder.parents[1] / "log.jsonl")
    assert found.problems == []
    assert ("log", "holds", "its end is signed, 3 lines") in found.rows


LOGS = {
    "lines cut off its end": (lambda lines: lines[:2], "another end than the 3 that were signed"),
    "lines in another order": (lambda lines: [lines[1], lines[0], lines[2]], "line 1 of the log does not follow"),
    "a line twice": (lambda lines: [*lines, lines[2]], "line 4 of the log does not follow"),
    "half a line": (lambda lines: [*lines[:2], lines[2][:40]], "the last line of the log is cut off"),
    "other line ends": (lambda lines: [line[:-1] + b"\r\n" for line in lines], "line 1 of the log is not canonical"),
    "an empty line": (lambda lines: [lines[0], b"\n", *lines[1:]], "line 2 of the log is not JSON"),
    "a line that is no document": (lambda lines: [b"[]\n", *lines], "line 1 of the log is not canonical"),
    "a truth for a number": (
        lambda lines: [lines[0].replace(b'"number":1', b'"number":true'), *lines[1:]], "of the log",
    ),
    "nothing": (lambda _: [], "the log does not know this manifest"),
}  # fmt: skip


@pytest.mark.parametrize("change", LOGS)
def test_whatever_is_done_to_the_log_is_caught_and_named(folder, trusted, change):
    log = folder.parents[1] / "log.jsonl"
    alter, said = LOGS[change]
    put(log, lambda data: b"".join(alter(data.splitlines(keepends=True))))
    subject = folder.parent / "1.0.0" if change == "lines cut off its end" else folder
    problems = verify(subject, key=trusted, log=log).problems
    assert any(said in problem for problem in problems), problems


def test_a_log_written_anew_is_not_the_signers(folder, trusted):
    log, seal = folder.parents[1] / "log.jsonl", folder.parents[1] / "log.sig"
    other = Signer.of(os.urandom(32))
    head = {key: value for key, value in json.loads(seal.read_bytes()).items() if key in ("number", "sha256")}
    seal.write_bytes(
        canonical({**head, "public_key": other.public.hex(), "signature": other.sign(canonical(head))})
    )
    (problem,) = verify(folder, key=trusted, log=log).problems
    assert "log.sig is not of this release's signer" in problem
    seal.unlink()
    found = verify(folder, key=trusted, log=log)
    assert found.problems == []
    assert any("lines at its end are missing cannot be told" in what for _, _, what in found.rows)


@pytest.mark.parametrize("place", ["nowhere.jsonl", "."])
def test_a_log_that_is_not_there_is_named(folder, place):
    (problem,) = verify(folder, log=folder.parents[1] / place).problems
    assert "there is no log" in problem


@pytest.mark.parametrize("changes_went_before", [False, True])
def test_a_withdrawal_that_was_taken_out_is_known_to_the_log(folder, three_versions, changes_went_before):
    signer = Signer.open(three_versions.objects)
    log, seal = folder.parents[1] / "log.jsonl", folder.parents[1] / "log.sig"
    if changes_went_before:  # by a statement of its own, which stays
        gone = sorted(folder.glob("changes/*/*"))
        statement = {
            "format": WITHDRAWAL, "dataset": "health/visits", "manifest_sha256": sha256(folder / MANIFEST),
            "versions": ["1.0.1"], "files": [path.relative_to(folder).as_posix() for path in gone], "reason": "x",
            "by": "x", "at": "x",
        }
        sealed = canonical({"statement": statement, "signature": signer.sign(canonical(statement))})
        (folder / "withdrawal-1.json").write_bytes(sealed)
        for path in gone:
            path.unlink()
        assert gone
        assert verify(folder, key=signer.fingerprint, log=log).problems == []
    lines = log.read_bytes().splitlines()
    before = hashlib.sha256(lines[-1]).hexdigest()
    about = {"dataset": "health/visits", "version": "1.0.2", "manifest_sha256": sha256(folder / MANIFEST)}
    lines.append(canonical({"number": 4, "before": before, "kind": "withdrawal", "at": "x", "reason": "x", **about}))
    log.write_bytes(b"\n".join(lines) + b"\n")
    head = {"number": 4, "sha256": hashlib.sha256(lines[-1]).hexdigest()}
    seal.write_bytes(canonical({**head, "public_key": signer.public.hex(), "signature": signer.sign(canonical(head))}))
    (problem,) = verify(folder, key=signer.fingerprint, log=log).problems
    assert problem == "log: the log says that this version was withdrawn; its statement is not here."


# -- what even the publisher cannot sign -------------------------------------------------------------------------------
def said(folder: Path):
    return json.loads((folder / MANIFEST).read_bytes())


def data_elsewhere(folder: Path):
    return {"data": said(folder)["data"] | {"csv": "../1.0.1/visits.csv"}}


def changes_from_elsewhere(folder: Path):
    changes = said(folder)["changes"]
    return {"changes": changes | {"from": {"../../x": changes["from"]["1.0.1"]}}}


def previous_elsewhere(folder: Path):
    return {"previous": {"version": "../../x", "sha256": "0" * 64}}


def other_changes_in_the_parquet(folder: Path):
    base = folder / "changes/from-1.0.1"
    formats.write_plain(pl.read_parquet(base / "removed.parquet").head(1), folder / "other")
    (folder / "other.parquet").replace(base / "removed.parquet")
    (folder / "other.csv").unlink()
    return {}


def a_name_twice(folder: Path):
    shutil.copy(folder / "dictionary.csv", folder / "Dictionary.csv")
    return {}


LIES = {
    "data elsewhere": (data_elsewhere, "the manifest does not list its data"),
    "changes from elsewhere": (changes_from_elsewhere, "names a version that is none"),
    "a predecessor elsewhere": (previous_elsewhere, "names a version that is none"),
    "changes that differ by format": (other_changes_in_the_parquet, "from-1.0.1/removed: CSV and Parquet do not hold"),
    "two names that differ in case alone": (a_name_twice, "names a file twice"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_the_publisher_cannot_sign(folder, three_versions, trusted, lie):
    tell, what = LIES[lie]
    changes = tell(folder)
    reseal(folder, Signer.open(three_versions.objects), **changes)
    problems = verify(folder, key=trusted).problems
    assert any(what in problem for problem in problems), problems


# -- replaying ---------------------------------------------------------------------------------------------------------
CELLS = st.sampled_from(["a", "b", "", "x,y", 'q"q', "two\nlines", "\r", "'", " "])
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=12)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS, st.booleans())
def test_changes_replay_whatever_the_cells_hold(tmp_path_factory, before, after, swapped):
    scratch = tmp_path_factory.mktemp("replay")
    frames = [
        pl.DataFrame(rows, schema={"one": pl.String, "two": pl.String}, orient="row")
        .with_columns(pl.col(pl.String).replace("", None)).sort("one", "two") for rows in (before, after)
    ]  # fmt: skip
    found = differences(frames[0], frames[1])
    parts = {"before": frames[0].select("two", "one") if swapped else frames[0], "after": frames[1]}
    parts |= {"added": found.added, "removed": found.removed}
    for name, table in parts.items():
        (scratch / f"{name}.csv").write_bytes(formats.csv_bytes(table))
    balance: Counter[bytes] = Counter()
    for name, sign in (("added", 1), ("removed", -1), ("before", 1), ("after", -1)):
        count = 0
        for lines in program._pieces(scratch / f"{name}.csv", ["one", "two"]):
            program._weigh(balance, lines, sign)
            count += len(lines)
        with io.StringIO((scratch / f"{name}.csv").read_bytes().decode(), newline="") as text:
            assert count == sum(1 for _ in csv.reader(text)) - 1
    assert not balance
    for line in program._pieces(scratch / "after.csv", ["one", "two"]):
        program._weigh(balance, line, 1)
    assert sum(balance.values()) == frames[1].height


@pytest.mark.parametrize("version", ["../outside", "/tmp/outside", "1.0.2/../../outside", 1, None])
def test_what_a_server_says_names_no_other_folder_of_this_machine(folder, tmp_path, version):
    put(folder / MANIFEST, lambda data: canonical(json.loads(data) | {"version": version}))
    into = tmp_path / "fetched"
    into.mkdir()
    before = set(tmp_path.rglob("*"))
    with serving(folder) as server, pytest.raises(RequestError, match=r"no manifest\.json of a release"):
        fetch(server.address, into)
    assert set(tmp_path.rglob("*")) == before
