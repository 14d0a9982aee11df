"""Pure functions on many records that met: duplicates, current state, matching, anonymity."""
