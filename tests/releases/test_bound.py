"""A version is what its folder, its manifest and the sealed log say together; nobody else's line or copy counts."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime

import pytest

from jobs.catalogue import load_catalogue
from jobs.layers import Layer
from jobs.releases import announcement, approvals, listing, withdrawal
from jobs.releases.manifest import canonical
from jobs.releases.signing import Signer
from jobs.releases.verify import read_log
from jobs.settings import Settings
from jobs.stages import publish
from jobs.storage.objects import Folder
from jobs.storage.tables import Lake
from tests.releases.conftest import PUBLIC_VISITS, put_gold, visits, write_schemas
from tests.releases.test_damaged_releases import COUNTED, NAME, SLUG, cut, open_, withdraw
from tests.releases.test_verify import reseal

WHEN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a lake with two versions of one public dataset and one of another; look at it, never change it."""
    root = tmp_path_factory.mktemp("bound")
    settings = Settings(root=root / "lake", schemas=write_schemas(root / "schemas", PUBLIC_VISITS))
    found = Lake(settings, load_catalogue(settings.schemas))
    for name in (NAME, COUNTED):
        approvals.approve(found, name, by="officer@city.example")
    for name, county in ((NAME, 30), (COUNTED, 30), (NAME, 60)):
        put_gold(found, visits(county=county), name)
        publish.run(found, name, approved_by="officer")
    announcement.announce(found)
    return found


@pytest.fixture
def lake(made, tmp_path):
    """Return a copy of it."""
    shutil.copytree(made.settings.root, tmp_path / "lake")
    return Lake(Settings(root=tmp_path / "lake", schemas=made.settings.schemas), made.catalogue)


class Pieces(Folder):
    """Places a version file by file, as a bucket does."""

    @property
    def places_whole(self) -> bool:
        return False


def found(store):
    """Return a dataset's versions: those that are sound, damaged, and withdrawn damaged."""
    damaged, remains = [], []
    sound = listing.versions(store, NAME, damaged, remains)
    return [[one.version for one in some] for some in (sound, damaged, remains)]


@pytest.mark.parametrize("kind", [Folder, Pieces])
@pytest.mark.parametrize("left", ["statement and manifest", "statement alone"])
def test_a_version_withdrawn_damaged_of_which_no_log_knows_keeps_its_number(lake, kind, left):
    store, folder = kind(lake.objects.root), open_(lake) / SLUG / "1.0.1"
    for name in ("log.jsonl", "log.sig"):
        (open_(lake) / name).unlink()
    cut(folder / "manifest.json")
    signer = Signer.open(store)
    withdrawal.withdraw(store, NAME, ["1.0.1"], reason="a wrong file", by="officer", now=WHEN, signer=signer)
    said = (folder / "withdrawal-1.json").read_bytes()
    if left == "statement alone":
        (folder / "manifest.damaged.json").unlink()
    assert found(store) == [["1.0.0"], [], ["1.0.1"]]
    assert listing.withdrawn_last(store, NAME) == "1.0.1"
    assert publish.run(lake, NAME, approved_by="officer")[0].batch == "2.0.0"
    assert (folder / "withdrawal-1.json").read_bytes() == said


def test_a_version_of_which_only_data_was_left_keeps_its_number_by_its_statement(lake):
    folder = open_(lake) / SLUG / "1.0.1"
    logs = [open_(lake) / name for name in ("log.jsonl", "log.sig")]
    for path in (*logs, *folder.glob("*.json"), *folder.glob("*.sig")):
        path.unlink()
    withdraw(lake, "1.0.1")
    assert {path.name for path in folder.iterdir()} <= {"verify.py", "withdrawal-1.json"}
    assert found(lake.objects) == [["1.0.0"], [], ["1.0.1"]]


@pytest.mark.parametrize("copied", [(SLUG, "1.0.1"), ("products__headcount", "1.0.0")])
def test_another_versions_folder_is_no_version(lake, copied):
    shutil.copytree(open_(lake).joinpath(*copied), open_(lake) / SLUG / "1.0.2")
    damaged = []
    assert [one.version for one in listing.versions(lake.objects, NAME, damaged)] == ["1.0.0", "1.0.1"]
    assert [(one.version, "of another version" in str(one)) for one in damaged] == [("1.0.2", True)]


def test_a_version_is_the_one_that_the_log_names_whoever_signed_another(lake):
    folder = open_(lake) / SLUG / "1.0.1"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_bytes(canonical({**manifest, "rows": manifest["rows"] + 1}))
    reseal(folder, Signer.open(lake.objects))
    damaged = []
    listing.versions(lake.objects, NAME, damaged)
    assert ["not the one that the log names" in str(one) for one in damaged] == [True]
    assert str(damaged[0].remedy).startswith("see that open/log.jsonl is whole")


