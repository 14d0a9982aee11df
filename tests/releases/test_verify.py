"""Anybody can tell from the folder alone, by the program inside it, whether a release is as released."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.releases import formats, manifest
from jobs.releases.signing import Signer
from jobs.releases.verify import canonical, merkle_root, read_log, sha256, signed_by, verify

NAME = "health/visits"
VERSIONS = ("1.0.0", "1.0.1", "1.0.2")


@pytest.fixture
def series(three_versions) -> Path:
    return three_versions.objects.local("controlled/health__visits")


@pytest.fixture
def folder(series, tmp_path) -> Path:
    """Copy all three versions to a folder of their own, as somebody who downloaded them has them."""
    shutil.copytree(series, tmp_path / "copy")
    return tmp_path / "copy" / "1.0.2"


@pytest.fixture
def trusted(three_versions) -> str:
    return Signer.open(three_versions.objects).fingerprint


def edit(path: Path, **changes):
    said = json.loads(path.read_bytes())
    path.write_bytes(canonical(said | changes))


def reseal(folder: Path, signer: Signer, **changes):
    """Write every digest anew and sign it all, as somebody does who tampers with care and has a key of their own."""
    said = json.loads((folder / "manifest.json").read_bytes())
    attested = json.loads((folder / "attestation.json").read_bytes())
    facts = {key: value for key, value in said.items() if key not in ("format", "files", "root")} | changes
    attested = {key: value for key, value in attested.items() if key not in ("format", "manifest_sha256")}
    manifest.seal(folder, facts, attested, signer)


def flip(path: Path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def without_last_row(path: Path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def one_more_file(folder: Path):
    (folder / "notes.txt").write_text("hello")


def a_link_for_a_file(folder: Path):
    (folder / "visits.csv").rename(folder.parent / "elsewhere.csv")
    (folder / "visits.csv").symlink_to(folder.parent / "elsewhere.csv")


def older_manifest_in_its_place(folder: Path):
    for name in ("manifest.json", "manifest.sig", "attestation.json"):
        shutil.copy(folder.parent / "1.0.1" / name, folder / name)


def whole_older_release_in_its_place(folder: Path):
    shutil.rmtree(folder)
    shutil.copytree(folder.parent / "1.0.1", folder)


def spaces_in_the_manifest(folder: Path):
    said = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(said))


def another_predecessor(folder: Path):
    shutil.rmtree(folder.parent / "1.0.1")
    shutil.copytree(folder.parent / "1.0.0", folder.parent / "1.0.1")


def a_withdrawal_nobody_signed(folder: Path):
    said = {"dataset": NAME, "manifest_sha256": sha256(folder / "manifest.json"), "versions": ["1.0.2"], "files": []}
    said |= {"format": "open-release-withdrawal/1", "reason": "none", "at": "2026-01-01T00:00:00Z", "by": "nobody"}
    (folder / "withdrawal-1.json").write_bytes(canonical({"statement": said, "signature": "00" * 64}))


TAMPERINGS = {
    "one byte of the CSV": (lambda f: flip(f / "visits.csv"), "visits.csv is not what was released"),
    "one byte of the Parquet": (lambda f: flip(f / "visits.parquet"), "visits.parquet is not what was released"),
    "one row": (lambda f: without_last_row(f / "visits.csv"), "visits.csv is not what was released"),
    "one byte of the dictionary": (lambda f: flip(f / "dictionary.csv"), "dictionary.csv is not what was released"),
    "one byte of a code list": (lambda f: flip(f / "codes/sex_code.csv"), "codes/sex_code.csv is not what"),
    "one byte of the licence": (lambda f: flip(f / "LICENCE.txt"), "LICENCE.txt is not what was released"),
    "one byte of the program": (lambda f: flip(f / "verify.py"), "verify.py is not what was released"),
    "a row of the changes": (
        lambda f: without_last_row(f / "changes/from-1.0.1/removed.csv"), "from-1.0.1/removed.csv is not what",
    ),
    "a missing file": (lambda f: (f / "datapackage.json").unlink(), "datapackage.json is missing"),
    "a missing change file": (lambda f: (f / "changes/from-1.0.0/added.csv").unlink(), "added.csv is missing"),
    "an extra file": (one_more_file, "notes.txt does not belong to the release"),
    "swapped files": (
        lambda f: shutil.copy(f / "changes/from-1.0.1/removed.csv", f / "changes/from-1.0.1/added.csv"),
        "added.csv is not what was released",
    ),
    "a link for a file": (a_link_for_a_file, "visits.csv is not what was released"),
    "a stripped signature": (lambda f: (f / "manifest.sig").unlink(), "manifest.sig is missing"),
    "an empty signature": (lambda f: edit(f / "manifest.sig", manifest=""), "manifest.json is not what was signed"),
    "another signature": (lambda f: edit(f / "manifest.sig", manifest="11" * 64), "is not what was signed"),
    "an edited count": (lambda f: edit(f / "manifest.json", rows=1), "manifest.json is not what was signed"),
    "an edited date": (lambda f: edit(f / "manifest.json", data_date="2030-01-01"), "is not what was signed"),
    "an edited approval": (
        lambda f: edit(f / "attestation.json", approved_by="somebody"), "attestation.json is not what was signed",
    ),
    "another layout of the manifest": (spaces_in_the_manifest, "manifest.json is not canonical"),
    "a missing manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
    "an older manifest": (older_manifest_in_its_place, "the folder is 1.0.2, the manifest is of 1.0.1"),
    "a whole older release": (whole_older_release_in_its_place, "the folder is 1.0.2, the manifest is of 1.0.1"),
    "another predecessor": (another_predecessor, "version 1.0.1 beside this one is not the one this one follows"),
    "a forged withdrawal": (a_withdrawal_nobody_signed, "is not a statement of this release's signer"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_copy_is_caught_and_the_tampering_named(folder, tampering):
    tamper, said = TAMPERINGS[tampering]
    assert verify(folder).problems == []
    tamper(folder)
    assert any(said in problem for problem in verify(folder).problems), verify(folder).problems


def lone_row(folder: Path):
    table = pl.read_parquet(folder / "visits.parquet")
    rows = pl.concat([table, table.head(1).with_columns(pl.lit("650102").alias("division_code"))])
    rows = rows.sort(rows.columns)
    formats.write_plain(rows, folder / "visits")
    return {"rows": rows.height}


def one_row_less(folder: Path):
    without_last_row(folder / "visits.csv")
    return {}


def another_cell_in_the_parquet(folder: Path):
    table = pl.read_parquet(folder / "visits.parquet").with_columns(pl.lit("other").alias("remark"))
    formats.write_plain(table, folder / "other")
    (folder / "other.parquet").replace(folder / "visits.parquet")
    (folder / "other.csv").unlink()
    return {}


def another_column(folder: Path):
    table = pl.read_parquet(folder / "visits.parquet").rename({"remark": "note"})
    formats.write_plain(table, folder / "visits")
    return {}


def smaller_risk(folder: Path):
    said = json.loads((folder / "manifest.json").read_bytes())["risk"]
    risk = said | {"gb_t_42460": said["gb_t_42460"] | {"r_avg": "0.000001"}}
    (folder / "risk.json").write_bytes(formats.json_bytes(risk))
    return {"risk": risk}


def larger_group(folder: Path):
    risk = json.loads((folder / "manifest.json").read_bytes())["risk"] | {"smallest_group": 1000}
    (folder / "risk.json").write_bytes(formats.json_bytes(risk))
    return {"risk": risk}


def another_risk_statement(folder: Path):
    risk = json.loads((folder / "manifest.json").read_bytes())["risk"] | {"suppressed": 0}
    (folder / "risk.json").write_bytes(formats.json_bytes(risk))
    return {}


def changes_that_hide_a_row(folder: Path):
    for start in ("1.0.0", "1.0.1"):
        path = folder / f"changes/from-{start}/removed.csv"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"33", b"32", 1)]))
    return {}


def fewer_changes(folder: Path):
    without_last_row(folder / "changes/from-1.0.1/removed.csv")
    return {}


LIES = {
    "a group below the threshold": (lone_row, "1 groups are below the threshold of 5"),
    "a row less": (one_row_less, "rows, not"),
    "another cell in the Parquet": (another_cell_in_the_parquet, "do not hold the same rows"),
    "another column": (another_column, "has other columns"),
    "a risk that is too small": (smaller_risk, "the average risk is higher"),
    "a group that is too large": (larger_group, "the smallest group is not what"),
    "two risk statements": (another_risk_statement, "do not say the same"),
    "changes that lead elsewhere": (changes_that_hide_a_row, "these changes do not give this version"),
    "changes left out": (fewer_changes, "they do not hold as many rows"),
}


@pytest.mark.parametrize("lie", LIES)
def test_even_the_publisher_cannot_sign_what_is_not_so(folder, three_versions, trusted, lie):
    tell, said = LIES[lie]
    changes = tell(folder)
    reseal(folder, Signer.open(three_versions.objects), **changes)
    problems = verify(folder, key=trusted).problems
    assert any(said in problem for problem in problems), problems


def test_who_signs_everything_anew_is_caught_by_the_key_one_trusts(folder, trusted):
    reseal(folder, Signer.of(os.urandom(32)))
    found = verify(folder)
    assert found.problems == []
    assert ("signer", "note", "not authenticated: no --key was given.") in found.rows
    assert verify(folder, key=trusted).problems == ["signer: another key signed than the one you trust."]


def test_an_older_release_replayed_is_caught_by_the_head_one_expects(folder, trusted):
    head, older = sha256(folder / "manifest.json"), folder.parent / "1.0.1"
    assert verify(folder, key=trusted, head=head).problems == []
    assert verify(older, key=trusted, head=head).problems == ["head: this is not the manifest that was expected."]


def test_the_log_knows_every_release_and_cannot_be_changed(series, folder, trusted):
    log = series.parent / "log.jsonl"
    assert [entry["version"] for entry in read_log(log)] == list(VERSIONS)
    assert verify(folder, key=trusted, log=log).problems == []
    older = verify(folder.parent / "1.0.0", key=trusted, log=log)
    assert ("log", "note", "there is a newer version, 1.0.2.") in older.rows
    lines = log.read_bytes().splitlines(keepends=True)
    forged = folder.parent / "log.jsonl"
    for altered in (lines[1:], [lines[0], lines[2]], [lines[0].replace(b"1.0.0", b"1.0.9"), *lines[1:]]):
        forged.write_bytes(b"".join(altered))
        assert any("does not follow" in problem for problem in verify(folder, log=forged).problems)
    forged.write_bytes(b"".join(lines[:2]))
    assert verify(folder, log=forged).problems == ["log: the log does not know this manifest."]


def test_the_program_in_the_folder_needs_nothing_but_python(folder, trusted):
    def run(*arguments):
        alone = [sys.executable, "-I", "-S", str(folder / "verify.py"), *arguments]
        return subprocess.run(alone, capture_output=True, text=True, cwd=folder.parent, check=False)

    good = run(str(folder), "--key", trusted)
    assert (good.returncode, good.stderr) == (0, "")
    assert "pyarrow is not installed" in good.stdout
    assert good.stdout.rstrip().endswith("released: all that could be checked holds.")
    assert run().returncode == 0
    flip(folder / "visits.csv")
    bad = run(str(folder), "--key", trusted)
    assert bad.returncode == 1
    assert "visits.csv is not what was released" in bad.stdout
    assert run(str(folder / "nowhere")).returncode == 2


def test_one_version_alone_is_verified_as_far_as_it_goes(folder, tmp_path):
    alone = tmp_path / "alone" / "1.0.2"
    shutil.copytree(folder, alone)
    found = verify(alone)
    assert found.problems == []
    notes = [what for _, verdict, what in found.rows if verdict == "note"]
    assert any("is not beside this one" in what for what in notes)
    assert any("not replayed" in what for what in notes)


def test_a_folder_that_is_no_release_is_named_so(tmp_path):
    assert verify(tmp_path).problems == ["release: manifest.json is missing."]
    (tmp_path / "manifest.json").write_bytes(canonical({"format": "open-release/1"}))
    (tmp_path / "manifest.sig").write_bytes(canonical({}))
    assert verify(tmp_path).problems == [
        "release: manifest.sig holds something else than algorithm, attestation, manifest, public_key."
    ]
    names = ("algorithm", "attestation", "manifest", "public_key")
    (tmp_path / "manifest.sig").write_bytes(canonical(dict.fromkeys(names, "00" * 32)))
    (tmp_path / "attestation.json").write_bytes(canonical({}))
    assert verify(tmp_path).problems == ["release: manifest.json is not what was signed."]


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff\xfe", b"null", b'{"a":1.5}', b'{"a":1,"a":1}', b"NaN"])
@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "attestation.json"])
def test_a_file_that_is_no_document_is_a_finding_and_never_a_traceback(folder, name, content):
    (folder / name).write_bytes(content)
    assert verify(folder).problems


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_plain_python_agrees_with_the_library_about_signatures(seed, message, bit):
    signer = Signer.of(seed)
    signature = bytes.fromhex(signer.sign(message))
    assert signed_by(signer.public, message, signature)
    altered = bytearray(signature)
    altered[bit // 8] ^= 1 << bit % 8
    assert not signed_by(signer.public, message, bytes(altered))
    assert not signed_by(signer.public, message + b"x", signature)


def test_the_signature_of_the_standards_first_test_vector_holds():
    # RFC 8032, 7.1, test 1: the empty message.
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b"
    )
    assert signed_by(public, b"", signature)


LEAVES = st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text()
NAMES = st.text("abcdefgh_.", min_size=1)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_both_canonical_writers_agree(document):
    assert canonical({"said": document}) == manifest.canonical({"said": document})


def test_a_manifest_holds_no_fractions():
    with pytest.raises(TypeError, match="decimal strings"):
        manifest.canonical({"share": [0.5]})


def test_the_root_is_that_of_the_standard_tree():
    def leaf(path, digest):
        return hashlib.sha256(b"\0" + path.encode() + b"\0" + bytes.fromhex(digest)).digest()

    def node(left, right):
        return hashlib.sha256(b"\1" + left + right).digest()

    files = [{"path": name, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name in "cab"]
    a, b, c = (leaf(one["path"], one["sha256"]) for one in sorted(files, key=lambda one: one["path"]))
    assert merkle_root(files) == node(node(a, b), c).hex()
    assert merkle_root(files[:1]) == c.hex()
