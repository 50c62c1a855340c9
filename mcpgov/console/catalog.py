"""The catalog's pages: the servers in force, a row each, and what is to be known of one of them.

What is searched for stands in the URL, so that it can be sent to somebody. What a server's tools are, and what of them
waits, is on the page of approval.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from mcpgov.admin.catalog import UNSEEN
from mcpgov.catalog.listing import Status
from mcpgov.console.html import Markup, join, link, tag
from mcpgov.console.layout import CONSOLE, empty
from mcpgov.pinning.judgement import PinState
from mcpgov.pinning.mode import PinMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mcpgov.admin.parts import ServedConnection, Server
    from mcpgov.catalog.listing import Contact
    from mcpgov.pinning.approval import Standing

OFF: Final = PinMode.OFF.value
HERE: Final = f"{CONSOLE}/catalog"
ROWS: Final = 50  # servers of one page
HEADS: Final = ("Server", "Status", "Publisher", "Served at", "Tools")
MOODS: Final = {
    PinState.APPROVED: "ok",
    PinState.PENDING: "trouble",
    PinState.CHANGED: "trouble",
    PinState.REJECTED: "denied",
    PinState.UNFIT: "denied",
}
SHOWN: Final[Mapping[str, Callable[[Server, Standing], bool]]] = {
    "tools waiting": lambda _, standing: standing.waiting > 0,
    "unavailable": lambda server, _: any(one.why for one in server.connections),
    "deprecated": lambda server, _: server.status == Status.DEPRECATED,
}


def catalog_page(
    servers: Sequence[Server], stamp: str, standings: Mapping[str, Standing], query: Mapping[str, str]
) -> Markup:
    """The page. `standings` says where the tools of each server stand; `query` what is asked for, as text."""
    count = sum(len(server.connections) for server in servers)
    waiting = sum(standings.get(name, UNSEEN).waiting for name in {server.name for server in servers})
    said = f"{many(len(servers), 'server')}, {many(count, 'connection')}. The catalog changes by its files alone."
    wait = tag("a", f"{many(waiting, 'tool')} waiting", href=link(HERE, show="tools waiting"))
    files = tag("p", "Files: ", tag("code", stamp[:16], title=stamp), class_="quiet")
    return join(
        tag("h1", "Catalog"),
        tag("p", said, (" ", wait, ".") if waiting else None, class_="lead"),
        asked(query) if servers else None,
        listed(chosen(servers, standings, query), standings, query)
        if servers
        else empty("The catalog is empty.", "mcpgov catalog add, or a file in the catalog folder, begins it."),
        files,
    )


def many(count: int, thing: str) -> str:
    """So many of something."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


# -- the list ----------------------------------------------------------------------------------------------------------


def asked(query: Mapping[str, str]) -> Markup:
    """The form of the search; it is sent with GET."""
    show = query.get("show", "")
    options = [tag("option", one or "all", value=one, selected=one == show) for one in ("", *SHOWN)]
    search = tag(
        "input",
        type="search",
        id="c-search",
        name="search",
        value=query.get("search", ""),
        maxlength=256,
        title="A part of a name, title, description, publisher, category, owner, environment or connection",
        autocomplete="off",
        spellcheck="false",
    )
    fields = tag(
        "div",
        tag("div", tag("label", "Search", for_="c-search"), search, class_="field wide"),
        tag("div", tag("label", "Show", for_="c-show"), tag("select", options, id="c-show", name="show")),
        tag("div", tag("button", "Apply"), class_="field act"),
        class_="fields",
    )
    return tag("form", fields, method="get", action=HERE, class_="card filters", role="search", aria_label="Servers")


def chosen(servers: Sequence[Server], standings: Mapping[str, Standing], query: Mapping[str, str]) -> Sequence[Server]:
    """Those that are asked for, by name; the versions of one from the first file to the last."""
    words = query.get("search", "").lower().split()
    fits = SHOWN.get(query.get("show", ""))
    found = (
        server
        for server in servers
        if all(word in text_of(server) for word in words)
        and (fits is None or fits(server, standings.get(server.name, UNSEEN)))
    )
    return sorted(found, key=lambda server: server.name)


def text_of(server: Server) -> str:
    """What of a server is searched."""
    connections = (one.name for one in server.connections)
    words = (*server.categories, *server.environments, server.owner, *connections)
    return "\n".join((server.name, server.title, server.description, server.publisher, *words)).lower()


def listed(found: Sequence[Server], standings: Mapping[str, Standing], query: Mapping[str, str]) -> Markup:
    """A page of what was found, and the ways on."""
    if not found:
        return tag("section", empty("No server matches.", tag("a", "Show all", href=HERE)), class_="card calls")
    last = (len(found) - 1) // ROWS + 1
    number = min(page_number(query.get("page", "")), last)
    table = tag(
        "table",
        tag("caption", "Servers, by name", class_="unseen"),
        tag("thead", tag("tr", [tag("th", name, scope="col") for name in HEADS])),
        tag("tbody", [row(one, standings.get(one.name, UNSEEN)) for one in found[(number - 1) * ROWS : number * ROWS]]),
    )
    ways = [
        tag("a", word, href=link(HERE, search=query.get("search"), show=query.get("show"), page=str(to)), rel=rel)
        for word, to, rel in (("Previous", number - 1, "prev"), ("Next", number + 1, "next"))
        if 1 <= to <= last
    ]
    head = tag("p", f"{many(len(found), 'server')}, page {number} of {last}", class_="quiet") if last > 1 else None
    return tag(
        "section", head, table, tag("nav", ways, class_="pages", aria_label="Pages"), class_="card calls servers"
    )


