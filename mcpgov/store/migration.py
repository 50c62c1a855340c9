"""Which version the schema of a store has, and how it is brought to the one that this release wants, by hand.

A gateway does the same when it starts. This is for who wants to know beforehand, or has to: an account that may change
tables, a store that several gateways share. Steps are in database.py; each only adds, so that gateways of the release
before go on writing meanwhile and afterwards, until they end.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.store.database import (
    SCHEMA_VERSION,
    STEPS,
    bring_up_to_date,
    connect,
    connect_to_read,
    schema_version,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PATIENCE: Final = 60.0  # seconds to wait for gateways that write, each of which lets go after a batch


@frozen
class StoreVersion:
    """A store and the version of its schema; `found` is 0 where there is none. `made_at_start`: a gateway makes it."""

    place: str
    found: int
    wanted: int = SCHEMA_VERSION
    made_at_start: bool = False

    @property
    def current(self) -> bool:
        """Whether there is nothing to be done."""
        return self.found == self.wanted or self.made_at_start


class SqliteMigration:
    """The store in one file. `steps` are those to the newest version."""

    def __init__(self, path: Path, steps: Mapping[int, tuple[str, int]] = STEPS) -> None:
        self._path = path
        self._steps = steps
        self._newest = max(version for _, version in steps.values())

    def version(self) -> StoreVersion:
        """What there is. Raises StoreUnavailable, InvalidConfiguration (newer)."""
        if not self._path.exists():
            return StoreVersion(str(self._path), 0, self._newest, made_at_start=True)
        with unavailable(self._path), closing(connect_to_read(self._path, self._newest)) as database:
            return StoreVersion(str(self._path), schema_version(database, self._path, self._newest), self._newest)

    def migrate(self) -> StoreVersion:
        """Take the steps that are left; a file that is not there is left to the gateway. What there was before.

        Raises StoreUnavailable, InvalidConfiguration (newer).
        """
        before = self.version()
        if not before.current:
            with unavailable(self._path), closing(connect(self._path, busy=PATIENCE)) as database:
                bring_up_to_date(database, self._path, self._steps)
        return before
