"""Which number a release gets whose dataset may have lain in other zones before, and whether it leaves one now."""

from __future__ import annotations

from jobs import layers
from jobs.contract import Contract
from jobs.releases import listing
from jobs.releases.build import Draft
from jobs.releases.listing import Released
from jobs.releases.versions import next_version, version_key
from jobs.storage.objects import Store


def numbered(objects: Store, made: Draft) -> tuple[str, list[str]]:
    """Return the version a draft has and what it breaks; after a withdrawn version there is always a new one.

    So there is where the same rows may be public until another day. After one that was withdrawn damaged it is a major
    one.

    A dataset's versions are numbered together in all zones. What it breaks is told by the last one of its own zone, of
    which alone its readers know.
    """
    contract = made.contract
    assert contract.release is not None
    before, zone = listing.versions(objects, contract.name), layers.zone(contract.release.mode)
    own = [one for one in before if one.zone is zone]
    about = made.documents, made.terms, made.content
    version, breaking = next_version(own[-1].manifest if own else None, *about)
    if mine := listing.withdrawn_last(objects, contract.name, zone):
        breaking = [f"version {mine} was withdrawn damaged"]  # what its readers must fear nobody can tell any more
    elif own and not own[-1].withdrawn and version == own[-1].version and _as_long(own[-1], made):
        return version, []
    if lost := listing.withdrawn_last(objects, contract.name):
        return f"{version_key(lost)[0] + 1}.0.0", breaking
    # Whatever breaks readers of the zone's last version broke those of some version since: the number says it, too.
    version, _ = next_version(before[-1].manifest if before else None, *about)
    if before and version == before[-1].version:
        major, minor, patch = version_key(version)
        version = f"{major}.{minor}.{patch + 1}"
    return version, breaking


def _as_long(one: Released, made: Draft) -> bool:
    """Tell whether a version says the day until which its rows may be public as a draft of the same rows would."""
    return one.manifest.get("shown_until") == (made.until.isoformat() if made.until else None)


def moved(objects: Store, contract: Contract) -> str | None:
    """Say to who approves a release that it would lie in another zone than the version before it; None where it stays.

    What lies in the zone it leaves stays there until it is withdrawn, for whoever may read it.
    """
    assert contract.release is not None
    before, zone = listing.versions(objects, contract.name), layers.zone(contract.release.mode)
    if not before or before[-1].zone is zone:
        return None
    left = before[-1].zone
    there = [one.version for one in before if one.zone is left and not one.withdrawn]
    stay = f"{', '.join(there)} stay in {left}/ until withdrawn" if there else f"all in {left}/ are withdrawn"
    if layers.ZONES.index(zone) < layers.ZONES.index(left):
        what = f"比以往更开放 · MORE OPEN than before: from {left}/ to {zone}/"
    else:
        what = f"比以往更封闭 · MORE CLOSED than before: from {left}/ to {zone}/, which calls nothing back"
    return f"{what}; versions: {stay}"
