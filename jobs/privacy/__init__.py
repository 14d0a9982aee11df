"""Whether a row can be told apart: secrets, scanners, pseudonyms."""
