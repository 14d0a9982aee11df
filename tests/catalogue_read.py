"""What a process forked from the one that imported this need not read: the project's own catalogue."""

from jobs.catalogue import load_catalogue
from jobs.settings import PROJECT

load_catalogue(PROJECT / "schemas")
