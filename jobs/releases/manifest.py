"""The manifest: what a release is made of, from and by, in one canonical document that is signed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives import hashes

from jobs.releases.signing import Signer
from jobs.releases.verify import ATTESTATION, FORMAT, MANIFEST, SIGNATURE, merkle_root, sha256

SUMS = {"sha256": "SHA256SUMS", "sm3": "SM3SUMS"}
ATTESTATION_FORMAT = "open-release-attestation/1"


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return a document in canonical form (RFC 8785); raise TypeError for a fraction: write it as a decimal string."""
    _refuse_fractions(document)
    return rfc8785.dumps(dict(document))


def decimal(value: float, places: int) -> str:
    """Return a measured number as a decimal string, because JSON's fractions are read differently everywhere."""
    return f"{value:.{places}f}"


def sm3(path: Path) -> str:
    """Return a file's SM3 digest (GB/T 32905-2016) as 64 hex digits."""
    total = hashes.Hash(hashes.SM3())
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            total.update(chunk)
    return total.finalize().hex()


def files(folder: Path) -> list[dict[str, Any]]:
    """Return every file of a folder but those that are sealed: path, size, SHA-256, SM3; by path, bytewise."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return [
        {"path": name, "bytes": path.stat().st_size, "sha256": sha256(path), "sm3": sm3(path)}
        for name, path in sorted(found.items(), key=lambda one: one[0].encode())
        if name not in (MANIFEST, SIGNATURE, ATTESTATION)
    ]


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS and SM3SUMS over a folder's files, as `sha256sum --check` and its like read them."""
    listed = [one for one in files(folder) if one["path"] not in SUMS.values()]
    for algorithm, name in SUMS.items():
        text = "".join(f"{one[algorithm]}  {one['path']}\n" for one in listed)
        (folder / name).write_bytes(text.encode())


def seal(folder: Path, facts: Mapping[str, Any], attested: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """Write checksums, manifest, attestation and signatures into a finished folder; return the manifest.

    `facts` decide the manifest, and only they: same facts and files, same bytes. `attested` says who and when.
    """
    write_sums(folder)
    listed = files(folder)
    manifest = {"format": FORMAT, **facts, "files": listed, "root": merkle_root(listed)}
    data = canonical(manifest)
    attestation = canonical(
        {"format": ATTESTATION_FORMAT, "manifest_sha256": hashlib.sha256(data).hexdigest(), **attested}
    )
    (folder / MANIFEST).write_bytes(data)
    (folder / ATTESTATION).write_bytes(attestation)
    signature = {
        "algorithm": signer.algorithm, "public_key": signer.public.hex(), "manifest": signer.sign(data),
        "attestation": signer.sign(attestation),
    }
    (folder / SIGNATURE).write_bytes(canonical(signature))
    return manifest


def _refuse_fractions(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a manifest holds whole numbers and decimal strings only.")
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        _refuse_fractions(part)
