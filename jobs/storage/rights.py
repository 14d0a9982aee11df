"""Who may reach which bucket: one bucket and one pair of policies per layer, and users made of them.

| user | may |
|---|---|
| `<lake>-engineer` | what Airflow and `lake` do: read and write everywhere, never a landed version out of its lock |
| `<lake>-analyst` | read gold and open |
| `<lake>-reader` | read open |
| `<lake>-recipient` | read controlled releases: somebody bound by an agreement |
| `<lake>-enclave` | read what may be looked at in the enclave alone |
| `<lake>-<department>` | its own drop box, and its own rejected rows to read |

Landing keeps every version, under an object lock in governance mode. Who holds the server's own keys can do all of it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from minio import MinioAdmin
from minio.commonconfig import ENABLED, GOVERNANCE, Filter
from minio.credentials.providers import StaticProvider
from minio.error import S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.objectlockconfig import DAYS, ObjectLockConfig
from minio.versioningconfig import VersioningConfig

from jobs import layers
from jobs.errors import StorageError
from jobs.layers import Layer
from jobs.storage.buckets import Bucket
from jobs.storage.objects import storage_errors

if TYPE_CHECKING:
    from minio import Minio

READ = ("s3:GetObject",)
WRITE = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
LIST = ("s3:ListBucket", "s3:GetBucketLocation")
STAGED_DAYS = 2  # rows on their way that a dead run left are older than any task
READERS = {
    "analyst": (Layer.GOLD, Layer.OPEN), "reader": (Layer.OPEN,), "recipient": (Layer.CONTROLLED,),
    "enclave": (Layer.ENCLAVE,),
}
Policy = Mapping[str, Any]


def set_up(bucket: Bucket, departments: Iterable[str], retention_days: int) -> list[dict[str, str]]:
    """Make a lake's buckets, policies and users, those that are missing; return each with what was done.

    A new user's keys go to `keys/users/<user>.env` of this machine's folder and nowhere else; a user that is there
    keeps its keys. Raises StorageError for a landing bucket that was made without object lock.
    """
    with storage_errors(f"s3://{bucket.lake}"):
        done = [_bucket(bucket, part, retention_days) for part in layers.ROOMS]
        admin = MinioAdmin(
            endpoint=bucket.access.host, region=bucket.access.region, secure=bucket.access.scheme == "https",
            credentials=StaticProvider(bucket.access.access_key, bucket.access.secret_key),
        )
        granted = policies(bucket.lake, departments)
        for name, policy in granted.items():
            admin.policy_add(name, policy=dict(policy))
            done.append({"kind": "policy", "name": name, "done": "set"})
        known = set(json.loads(admin.user_list()))
        for user, names in users(bucket.lake, departments).items():
            done.append({"kind": "user", "name": user, "done": _user(bucket, admin, user, known=user in known)})
            admin.policy_set(",".join(names), user=user)
    return done


def policies(lake: str, departments: Iterable[str]) -> dict[str, Policy]:
    """Return policy name → policy: to read and to write each bucket, and each department's own."""
    found: dict[str, Policy] = {}
    for part in layers.ROOMS:
        bucket = layers.bucket(lake, part)
        for verb, actions in (("read", READ), ("write", WRITE)):
            found[f"{lake}-{verb}-{part}"] = _policy(_listing(bucket), _objects(bucket, "*", actions))
    for department in departments:
        raw, quarantine = layers.bucket(lake, Layer.RAW), layers.bucket(lake, Layer.QUARANTINE)
        own, rejected = f"{department}/*", f"{layers.slug(f'{department}/')}*"
        found[f"{lake}-department-{department}"] = _policy(
            _listing(raw, own), _objects(raw, own, WRITE), _listing(quarantine, rejected),
            _objects(quarantine, rejected, READ),
        )
    return found


def users(lake: str, departments: Iterable[str]) -> dict[str, list[str]]:
    """Return user → the names of its policies."""
    return {
        f"{lake}-engineer": [f"{lake}-write-{part}" for part in layers.ROOMS],
        **{f"{lake}-{who}": [f"{lake}-read-{part}" for part in parts] for who, parts in READERS.items()},
        **{f"{lake}-{one}": [f"{lake}-department-{one}"] for one in departments},
    }


def _policy(*statements: Policy) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _objects(bucket: str, below: str, actions: Iterable[str]) -> Policy:
    return {"Effect": "Allow", "Action": list(actions), "Resource": [f"arn:aws:s3:::{bucket}/{below}"]}


def _listing(bucket: str, below: str = "") -> Policy:
    condition = {"Condition": {"StringLike": {"s3:prefix": [below]}}} if below else {}
    actions = LIST[:1] if below else LIST
    return {"Effect": "Allow", "Action": list(actions), "Resource": [f"arn:aws:s3:::{bucket}"], **condition}


def _bucket(bucket: Bucket, part: str, retention_days: int) -> dict[str, str]:
    name, client = layers.bucket(bucket.lake, part), bucket.access.client()
    there = client.bucket_exists(name)
    if not there:
        client.make_bucket(name, object_lock=part == Layer.LANDING)
    if part == Layer.LANDING:
        _lock(client, name, retention_days)
    if part == Layer.OPS:
        ends = Expiration(days=STAGED_DAYS)
        rule = Rule(ENABLED, rule_filter=Filter(prefix="staging/"), rule_id="staged-rows", expiration=ends)
        client.set_bucket_lifecycle(name, LifecycleConfig([rule]))
    return {"kind": "bucket", "name": name, "done": "kept" if there else "made"}


def _lock(client: Minio, name: str, days: int) -> None:
    try:
        client.get_object_lock_config(name)
    except S3Error as error:
        if error.code != "ObjectLockConfigurationNotFoundError":
            raise
        raise StorageError(
            "the bucket was made without object lock, which cannot be added.", where=name,
            remedy="copy what it holds elsewhere, remove it, and set up again.",
        ) from None
    client.set_bucket_versioning(name, VersioningConfig(ENABLED))
    client.set_object_lock_config(name, ObjectLockConfig(GOVERNANCE, days, DAYS))


def _user(bucket: Bucket, admin: MinioAdmin, user: str, *, known: bool) -> str:
    """Make a user whose keys are in a file of this machine; one that is known stays as it is."""
    file = f"keys/users/{user}.env"
    if known:
        return "kept"
    key = secrets.token_urlsafe(30)
    text = f"LAKE_STORAGE_ACCESS_KEY={user}\nLAKE_STORAGE_SECRET_KEY={key}\n"
    bucket.own.remove(file)  # of a user that is no more
    bucket.own.create(file, text.encode(), mode=0o600)
    admin.user_add(user, key)
    return f"made; its keys are in {bucket.own.local(file)}"
