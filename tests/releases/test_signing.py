"""The publisher's key: made once, and never in silence again."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.errors import StorageError
from jobs.releases.signing import KEY, PUBLIC, Signer
from jobs.storage.objects import Folder


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    first = Signer.open(store)
    assert Signer.open(store).fingerprint == first.fingerprint
    assert store.local(KEY).stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_gone_is_not_made_anew_once_readers_know_it(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    Signer.open(store)
    store.write(PUBLIC, b"{}")
    store.remove(KEY)
    with pytest.raises(StorageError, match="key is not here"):
        Signer.open(store)
    assert not store.exists(KEY)
