"""The review page: what is asked in the URL, what happened over time, what stands out, and the calls themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.admin.filters import FILTERS, NAMES, REASONS, STATUSES
from mcpgov.audit.review import DECISIONS, GIVEN_UP, OK, REFUSED, TROUBLE
from mcpgov.console.chart import bars_table, histogram, legend, share
from mcpgov.console.html import Markup, join, link, tag
from mcpgov.console.layout import CONSOLE, empty, note
from mcpgov.console.times import milliseconds, minute, span
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpgov.audit.reader import Call
    from mcpgov.audit.review import Page, Summary, Top

SPANS: Final = (
    ("15m", "15 min"),
    ("1h", "1 hour"),
    ("6h", "6 hours"),
    ("24h", "24 hours"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("365d", "1 year"),
)
USUAL: Final = "24h"
ON: Final = "on"
FIRST: Final = ("text", "principal", "connection", "tool", "decision", "status")  # what everybody filters by
CLOSED: Final[Mapping[str, tuple[str, ...]]] = {"decision": DECISIONS, "status": STATUSES, "reason": REASONS}
LABELS: Final = {"text": "Search", "since": "From", "until": "To"}
SAID: Final = {one.name: one.summary for one in FILTERS}
HEADS: Final = ("Time (UTC)", "Outcome", "Caller", "Connection", "Tool or method", "Reason", "Took")


@frozen
class Query:
    """What the URL asks for, as text: the filters, and where in the list one is."""

    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        """A filter's value; empty where it is not set."""
        return self.fields.get(name, "").strip()

    @property
    def since(self) -> str:
        """From when; the last day unless the URL says."""
        return self.get("since") or ("" if self.get("until") else USUAL)

    @property
    def times(self) -> dict[str, str]:
        """From when to when."""
        return {"since": self.since, "until": self.get("until")}

    @property
    def filters(self) -> dict[str, str]:
        """Everything that is set, without the place in the list."""
        return {**self.times, **{name: self.get(name) for name in NAMES}}

    @property
    def is_live(self) -> bool:
        """Whether the page goes on by itself; one that looks back does not."""
        return self.get("live") == ON and not self.get("cursor") and not self.get("until")

    def to(self, path: str = CONSOLE, **changes: str) -> str:
        """The URL of the same question, changed in something. It begins at the newest call."""
        live = {"live": ON} if self.is_live and path == CONSOLE else {}
        return link(path, **{**self.filters, **live, **changes})


def review(query: Query, page: Page, summary: Summary, problem: str = "") -> Markup:
    """The page."""
    return join(
        tag("h1", "Review"),
        tag("p", "Every call that was asked for: who asked, what was decided and why, how it ended.", class_="lead"),
        note(problem, "bad") if problem else None,
        asked(query),
        chips(query),
        tag(
            "section",
            headline(summary),
            over_time(query, summary),
            class_="card over-time",
            aria_label="Calls over time",
        ),
        tag(
            "div",
            top("Callers", "principal", summary.agents, query),
            top("Tools", "tool", summary.tools, query),
            top("Reasons", "reason", summary.reasons, query),
            class_="tops",
        ),
        listed(query, page),
    )


# -- what is asked -----------------------------------------------------------------------------------------------------


def asked(query: Query) -> Markup:
    """The form of filters. It is sent with GET, so that what is seen can be sent to somebody."""
    rest = [name for name in NAMES if name not in FIRST]
    is_open = any(query.get(name) for name in (*rest, "until")) or query.since not in dict(SPANS)
    more = tag(
        "details",
        tag("summary", "More filters"),
        tag("div", [field(name, query) for name in ("since", "until", *rest)], class_="fields"),
        open=is_open,
    )
    spans = tag(
        "div",
        [span_link(value, name, query) for value, name in SPANS],
        class_="spans",
        role="group",
        aria_label="Span of time",
    )
    first = tag(
        "div",
        [field(name, query) for name in FIRST],
        tag("div", tag("button", "Apply"), class_="field act"),
        class_="fields",
    )
    return tag(
        "form",
        tag("div", spans, live(query), class_="row"),
        first,
        more,
        tag("input", type="hidden", name="live", value=ON) if query.is_live else None,
        method="get",
        action=CONSOLE,
        class_="card filters",
        role="search",
        aria_label="Filters",
    )


