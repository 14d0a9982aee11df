"""Say of every value what it is: its kind, asked for or guessed, and the verdicts on it.

Where a text fits several kinds, the check character decides, then the calendar date, then the place: never the length
alone. What cannot be told apart by the value alone is marked `ambiguous`; naming the kind settles it.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from jobs.rows.codes import CodeBook
from jobs.rows.identifiers import JUDGES, judged, organisations, permanent_resident, resident_id, taxpayers
from jobs.rows.identifiers.characters import (
    Matrix,
    credit_check,
    digits,
    matrix,
    number,
    organisation_check,
    within,
)
from jobs.rows.identifiers.documents import INSTITUTION, PASSPORT, SOCIAL_ORGANISATION, TRAVEL_PERMIT
from jobs.rows.identifiers.organisations import checked_registration, checked_tail, registrable
from jobs.rows.identifiers.reasons import BIT, BREAKING, union
from jobs.rows.identifiers.spelling import PLACEHOLDER, SPREADSHEET, Mask, Spelling, spelled, truth
from jobs.rows.identifiers.verdicts import Findings, Verdicts

COLUMNS = (
    "value", "kind", "normalised", "structure_ok", "division_known", "division_in_force", "conforming", "reasons"
)
UNKNOWN = "unknown"
_BELONGS = {  # what a value in another kind's column was recognised as
    "registration_number_13": "registration_number",
    "personal_taxpayer_number": "taxpayer_number",
}
_OLDER = {"organisation_code": "older_organisation_code", "registration_number": "registration_15"}
_OFFICE = {"credit_code": 2, "registration_number": 0}  # where the registering office's division stands
_CERTIFICATE = r"[证登字].{0,12}号|[证登]字"


def identify(
    values: pl.Series,
    codes: CodeBook,
    on: date,
    kind: str | None = None,
    registered: pl.Series | None = None,
) -> pl.DataFrame:
    """Say of every value what it is; one row each, in order.

    Returns `value`, `kind`, `normalised`, then:
    `structure_ok`: form, calendar date and check character are right, or the code is on the list of those issued all
    the same; `division_known`: its place ever existed, null where the kind has none; `division_in_force`: in force in
    the birth year, for an organisation in the year of its date in `registered`, for a division code on the date `on`,
    for information only, and null where that cannot be known; `conforming`: the form obeys the standard, which is
    false for what is wrong and for what was issued all the same; `reasons`: codes separated by `;`.
    Without `kind` each value's kind is guessed. With one, a value that is an older or another identifier is named by
    what it is, and is not sound as what was asked for. Raises RequestError for an unknown kind.
    """
    cells = values.cast(pl.String)
    if kind is not None:
        found = judged(kind, cells, codes, on)
        named = found.legacy.replace(_BELONGS).fill_null(kind)
        written = truth(found.legacy == "certificate_text")
        if written.any():
            of_words = spelled(cells.filter(pl.Series(written)))
            named = named.clone().scatter(np.flatnonzero(written), _Guess(of_words, codes, on).kinds)
    else:
        spelling = spelled(cells)
        named, found = _guessed(spelling, codes, on)
    if registered is not None:
        _at_registration(found, named, registered.dt.year(), codes)
    return found.answers().select(cells.alias("value"), named.alias("kind"), *COLUMNS[2:])


def _at_registration(found: Verdicts, kinds: pl.Series, years: pl.Series, codes: CodeBook) -> None:
    """Answer for organisations whether their office's division was in force in the year beside them."""
    for kind, begin in _OFFICE.items():
        rows = truth(kinds == kind) & (found.division_known == 1) & ~truth(years.is_null())
        rows &= truth(years >= codes.divisions.since)
        if rows.any():
            chosen = pl.Series(rows)
            places = found.normalised.filter(chosen).str.slice(begin, 6).cast(pl.Int64).to_numpy()
            then = codes.divisions.in_force(places, years.filter(chosen).cast(pl.Int64).to_numpy())
            found.division_in_force[rows] = then | (places == organisations.NATIONAL)


def _guessed(spelling: Spelling, codes: CodeBook, on: date) -> tuple[pl.Series, Verdicts]:
    """Return the kind of each value and the verdicts on it as that kind."""
    guess = _Guess(spelling, codes, on)
    findings = Findings(spelling)
    for kind in guess.kinds.unique():
        rows = truth(guess.kinds == kind)
        if kind == UNKNOWN:
            findings.place(rows, _unrecognised(spelling.filter(rows)))
        else:
            findings.place(rows, JUDGES[kind](spelling.filter(rows), codes, on))
            if kind in _OLDER:
                full = rows & (findings.flags & BIT["registration_13"] == 0)
                findings.mark(_OLDER[kind], full & (findings.flags & union(["length", "alphabet", "placeholder"]) == 0))
    findings.mark("ambiguous", guess.ambiguous)
    return guess.kinds, findings.verdicts()


