"""The usage page: which callers use which tools, the question that the platform itself cannot answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.console.chart import share
from mcpgov.console.html import Markup, join, link, tag
from mcpgov.console.layout import CONSOLE, empty
from mcpgov.console.times import day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.audit.review import Usage

HEADS = ("Caller", "Connection", "Tool", "Calls", "Denied", "Went wrong", "Last")
NUMBERS = frozenset({"Calls", "Denied", "Went wrong"})


def usage_page(used: Sequence[Usage], since: str) -> Markup:
    """The page."""
    spans = tag(
        "div",
        [
            tag("a", name, href=link(f"{CONSOLE}/usage", since=value), aria_current="true" if since == value else None)
            for value, name in (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("365d", "1 year"))
        ],
        class_="spans",
        role="group",
        aria_label="Span of time",
    )
    lead = tag("p", "Which callers use which tools, the most used first. The numbers lead to the calls.", class_="lead")
    most = max((one.calls for one in used), default=0)
    heads = [tag("th", name, scope="col", class_="number" if name in NUMBERS else None) for name in HEADS]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", [row(one, most, since) for one in used]))
    shown = table if used else empty("Nobody called a tool in this time.")
    return join(tag("h1", "Usage"), lead, tag("section", spans, shown, class_="card calls"))


def row(one: Usage, most: int, since: str) -> Markup:
    """One caller and one tool."""
    calls = {"since": since, "principal": one.principal, "connection": one.connection, "tool": one.tool}
    denied = tag("a", f"{one.denied:,}", href=link(CONSOLE, **calls, decision="deny")) if one.denied else "0"
    return tag(
        "tr",
        tag("td", one.name or one.principal or "unknown", title=one.principal, class_="clip", data_label="Caller"),
        tag("td", one.connection, data_label="Connection"),
        tag("td", tag("code", one.tool), share(one.calls, most, one.denied), class_="clip", data_label="Tool"),
        tag("td", tag("a", f"{one.calls:,}", href=link(CONSOLE, **calls)), class_="number", data_label="Calls"),
        tag("td", denied, class_="number", data_label="Denied"),
        tag("td", f"{one.trouble:,}", class_="number", data_label="Went wrong"),
        tag("td", day(one.last), class_="quiet", data_label="Last"),
    )
