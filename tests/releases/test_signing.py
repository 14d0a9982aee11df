"""The publisher's key: made once, and never in silence again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.catalogue import load_catalogue
from jobs.errors import LakeError, StorageError
from jobs.releases import announcement, approvals, listing, signing, sm2
from jobs.releases.signing import KEY, PUBLIC, Algorithm, Publisher, Signer, Sm2Key
from jobs.releases.verify import signed_by, sm2_challenge, verify
from jobs.settings import Settings
from jobs.stages import publish
from jobs.storage.objects import Folder
from jobs.storage.tables import Lake
from tests.releases.conftest import put_gold, visits, write_schemas


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    first = Signer.open(store)
    assert Signer.open(store).fingerprint == first.fingerprint
    assert store.local(KEY).stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_gone_is_not_made_anew_once_readers_know_it(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    known = key_json(Signer.open(store))
    store.remove(KEY)
    for name, data in ((PUBLIC, known), ("controlled/log.sig", b"{}")):  # the open key, or what was signed
        store.write(name, data)
        with pytest.raises(StorageError, match="key is not here"):
            Signer.open(store)
        assert not store.exists(KEY)
        store.remove(name)


def key_json(signer: Signer) -> bytes:
    return json.dumps({"algorithm": signer.algorithm, "public_key": signer.public.hex()}).encode()


@pytest.mark.parametrize("algorithm", ["Ed25519", "SM2"])
def test_another_key_than_the_publishers_neither_signs_nor_judges(tmp_path: Path, algorithm: Algorithm) -> None:
    store = Folder(tmp_path)
    known = key_json(Signer.of(b"7" * 32, algorithm))
    store.write(KEY, b"8" * 32)
    store.write(PUBLIC, known)
    for use in (lambda: Signer.open(store, algorithm), lambda: Publisher(store)):
        with pytest.raises(StorageError, match="is not the publisher's, which is known by") as error:
            use()
        assert (error.value.where, KEY in str(error.value.remedy)) == (PUBLIC, True)
    assert store.read(PUBLIC) == known
    store.write(KEY, b"7" * 32)
    assert Publisher(store).signed("", b"m", Signer.open(store, algorithm).sign(b"m"))


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"public_key":""}', b'{"public_key":7}', b"\xff", None])
@pytest.mark.parametrize("held", [True, False])
def test_a_public_key_that_cannot_be_read_is_named_and_is_not_anybodys(tmp_path: Path, data, held) -> None:
    store = Folder(tmp_path)
    if held:
        store.write(KEY, b"7" * 32)
    store.local(PUBLIC).mkdir(parents=True) if data is None else store.write(PUBLIC, data)
    for use in (Signer.open, Publisher):
        with pytest.raises(StorageError, match="public key cannot be read") as error:
            use(store)
        assert error.value.where == PUBLIC


def test_a_lake_with_the_key_of_another_backup_takes_no_version_for_damaged_and_keeps_its_public_key(released) -> None:
    lake = released
    keys = [f"{zone}/key.json" for zone in ("open", "controlled")]
    before, seed = [lake.objects.read(name) for name in keys], lake.objects.own.read(KEY)
    for wrong in (keys[:1], keys[1:]):  # the seed is another, or one zone alone has another key
        if wrong == keys[:1]:
            lake.objects.own.write(KEY, b"8" * 32)
            with pytest.raises(StorageError, match="not the publisher's"):
                listing.releases(lake, [])
        else:
            lake.objects.write(keys[1], key_json(Signer.of(b"8" * 32)))
        there = [lake.objects.read(name) for name in keys]
        with pytest.raises(StorageError, match="not the publisher's"):
            announcement.enter(lake)
        assert [lake.objects.read(name) for name in keys] == there
        lake.objects.own.write(KEY, seed)
    lake.objects.write(keys[1], before[1])
    errors: list[LakeError] = []
    assert [one["status"] for one in listing.releases(lake, errors)] == ["released"]
    assert errors == []
    lake.objects.remove(PUBLIC)
    lake.objects.own.remove(KEY)
    listing.releases(lake, errors)
    assert [(one.where, "not authenticated" in str(one)) for one in errors] == [(PUBLIC, True)]


def test_a_signature_by_sm2_is_judged_once_however_many_there_are(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    own = Signer.open(store, "SM2").public
    messages = [str(number).encode() for number in range(600)]
    for message in messages:
        assert not Publisher(store).signed(own.hex(), message, "00")
    kept = {digest for public, digest, _ in signing._JUDGED if public == own}
    assert kept == {hashlib.sha256(message).digest() for message in messages}


@pytest.mark.parametrize("algorithm", ["Ed25519", "SM2"])
@pytest.mark.parametrize("held", ["the key", "the open key", "the open key, and no right to the other"])
def test_the_publisher_is_known_by_its_own_key_else_by_the_one_that_lies_open(tmp_path, algorithm, held) -> None:
    store, other = Folder(tmp_path), Signer.of(b"7" * 32, algorithm)
    signer = Signer.open(store, algorithm)
    store.write(PUBLIC, json.dumps({"algorithm": algorithm, "public_key": signer.public.hex()}).encode())
    if held != "the key":
        store.remove(KEY)
    if held.endswith("right to the other"):
        store.local(KEY).mkdir()  # reading it fails as it does for who may not
    publisher, message = Publisher(store), b"what was released"
    for public in (signer.public.hex(), ""):  # a statement of withdrawal does not name its key
        assert publisher.signed(public, message, signer.sign(message))
        assert not publisher.signed(public, message + b"!", signer.sign(message))
        assert not publisher.signed(public, message, other.sign(message))
    assert not publisher.signed(other.public.hex(), message, other.sign(message))
    assert not publisher.signed("no hex", message, ["no text"])


def test_sm2_gives_the_signature_of_its_standards_example() -> None:
    # GM/T 0003.5-2012, annex A: the recommended curve, the usual identity.
    key = Sm2Key(0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8)
    assert key.public.hex() == (
        "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
        "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
    )
    once = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
    signature = key.signed(sm2_challenge(key.public, b"message digest"), once)
    assert signature is not None
    assert signature.hex() == (
        "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
        "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
    )
    assert signed_by(key.public, b"message digest", signature)
    assert sm2.signed_by(key.public, b"message digest", signature)
    for public, seal in (
        (key.public, b""), (key.public[:32], signature), (bytes(64), signature), (key.public, bytes(64)),
        (key.public, signature[:32] + bytes(32)), (key.public, b"\xff" * 64), (key.public[32:] * 2, signature),
    ):
        assert not sm2.signed_by(public, b"message digest", seal)


@settings(max_examples=10, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_an_sm2_signature_is_of_one_message_and_one_key(seed: bytes, message: bytes, bit: int) -> None:
    signer = Signer.of(seed, "SM2")
    signature = bytes.fromhex(signer.sign(message))
    assert signer.sign(message) == signature.hex()
    altered = bytearray(signature)
    altered[bit // 8] ^= 1 << bit % 8
    own, others = signer.public, Signer.of(seed[::-1] + b"x", "SM2").public
    for check in (signed_by, sm2.signed_by):  # the readers' program, and what lists releases
        assert check(own, message, signature)
        assert not check(own, message, bytes(altered))
        assert not check(own, message + b"x", signature)
        assert not check(others, message, signature)
    assert repr(signer) == f"Signer({signer.fingerprint})"


def test_a_publisher_known_by_one_kind_of_key_does_not_sign_by_another(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    store.write(PUBLIC, key_json(Signer.open(store)))
    with pytest.raises(StorageError, match="known by its Ed25519 key"):
        Signer.open(store, "SM2")


def test_a_release_signed_by_sm2_is_verified_and_withdrawn_like_any_other(tmp_path: Path) -> None:
    chosen = Settings(root=tmp_path / "lake", schemas=write_schemas(tmp_path / "schemas"), signature="SM2")
    lake = Lake(chosen, load_catalogue(chosen.schemas))
    put_gold(lake, visits())
    approvals.approve(lake, "health/visits", by="officer@city.example")
    publish.run(lake, "health/visits", approved_by="officer")
    folder, known = lake.objects.local("controlled/health__visits/1.0.0"), json.loads(lake.objects.read(PUBLIC))
    assert known["algorithm"] == "SM2"
    found = verify(folder, key=known["fingerprint"], log=lake.objects.local("controlled/log.jsonl"))
    assert found.problems == []
    assert ("signature", "holds", f"SM2, key {known['fingerprint']}") in found.rows
    alone = [sys.executable, "-I", "-S", str(folder / "verify.py"), "--key", known["fingerprint"]]
    assert subprocess.run(alone, capture_output=True, check=False).returncode == 0
    publish.withdraw(lake, "health/visits", ["1.0.0"], reason="an error", by="officer")
    found = verify(folder, key=known["fingerprint"])
    assert (found.problems, found.status) == ([], "withdrawn")
    said = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_bytes(said.replace(b'"rows":126', b'"rows":127'))
    assert verify(folder).problems == ["release: manifest.json is not what was signed."]
