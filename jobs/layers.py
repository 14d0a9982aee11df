"""The only place that forms the name of a table, folder, Asset or DAG."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath


class Layer(StrEnum):
    """Name the lake's layers in the order data passes through them."""

    RAW = "raw"
    LANDING = "landing"
    BRONZE = "bronze"
    SILVER = "silver"
    QUARANTINE = "quarantine"
    REGISTERS = "registers"
    GOLD = "gold"
    OPEN = "open"
    CONTROLLED = "controlled"
    ENCLAVE = "enclave"
    OPS = "ops"


ROOMS = (*(layer.value for layer in Layer), "keys")  # what a name of an object may begin with


# Where releases of a mode lie (GB/T 37964): each zone has rights, a catalogue and a log of its own.
_ZONES = {"public": Layer.OPEN, "controlled": Layer.CONTROLLED, "enclave": Layer.ENCLAVE}
ZONES = tuple(_ZONES.values())


def zone(mode: str) -> Layer:
    """Return the zone that releases of a mode lie in."""
    return _ZONES[mode]


def mode(zone: Layer) -> str:
    """Return the mode of what lies in a zone."""
    return next(mode for mode, place in _ZONES.items() if place is zone)


def zone_address(portal: str, zone: Layer) -> str:
    """Return a zone's address: the open-data site's for what is open, a folder of its own beside it for the others."""
    return portal if zone is Layer.OPEN else f"{portal}{zone.value}/"


def slug(dataset: str) -> str:
    """Return `department__dataset`, the dataset's name where a slash may not stand."""
    return dataset.replace("/", "__")


def dataset_of(slug: str) -> str:
    """Return the dataset whose slug this is."""
    return slug.replace("__", "/", 1)


def table_path(layer: Layer, name: str) -> PurePosixPath:
    """Return the folder of a table below the lake's root, such as `silver/civil_affairs__deaths`."""
    return PurePosixPath(layer.value, slug(name))


def bucket(lake: str, part: str) -> str:
    """Return the bucket of a layer, or of one of the lake's own rooms such as `keys`: `citylake-silver`."""
    return f"{lake}-{part}"


def landing_path(dataset: str, batch: str = "") -> PurePosixPath:
    """Return the folder that keeps a dataset's (or one batch's) delivered bytes."""
    return PurePosixPath(Layer.LANDING, dataset, batch)


def release_path(dataset: str, version: str = "", zone: Layer = Layer.OPEN) -> PurePosixPath:
    """Return the folder of a dataset's releases in a zone, or of one version."""
    return PurePosixPath(zone, slug(dataset), version)


RISK_PAGES = PurePosixPath(Layer.OPS, "risk")


def risk_page_path(dataset: str, content: str) -> PurePosixPath:
    """Return where the page lies that shows who approves a release the risk of its rows, which `content` names."""
    return RISK_PAGES / slug(dataset) / f"{content}.html"


# Delta refuses these in column names; a department's header may well have them.
_LOOKALIKES = str.maketrans(" ,;{}()\n\t=", "\u00a0，；｛｝（）␊␉＝")


def column_name(source_column: str) -> str:
    """Return the bronze column that holds a source column: the same name, characters Delta refuses replaced."""
    return source_column.translate(_LOOKALIKES)


def asset_name(layer: Layer, name: str) -> str:
    """Return the Airflow Asset that stands for a table: `silver.civil_affairs__deaths`."""
    return f"{layer.value}.{slug(name)}"


def asset_uri(asset: str) -> str:
    """Return the URI of an Asset: `lake://silver/civil_affairs__deaths`."""
    return "lake://" + asset.replace(".", "/", 1)


def dag_name(kind: str, name: str) -> str:
    """Return a DAG's id: `dataset.civil_affairs__deaths`, `register.person`, `open.products__population`."""
    return f"{kind}.{slug(name)}"
