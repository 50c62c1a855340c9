"""What one request at /mcp may see: the members of its caller, what they list, and whose a name is.

Rules: the members are those of the setting that the caller's scope lets it reach; a caller without any sees an empty
server. Whose a name is comes from the lists as this caller sees them, so a tool that is hidden from it is nobody's.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from mcpgov.aggregate.asking import Asking
from mcpgov.aggregate.events import CHANGES, WATCHED, watched
from mcpgov.aggregate.merging import RESOURCES, TEMPLATES, Templates, merged
from mcpgov.aggregate.naming import Naming, members_of
from mcpgov.aggregate.sessions import KNOWN_FOR, SURE_FOR
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.aggregate.merging import Listed
    from mcpgov.aggregate.naming import Item
    from mcpgov.aggregate.sessions import KnownNames, Owners, Session, Sessions
    from mcpgov.aggregate_settings import Aggregate
    from mcpgov.models import Json, MCPRequest, Principal
    from mcpgov.pipeline import Stages
    from mcpgov.snapshot import Snapshot
    from mcpgov.strict_json import JsonLimits


@frozen
class Shared:
    """What all requests at /mcp have in common."""

    stages: Stages
    limits: JsonLimits
    sessions: Sessions
    names: KnownNames


class Visit:
    """One request: who asks, for what, in which session (None before there is one, and in the STATELESS era)."""

    def __init__(
        self, shared: Shared, snapshot: Snapshot, settings: Aggregate, principal: Principal, request: MCPRequest
    ) -> None:
        scope = principal.scope.connections
        members = members_of(settings.connections, snapshot.connections, scope)
        self.naming = Naming(members, settings.prefix, settings.separator)
        self.searching = settings.search_tools
        self.request = request
        self.principal = principal.id
        self.session: Session | None = None
        own = replace(snapshot, connections=MappingProxyType({name: snapshot.connections[name] for name in members}))
        self.asking = Asking(shared.stages, shared.limits, own, principal, request, settings.timeout)
        self._names = shared.names
        self._looked: set[str] = set()
        self._templates: Templates | None = None
        self._key = (self.principal, request.era.value)
        self._stamp = snapshot.stamp

    async def items(self, listed: Listed) -> tuple[list[Item], list[str]]:
        """The merged list, and the members that did not answer."""
        found, unavailable = await self.asking.lists(listed, self.session)
        items = merged(listed, self.naming, found)
        owners = {item.name: (item.member, item.own) for item in items}
        self._names.learn((*self._key, listed.method), self._stamp, owners)
        return items, unavailable

    async def owner(self, listed: Listed, name: str) -> tuple[str, str]:
        """The member whose `name` is, and its own name there. Raises Refusal (tool-hidden) where it is nobody's."""
        always = self.naming.prefix == "always" and listed.renamed
        owner = self.naming.split(name) if listed.renamed and self.naming.prefix != "never" else None
        if owner is None and not always:
            owner = await self._asked(listed, lambda owners: owners.get(name))
        if owner is None and listed is RESOURCES:
            owner = await self._asked(TEMPLATES, lambda owners: self._read(owners).owner(name))
        if owner is None or owner[0] not in self.naming.members:
            raise unknown()
        return owner

    async def wanted(self, asked: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
        """What each member is to tell of, where the client wants to be told of `asked`: of resources, their own."""
        changes: dict[str, Json] = {key: True for key in CHANGES if asked.get(key) is True}
        if WATCHED not in asked:
            return {member: dict(changes) for member in self.naming.members}
        own: dict[str, list[Json]] = {member: [] for member in self.naming.members}
        for uri in watched(asked):
            await asyncio.sleep(0)  # a member may have ten thousand templates: others get their turn between two URIs
            with suppress(Refusal):  # it is nobody's
                own[(await self.owner(RESOURCES, uri))[0]].append(uri)
        return {member: {**changes, WATCHED: uris} for member, uris in own.items()}

    def _read(self, owners: Owners) -> Templates:
        """The templates, read once a request."""
        if self._templates is None or self._templates.owners is not owners:
            self._templates = Templates(owners)
        return self._templates

    async def _asked(self, listed: Listed, pick: Callable[[Owners], tuple[str, str] | None]) -> tuple[str, str] | None:
        """What is picked from a list: from what it said before, or, where that has it not, from the list itself."""
        key = (*self._key, listed.method)
        owner = pick(self._names.known(key, self._stamp, KNOWN_FOR) or {})
        again = listed.method in self._looked or self._names.known(key, self._stamp, SURE_FOR) is not None
        if owner is None and not again:
            self._looked.add(listed.method)  # a request with many names waits for those that hang only once
            await self.items(listed)
            owner = pick(self._names.known(key, self._stamp, KNOWN_FOR) or {})
        return owner


def unknown() -> Refusal:
    """The refusal of a name that is nobody's: it is answered as one that a rule hides."""
    return Refusal(Reason.TOOL_HIDDEN, "There is nothing of that name.", detail="no connection of the aggregate has it")
