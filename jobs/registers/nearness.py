"""Near keys: two keys of one kind that one slip of the hand would make one, borne under one name.

A key's raw characters are known only while its row is read, so what could make two keys near is marked then: one mark
per place with that place left out (another character there gives the same mark), and two with neighbours put in order
(neighbours swapped give the same mark), each together with the name. A mark is a code under the register's key. Keys
that share a mark are near, so that what a commit touches is looked up by its own marks, some twenty per key, however
many keys there are; pairs of keys are never compared. Leaving a character out instead would need as many marks and
take keys for near that are not. The name is part of the mark because true neighbours abound among numbers (same
county, same birthday, next in sequence) and namesakes among them hardly do.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.register import Register
from jobs.registers.assertions import NEAR, UNSURE, assertion, frame, pair
from jobs.registers.naming import sounding
from jobs.rows.pseudonymisation import base32

MARKS: dict[str, pl.DataType | type[pl.DataType]] = {"mark": pl.String, "key": pl.String}
PAIRS = {"left": pl.String, "right": pl.String}
# Characters before the check character, which follows from them: one slip changes it too, or it alone.
BODIES = {"resident_id": 17, "organisation_code": 8, "registration_number": 14}
SHORTEST, LONGEST = 6, 23  # of a body; in shorter ones a slip is no rare thing
CHUNK = 10_000  # keys marked at once: some 20 MB
MARK = 13  # characters of a mark: 65 bits


def near_marks(keys: pl.Series, kinds: pl.Series, names: pl.Series, register_key: bytes) -> pl.Series:
    """Return the marks of keys under names (`sounding`), a list of texts per row; empty where either is absent."""
    rows = pl.DataFrame({"key": keys, "kind": kinds, "name": names})
    tables = []
    for (kind,), group in rows.drop_nulls().unique().group_by("kind"):
        length = pl.col("key").str.len_bytes()
        group = group.with_columns(_body=pl.col("key").str.slice(0, BODIES.get(str(kind))))
        group = group.filter(length == pl.col("key").str.len_chars(), pl.col("_body").str.len_bytes().is_between(
            SHORTEST, LONGEST))
        for _, alike in group.group_by(pl.col("_body").str.len_bytes()):
            for chunk in alike.iter_slices(CHUNK):
                marks = _marks(chunk["_body"], chunk["name"], str(kind), register_key)
                tables.append(chunk.select("key", "kind", "name", marks.alias("_near")))
    empty = pl.DataFrame(schema={**rows.schema, "_near": pl.List(pl.String)})
    table = pl.concat([empty, *tables])
    found = rows.join(table, on=rows.columns, how="left", maintain_order="left")["_near"]
    return found.fill_null(pl.lit([], pl.List(pl.String)))


def _marks(bodies: pl.Series, names: pl.Series, kind: str, register_key: bytes) -> pl.Series:
    """Return the marks of bodies of one length: CBC-MAC by SM4 (GB/T 32907-2016) over name, kind of mark, characters.

    All texts are of two blocks, as CBC-MAC demands.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    n, length = len(bodies), bodies.str.len_bytes()[0]
    cells = np.frombuffer("".join(bodies.to_list()).encode(), dtype=np.uint8).reshape(n, length)
    texts = np.zeros((n, length + 2, 32), dtype=np.uint8)
    texts[:, :, :8] = _named(names, register_key)[:, None, :]
    texts[:, :, 8] = np.arange(1, length + 3)
    texts[:, :, 9 : 9 + length] = cells[:, None, :]
    for place in range(length):
        texts[:, place, 9 + place] = 0
    for start in (0, 1):
        end = start + (length - start) // 2 * 2
        texts[:, length + start, 9 + start : 9 + end] = np.sort(
            cells[:, start:end].reshape(n, -1, 2), axis=2).reshape(n, -1)
    secret = hashlib.blake2b(f"near|{kind}".encode(), key=register_key, digest_size=16).digest()
    cipher = Cipher(algorithms.SM4(secret), modes.ECB()).encryptor()  # noqa: S305 single blocks of a MAC
    first = np.frombuffer(cipher.update(texts[:, :, :16].tobytes()), dtype=np.uint8)
    second = first ^ texts[:, :, 16:].reshape(-1)
    flat = base32(cipher.update(second.tobytes())).str.slice(0, MARK)
    return flat.reshape((n, length + 2)).arr.to_list()


def _named(names: pl.Series, register_key: bytes) -> npt.NDArray[np.uint8]:
    distinct = names.unique(maintain_order=True)
    digests = [hashlib.blake2b(one.encode(), key=register_key, digest_size=8).digest() for one in distinct.to_list()]
    places = names.replace_strict(distinct, pl.Series(range(len(distinct))), return_dtype=pl.Int64).to_numpy()
    table: npt.NDArray[np.uint8] = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 8)[places]
    return table


def sharing(marks: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of keys (`PAIRS`, the lesser id left) that share a mark (`MARKS`)."""
    both = marks.join(marks, on="mark", suffix="_other").filter(pl.col("key") < pl.col("key_other"))
    return both.select(left="key", right="key_other").unique().sort("left", "right")


def neighbours(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of keys as entries of the index (`MARKS`): under each key's id the other's, for looking them up."""
    there = pairs.select(mark="left", key="right")
    return pl.concat([there, pairs.select(mark="right", key="left")])


def near(pairs: pl.DataFrame, claims: pl.DataFrame, register: Register) -> pl.DataFrame:
    """Return which pairs of near keys look like one party: a name of both sounds alike, and nothing fixed contradicts.

    All claims under both keys must be present. Two keys contradict each other in a field fixed for life when something
    is known of it under either and nothing is said under both.
    """
    clash, fixed = register.clash, list(register.clash.other)
    names = pl.concat(
        claims.select("_key_id", "_kind", "_as_of", _name=sounding(claims[name], register.fields[name].type))
        for name in (clash.name, clash.former) if name
    )
    said = names.drop_nulls("_name").group_by("_key_id", "_kind", "_name").agg(pl.col("_as_of").min())
    known = claims.group_by("_key_id").agg(pl.col(name).drop_nulls().unique() for name in fixed)
    said = said.join(known, on="_key_id")
    both = pairs.join(said, left_on="left", right_on="_key_id").join(
        said, left_on=["right", "_kind", "_name"], right_on=["_key_id", "_kind", "_name"], suffix="_other"
    )
    agree = [
        (pl.col(name).list.len() == 0) | (pl.col(f"{name}_other").list.len() == 0)
        | (pl.col(name).list.set_intersection(f"{name}_other").list.len() > 0)
        for name in fixed
    ]
    found = both.filter(pl.all_horizontal(agree)).group_by("left", "right", "_kind").agg(
        pl.max_horizontal("_as_of", "_as_of_other").min().alias("_as_of")
    )
    return frame(
        assertion(UNSURE, pair(left, right), NEAR, left=left, left_kind=kind, right=right, right_kind=kind, as_of=as_of,
                  evidence="{}")
        for left, right, kind, as_of in found.iter_rows()
    )
