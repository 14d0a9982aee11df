"""Near keys: two keys of one kind that one slip of the hand would make one, borne under one name.

A key's raw characters are known only while its row is read, so what could make two keys near is marked then. A body is
looked at through three windows that overlap by a character, so that one slip (another character at one place, or two
neighbours swapped) lies in one of them whole. Each window gives one mark, of the name and of what stands outside it:
whoever looks for near keys looks up three marks a key, however many keys there are, and pairs of keys are never
compared. To each mark belong the traces of its window: one per place with that place left out (another character there
gives the same trace) and two with neighbours put in order (neighbours swapped give the same trace). Two keys are near
when they share a mark and one of its traces; by chance, one pair in three million of those that share a mark. All are
codes under the register's key: they tell that two ids share a name and what stands outside a window, and nothing of
what those are. The name is part of them because true neighbours abound among numbers (same county, same birthday, next
in sequence) and namesakes among them hardly do.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import polars as pl

from jobs.register import Register
from jobs.registers.assertions import NEAR, UNSURE, assertion, frame, pair
from jobs.registers.keys import ID_LENGTH
from jobs.registers.naming import sounding
from jobs.rows.identifiers.characters import matrix, texts
from jobs.rows.pseudonymisation import base32

MARKS: dict[str, pl.DataType | type[pl.DataType]] = {"mark": pl.String, "key": pl.String, "traces": pl.String}
PAIRED = {"left": pl.min_horizontal, "right": pl.max_horizontal}  # the ends of a pair
# Characters before the check character, which follows from them: one slip changes it too, or it alone.
BODIES = {"resident_id": 17, "organisation_code": 8, "registration_number": 14}
SHORTEST, LONGEST = 6, 23  # of a body; in shorter ones a slip is no rare thing
CHUNK = 10_000  # keys marked at once: some 20 MB
MARK, TRACE = 12, 5  # letters of a mark (60 bits) and of a trace (25 bits, looked at where the mark is shared)
WINDOWS, SORTED = 3, 2


def near_marks(keys: pl.Series, kinds: pl.Series, names: pl.Series, register_key: bytes) -> pl.Series:
    """Return the marks of keys under names (`sounding`), a list of texts per row; empty where either is absent.

    Each text is a mark and then its traces (`told`).
    """
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


def told(texts: str) -> list[pl.Expr]:
    """Return `mark` and `traces` of a column of texts as `near_marks` makes them."""
    return [pl.col(texts).str.slice(0, MARK).alias("mark"), pl.col(texts).str.slice(MARK).alias("traces")]


def windows(length: int) -> list[range]:
    """Return the windows on a body of so many characters, each beginning with the last character of the one before."""
    step = -(-length // WINDOWS)
    return [range(start, min(start + step + 1, length)) for start in range(0, step * WINDOWS, step)]


def _marks(bodies: pl.Series, names: pl.Series, kind: str, register_key: bytes) -> pl.Series:
    """Return the marks of bodies of one length: CBC-MAC by SM4 (GB/T 32907-2016) over name, kind of mark, characters.

    All texts are of two blocks, as CBC-MAC demands.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    n, length = len(bodies), bodies.str.len_bytes()[0]
    cells = np.frombuffer("".join(bodies.to_list()).encode(), dtype=np.uint8).reshape(n, length)
    many = length + SORTED + WINDOWS
    blocks = np.zeros((n, many, 32), dtype=np.uint8)
    blocks[:, :, :8] = _named(names, register_key)[:, None, :]
    blocks[:, :, 8] = np.arange(1, many + 1)
    blocks[:, :, 9 : 9 + length] = cells[:, None, :]
    for place in range(length):
        blocks[:, place, 9 + place] = 0
    for start in range(SORTED):
        end = start + (length - start) // 2 * 2
        blocks[:, length + start, 9 + start : 9 + end] = np.sort(
            cells[:, start:end].reshape(n, -1, 2), axis=2).reshape(n, -1)
    for at, window in enumerate(windows(length), length + SORTED):
        blocks[:, at, 9 + window.start : 9 + window.stop] = 0
    secret = hashlib.blake2b(f"near|{kind}".encode(), key=register_key, digest_size=16).digest()
    cipher = Cipher(algorithms.SM4(secret), modes.ECB()).encryptor()  # noqa: S305 single blocks of a MAC
    first = np.frombuffer(cipher.update(blocks[:, :, :16].tobytes()), dtype=np.uint8)
    second = first ^ blocks[:, :, 16:].reshape(-1)
    codes = matrix(base32(cipher.update(second.tobytes())), ID_LENGTH).reshape(n, many, ID_LENGTH)
    found = [
        texts(np.concatenate([codes[:, at, :MARK], codes[:, [*window, length, length + 1], :TRACE].reshape(n, -1)], 1))
        .alias(str(at)) for at, window in enumerate(windows(length), length + SORTED)
    ]
    return pl.DataFrame(found).select(pl.concat_list(pl.all()).alias("_near"))["_near"]


def _named(names: pl.Series, register_key: bytes) -> npt.NDArray[np.uint8]:
    distinct = names.unique(maintain_order=True)
    digests = [hashlib.blake2b(one.encode(), key=register_key, digest_size=8).digest() for one in distinct.to_list()]
    places = names.replace_strict(distinct, pl.Series(range(len(distinct))), return_dtype=pl.Int64).to_numpy()
    table: npt.NDArray[np.uint8] = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 8)[places]
    return table


def sharing(marks: pl.DataFrame, known: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the pairs of keys (`left` the lesser id, `right`) that share a mark and one of its traces (`MARKS`).

    Pairs among `marks`, and of them with `known` ones; none of known ones alone.
    """
    mine = _traced(marks)
    every = mine if known is None else pl.concat([mine, _traced(known)])
    both = mine.join(every, on=["mark", "trace"], suffix="_other").filter(pl.col("key") != pl.col("key_other"))
    ends = [end("key", "key_other").alias(name) for name, end in PAIRED.items()]
    return both.select(ends).unique().sort("left", "right")


def _traced(marks: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each trace of each mark (`mark`, `key`, `trace`)."""
    traces = pl.col("traces").str.extract_all(f".{{{TRACE}}}").alias("trace")
    return marks.select("mark", "key", traces).explode("trace").drop_nulls("trace")


def neighbours(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of keys as entries of the index (`MARKS`): under each key's id the other's, for looking them up."""
    nothing = pl.lit(None, pl.String).alias("traces")
    return pl.concat(pairs.select(pl.col(a).alias("mark"), pl.col(b).alias("key"), nothing) for a, b in (
        ("left", "right"), ("right", "left")))


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
