"""What a process forked from the one that imported this need not read: the project's own catalogue."""

from contextlib import suppress

from jobs.catalogue import load_catalogue
from jobs.errors import ContractError
from jobs.settings import PROJECT

with suppress(ContractError):  # whoever reads it next will say so
    load_catalogue(PROJECT / "schemas")
