"""Which mode a value inside arguments or an answer has, by the path that leads to it.

Pure. A path is the keys from the root, a list's positions counted from 0: `user.email`, `items.0.token`. In a pattern
`*` is any one step and `**` any number of them, none included; whatever lies below what a pattern names is named too.
The first pattern that matches counts; where none does, a value is there as its digest. What is called like a credential
(`password`, `api_key`, `Authorization`) is never clear nor masked unless a pattern without `**` writes that very name
out: a wildcard that shows more than its author thought of is how secrets get into logs.
Refuses to know: what a value looks like in its mode.
"""

from __future__ import annotations

import itertools
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ONE, MANY = "*", "**"
SEPARATOR: Final = "."
STEPS: Final = 16  # of a pattern
_SECRETIVE: Final = re.compile(
    "passw|passphrase|passcode|pwd|secret|token|apikey|accesskey|accountkey|privatekey|signingkey|encryptionkey"
    "|sharedkey|subscriptionkey|credential|authorization|authentication|bearer|cookie|sessionid|signature"
    "|connectionstring|onetimecode|verificationcode|assertion|key[0-9]*$"
)
_SECRETIVE_ALONE: Final = frozenset(
    ("auth", "creds", "dsn", "pass", "pin", "otp", "totp", "pat", "jwt", "sas", "sig", "cvv", "cvc", "session", "code")
)
Path = tuple[str, ...]


class Mode(StrEnum):
    """How a value is written down."""

    DROP = "drop"  # not at all; that it was there is counted
    HMAC = "hmac"  # as its digest, of text, numbers, booleans and null alike
    MASK = "mask"  # its kind, its length, and of long texts the last characters
    CLEAR = "clear"  # as it came, texts cut to a bound

    @property
    def shows(self) -> bool:
        """Whether anything of the value can be read."""
        return self in {Mode.MASK, Mode.CLEAR}


def is_secretive(key: str) -> bool:
    """Whether a key is called like a credential, however it is spelt: apiKey, API-KEY, x_api_key."""
    plain = "".join(filter(str.isalnum, key)).casefold()
    return plain in _SECRETIVE_ALONE or _SECRETIVE.search(plain) is not None


@frozen
class FieldModes:
    """Patterns and their modes, in the order in which they are tried."""

    patterns: tuple[tuple[Path, Mode], ...] = ()

    @classmethod
    def of(cls, modes: Mapping[str, Mode]) -> FieldModes:
        """The modes of patterns as they are written. Raises ValueError, with the pattern, for one that is none."""
        return cls(tuple((parse_pattern(written), mode) for written, mode in modes.items()))

    def at(self, path: Path) -> Mode:
        """The mode of the value that a path leads to."""
        for pattern, mode in self.patterns:
            if _names(pattern, path) and not (mode.shows and _guesses(pattern, path)):
                return mode
        return Mode.HMAC


ALL_DIGESTS = FieldModes()


def parse_pattern(written: str) -> Path:
    """The steps of a pattern. Raises ValueError, with the pattern, for an empty step and for too many."""
    steps = tuple(written.split(SEPARATOR))
    if not all(steps) or len(steps) > STEPS:
        raise ValueError(written)
    return steps


def _names(pattern: Path, path: Path) -> bool:
    """Whether a pattern names a path or something above it. Every step is taken once for all ways to match."""
    reached = set(_with_skips(pattern, {0}))
    for key in path:
        if len(pattern) in reached:
            return True
        reached = set(_with_skips(pattern, set(_onward(pattern, reached, key))))
    return len(pattern) in reached


def _with_skips(pattern: Path, places: set[int]) -> Iterator[int]:
    """Places in a pattern, and those that are reached from them by taking `**` for no step at all."""
    for place in places:
        skipped = itertools.takewhile(MANY.__eq__, pattern[place:])
        yield from (place, *(place + at for at, _ in enumerate(skipped, 1)))


def _onward(pattern: Path, places: Iterable[int], key: str) -> Iterator[int]:
    for place in places:  # none is the end: there it would be named already
        step = pattern[place]
        if step == MANY:
            yield place
        elif step in {ONE, key}:
            yield place + 1


def _guesses(pattern: Path, path: Path) -> bool:
    """Whether a path leads over a name like a credential's that the pattern, which matches, does not write out."""
    spelled = () if MANY in pattern else pattern
    return any(is_secretive(key) and spelled[at : at + 1] != (key,) for at, key in enumerate(path))
