"""Invented people and organisations with known truth: shapes of files that linkage meets, no real person in them."""

from __future__ import annotations

import random

import polars as pl

_ONSETS = [
    "b",
    "br",
    "c",
    "ch",
    "cl",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "sh",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "w",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "oo"]
_CODAS = ["ck", "d", "ld", "ll", "m", "n", "nd", "ng", "r", "rd", "s", "son", "ston", "t", "th", "ton", "well", "worth"]
_TITLES = ["sir", "dr", "the honourable", "baron", "1st earl of {place}", "of {place}", "lady"]
_HAN_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_HAN_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华建国文斌玉兰红梅志宏晓东海燕云飞"
_FIRM_WORDS = [
    "alpha",
    "north",
    "river",
    "stone",
    "green",
    "data",
    "steel",
    "apex",
    "union",
    "delta",
    "prime",
    "solar",
    "ocean",
    "metro",
    "silver",
    "vector",
    "atlas",
    "falcon",
]
_FIRM_TRADES = [
    "trading",
    "foods",
    "logistics",
    "systems",
    "partners",
    "energy",
    "textiles",
    "motors",
    "consulting",
    "pharma",
    "media",
    "builders",
]
_FORMS = [["ltd", "limited"], ["inc", "incorporated"], ["corp", "corporation"], ["llc", "l.l.c."], ["gmbh", "g.m.b.h."]]


def _word(rng: random.Random) -> str:
    return rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)


def _words(rng: random.Random, count: int, parts: int = 1) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(_word(rng) for _ in range(parts))] = None
    return list(found)


def _zipf(rng: random.Random, values: list[str]) -> str:
    return values[min(int(len(values) * rng.random() ** 2.5), len(values) - 1)]


def _postcode(rng: random.Random) -> str:
    area = rng.choice("abcdehlmnst") + rng.choice("abcdehlmnst")
    return f"{area}{rng.randint(1, 20)} {rng.randint(1, 9)}{rng.choice('abdefgh')}{rng.choice('jlnpqrs')}"


def typo(rng: random.Random, text: str) -> str:
    """Change one character: replaced, dropped, doubled or swapped with the next."""
    if len(text) < 2:
        return text
    at = rng.randrange(len(text) - 1)
    letters = "0123456789" if text[at].isdigit() else "abcdefghijklmnopqrstuvwxyz"
    return rng.choice(
        [
            text[:at] + rng.choice(letters) + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + text[at] + text[at:],
            text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        ]
    )


def historical(people: int, seed: int = 1, rows_each: int = 10) -> pl.DataFrame:
    """Return historical persons scraped many times: many nulls, doubtful dates, names with titles."""
    rng = random.Random(seed)
    firsts, surnames, places = _words(rng, 250), _words(rng, 3_000, 2), _words(rng, 300, 2)
    occupations = _words(rng, 120, 2)
    rows = []
    for person in range(people):
        first, surname, place = _zipf(rng, firsts), _zipf(rng, surnames), _zipf(rng, places)
        middle = _zipf(rng, firsts) if rng.random() < 0.3 else ""
        title = rng.choice(_TITLES).format(place=place) if rng.random() < 0.3 else ""
        year, month, day = rng.randint(1600, 1920), rng.randint(1, 12), rng.randint(1, 28)
        if rng.random() < 0.15:
            month, day = 1, 1  # only the year is known
        postcode = _postcode(rng)
        occupation, sex = _zipf(rng, occupations), rng.choice(["male", "male", "male", "female"])
        for copy in range(max(1, int(rng.gauss(rows_each, rows_each / 2)))):
            f, s, m, t, pc, bp, oc = first, surname, middle, title, postcode, place, occupation
            y, mo, d = year, month, day
            if rng.random() < 0.15:
                f = rng.choice([f[:3], typo(rng, f), _zipf(rng, firsts)])
            if rng.random() < 0.15:
                s = rng.choice([typo(rng, s), typo(rng, s), _zipf(rng, surnames)])
            if rng.random() < 0.03:
                f, s = s, f
            m = "" if rng.random() < 0.4 else m
            t = "" if rng.random() < 0.4 else t
            if rng.random() < 0.2:
                pc = rng.choice([typo(rng, pc), pc[:-2] + rng.choice(["ab", "ln", "qs"])])
            if rng.random() < 0.2:
                d = rng.randint(1, 28)
                mo = rng.randint(1, 12) if rng.random() < 0.5 else mo
                y = y + rng.choice([-10, -1, 1, 10]) if rng.random() < 0.4 else y
            if rng.random() < 0.1:
                bp = _zipf(rng, places)
            full = " ".join(part for part in (f, m, s, t) if part)
            rows.append(
                {
                    "unique_id": f"Q{person + 1000}-{copy + 1}",
                    "cluster": f"Q{person + 1000}",
                    "full_name": full,
                    "first_and_surname": f"{f} {s}",
                    "first_name": f,
                    "surname": s,
                    "dob": None if rng.random() < 0.15 else f"{y:04}-{mo:02}-{d:02}",
                    "birth_place": None if rng.random() < 0.3 else bp,
                    "postcode_fake": None if rng.random() < 0.2 else pc,
                    "gender": None if rng.random() < 0.2 else sex,
                    "occupation": None if rng.random() < 0.4 else oc,
                }
            )
    rng.shuffle(rows)
    return pl.DataFrame(rows, infer_schema_length=None)


