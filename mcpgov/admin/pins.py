"""/admin/v1/catalog/{server}/…: what of a server's tools waits for a person, and what is decided about it.

A decision names the definition that its maker was shown, and the place of the server where there are several that list
it. Where the server lists another one by now, nothing is decided.
The rules are in pinning/judgement.py; who decided stands in the ledger before it is in force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mcpgov.admin.access import AdminRefusal, Fault, Role
from mcpgov.admin.routes import Asked, Parameter, Reply, Route
from mcpgov.frozen import frozen
from mcpgov.pinning.approval import described, look_at, meant, name_of
from mcpgov.pinning.judgement import Pin, approve, reject
from mcpgov.pinning.place import name_in, place_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mcpgov.admin.access import Person
    from mcpgov.admin.parts import AdminParts, Server
    from mcpgov.pinning.approval import Looked

Deciding = Callable[[Pin, str], Pin]

DECISION: Final = (
    Parameter("tool", "The tool.", required=True),
    Parameter("digest", "The digest of the definition that was shown, whole.", required=True),
    Parameter("place", "The place of the server; needed where the definition waits at several."),
)


@frozen
class Wanted:
    """A tool that is to be decided about, as it was shown; without a `place`, where it waits."""

    tool: str
    digest: str
    place: str = ""


class PinRoutes:
    """The routes over the tools of a server."""

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        at, act, made = "/catalog/{server}", Role.OPERATOR, "The tool, and its state from now on."
        tools = "Each tool: its state, what changed since it was approved, what was found in it."
        return (
            Route("GET", f"{at}/pins", Role.VIEWER, "List the tools of a server.", tools, self.list),
            Route("POST", f"{at}/approve", act, "Approve a tool as it is listed.", made, self.approve, body=DECISION),
            Route("POST", f"{at}/reject", act, "Reject a tool as it is listed.", made, self.reject, body=DECISION),
        )

    async def list(self, asked: Asked) -> Reply:
        """The tools of a server."""
        servers, looked = await self.looked(asked.path["server"])
        return Reply(
            {"server": servers[0].name, "pin": servers[0].pin, "tools": [described(one) for one in looked]},
        )

    async def approve(self, asked: Asked) -> Reply:
        """Approve one tool."""
        return await self._decide(asked, approve)

    async def reject(self, asked: Asked) -> Reply:
        """Reject one tool."""
        return await self._decide(asked, reject)

    async def _decide(self, asked: Asked, how: Deciding) -> Reply:
        wanted = Wanted(asked.text("tool"), asked.text("digest"), asked.text("place"))
        (pin,) = await self.decide(asked.person, asked.path["server"], [wanted], how)
        whose = {"server": name_in(pin.server), "place": place_in(pin.server)}
        return Reply({**whose, "tool": pin.tool, "digest": pin.digest, "state": pin.state.value})

    async def looked(self, server: str) -> tuple[Sequence[Server], Sequence[Looked]]:
        """The versions of a server that are in force, and its tools. Raises AdminRefusal (not-found)."""
        found = await self._server(server)
        return found, await look_at(self._parts.pins, server)

    async def decide(self, person: Person, server: str, wanted: Iterable[Wanted], how: Deciding) -> Sequence[Pin]:
        """Decide about tools, each as it was shown; all of them or, as a rule, none.

        Raises AdminRefusal: not-found; conflict where a server lists another definition by now, or at several places.
        """
        await self._server(server)
        places = [known for known in await self._parts.pins.servers() if name_in(known.name) == server]
        known = [pin for place in places for pin in place.pins.values()]
        decided = [self._decided(known, one, how) for one in wanted]
        keep = self._parts.pins.approve if how is approve else self._parts.pins.reject
        if left := await keep(decided, self._parts.now(), person.id):
            names = ", ".join(map(name_of, left))
            raise AdminRefusal(Fault.CONFLICT, f"{names}: the server lists another definition by now: look at it first")
        return decided

    def _decided(self, known: Iterable[Pin], wanted: Wanted, how: Deciding) -> Pin:
        found = meant(known, wanted.tool, wanted.digest, wanted.place)
        if not found:
            raise AdminRefusal(Fault.NOT_FOUND, "The server has listed no such tool.")
        name = name_of(found[0])
        if len(found) > 1:
            places = ", ".join(place_in(pin.server) for pin in found)
            raise AdminRefusal(Fault.CONFLICT, f"{name} is listed at several places: say which is meant: {places}")
        try:
            return how(found[0], wanted.digest)
        except ValueError as error:
            raise AdminRefusal(Fault.CONFLICT, f"{name}: {error}") from None

    async def _server(self, name: str) -> Sequence[Server]:
        servers = await asyncio.to_thread(self._parts.answers.servers)
        if found := [server for server in servers if server.name == name]:
            return found
        raise AdminRefusal(Fault.NOT_FOUND, "There is no such server in the catalog.")
