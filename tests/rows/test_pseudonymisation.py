"""Pseudonyms: the published vectors, one value once, and the same by either library."""

from __future__ import annotations

import base64
import hmac

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import RequestError
from jobs.rows.pseudonymisation import base32, by_library, by_openssl, pseudonyms

KEY = bytes(range(1, 33))


def test_a_pseudonym_is_the_keyed_sm3_of_type_and_value():
    assert pseudonyms(pl.Series(["11010519491231002X"]), KEY, "CN-ID").to_list() == [
        "ZNCRPF7VQWYMVGCRMMXQCEL33E"
    ]


def test_equal_values_share_a_pseudonym_and_types_and_keys_do_not():
    first = pseudonyms(pl.Series(["a", None, "b", "a"]), KEY, "x").to_list()
    assert first[0] == first[3] != first[2]
    assert first[1] is None
    assert pseudonyms(pl.Series(["a"]), KEY, "y")[0] != first[0]
    assert pseudonyms(pl.Series(["a"]), KEY[::-1], "x")[0] != first[0]


def test_a_short_key_is_refused():
    with pytest.raises(RequestError, match="at least 16 bytes"):
        pseudonyms(pl.Series(["a"]), b"short", "x")


@pytest.mark.parametrize("digests", [by_openssl, by_library])
def test_the_published_vector_of_hmac_sm3(digests):
    message = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2
    known = "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a"
    assert digests([message], KEY, b"").hex() == known
    assert digests([message[9:]], KEY, message[:9]).hex() == known


@given(
    st.lists(st.binary(max_size=200), max_size=5), st.binary(min_size=1, max_size=150), st.binary(max_size=70)
)
def test_both_libraries_agree_with_the_standard_one_for_every_key_and_message(values, key, prefix):
    expected = b"".join(hmac.digest(key, prefix + value, "sm3") for value in values)
    assert by_openssl(values, key, prefix) == expected
    assert by_library(values, key, prefix) == expected


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_base32_is_that_of_the_standard(digests):
    expected = [base64.b32encode(one[:16]).decode().rstrip("=") for one in digests]
    assert base32(b"".join(digests), 32).to_list() == expected
    assert base32(b"".join(one[:16] for one in digests)).to_list() == expected


def test_many_values_keep_their_places_whether_or_not_they_repeat():
    values = pl.Series("id", [f"{n:018d}" for n in range(40_000)])
    made = pseudonyms(values, KEY, "x")
    assert (made.name, made.n_unique(), made.null_count()) == ("id", 40_000, 0)
    places = [0, 16_383, 16_384, 39_999]
    assert made.gather(places).to_list() == pseudonyms(values.gather(places), KEY, "x").to_list()
    mixed = values.extend(values.head(3)).extend(pl.Series([None, None], dtype=pl.String))
    assert pseudonyms(mixed, KEY, "x").to_list() == [*made, *made.head(3), None, None]
