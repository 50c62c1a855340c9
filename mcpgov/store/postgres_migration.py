"""The same as migration.py for a store in PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from mcpgov.store.database import STEPS
from mcpgov.store.migration import StoreVersion
from mcpgov.store.postgres_database import (
    READ_ONLY,
    bring_up_to_date,
    connect,
    place,
    schema_version,
    unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Secret


class PostgresMigration:
    """The store in one database. `steps` are those to the newest version."""

    def __init__(self, url: Secret, steps: Mapping[int, tuple[str, int]] = STEPS) -> None:
        self._url = url
        self._steps = steps
        self._newest = max(version for _, version in steps.values())

    def version(self) -> StoreVersion:
        """What there is. Raises StoreUnavailable, InvalidConfiguration (newer)."""
        with unavailable(), closing(connect(self._url, settings=READ_ONLY)) as connection:
            return StoreVersion(place(self._url), schema_version(connection, self._newest), self._newest)

    def migrate(self) -> StoreVersion:
        """Take the steps that are left, from none on: an account that may make tables can be another than the
        gateway's. What there was before. Raises StoreUnavailable, InvalidConfiguration (newer).
        """
        before = self.version()
        if not before.current:
            with unavailable(), closing(connect(self._url)) as connection:
                bring_up_to_date(connection, self._steps)
        return before
