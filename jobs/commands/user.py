"""Who runs a command."""

from __future__ import annotations

import os
import pwd


def user() -> str:
    """Return who runs this as the operating system knows it: what the environment calls a user is anybody's to set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that nobody has
        return f"user {os.getuid()}"
