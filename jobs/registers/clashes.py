"""Clashes: when claims under one key cannot speak of the same party, and which parties they speak of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from jobs.registers.naming import Spelling, like, same


@dataclass(frozen=True)
class Said:
    """Hold what some claims of one key say alike of their party.

    Names are as they are compared, in `fixed` and `changing` too, which follow the register's clash. `evidence` is a
    keyed fingerprint of it all; `codes` are whole credit codes, `keys` the other keys of the same rows, all by id.
    """

    evidence: str
    names: tuple[Spelling, ...]
    fixed: tuple[Any, ...]
    changing: tuple[Any, ...]
    lead: bool
    since: date
    codes: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    @property
    def silent(self) -> bool:
        """Tell whether nothing is said by which one party differs from another."""
        return not self.names and all(value is None for value in self.fixed)


Party = list[Said]


def clashing(one: Said, other: Said) -> bool:
    """Tell whether two statements under one key are about two parties.

    Two contradictions among names wholly unlike, fixed and changing fields, or a wholly unlike name where either comes
    from a source that is not the lead. What the lead itself says later of a name or a changing field is history unless
    a fixed field differs too. Two whole credit codes on one organisation code need an agreeing name or other key.
    """
    named = bool(one.names and other.names)
    alike = named and any(like(mine, theirs) for mine in one.names for theirs in other.names)
    unlike, leads = named and not alike, one.lead and other.lead
    if one.codes and other.codes and not one.codes & other.codes and not alike and not one.keys & other.keys:
        return True
    if unlike and not leads:
        return True
    fixed, changing = _differing(one.fixed, other.fixed), _differing(one.changing, other.changing)
    return unlike + fixed + changing > 1 and (fixed > 0 or not leads)


def parties(said: Iterable[Said], most: int) -> tuple[list[Party], Party]:
    """Return the parties that statements under one key speak of, the lead's first, and the statements left over.

    The lead's earliest statement anchors the first party: what agrees with it, or with anything the lead says of that
    party, belongs to it. Others form parties without a clash inside. Statements that say nothing are left over, and so
    is what needs more than `most` parties and one. The answer depends on the statements alone, not on their order.
    """
    ordered = sorted(said, key=lambda one: (not one.lead, one.since if one.lead else date.min, one.evidence))
    found: list[Party] = []
    left: Party = []
    for one in ordered:
        home = None if one.silent else next((party for party in found if _belongs(one, party)), None)
        if home is not None:
            home.append(one)
        elif one.silent or len(found) > most:
            left.append(one)
        else:
            found.append([one])
    return found, left


def fingerprint_of(party: Iterable[Said]) -> str:
    """Return a party's fingerprint: 32 hex digits over the evidence it consists of."""
    text = "|".join(sorted({one.evidence for one in party}))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _belongs(one: Said, party: Party) -> bool:
    if one.lead:
        return not clashing(one, party[0])
    leads = [member for member in party if member.lead]
    if leads:
        return any(not clashing(one, member) for member in leads)
    return not any(clashing(one, member) for member in party)


def _differing(mine: Sequence[Any], theirs: Sequence[Any]) -> int:
    return sum(_differs(a, b) for a, b in zip(mine, theirs, strict=True) if a is not None and b is not None)


def _differs(one: Any, other: Any) -> bool:
    if isinstance(one, Spelling) and isinstance(other, Spelling):
        return not same(one, other)
    return bool(one != other)
