"""What a control record is about, in few words: who did it or whose it is, and what it was done to.

Pure. For tables: nothing here is a decision, and whatever a record says is taken as it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json

    Record = Mapping[str, Json]

PREFIX: Final = "mcpgov.control."


def who(record: Record) -> Json:
    """Who did it, or whom it is about: an admin goes by their name, a reload by whose the files are."""
    name = "name" if _said(record, "admin") else "owner"
    return _said(record, "principal") or _said(record, name)


def which(record: Record) -> Json:
    """Which connection, export, store, API Center or key it is about."""
    names = ("connection", "export", "sink", "api_center", *(() if _said(record, "admin") else ("name",)))
    return next((said for name in names if (said := _said(record, name))), None)


def details(record: Record) -> dict[str, Json]:
    """Everything that it says, by its short name, but for the event and for who did it."""
    shown = {name.removeprefix(PREFIX): value for name, value in record.items() if name.startswith(PREFIX)}
    left_out = ("event", "principal", *(("name",) if _said(record, "admin") else ()))
    return {name: value for name, value in shown.items() if name not in left_out}


def _said(record: Record, name: str) -> Json:
    return record.get(f"{PREFIX}{name}")