def _unrecognised(spelling: Spelling) -> Verdicts:
    """Say of values that fit no kind why: empty, a filler, damaged, a certificate's number in words, or misshapen."""
    findings = Findings(spelling)
    damaged = spelling.matches(SPREADSHEET)
    junk = (spelling.matches(PLACEHOLDER) | truth(spelling.text.is_in(list(organisations.JUNK_CODES)))) & ~damaged
    written = spelling.matches(_CERTIFICATE) & ~junk
    findings.mark("placeholder", junk)
    findings.mark("spreadsheet_damage", damaged)
    findings.mark("certificate_text", written)
    rest = ~truth(spelling.text.is_null()) & ~damaged & ~junk
    strange = ~spelling.matches("^[0-9A-Z]+$")
    findings.mark("alphabet", rest & strange)
    findings.mark("length", rest & ~strange)
    return findings.verdicts()


class _Guess:
    """Guess the kind of each value: text by its shape, what fits several kinds by check, date and place."""

    def __init__(self, spelling: Spelling, codes: CodeBook, on: date) -> None:
        self.codes, self.on = codes, on
        self.kinds = pl.Series("kind", dtype=pl.String).extend_constant(UNKNOWN, len(spelling.text))
        self.ambiguous = np.zeros(len(spelling.text), dtype=np.bool_)
        eighteen = (spelling.lengths() == 18) & spelling.plain()
        if eighteen.any():
            self._eighteen(spelling.filter(eighteen), eighteen)
        other = ~eighteen & ~truth(spelling.text.is_null())
        if other.any():
            self._others(spelling.filter(other), other)

    def _name(self, kind: str, rows: Mask) -> None:
        if rows.any():
            self.kinds = self.kinds.set(pl.Series(rows), kind)

    def _eighteen(self, spelling: Spelling, rows: Mask) -> None:
        letters = matrix(spelling.text, 18)
        numeric = digits(letters[:, :17])
        lettered = ~numeric & spelling.matches(taxpayers.PERSON_WITHOUT_ID) if not numeric.all() else ~numeric
        person = numeric.copy() if numeric.all() else self._mistyped(letters, spelling, ~numeric)
        if numeric.any():
            person[numeric] = self._are_people(letters[numeric], spelling.filter(numeric), rows, numeric)
        junk = resident_id.filler(letters)
        self._name("resident_id", _placed(rows, person & ~junk))
        self._name("taxpayer_number", _placed(rows, lettered))
        self._name("credit_code", _placed(rows, ~person & ~lettered & ~junk))

    def _are_people(self, letters: Matrix, spelling: Spelling, rows: Mask, numeric: Mask) -> Mask:
        """Return which of 17 digits and a character are citizen ID numbers rather than credit codes of digits."""
        found = resident_id.judge(spelling, self.codes, self.on)
        holds = (found.flags & BREAKING) == 0
        sums_up = within(letters) & (credit_check(letters) == letters[:, 17])
        person: Mask = holds.copy()
        doubt = sums_up | ~holds
        if not doubt.any():
            return person
        letters, holds, sums_up, flags = letters[doubt], holds[doubt], sums_up[doubt], found.flags[doubt]
        place = number(letters, 2, 8)
        office = self.codes.divisions.known(place)[0] | (place == organisations.NATIONAL)
        office &= registrable(letters, self.codes)
        inside = organisation_check(letters[:, 8:17]) == letters[:, 16]
        known = found.division_known[doubt] == 1
        dated = ((flags & BIT["calendar_date"]) == 0) & np.isin(number(letters, 6, 8), (18, 19, 20))
        placed = known & (letters[:, 0] != ord("9"))  # 9 begins enterprises' codes as well
        alive = dated & known & ((flags & union(["future_birth", "age"])) == 0)
        # A check alone says little: one wrong number in 31 passes that of credit codes.
        firm = np.where(office, sums_up & (inside | ~(holds & alive)), sums_up & ~holds & ~(dated & placed))
        firm |= ~sums_up & ~holds & ~dated & ~placed & office
        person[doubt] = ~firm
        self.ambiguous[np.flatnonzero(rows)[numeric][doubt]] = holds & sums_up & office
        return person

    def _mistyped(self, letters: Matrix, spelling: Spelling, odd: Mask) -> Mask:
        """Return which texts with a stray letter are a person's all the same: no code by its check, dated or placed."""
        suspects: Mask = odd & ~(within(letters) & (credit_check(letters) == letters[:, 17]))
        if not suspects.any():
            return suspects
        text = spelling.text.filter(pl.Series(suspects))
        century = truth(text.str.slice(6, 2).is_in(["18", "19", "20"]))
        dated = truth(resident_id.birth_dates(text).is_not_null()) & century
        part = spelling.filter(suspects)
        placed = self._divided(part, 0) & ~self._divided(part, 2)  # a person's division, and no office's
        found = suspects.copy()
        found[found] = dated | placed
        return found

    def _others(self, spelling: Spelling, rows: Mask) -> None:
        junk = spelling.matches(PLACEHOLDER) | truth(spelling.text.is_in(list(organisations.JUNK_CODES)))
        doubt = np.zeros(len(junk), dtype=np.bool_)
        nine = spelling.matches("^[0-9A-Z]{8}[0-9XB]$")
        coded = checked_tail(spelling, nine, 0)
        passport = spelling.matches(PASSPORT) & ~spelling.hyphenated
        passport &= ~(coded & spelling.matches("^(?:M[AB]|1[45])"))
        permit = spelling.matches(TRAVEL_PERMIT) & ~spelling.hyphenated
        permit &= spelling.matches("^[HMCWLT]") | ~_calendar(spelling.text)
        thirteen = spelling.matches("^[0-9]{13}$")
        doubt |= (passport | permit) & coded
        doubt |= permit & spelling.matches("^[0-9]+$")
        personal = spelling.matches(resident_id.PERSONAL_TAX)
        if personal.any():
            personal[personal] = resident_id.personal_tax(spelling.filter(personal).text)
        division = spelling.matches("^[0-9]{6}(?:[0-9]{3}|[0-9]{6})?$") & self._divided(spelling, 0)
        division &= ~(coded & nine)
        # The last that fits names the value, so the surest stand last.
        shapes = {
            "resident_id": spelling.matches("^[0-9]{14}$|^[0-9]{16,17}.?$|^[0-9]{19}$"),
            "organisation_code": nine | spelling.matches("^[0-9A-Z]{8}-?[0-9A-Z]$") & spelling.hyphenated,
            "travel_permit": permit,
            "passport": passport,
            "registration_number": thirteen,
            "institution_certificate": spelling.matches(INSTITUTION),
            "division_code": division | spelling.matches("^[0-9]{6}$"),
            "social_organisation_certificate": spelling.matches(SOCIAL_ORGANISATION) & spelling.matches("[证登]字"),
            "taxpayer_number": personal | spelling.matches(f"{taxpayers.TEMPORARY}|{taxpayers.SOLDIER}"),
        }
        for kind, mask in shapes.items():
            self._name(kind, _placed(rows, mask & ~junk))
        damaged = spelling.matches(r"^[1-9](?:\.[0-9]+)?E\+?17$")
        self._name("resident_id", _placed(rows, damaged))
        fifteen = spelling.matches("^[0-9A-Z]{15}$") & ~junk
        if fifteen.any():
            doubt |= self._fifteen(spelling, fifteen, rows)
        self.ambiguous[np.flatnonzero(rows)[doubt & ~junk]] = True

    def _fifteen(self, spelling: Spelling, fifteen: Mask, rows: Mask) -> Mask:
        """Name texts of 15 characters: a person, a registration, a taxpayer, or a foreigner; return the doubtful.

        Digits with a calendar date and a known division are a person's; else a registration when its check holds,
        else a taxpayer number when its organisation code holds, else a registration of an office of its own ways.
        """
        numeric = fifteen & spelling.matches("^[0-9]{15}$")
        registered = checked_registration(spelling, numeric)
        mixed = fifteen & spelling.matches(taxpayers.ORGANISATION)
        taxed = checked_tail(spelling, mixed & spelling.matches("[0-9X]$"), 6)
        born = truth(resident_id.old_birth_dates(spelling.text).is_not_null())
        cut = truth(resident_id.birth_dates(spelling.text).is_not_null()) & ~registered & ~taxed  # of 18 characters
        person = numeric & (born | cut) & self._divided(spelling, 0)
        foreigner = fifteen & spelling.matches(permanent_resident.FORM_2017)
        soldier = fifteen & spelling.matches(taxpayers.SOLDIER)
        self._name("taxpayer_number", _placed(rows, mixed & ~numeric | numeric & taxed | soldier))
        self._name("registration_number", _placed(rows, numeric & (registered | ~taxed)))
        self._name("resident_id", _placed(rows, person | foreigner))
        return (person & (registered | taxed)) | (registered & taxed)

    def _divided(self, spelling: Spelling, begin: int) -> Mask:
        """Return which texts hold a division that ever existed, or a permit's, in the six places from `begin` on."""
        part = spelling.text.str.slice(begin, 6)
        shaped = truth(part.str.contains("^[0-9]{6}$"))
        places = part.filter(pl.Series(shaped)).cast(pl.Int64).to_numpy()
        found = shaped.copy()
        found[shaped] = self.codes.divisions.known(places)[0] | np.isin(places, resident_id.PERMITS)
        return found


def _placed(rows: Mask, where: Mask) -> Mask:
    """Return a mask over all rows from one over some of them."""
    found = rows.copy()
    found[rows] = where
    return found


def _calendar(text: pl.Series) -> Mask:
    """Return which texts of eight digits read as a day of this or the last century."""
    shaped = text.set(~text.str.contains("^(?:19|20)[0-9]{6}$"), None)
    return truth(shaped.str.to_date("%Y%m%d", strict=False).is_not_null())
