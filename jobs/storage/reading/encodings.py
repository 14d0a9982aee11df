"""Which encoding a text is in: whether the declared one can be, and which one is likely instead.

The two-byte encodings of Chinese accept nearly any bytes, so what can be decoded may still be wrong. What tells them
apart is which characters come out: GB 2312 and Big5 each put their few thousand frequent characters first ("level 1").
"""

from __future__ import annotations

import codecs
import re

import numpy as np

from jobs.errors import SourceError

PROBED = 1 << 20  # bytes from the start of a file that are looked at before it is read
BAD_SHARE = 0.05  # of the lines; beyond, the encoding is not the declared one
CANDIDATES = ("utf-8", "gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be")
BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARKED = (codecs.BOM_UTF8, *BYTE_ORDER_MARKS)
_DOUBLE = ("gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "cp950")
_LEAST_FREQUENT = 0.9  # share of level 1 in a text of the right encoding; of a wrong one it is about a half
_MOST_FREQUENT_WRONG = 0.7
_LEAST_CHARACTERS = 20
_HANZI_IN_UTF8 = re.compile(rb"[\xe4-\xe9][\x80-\xbf]{2}")


def known(encoding: str) -> str:
    """Return an encoding's canonical name; raise SourceError for a name that is no text encoding."""
    if not exists(encoding):
        raise SourceError(f"there is no encoding {encoding!r}.", remedy="mend encoding: in the contract.")
    return codecs.lookup(encoding).name


def exists(encoding: str) -> bool:
    """Tell whether a name is a text encoding's."""
    try:
        return getattr(codecs.lookup(encoding), "_is_text_encoding", True)
    except LookupError:
        return False


def wide(encoding: str) -> bool:
    """Tell whether an encoding writes every character in two or four bytes."""
    return encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32"))


def reads(data: bytes, encoding: str) -> bool:
    """Tell whether bytes are whole characters of an encoding."""
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True


def is_utf8_inside(line: bytes) -> bool:
    """Tell whether a line of a file in a two-byte Chinese encoding is Chinese in UTF-8 all the same.

    It must be whole UTF-8 with at least four Chinese characters, or with two that the other encoding would turn into
    characters hardly anybody uses; fewer may be an accident.
    """
    count = len(_HANZI_IN_UTF8.findall(line))
    if count < 2 or not reads(line, "utf-8"):
        return False
    return count >= 4 or not reads(line.decode("gb18030", "replace").encode("gb18030", "replace"), "gb2312")


def may_hold_utf8(data: bytes) -> bool:
    """Tell whether two Chinese characters in UTF-8 stand side by side anywhere; quick, for bytes of any size."""
    codes = np.frombuffer(data, np.uint8)
    if len(codes) < 6:
        return False
    lead = codes - np.uint8(0xE4) <= 0xE9 - 0xE4  # less than the first one wraps around
    trail = codes.view(np.int8) < -0x40  # 0x80 to 0xBF, the least numbers there are
    one = lead[:-2] & trail[1:-1] & trail[2:]
    return bool((one[:-3] & one[3:]).any())


def bad_lines(start: bytes, encoding: str) -> tuple[int, int]:
    """Return how many lines of a file's first bytes are not in an encoding, and how many there are."""
    if wide(encoding):
        # Its characters do not end where bytes say "line feed", so it is judged as a whole.
        lines = max(start.count(b"\n"), 1)
        marked = known(encoding)[-2:] in ("le", "be") or start.startswith((*BYTE_ORDER_MARKS, b"\x00\x00\xfe\xff"))
        return (0 if marked and _reads_wide(start, encoding) else lines), lines
    found = start.split(b"\n")[:-1] or [_without_cut_character(start)]
    double = known(encoding) in _DOUBLE
    bad = sum(not reads(line, encoding) or (double and is_utf8_inside(line)) for line in found)
    return bad, len(found)


def _without_cut_character(start: bytes) -> bytes:
    """Return the first line of a file that is longer than what was read of it, up to a sign that is a whole character.

    The bytes of blanks and of marks such as quotes and commas are part of no other character in any encoding judged
    by lines.
    """
    last = max(map(start.rfind, (b" ", b'"', b",", b"\t", b"'", b"/"))) + 1
    return start[:last] if last and len(start) >= PROBED else start


def check(start: bytes, declared: str) -> None:
    """Raise SourceError when a file's first bytes are not in the declared encoding; name the one that fits."""
    bad, lines = bad_lines(start, declared)
    fitting = None
    if bad > max(1, BAD_SHARE * lines) or (bad and lines < 3):
        fitting = likely(start)
        what = f"{bad} of the first {lines} lines are not {declared}{f'; {fitting} fits' if fitting else ''}."
    elif known(declared) in _DOUBLE and (better := _more_frequent(start, declared)):
        what = f"the text is hardly {declared}; {better} fits."
    else:
        return
    raise SourceError(what, remedy="mend encoding: in the contract, or deliver the file in the declared encoding.")


def likely(start: bytes) -> str | None:
    """Return the encoding in which a file's first bytes (nearly) all make sense; None when there is none."""
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if start.startswith(BYTE_ORDER_MARKS):
        return "utf-16" if _reads_wide(start, "utf-16") else None
    if start.count(0) > len(start) // 20:
        return max(("utf-16-le", "utf-16-be"), key=lambda one: _ascii_share(start, one))
    counts = {encoding: bad_lines(start, encoding) for encoding in ("utf-8", "gb18030", "big5")}
    fitting = [e for e, (bad, lines) in counts.items() if bad <= BAD_SHARE * lines]
    if "utf-8" in fitting or not fitting:
        return "utf-8" if fitting else None
    if len(fitting) == 1:
        return fitting[0]
    return max(fitting, key=lambda one: frequent_share(start, one) or 0.0)


def frequent_share(data: bytes, encoding: str) -> float | None:
    """Return the share of level 1 among a text's Chinese characters; None where too few are left to say."""
    text = data.decode(encoding, "ignore")
    hanzi = [c for c in text[:50_000] if "\u3400" <= c <= "\u9fff" or "\ue000" <= c <= "\uf8ff"]
    if len(hanzi) < _LEAST_CHARACTERS:
        return None
    traditional = known(encoding).startswith(("big5", "cp950"))
    code, first, last = ("big5", 0xA4, 0xC6) if traditional else ("gb2312", 0xB0, 0xD7)
    leads = "".join(hanzi).encode(code, "replace").replace(b"?", b"??")[::2]
    return sum(first <= lead <= last for lead in leads) / len(hanzi)


def _more_frequent(start: bytes, declared: str) -> str | None:
    """Return Big5 for a text declared GB (and the reverse) whose characters are frequent only there."""
    other = "gb18030" if known(declared).startswith(("big5", "cp950")) else "big5"
    own, better = frequent_share(start, declared), frequent_share(start, other)
    if own is None or better is None or own > _MOST_FREQUENT_WRONG or better < _LEAST_FREQUENT:
        return None
    bad, lines = bad_lines(start, other)
    return other if bad <= BAD_SHARE * lines else None


def _reads_wide(start: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeError:
        return False
    return True


def _ascii_share(start: bytes, encoding: str) -> float:
    text = start.decode(encoding, "replace")
    return sum(c < "\x80" and c != "\x00" for c in text) / max(len(text), 1)


def marked(start: bytes) -> bool:
    """Tell whether a file begins with a byte order mark."""
    return start.startswith(_MARKED)
