"""How easily a table's rows can be told apart, and what telling them apart would give away."""
