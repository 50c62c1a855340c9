"""The verbs that look after a gateway: `check`, `doctor`, `store`, `backup`, `restore`. One place hands them what they
need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mcpgov.cli.backup import add_backup, add_restore
from mcpgov.cli.check import add_check
from mcpgov.cli.doctor import add_doctor
from mcpgov.cli.store import build_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    import typer

    from mcpgov.backup.saving import Gateway
    from mcpgov.cli.doctor import Examined
    from mcpgov.cli.store import Migration


class Opens(Protocol):
    """What these verbs open."""

    @property
    def now(self) -> Callable[[], datetime]:
        """The time."""
        ...

    @property
    def newest(self) -> int:
        """The schema that this release reads."""
        ...

    def examination(self, config: Path | None, workers: int, *, offline: bool) -> Examined:
        """What the doctor looks at."""
        ...

    def migrations(self, config: Path | None) -> Sequence[Migration]:
        """The schema of each store."""
        ...

    def to_save(self, config: Path | None) -> Gateway:
        """The gateway of a settings file."""
        ...

    def dump(self, config: Path | None) -> str:
        """What saves a store that is a server."""
        ...

    def find_store(self, config: Path | None) -> Path | None:
        """The file of the store; None where that is a server."""
        ...


def add_care(app: typer.Typer, opens: Opens) -> None:
    """Add the verbs."""
    add_check(app)
    add_doctor(app, opens.examination)
    app.add_typer(build_store(opens.migrations), name="store")
    add_backup(app, opens.to_save, opens.dump, opens.now)
    add_restore(app, opens.find_store, opens.newest)