def live(query: Query) -> Markup | None:
    """The way to a list that goes on by itself, and back to one that stands still. Who looks back has none."""
    if query.is_live:
        said = tag("span", tag("i", class_="dot"), "Live, every few seconds ")
        return tag("p", said, tag("a", "Stop", href=query.to(live="")), class_="live")
    if query.get("cursor") or query.get("until"):
        return None
    return tag("p", tag("a", "Go live", href=query.to(live=ON)), class_="live")


def span_link(value: str, name: str, query: Query) -> Markup:
    """A span of time that ends now."""
    is_here = query.since == value and not query.get("until")
    return tag("a", name, href=query.to(since=value, until=""), aria_current="true" if is_here else None)


def field(name: str, query: Query) -> Markup:
    """Something to filter by: one of a few words, or a text."""
    if name in CLOSED:
        return choice(name, CLOSED[name], query)
    value = query.since if name == "since" else query.get(name)
    label = tag("label", label_of(name), for_=f"f-{name}")
    kind = "search" if name == "text" else "text"
    wanted = tag(
        "input",
        type=kind,
        id=f"f-{name}",
        name=name,
        value=value,
        maxlength=256,
        title=SAID[name],
        autocomplete="off",
        spellcheck="false",
    )
    return tag("div", label, wanted, class_=f"field f-{name}")


def choice(name: str, choices: Sequence[str], query: Query) -> Markup:
    """One of a few words to filter by."""
    options = [tag("option", one or "any", value=one, selected=one == query.get(name)) for one in ("", *choices)]
    label = tag("label", label_of(name), for_=f"f-{name}")
    return tag("div", label, tag("select", options, id=f"f-{name}", name=name), class_=f"field f-{name}")


def label_of(name: str) -> str:
    """How a filter is called."""
    return LABELS.get(name, name.capitalize())


def chips(query: Query) -> Markup | None:
    """What is filtered by, each with the way to be rid of it."""
    given = {name: query.get(name) for name in NAMES if query.get(name)}
    if not given:
        return None
    items = [
        tag(
            "li",
            tag(
                "a",
                tag("span", f"{label_of(name)}: "),
                tag("b", value),
                tag("span", "\N{MULTIPLICATION SIGN}", aria_hidden="true"),
                href=query.to(**{name: ""}),
                title="Remove this filter",
                aria_label=f"Remove the filter {label_of(name)} {value}",
            ),
        )
        for name, value in given.items()
    ]
    return tag(
        "ul", items, tag("li", tag("a", "Clear all", href=link(CONSOLE, **query.times), class_="clear")), class_="chips"
    )


# -- what happened -----------------------------------------------------------------------------------------------------


def headline(summary: Summary) -> Markup:
    """The numbers that say most."""
    totals = summary.totals
    number = [
        figure("Calls", f"{sum(totals.values()):,}"),
        figure("Ok", f"{totals[OK]:,}", OK),
        figure("Went wrong", f"{totals[TROUBLE]:,}", TROUBLE),
        figure("Denied", f"{totals[REFUSED]:,}", REFUSED),
        figure("Given up", f"{totals[GIVEN_UP]:,}", GIVEN_UP) if totals[GIVEN_UP] else None,
    ]
    if summary.latency is not None:
        taken = summary.latency
        number += [
            figure(name, milliseconds(value))
            for name, value in (("p50", taken.p50), ("p95", taken.p95), ("p99", taken.p99))
        ]
    return tag("dl", number, class_="figures")


def figure(name: str, value: str, kind: str = "") -> Markup:
    """A number and what it is."""
    return tag("div", tag("dt", tag("i", class_=f"swatch k-{kind}") if kind else None, name), tag("dd", value))


def over_time(query: Query, summary: Summary) -> Markup:
    """The histogram, and what has to be said about it."""

    def to(since: str, until: str) -> str:
        return query.to(since=since, until=until)

    said = f"{minute(summary.since)} to {minute(summary.until)} {summary.until.year} UTC, by {span(summary.step)}"
    if summary.counted is not None:
        said += f". Counted over the newest {summary.counted:,} calls that match"
    return join(
        histogram(summary, to),
        tag("div", legend(), tag("p", said, class_="quiet"), class_="under"),
        bars_table(summary, to),
    )


