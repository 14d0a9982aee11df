"""The `lake` verbs, by room; each opens the lake, calls one function and prints what came of it."""