def forged(log, *, chained):
    """Return a log with a line that says that 1.0.1 was withdrawn, which nobody did."""
    lines = log.splitlines()
    line = {
        "kind": "withdrawal", "dataset": NAME, "version": "1.0.1", "at": "2026-01-01T00:00:00Z", "reason": "none",
        "manifest_sha256": json.loads(lines[-1])["manifest_sha256"],
    }  # fmt: skip
    if chained:
        line |= {"number": len(lines) + 1, "before": hashlib.sha256(lines[-1]).hexdigest()}
    return b"\n".join([*lines, canonical(line)]) + b"\n"


@pytest.mark.parametrize("chained", [True, False])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_line_that_no_seal_holds_is_believed_by_nobody_and_never_sealed(lake, chained, sealed):
    log, seal = open_(lake) / "log.jsonl", open_(lake) / "log.sig"
    log.write_bytes(forged(log.read_bytes(), chained=chained))
    if not sealed:
        seal.unlink()
    before = log.read_bytes(), sealed and seal.read_bytes()
    errors = []
    told = {(one["dataset"], one["version"]): one["status"] for one in listing.releases(lake, errors)}
    assert told == {(COUNTED, "1.0.0"): "released", (NAME, "1.0.0"): "released", (NAME, "1.0.1"): "released"}
    assert [one.where for one in errors] == ["open/log.jsonl"]
    announcement.enter(lake)
    assert [one.where for one in announcement.announce(lake)] == ["open/log.jsonl"]
    assert (log.read_bytes(), seal.exists() and seal.read_bytes()) == before


@pytest.mark.parametrize("first", [True, False])
def test_an_append_that_died_before_its_seal_goes_on(lake, first):
    log, seal = open_(lake) / "log.jsonl", open_(lake) / "log.sig"
    before = seal.read_bytes()
    withdraw(lake, "1.0.1")
    announcement.enter(lake)
    seal.unlink() if first else seal.write_bytes(before)
    whole = log.read_bytes()
    errors = []
    listing.releases(lake, errors)
    assert errors == []
    announcement.enter(lake)
    assert (log.read_bytes(), json.loads(seal.read_bytes())["number"]) == (whole, len(read_log(log)))


def test_a_spoilt_line_hides_what_stands_above_it_alone(lake):
    log = open_(lake) / "log.jsonl"
    _, *others = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([b"{cut\n", *others]))
    damaged = []
    (open_(lake) / SLUG / "1.0.1/manifest.json").unlink()
    listing.everything(Pieces(lake.objects.root), Layer.OPEN, damaged)
    assert [(one.version, bool(one.told_at)) for one in damaged] == [("1.0.1", True)]


def test_a_statement_that_the_publisher_signed_stays_where_nobody_knows_which_manifest_there_was(lake):
    withdraw(lake, "1.0.0")
    folder = open_(lake) / SLUG / "1.0.1"
    said = (folder / "withdrawal-1.json").read_bytes()
    for name in ("log.jsonl", "log.sig"):
        (open_(lake) / name).unlink()
    cut(folder / "manifest.json")
    cut(folder / "attestation.json")
    withdrawal.withdraw(
        lake.objects, NAME, ["1.0.1"], reason="a wrong file", by="officer", now=WHEN, signer=Signer.open(lake.objects)
    )
    assert (folder / "withdrawal-1.json").read_bytes() == said
    assert json.loads((folder / "withdrawal-2.json").read_bytes())["statement"]["versions"] == ["1.0.1"]
    assert found(lake.objects) == [["1.0.0"], [], ["1.0.1"]]


def test_a_statement_that_cannot_be_read_is_laid_aside_when_it_is_made_anew(lake):
    withdraw(lake, "1.0.1")
    folder = open_(lake) / SLUG / "1.0.1"
    (folder / "withdrawal-1.json").write_bytes(b"{cut")
    (folder / "withdrawal-2.json").write_bytes(b"{cut, too")
    with pytest.raises(listing.Damaged, match=r"Remedy: put open/.*/withdrawal-1\.json back"):
        listing.version(lake.objects, NAME, "1.0.1")
    withdraw(lake, "1.0.1")
    assert sorted(path.name for path in folder.glob("withdrawal-*")) == ["withdrawal-1.json"]
    kept = lake.objects.local("ops/releases").glob(f"aside-{SLUG}-1.0.1-*")
    assert sorted(path.read_bytes() for path in kept) == [b"{cut", b"{cut, too"]
    assert found(lake.objects) == [["1.0.0", "1.0.1"], [], []]
