"""From a file nobody has seen before to a contract, and from a contract to a checked file, without Java."""
