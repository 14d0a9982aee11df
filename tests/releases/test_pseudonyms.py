"""Pseudonyms in controlled releases: one key per release, so that no two can be joined."""

from __future__ import annotations

import polars as pl
import pytest

from jobs.errors import ReleaseRefused, StorageError
from jobs.layers import Layer
from jobs.privacy.keyring import KeyRing
from jobs.releases import approvals, build, listing, pseudonyms, recipes
from jobs.releases.verify import verify
from jobs.stages import publish
from tests.releases.conftest import VISITS, copy_of, lake_in, put_gold, visits, write_schemas

NAME = "health/visits"
ARGUED = {**VISITS["release"]["not_identifying"], "patient": "a pseudonym of this release alone"}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return the folder of a lake with pseudonyms to release, and of its schemas; to be copied, never changed."""
    folder = tmp_path_factory.mktemp("given")
    fields = {**VISITS["fields"], "resident_id": {**VISITS["fields"]["resident_id"], "publish": {"as": "patient"}}}
    release_ = {**VISITS["release"], "not_identifying": ARGUED}
    write_schemas(folder / "schemas", {**VISITS, "fields": fields, "release": release_})
    put_gold(lake_in(folder), visits(county=40))
    return folder


@pytest.fixture(scope="module")
def once(given, tmp_path_factory):
    """Return the folder of such a lake whose rows are released once; to be copied, never changed."""
    folder = tmp_path_factory.mktemp("once")
    release(copy_of(given, folder))
    return folder


@pytest.fixture
def controlled(given, tmp_path):
    """Return a lake of the test's own with pseudonyms to release."""
    return copy_of(given, tmp_path)


@pytest.fixture
def released(once, tmp_path):
    """Return a lake of the test's own whose rows are released once."""
    return copy_of(once, tmp_path)


def newest(lake):
    return listing.latest(lake.objects, NAME)


def release(lake):
    approvals.approve(lake, NAME, by="officer@city.example")
    (report,) = publish.run(lake, NAME, approved_by="officer")
    return report, listing.latest(lake.objects, NAME)


def patients(one):
    return set(pl.read_parquet(one.data("parquet"))["patient"].to_list())


def test_two_releases_of_the_same_people_share_no_pseudonym_with_each_other_or_with_gold(released):
    controlled, first = released, newest(released)
    put_gold(controlled, visits(county=60))
    _, second = release(controlled)
    assert first.version != second.version
    assert len(patients(first)) > 150
    assert patients(first).isdisjoint(patients(second))
    gold = set(controlled.scan(Layer.GOLD, NAME).collect()["resident_id"].to_list())
    assert gold.isdisjoint(patients(first) | patients(second))
    assert first.manifest["keys"]["pseudonym"] != second.manifest["keys"]["pseudonym"]


def test_one_person_keeps_one_pseudonym_inside_a_release(controlled):
    rows = visits(county=40)
    put_gold(controlled, pl.concat([rows, rows]))
    _, one = release(controlled)
    table = pl.read_parquet(one.data("parquet"))
    assert set(table.group_by("patient").len()["len"].to_list()) == {2}


def test_the_id_of_the_key_stands_beside_the_pseudonyms_and_the_key_nowhere(released):
    controlled, one = released, newest(released)
    key = KeyRing(controlled.objects).by_id(pseudonyms.purpose(NAME), one.manifest["keys"]["pseudonym"])
    for path in one.folder.rglob("*"):
        if path.is_file():
            assert key.secret.hex().encode() not in path.read_bytes()
            assert key.secret not in path.read_bytes()
    assert verify(one.folder).problems == []


def test_a_second_run_and_a_rebuild_take_the_same_key(released):
    controlled, one = released, newest(released)
    before = one.data("csv").read_bytes()
    report, same = release(controlled)
    assert (report.outcome, same.version) == ("known", one.version)
    assert same.data("csv").read_bytes() == before
    assert len(KeyRing(controlled.objects).every()) == 1
    assert {row["result"] for row in recipes.rebuild(controlled, NAME, one.version)} == {"equal"}


def test_no_change_file_joins_what_two_keys_kept_apart(released):
    controlled = released
    put_gold(controlled, visits(county=60))
    _, second = release(controlled)
    assert not (second.folder / "changes").exists()
    assert second.manifest["changes"]["restart"] == pseudonyms.NEVER_THE_SAME


def test_a_group_whose_change_is_too_small_is_left_out_because_its_rows_cannot_stay(released):
    controlled, first = released, newest(released)
    rows = visits(county=40)
    put_gold(controlled, rows.slice(1))  # one person of the first county's first group is gone
    _, second = release(controlled)
    tables = [pl.read_parquet(one.data("parquet")) for one in (first, second)]
    assert tables[0].height - tables[1].height == 40
    assert second.manifest["risk"]["held_back"]["groups_taken_down"] == 1
    assert patients(first).isdisjoint(patients(second))


def test_a_preview_makes_no_key(controlled):
    publish.preview(controlled, NAME)
    assert KeyRing(controlled.objects).every() == []
    release(controlled)
    assert publish.preview(controlled, NAME)["unchanged"] is True
    assert len(KeyRing(controlled.objects).every()) == 1


def test_a_lost_key_or_master_key_is_refused_before_any_work(released):
    controlled, one = released, newest(released)
    put_gold(controlled, visits(county=60))
    number = controlled.objects.names(f"keys/{pseudonyms.purpose(NAME)}")[0]
    kept = controlled.objects.read(number)
    controlled.objects.remove(number)
    with pytest.raises(StorageError, match="not in the key ring; nothing was done"):
        release(controlled)
    controlled.objects.write(number, kept)
    controlled.objects.write("keys/master.key", bytes(16))
    with pytest.raises(StorageError, match="does not open with this master key; nothing was done"):
        release(controlled)
    assert [found.version for found in listing.versions(controlled.objects, NAME)] == [one.version]
    assert controlled.runs().filter(stage="publish").height == 1


def test_a_long_name_still_has_a_purpose_of_its_own():
    first, second = (pseudonyms.purpose(f"health/{'visits_' * 12}{end}") for end in ("a", "b"))
    assert first != second
    assert max(len(first), len(second)) <= 64


def test_a_release_that_would_shrink_below_its_floor_because_changes_wait_is_refused_and_says_how_many_are_left(
    released,
):
    controlled = released
    put_gold(controlled, visits(county=41))  # every large group changes by fewer people than may be told
    shown = publish.preview(controlled, NAME)
    assert shown["kept"] == shown["rows"]
    assert shown["verdict"].startswith("FAILS")
    with pytest.raises(ReleaseRefused, match="utility floor"):
        release(controlled)


def test_an_attempt_that_died_before_its_files_were_placed_leaves_its_key_to_the_next(released):
    controlled = released
    put_gold(controlled, visits(county=60))
    gold = controlled.scan(Layer.GOLD, NAME)
    made = build.draft(gold, controlled.catalogue.contract(NAME), controlled.catalogue)
    first = pseudonyms.keyed(controlled.objects, made)
    again = pseudonyms.keyed(controlled.objects, made)
    assert first.pseudonym_key == again.pseudonym_key
    _, second = release(controlled)
    assert second.manifest["keys"]["pseudonym"] == first.pseudonym_key
