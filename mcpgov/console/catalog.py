"""The catalog's pages: the servers in force, and what each connection is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mcpgov.admin.catalog import UNSEEN
from mcpgov.catalog.pinning import PinState
from mcpgov.console.html import Markup, join, link, tag
from mcpgov.console.layout import CONSOLE, empty
from mcpgov.pin_mode import PinMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpgov.admin.parts import ServedConnection, Server
    from mcpgov.catalog.approval import Standing

OFF: Final = PinMode.OFF.value
MOODS: Final = {
    PinState.APPROVED: "ok",
    PinState.PENDING: "trouble",
    PinState.CHANGED: "trouble",
    PinState.REJECTED: "denied",
    PinState.UNFIT: "denied",
}


def catalog_page(servers: Sequence[Server], stamp: str, standings: Mapping[str, Standing]) -> Markup:
    """The page. `standings` says where the tools of each server stand."""
    count = sum(len(server.connections) for server in servers)
    lead = f"{many(len(servers), 'server')}, {many(count, 'connection')}. The catalog changes by its files alone."
    shown = [server_card(server, standings.get(server.name, UNSEEN)) for server in servers] or empty(
        "The catalog is empty.", "Add a file to the catalog folder."
    )
    files = tag("p", "Files: ", tag("code", stamp[:16], title=stamp), class_="quiet")
    return join(tag("h1", "Catalog"), tag("p", lead, class_="lead"), shown, files)


def many(count: int, thing: str) -> str:
    """So many of something."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def server_card(server: Server, standing: Standing = UNSEEN) -> Markup:
    """One server and its connections."""
    version = tag("small", server.version) if server.version else None
    return tag(
        "section",
        tag("h2", server.title or server.name, " ", version),
        tag("p", tag("code", server.name), class_="quiet"),
        tag("p", server.description) if server.description else None,
        tag("p", "Policies of the server: ", policy_links(server.policies)) if server.policies else None,
        tools_of(server, standing),
        tag("div", [connection(one) for one in server.connections], class_="facts"),
        class_="card",
    )


def tools_of(server: Server, standing: Standing) -> Markup:
    """How the tools of a server come to be trusted, where they stand, and the way to decide about them."""
    waiting = standing.waiting
    way = f"{many(waiting, 'tool')} waiting" if waiting else "Its tools"
    return tag(
        "p",
        tag("span", f"pin: {server.pin}", class_="quiet"),
        [state_badge(state, count) for state, count in standing.counts.items()]
        or tag("span", "nobody has listed any" if server.pin != OFF else "nobody looks at them", class_="quiet"),
        tag("a", way, href=approval_path(server.name), class_="button" if waiting else None),
        class_="standing",
    )


def state_badge(state: PinState, count: int | None = None) -> Markup:
    """A state that tools are in, and how many."""
    said = f"{count:,} {state}" if count is not None else str(state)
    return tag("span", tag("i", class_="dot"), said, class_=f"status {MOODS[state]}")


def approval_path(server: str) -> str:
    """Where the tools of a server have their page."""
    return f"{CONSOLE}/catalog/{quote(server, safe='')}"


def connection(one: ServedConnection) -> Markup:
    """One connection."""
    rows = [
        ("Served at", tag("code", f"/mcp/{one.name}")),
        ("Upstream", tag("code", one.upstream)),
        *([("Server", health_of(one))] if one.health != "unknown" else []),
        ("Signs in with", one.auth_type),
        ("Clients sign in with", one.client_auth_type),
        ("Timeout", f"{one.timeout:g} s"),
        ("Policies", policy_links(one.policies) if one.policies else "none of its own"),
        *((f"Tool {tool}", policy_links(names)) for tool, names in one.tools),
    ]
    return tag(
        "section",
        tag("h3", one.name),
        tag("dl", [tag("div", tag("dt", word), tag("dd", value)) for word, value in rows]),
        tag(
            "p",
            tag("a", "Its calls", href=link(CONSOLE, connection=one.name)),
            " ",
            tag("a", "Explain a request", href=link(f"{CONSOLE}/policies/explain", connection=one.name)),
            class_="ways",
        ),
        class_="inner",
    )


def health_of(one: ServedConnection) -> Markup:
    """Whether its server is there, since when, and what is wrong."""
    since = f", since {one.since[:16].replace('T', ' ')} UTC" if one.since else ""
    return join(tag("strong", one.health) if one.why else one.health, since, f": {one.why}" if one.why else "")


def policy_links(names: Sequence[str]) -> Markup:
    """The names of policies, each leading to its page."""
    return join([(tag("a", name, href=f"{CONSOLE}/policies/{name}"), " ") for name in names])
