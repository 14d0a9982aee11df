"""One file per format; each yields records, none decides whether a value is good."""
