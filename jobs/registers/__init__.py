"""Base registers: entity ids, claims, and the fold that turns claims into one row per entity. All of it pure."""