def top(title: str, name: str, values: Sequence[Top], query: Query) -> Markup:
    """The most frequent values of something, each a filter."""
    most = max((one.calls for one in values), default=0)
    rows = [
        tag(
            "li",
            tag(
                "a",
                tag("span", one.shown, class_="name"),
                tag("span", f"{one.calls:,}", class_="number"),
                href=query.to(**{name: one.value}),
                title=top_title(one),
            ),
            share(one.calls, most, one.denied),
        )
        for one in values
    ]
    return tag(
        "section", tag("h2", title), tag("ol", rows) if rows else tag("p", "None.", class_="quiet"), class_="card top"
    )


def top_title(one: Top) -> str:
    """What a row of a list says when one points at it."""
    named = one.shown if one.shown == one.value else f"{one.shown} ({one.value})"
    return f"{named}: {one.calls:,} calls, {one.denied:,} denied"


# -- the calls ---------------------------------------------------------------------------------------------------------


def listed(query: Query, page: Page) -> Markup:
    """The calls, newest first, and the ways on."""
    exports = tag(
        "p",
        "Export what is filtered: ",
        tag("a", "JSONL", href=query.to(f"{CONSOLE}/calls.jsonl")),
        " ",
        tag("a", "CSV", href=query.to(f"{CONSOLE}/calls.csv")),
        class_="exports",
    )
    head = tag("div", tag("h2", "Calls"), exports, class_="row")
    if not page.calls:
        everything = tag("p", tag("a", "Show the last 30 days without filters", href=link(CONSOLE, since="30d")))
        return tag("section", head, empty("No call matches.", everything), class_="card calls")
    titles = tag("tr", [tag("th", name, scope="col", class_="number" if name == "Took" else None) for name in HEADS])
    table = tag(
        "table",
        tag("caption", "Calls, the newest first", class_="unseen"),
        tag("thead", titles),
        tag("tbody", [row(call) for call in page.calls]),
    )
    ways = [
        tag("a", "Newest", href=query.to()) if query.get("cursor") else None,
        tag("a", "Older", href=query.to(cursor=page.next), rel="next") if page.next else None,
    ]
    return tag("section", head, table, tag("nav", ways, class_="pages", aria_label="Pages"), class_="card calls")


def row(call: Call) -> Markup:
    """One call as a row."""
    name, principal = text_of(call, "mcpgov.principal.name"), text_of(call, "mcpgov.principal.id")
    ts = asked_at(call)
    total = call.get("mcpgov.latency.total_us")
    tool = text_of(call, "gen_ai.tool.name")
    path = call_path(call)
    return tag(
        "tr",
        tag(
            "td",
            tag("a", tag("time", tag("span", ts[:10], class_="date"), " ", ts[11:23], datetime=ts), href=path),
            data_label="Time",
        ),
        tag("td", outcome(call), data_label="Outcome"),
        tag("td", name or principal or "unknown", title=principal, class_="clip", data_label="Caller"),
        tag("td", text_of(call, "mcpgov.connection"), class_="clip", data_label="Connection"),
        tag("td", tag("code", tool) if tool else text_of(call, "mcp.method.name"), class_="clip", data_label="Tool"),
        tag("td", str(call.reason or ""), class_="quiet clip", data_label="Reason"),
        tag("td", milliseconds(total / 1000) if isinstance(total, int) else "", class_="number", data_label="Took"),
    )


def call_path(call: Call) -> str:
    """Where a call's own page is."""
    return f"{CONSOLE}/calls/{text_of(call, 'call_id')}"


def outcome(call: Call) -> Markup:
    """How a call ended, in a word and a colour."""
    status = str(call.status or "")
    return tag("span", tag("i", class_="dot"), status, class_=f"status {mood_of(status)}")


def mood_of(status: str) -> str:
    """The colour of a status, by KINDS."""
    if status in {"ok", "denied"}:
        return OK if status == "ok" else REFUSED
    return GIVEN_UP if status in {"cancelled", "client-gone", "open"} else TROUBLE


def text_of(call: Call, name: str) -> str:
    """A field of a call that is text."""
    value = call.get(name)
    return value if isinstance(value, str) else ""


def asked_at(call: Call) -> str:
    """When a call was asked for: by that it is found and listed, whenever it ended."""
    return str(call.begun.get("ts") or "")
