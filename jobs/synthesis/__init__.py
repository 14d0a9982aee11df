"""A synthetic city: people, legal entities and their departments' extracts, with the truth about every row."""