def strangers(people: int, duplicates: int, seed: int = 2) -> pl.DataFrame:
    """Return distinct people, households and namesakes among them, with a few true duplicates."""
    rng = random.Random(seed)
    firsts, surnames, streets, towns = _words(rng, 200), _words(rng, 800, 2), _words(rng, 400, 2), _words(rng, 60)
    rows: list[dict[str, str]] = []
    while len(rows) < people:
        surname, street, town = _zipf(rng, surnames), _zipf(rng, streets), _zipf(rng, towns)
        code, number = f"{1000 + hash_of(town) % 8000}", str(rng.randint(1, 200))
        phone = f"0{rng.randint(100000000, 999999999)}"
        for _ in range(rng.choice([1, 1, 2, 3])):  # a household shares surname, address and often the telephone
            if len(rows) < people:
                rows.append(
                    {
                        "person": str(len(rows)),
                        "first name": _zipf(rng, firsts),
                        "last name": surname,
                        "birth date": f"{rng.randint(1, 28):02}/{rng.randint(1, 12):02}/{rng.randint(1930, 2005)}",
                        "address": f"{number} {street} street",
                        "town": town,
                        "zip": code,
                        "telephone": phone if rng.random() < 0.5 else f"0{rng.randint(100000000, 999999999)}",
                    }
                )
    for row in rng.sample(rows, duplicates):
        again = dict(row)
        for column in rng.sample(["first name", "last name", "address", "telephone"], 2):
            again[column] = typo(rng, again[column])
        rows.append(again)
    rng.shuffle(rows)
    return pl.DataFrame(rows).with_row_index("id").with_columns(pl.col("id").cast(pl.String))


def hash_of(text: str) -> int:
    """Return a number that follows from a text alone."""
    return sum(ord(sign) * 31**place for place, sign in enumerate(text))


def organisations(count: int, seed: int = 3) -> pl.DataFrame:
    """Return firms, most of them twice or thrice: other legal form's spelling, words dropped, typos."""
    rng = random.Random(seed)
    streets, towns, odd = _words(rng, 300, 2), _words(rng, 80, 2), _words(rng, 400, 2)
    rows = []
    for firm in range(count):
        words = [rng.choice([*_FIRM_WORDS, *odd, *odd[:50]]), rng.choice(odd), rng.choice(_FIRM_TRADES)][
            : rng.choice([2, 3])
        ]
        form, town = rng.choice(_FORMS), rng.choice(towns)
        street, number = rng.choice(streets), rng.randint(1, 400)
        for _ in range(rng.choice([1, 2, 2, 3])):
            name = [*words]
            if rng.random() < 0.15 and len(name) > 2:
                name.pop()
            if rng.random() < 0.2:
                name[0] = typo(rng, name[0])
            tail = rng.choice(form) if rng.random() < 0.85 else ""
            rows.append(
                {
                    "firm": str(firm),
                    "company_name": " ".join([*name, tail]).strip().upper()
                    if rng.random() < 0.3
                    else " ".join([*name, tail]).strip(),
                    "street address": f"{number} {street} {rng.choice(['street', 'st', 'st.'])}"
                    if rng.random() < 0.8
                    else None,
                    "city": town if rng.random() < 0.9 else None,
                    "legal form": form[0] if rng.random() < 0.7 else None,
                }
            )
    rng.shuffle(rows)
    return pl.DataFrame(rows, infer_schema_length=None)


def chinese_people(count: int, seed: int = 4) -> pl.DataFrame:
    """Return Chinese people, half of them twice: traditional spelling, pinyin, telephones that changed."""
    rng = random.Random(seed)
    traditional = str.maketrans("张刘陈杨赵黄吴孙马罗伟丽军杰国红云飞东华", "張劉陳楊趙黃吳孫馬羅偉麗軍傑國紅雲飛東華")
    roads = ["人民路", "解放路", "中山路", "建设路", "和平路", "长江路", "胜利街", "文化路"]
    rows = []
    for person in range(count):
        name = rng.choice(_HAN_SURNAMES) + "".join(rng.choice(_HAN_GIVEN) for _ in range(rng.choice([1, 2, 2])))
        born = f"{rng.randint(1940, 2010)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        phone, home = (
            f"13{rng.randint(100000000, 999999999)}",
            f"{rng.choice(roads)}{rng.randint(1, 300)}号{rng.randint(1, 20)}室",
        )
        for copy in range(rng.choice([1, 2])):
            rows.append(
                {
                    "真值": str(person),
                    "姓名": name.translate(traditional) if copy and rng.random() < 0.4 else name,
                    "出生日期": born if not copy else born.replace("-", ""),
                    "住址": home if rng.random() < 0.8 else None,
                    "联系电话": phone if not copy or rng.random() < 0.7 else f"13{rng.randint(100000000, 999999999)}",
                    "性别": rng.choice(["男", "女"]),
                }
            )
    rng.shuffle(rows)
    return pl.DataFrame(rows, infer_schema_length=None)
