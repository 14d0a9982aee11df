"""Work on one record at a time: clean, cast, check, judge, protect. Pure functions on Polars columns."""
