"""What each page of the console shows, and what its forms do. The rules are those of admin/; there are none here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final

from mcpgov.admin.access import AdminRefusal, Person, Role
from mcpgov.admin.audit import AuditRoutes
from mcpgov.admin.catalog import CatalogRoutes
from mcpgov.admin.filters import filter_of
from mcpgov.admin.keys import KeyRoutes
from mcpgov.admin.pins import PinRoutes
from mcpgov.admin.policies import PolicyRoutes
from mcpgov.admin.routes import Asked, Reply
from mcpgov.audit.record import RecordEvent
from mcpgov.console.approval import approval_page, named_in
from mcpgov.console.call import call_page, calls_of, trace_page
from mcpgov.console.catalog import approval_path, catalog_page
from mcpgov.console.events import events_page, not_well
from mcpgov.console.keys import Said, keys_page
from mcpgov.console.layout import CONSOLE, Frame
from mcpgov.console.policies import explain_page, policies_page, policy_page
from mcpgov.console.review import Query, review
from mcpgov.console.usage import usage_page
from mcpgov.frozen import frozen
from mcpgov.pinning.judgement import approve, reject

if TYPE_CHECKING:
    from mcpgov.admin.parts import AdminParts
    from mcpgov.admin.pins import Deciding
    from mcpgov.audit.reader import Call
    from mcpgov.audit.review import Kept
    from mcpgov.console.html import Markup

ROWS: Final = 50  # calls of one page
LIVE: Final = 5  # seconds
USAGE: Final = "30d"
MOST_USED: Final = 500


@frozen
class Visit:
    """Somebody opens a page or sends a form: in which frame, what the path and the query name, what the form holds."""

    frame: Frame
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def person(self) -> Person:
        """Who it is."""
        return self.frame.session.person


@frozen
class Shown:
    """A page: its title, its place in the bar, its content, the seconds after which a live one is asked for again; or
    where the browser goes; or a file.
    """

    title: str = ""
    here: str = ""
    body: Markup | None = None
    status: int = 200
    to: str = ""
    file: Reply | None = None
    live: int = 0


@frozen
class PageRoute:
    """One page, or one form."""

    method: str
    path: str  # behind CONSOLE
    role: Role
    show: Callable[[Visit], Awaitable[Shown]]


class ConsolePages:
    """Every page of somebody who is signed in."""

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts
        self._audit = AuditRoutes(parts)
        self._keys = KeyRoutes(parts)
        self._catalog = CatalogRoutes(parts)
        self._pins = PinRoutes(parts)
        self._policies = PolicyRoutes(parts)

    def routes(self) -> tuple[PageRoute, ...]:
        """All of them; the first that a path fits is meant."""
        view = Role.VIEWER
        return (
            PageRoute("GET", "", view, self.review),
            PageRoute("GET", "/calls.jsonl", view, self.jsonl),
            PageRoute("GET", "/calls.csv", view, self.csv),
            PageRoute("GET", "/calls/{id}", view, self.call),
            PageRoute("GET", "/usage", view, self.usage),
            PageRoute("GET", "/events", view, self.events),
            PageRoute("GET", "/catalog", view, self.catalog),
            PageRoute("GET", "/catalog/{server}", view, self.tools),
            PageRoute("POST", "/catalog/{server}/approve", Role.OPERATOR, self.approve),
            PageRoute("POST", "/catalog/{server}/reject", Role.OPERATOR, self.reject),
            PageRoute("GET", "/policies", view, self.policies),
            PageRoute("GET", "/policies/explain", view, self.question),
            PageRoute("POST", "/policies/explain", view, self.explain),
            PageRoute("GET", "/policies/{name}", view, self.policy),
            PageRoute("GET", "/keys", view, self.keys),
            PageRoute("POST", "/keys", Role.OPERATOR, self.make_key),
            PageRoute("POST", "/keys/{id}/revoke", Role.OPERATOR, self.revoke_key),
            PageRoute("POST", "/admin-keys", Role.ADMIN, self.make_admin_key),
            PageRoute("POST", "/admin-keys/{id}/revoke", Role.ADMIN, self.revoke_admin_key),
        )

    # -- the ledger ----------------------------------------------------------------------------------------------------

    async def review(self, visit: Visit) -> Shown:
        """The review page. What cannot be asked is said, and the last day shown."""
        query, problem, now = Query(visit.query), "", visit.frame.now
        cursor = query.get("cursor")
        try:
            wanted = filter_of({**visit.query, **query.times, "limit": ""}, now, limit=ROWS)
            page = await self._audit.page(wanted, cursor)
        except AdminRefusal as refusal:
            query, problem = Query({}), refusal.message
            wanted = filter_of(query.times, now, limit=ROWS)
            page = await self._audit.page(wanted, "")
        summary = await asyncio.to_thread(self._parts.review.summary, wanted, now)
        body, status = review(query, page, summary, problem), 400 if problem else 200
        return Shown("Review", "Review", body, status, live=LIVE if query.is_live else 0)

    async def jsonl(self, visit: Visit) -> Shown:
        """What is filtered, one JSON object a line."""
        return Shown(file=await self._audit.jsonl(Asked(visit.person, query=Query(visit.query).filters)))

    async def csv(self, visit: Visit) -> Shown:
        """What is filtered, for a spreadsheet."""
        return Shown(file=await self._audit.csv(Asked(visit.person, query=Query(visit.query).filters)))

    async def call(self, visit: Visit) -> Shown:
        """One call, or the calls of one trace."""
        found = calls_of(await self._audit.kept(visit.path["id"]))
        if len(found) > 1:
            return Shown("A trace", "Review", trace_page(visit.path["id"], [call for call, _ in found]))
        call, kept = found[0]
        return Shown("A call", "Review", call_page(call, kept, await self._explained(call, kept)))

    async def _explained(self, call: Call, kept: list[Kept]) -> tuple[str, ...]:
        """How the call's decision came about; nothing where there is no record of one."""
        if call.begun.get("event") not in (RecordEvent.INTENT, RecordEvent.DENIED) or not kept:
            return ()
        return tuple(await asyncio.to_thread(self._parts.answers.replay, call.begun))

    async def usage(self, visit: Visit) -> Shown:
        """Who uses what."""
        since = visit.query.get("since", "") or USAGE
        wanted = filter_of({"since": since}, visit.frame.now, limit=MOST_USED)
        used = await asyncio.to_thread(self._parts.review.usage, wanted, visit.frame.now)
        return Shown("Usage", "Usage", usage_page(used, since))

    async def events(self, visit: Visit) -> Shown:
        """What happened to the gateway itself. A cursor of nobody's is said, and the newest shown."""
        cursor, problem = visit.query.get("cursor", ""), ""
        try:
            page = await self._audit.events(ROWS, cursor)
        except AdminRefusal as refusal:
            cursor, problem = "", refusal.message
            page = await self._audit.events(ROWS, cursor)
        exports = await asyncio.to_thread(self._parts.exports)
        unwell = tuple(not_well(self._parts.failed_sinks(), exports, visit.frame.now))
        return Shown("Events", "Events", events_page(page, unwell, cursor, problem), 400 if problem else 200)

    # -- the files -----------------------------------------------------------------------------------------------------

    async def catalog(self, visit: Visit) -> Shown:
        """The catalog in force, as far as it is asked for."""
        servers = await asyncio.to_thread(self._parts.answers.servers)
        page = catalog_page(servers, self._parts.answers.stamp(), await self._catalog.standings(), visit.query)
        return Shown("Catalog", "Catalog", page)

    async def tools(self, visit: Visit) -> Shown:
        """The tools of a server, and what waits."""
        return await self._tools_with(visit)

    async def approve(self, visit: Visit) -> Shown:
        """Approve tools as they were shown."""
        return await self._decide(visit, approve)

    async def reject(self, visit: Visit) -> Shown:
        """Reject tools as they were shown."""
        return await self._decide(visit, reject)

    async def _decide(self, visit: Visit, how: Deciding) -> Shown:
        server = visit.path["server"]
        try:
            await self._pins.decide(visit.person, server, named_in(visit.form.get("tools", "")), how)
        except AdminRefusal as refusal:
            return await self._tools_with(visit, refusal)
        return Shown(to=approval_path(server))

    async def _tools_with(self, visit: Visit, refusal: AdminRefusal | None = None) -> Shown:
        servers, looked = await self._pins.looked(visit.path["server"])
        page = approval_page(servers, looked, visit.frame, refusal.message if refusal else "")
        return Shown("Tools", "Catalog", page, refusal.status if refusal else 200)

    async def policies(self, _: Visit) -> Shown:
        """Every policy."""
        return Shown("Policies", "Policies", policies_page(await asyncio.to_thread(self._parts.answers.policies)))

    async def policy(self, visit: Visit) -> Shown:
        """One policy."""
        for one in await asyncio.to_thread(self._parts.answers.policies):
            if one.name == visit.path["name"]:
                return Shown(one.name, "Policies", policy_page(one))
        return Shown(to=f"{CONSOLE}/policies")

    async def question(self, visit: Visit) -> Shown:
        """The form of a question."""
        return Shown("Explain", "Policies", explain_page(visit.query, await self._connections(), (), visit.frame))

    async def explain(self, visit: Visit) -> Shown:
        """The answer to a question."""
        given = {name: value.replace("\r\n", "\n") for name, value in visit.form.items()}  # as browsers send lines
        question = {name: value for name, value in given.items() if value and name != "form"}
        lines, problem = tuple[str, ...](), ""
        try:
            lines = tuple((await self._policies.explained(question))[1])
        except AdminRefusal as refusal:
            problem = refusal.message
        page = explain_page(question, await self._connections(), lines, visit.frame, problem)
        return Shown("Explain", "Policies", page, 400 if problem else 200)

    async def _connections(self) -> list[str]:
        servers = await asyncio.to_thread(self._parts.answers.servers)
        return [one.name for server in servers for one in server.connections]

    # -- keys ----------------------------------------------------------------------------------------------------------

    async def keys(self, visit: Visit) -> Shown:
        """Every key that this person may see."""
        return await self._keys_with(visit, Said())

    async def _keys_with(self, visit: Visit, said: Said) -> Shown:
        gateway = await self._parts.keys.list()
        admin = await self._parts.admin_keys.list() if visit.person.role.allows(Role.ADMIN) else ()
        return Shown("Keys", "Keys", keys_page(gateway, admin, visit.frame, said), 400 if said.problem else 200)

    async def make_key(self, visit: Visit) -> Shown:
        """Make a gateway key, and show it."""
        lists = ("connections", "tools")  # what is left blank is not spoken of
        body = {name: listed(text) if name in lists else text for name, text in visit.form.items() if text.strip()}
        try:
            record, key = await self._keys.make(Asked(visit.person, body=body))
        except AdminRefusal as refusal:
            return await self._keys_with(visit, Said(refusal.message))
        return await self._keys_with(visit, Said(made=key, whose=record.name))

    async def make_admin_key(self, visit: Visit) -> Shown:
        """Make an admin key, and show it."""
        try:
            record, key = await self._keys.make_admin(Asked(visit.person, body=visit.form))
        except AdminRefusal as refusal:
            return await self._keys_with(visit, Said(refusal.message))
        return await self._keys_with(visit, Said(made=key, whose=record.name))

    async def revoke_key(self, visit: Visit) -> Shown:
        """Revoke a gateway key."""
        await self._keys.revoke(Asked(visit.person, visit.path))
        return Shown(to=f"{CONSOLE}/keys")

    async def revoke_admin_key(self, visit: Visit) -> Shown:
        """Revoke an admin key."""
        await self._keys.revoke_admin(Asked(visit.person, visit.path))
        return Shown(to=f"{CONSOLE}/keys")


def listed(text: str) -> list[str]:
    """Names with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]
