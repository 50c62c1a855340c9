"""The events page: what happened to the gateway itself, and what of it is not well now."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from mcpgov.audit.happened import details, who
from mcpgov.console.html import Markup, join, link, tag
from mcpgov.console.layout import CONSOLE, empty, note
from mcpgov.console.times import ago

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mcpgov.audit.exported import ExportState
    from mcpgov.audit.review import Events, Kept
    from mcpgov.models import Json

HEADS: Final = ("Time (UTC)", "Event", "What", "Who")
EVENTS: Final = f"{CONSOLE}/events"
LONGEST: Final = 64  # characters of a value; the record has all of it
DIGEST: Final = re.compile("[0-9a-f]{32,}")
SHORT: Final = 16  # characters of a digest


def events_page(page: Events, unwell: Sequence[str], cursor: str, problem: str = "") -> Markup:
    """The page."""
    lead = (
        "What happened to the gateway itself: starts, reloads, keys, consents, stores, exports, and who did what here."
    )
    return join(
        tag("h1", "Events"),
        tag("p", lead, class_="lead"),
        note(problem, "bad") if problem else None,
        [note(said, "bad") for said in unwell],
        listed(page, cursor),
    )


def not_well(sinks: Mapping[str, datetime], exports: Sequence[ExportState], now: datetime) -> Iterator[str]:
    """What has failed and not come back, in a sentence each."""
    for name, since in sinks.items():
        yield f"The store {name} failed {ago(since, now)}. Records are owed to it until it is back."
    for one in exports:
        if one.failing:
            since = ago(one.failing, now)
            yield f"The export {one.name} failed {since}; {one.behind:,} records wait for it: {one.error}"


def listed(page: Events, cursor: str) -> Markup:
    """The events, newest first, and the ways on."""
    if not page.records:
        return tag("section", empty("Nothing happened yet."), class_="card calls")
    table = tag(
        "table",
        tag("caption", "Events, the newest first", class_="unseen"),
        tag("thead", tag("tr", [tag("th", name, scope="col") for name in HEADS])),
        tag("tbody", [row(one) for one in page.records]),
    )
    ways = [
        tag("a", "Newest", href=EVENTS) if cursor else None,
        tag("a", "Older", href=link(EVENTS, cursor=page.next), rel="next") if page.next else None,
    ]
    return tag("section", table, tag("nav", ways, class_="pages", aria_label="Pages"), class_="card calls")


def row(one: Kept) -> Markup:
    """One event as a row."""
    ts = str(one.record.get("ts") or "")
    time = tag("time", tag("span", ts[:10], class_="date"), " ", ts[11:23], datetime=ts)
    said = [detail(name, value) for name, value in details(one.record).items()]
    return tag(
        "tr",
        tag("td", time, class_="whole", data_label="Time"),
        tag("td", str(one.record.get("mcpgov.control.event") or ""), class_="whole", data_label="Event"),
        tag("td", tag("div", said, class_="details") if said else None, data_label="What"),
        tag("td", str(who(one.record) or ""), class_="clip", data_label="Who"),
    )


def detail(name: str, value: Json) -> Markup:
    """One thing that an event says."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    longest = SHORT if DIGEST.fullmatch(text) else LONGEST
    shown = text if len(text) <= longest else f"{text[:longest]}\N{HORIZONTAL ELLIPSIS}"
    return tag("span", tag("span", name.replace("_", " "), class_="quiet"), f" {shown} ", title=text)