def page_number(text: str) -> int:
    """The page that is asked for; the first where that is no number."""
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) <= 6 else 1


def row(server: Server, standing: Standing) -> Markup:
    """One version of a server."""
    name = tag("a", server.title or server.name, href=approval_path(server.name))
    is_old = server.status == Status.DEPRECATED
    cells: tuple[Markup | None, ...] = (
        join(name, tag("small", f"{server.name} {server.version}")),
        status_badge(server.status),
        publisher_of(server),
        join([served_at(one) for one in server.connections]),
        tools_of(server, standing),
    )
    return tag(
        "tr",
        [
            tag("td", tag("div", cell), data_label=head) if cell else tag("td")
            for head, cell in zip(HEADS, cells, strict=True)
        ],
        class_="old" if is_old else None,
    )


def publisher_of(server: Server) -> Markup | None:
    """Who offers it, and what it is for."""
    if not server.publisher and not server.categories:
        return None
    return join(server.publisher, tag("small", ", ".join(server.categories)) if server.categories else None)


def served_at(one: ServedConnection) -> Markup:
    """Where a connection is, and whether its server cannot be used."""
    sick = tag("span", tag("i", class_="dot"), one.health, class_="status trouble", title=one.why) if one.why else None
    return tag("div", tag("code", f"/mcp/{one.name}"), (" ", sick) if sick else None)


def status_badge(status: str) -> Markup:
    """How far a version still counts."""
    mood = "ok" if status == Status.ACTIVE else "given-up"
    return tag("span", tag("i", class_="dot"), status, class_=f"status {mood}")


def tools_of(server: Server, standing: Standing) -> Markup:
    """How the tools of a server come to be trusted, where they stand, and the way to decide about them."""
    waiting = standing.waiting
    none = "nobody looks at them" if server.pin == OFF else "nobody has listed any"
    states = [state_badge(state, count) for state, count in standing.counts.items()]
    named = f"Decide about {many(waiting, 'tool')} of {server.title or server.name}"
    way = tag("a", "Decide", href=approval_path(server.name), aria_label=named) if waiting else None
    return join(
        tag("div", states or tag("span", none, class_="quiet"), way, class_="standing"),
        tag("small", f"pin: {server.pin}"),
    )


def state_badge(state: PinState, count: int | None = None) -> Markup:
    """A state that tools are in, and how many."""
    said = f"{count:,} {state}" if count is not None else str(state)
    return tag("span", tag("i", class_="dot"), said, class_=f"status {MOODS[state]}")


def approval_path(server: str) -> str:
    """Where a server and its tools have their page."""
    return f"{HERE}/{quote(server, safe='')}"


# -- one server --------------------------------------------------------------------------------------------------------


def about(servers: Sequence[Server], *, is_open: bool) -> Markup:
    """What the files say of a server, each version of it, folded away where there is more urgent to read."""
    said = tag("summary", "What the catalog says of it")
    return tag("details", said, [version(one) for one in servers], class_="every about", open=is_open)


def version(server: Server) -> Markup:
    """One version, and its connections."""
    rows = [
        ("Publisher", server.publisher),
        ("Categories", ", ".join(server.categories)),
        ("Registry", server.registry),
        ("Environments", ", ".join(server.environments)),
        ("Owner", server.owner),
        ("Contacts", join(*contacts(server.contacts)) if server.contacts else ""),
        ("Pin", server.pin),
        ("Policies", policy_links(server.policies) if server.policies else ""),
        ("File", tag("code", server.file) if server.file else ""),
    ]
    return tag(
        "section",
        tag("h2", f"Version {server.version} ", status_badge(server.status)),
        tag("p", server.description) if server.description else None,
        facts(rows),
        tag("div", [connection(one) for one in server.connections], class_="facts"),
        class_="card version",
    )


def facts(rows: Sequence[tuple[str, Markup | str]]) -> Markup:
    """What is known of something, word by word; what is not is left out."""
    return tag("dl", [tag("div", tag("dt", word), tag("dd", value)) for word, value in rows if value], class_="place")


def contacts(people: Sequence[Contact]) -> Iterator[Markup]:
    """Whom to ask."""
    for one in people:
        mail = tag("a", one.email, href=f"mailto:{quote(one.email, safe='@')}") if one.email else None
        site = tag("a", one.url, href=one.url, rel="noreferrer") if one.url else None
        yield tag("div", one.name, (" ", mail) if mail else None, (" ", site) if site else None)


def connection(one: ServedConnection) -> Markup:
    """One connection."""
    rows: list[tuple[str, Markup | str]] = [
        ("Served at", tag("code", f"/mcp/{one.name}")),
        ("Upstream", tag("code", one.upstream)),
        ("Server", health_of(one) if one.health != "unknown" else ""),
        ("Signs in with", one.auth_type),
        ("Clients sign in with", one.client_auth_type),
        ("Timeout", f"{one.timeout:g} s"),
        ("Policies", policy_links(one.policies) if one.policies else "none of its own"),
        *((f"Tool {tool}", policy_links(names)) for tool, names in one.tools),
    ]
    return tag(
        "section",
        tag("h3", one.name),
        facts(rows),
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
