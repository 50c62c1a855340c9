"""How the tools of a server come to be trusted: the key `pin` of a catalog entry (docs/pinning.md).

Pure. A word and nothing more, so that a connection can carry it to those who judge by it.
"""

from __future__ import annotations

from enum import StrEnum


class PinMode(StrEnum):
    """What becomes of a tool that nobody has approved as it is now."""

    REQUIRE = "require"  # it waits for a person
    TRUST_ON_FIRST_USE = "trust-on-first-use"  # the same, but for what is listed the first time
    OFF = "off"  # nobody looks
