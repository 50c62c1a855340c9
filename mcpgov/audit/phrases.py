"""What records say again and again, put into words once: who calls, and where calls go.

A phrase is believed only for what it was made of: a caller of the same id with other claims, and a connection of the
same name after a reload, are put into words anew. Of a caller nothing is kept that a record does not say: no token.
Memory: KNOWN callers and as many upstreams; who has met more begins anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from mcpgov.audit.fields import of_principal, of_upstream
from mcpgov.audit.redact import clip

if TYPE_CHECKING:
    from mcpgov.models import Connection, Principal

KNOWN: Final = 512


class Caller(NamedTuple):
    """A principal as records say it, and as the columns have it."""

    principal: Principal | None = None
    members: str = ""
    id: str | None = None
    name: str | None = None
    project: str | None = None


NOBODY: Final = Caller()


class Phrases:
    """The phrases of one ledger."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._upstreams: dict[tuple[str, str | None], tuple[Connection, str]] = {}

    def caller(self, principal: Principal) -> Caller:
        """Who calls."""
        known = self._callers.get(principal.id)
        if known is not None and (known.principal is principal or known.principal == principal):
            return known
        columns = [clip(text) or None for text in (principal.id, principal.name, principal.project)]
        kept = replace(principal, assertion=None) if principal.assertion else principal
        if len(self._callers) >= KNOWN:
            self._callers.clear()
        made = self._callers[principal.id] = Caller(kept, of_principal(principal), *columns)
        return made

    def upstream(self, connection: Connection, backend: str | None) -> str:
        """Where it goes; `backend` stands for the connection's own URL where a policy chose one."""
        place = (connection.name, backend)
        known = self._upstreams.get(place)
        if known is not None and known[0] is connection:
            return known[1]
        if len(self._upstreams) >= KNOWN:
            self._upstreams.clear()
        members = of_upstream(connection, backend)
        self._upstreams[place] = (connection, members)
        return members
