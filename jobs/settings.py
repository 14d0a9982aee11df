"""The only reader of the environment: `LAKE_*` variables, validated once."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Hold where the lake's state lives and how its engine runs.

    Every field is read from `LAKE_<NAME>`; unset means the default. Paths may be relative to the current folder.
    """

    model_config = SettingsConfigDict(env_prefix="LAKE_", frozen=True, extra="ignore")

    root: Path = Field(default=Path(".lake"), description="folder that holds the lake's state")
    storage: str | None = Field(
        default=None, pattern=r"^s3://[a-z0-9][a-z0-9-]{1,40}/?$",
        description="s3://NAME keeps the lake in buckets NAME-landing, NAME-silver and so on; unset: in ROOT",
    )
    storage_endpoint: str = Field(
        default="http://127.0.0.1:9000", pattern=r"^https?://[^/@]+/?$", description="where the object store answers"
    )
    storage_region: str = Field(default="us-east-1", description="region of the object store")
    storage_access_key: SecretStr | None = Field(default=None, description="user of the object store")
    storage_secret_key: SecretStr | None = Field(default=None, description="that user's key")
    landing_lock_days: int = Field(
        default=365, ge=1, description="how long a bucket of landed bytes locks what comes in (governance mode)"
    )
    raw: Path | None = Field(
        default=None, description="departments' drop boxes; default ROOT/raw, or the bucket NAME-raw"
    )
    schemas: Path = Field(default=PROJECT / "schemas", description="contracts, registers, types, code lists")
    expectations: Path = Field(default=PROJECT / "expectations", description="shared rules of quality")
    portal: str = Field(
        default="https://open-data.example.gov/", pattern=r"^https?://.*/$",
        description="address of the open-data site, with its last slash; descriptions of releases name it",
    )
    signature: Literal["Ed25519", "SM2"] = Field(
        default="Ed25519", description="what releases are signed by: Ed25519 or SM2; chosen before the first release"
    )
    commit: str | None = Field(default=None, description="commit of the code, where it is deployed without git")
    master_key: Path | None = Field(default=None, description="file that seals the key ring; default: in ROOT/keys")
    master_key_base64: SecretStr | None = Field(default=None, description="the key itself, instead of a file")
    kms_url: str | None = Field(default=None, description="service that gives the master key, instead of a file")
    kms_token: SecretStr | None = Field(default=None, description="bearer token for that service")
    spark: str | None = Field(default=None, description="sc://host:port or local[N]; unset: the lake's own engine")
    engine_memory: str = Field(default="2g", description="heap of the local engine")
    engine_cores: int = Field(default=2, ge=1, description="worker threads of the local engine")
    engine_rows: int = Field(
        default=500_000, ge=0, description="a step over more rows than these goes to the engine's workers"
    )
    engine_port: int = Field(default=0, ge=0, le=65535, description="port of the local engine; 0: any free one")
    jars: Path | None = Field(default=None, description="folder of the engine's jars; default: the user's cache")
    maven_url: str = Field(default="https://repo1.maven.org/maven2", description="where `make setup` fetches jars")
    lease_seconds: int = Field(default=120, ge=5, description="how long a writer's lease lives without renewal")
    lease_wait_seconds: int = Field(default=300, ge=0, description="how long a writer waits for another's lease")
    max_cell_bytes: int = Field(default=1 << 20, ge=1024, description="a larger cell sends its row to quarantine")
    max_record_bytes: int = Field(default=16 << 20, ge=1024, description="a longer record (or line) goes to quarantine")
    max_file_bytes: int = Field(default=64 << 30, ge=1024, description="a larger delivery is refused")
    max_columns: int = Field(default=16_384, ge=1, description="a wider table is refused")
    max_cells: int = Field(default=100_000_000, ge=1, description="a worksheet that spans more cells is refused")
    max_depth: int = Field(default=64, ge=2, description="deeper JSON or XML is refused")
    max_unpacked_bytes: int = Field(default=16 << 30, ge=1024, description="what unpacks to more is refused")
    max_expansion: int = Field(default=300, ge=2, description="what unpacks to more times its size is refused")
    max_members: int = Field(default=1_000, ge=1, description="an archive of more files is refused")

    @cached_property
    def home(self) -> Path:
        """Return the lake's folder as an absolute path."""
        return self.root.expanduser().resolve()

    @cached_property
    def drop_box(self) -> Path:
        """Return the folder of the departments' drop boxes as an absolute path."""
        return (self.raw or self.home / "raw").expanduser().resolve()

    @cached_property
    def cache(self) -> Path:
        """Return the user's cache folder for what several lakes share."""
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base) / "government-data-lake"

    @cached_property
    def java_home(self) -> str | None:
        """Return JAVA_HOME, where it is set."""
        return os.environ.get("JAVA_HOME") or None

    @staticmethod
    def filled(template: str) -> str:
        """Return a source's URL with its {NAMES} filled from the environment; raise KeyError for one not set."""
        return template.format_map(os.environ)
