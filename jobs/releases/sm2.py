"""Check SM2 signatures fast: whoever lists releases looks at two of each, and `verify.py` takes tenths of a second.

The same mathematics in Jacobian coordinates (x/z², y/z³), which need one inversion where `verify.py` needs hundreds.
"""

from __future__ import annotations

from jobs.releases.verify import _SM2_B as _B
from jobs.releases.verify import _SM2_P as _P
from jobs.releases.verify import SM2_BASE, SM2_ORDER, Place, sm2_challenge, sm2_plus

PUBLIC_BYTES = 64  # both coordinates
Jacobian = tuple[int, int, int]  # z is 0 at infinity


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether an SM2 signature (GB/T 32918.2, 7.1; curve of GB/T 32918.5) is a public key's."""
    if len(public) != PUBLIC_BYTES or len(signature) != PUBLIC_BYTES:
        return False
    x, y = (int.from_bytes(half, "big") for half in (public[:32], public[32:]))
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    on_curve = x < _P and y < _P and (y * y - x * x * x + 3 * x - _B) % _P == 0
    both = (r + s) % SM2_ORDER
    if not on_curve or not (0 < r < SM2_ORDER and 0 < s < SM2_ORDER) or not both:
        return False
    total = _sum(s, both, (x, y))
    if not total[2]:
        return False
    place = total[0] * pow(total[2], -2, _P) % _P
    return (sm2_challenge(public, message) + place) % SM2_ORDER == r


def _sum(one: int, other: int, point: tuple[int, int]) -> Jacobian:
    """Return `one` times the base and `other` times a point, both at once (Shamir's trick)."""
    steps: dict[tuple[int, int], Place] = {(1, 0): SM2_BASE, (0, 1): point, (1, 1): sm2_plus(SM2_BASE, point)}
    total: Jacobian = (1, 1, 0)
    for bit in range(max(one.bit_length(), other.bit_length()) - 1, -1, -1):
        total = _twice(total)
        step = steps.get((one >> bit & 1, other >> bit & 1))
        if step is not None:
            total = _plus(total, step)
    return total


def _twice(one: Jacobian) -> Jacobian:
    # Explicit-Formulas Database, "dbl-2001-b", for curves whose a is -3.
    x, y, z = one
    delta, gamma = z * z % _P, y * y % _P
    beta, alpha = x * gamma % _P, 3 * (x - delta) * (x + delta) % _P
    new = (alpha * alpha - 8 * beta) % _P
    return new, (alpha * (4 * beta - new) - 8 * gamma * gamma) % _P, ((y + z) * (y + z) - gamma - delta) % _P


def _plus(one: Jacobian, other: tuple[int, int]) -> Jacobian:
    """Return the sum of a point and one whose z is 1."""
    x, y, z = one
    if not z:
        return (*other, 1)
    square = z * z % _P
    across, up = (other[0] * square - x) % _P, (other[1] * square * z - y) % _P
    if not across:
        return (1, 1, 0) if up else _twice(one)
    wide = across * across % _P
    wider, mid = across * wide % _P, x * wide % _P
    new = (up * up - wider - 2 * mid) % _P
    return new, (up * (mid - new) - y * wider) % _P, z * across % _P
