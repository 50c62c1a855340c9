"""A server's tools: what waits for a person and how it differs from what was approved, and the forms that decide.

What is decided about is what stands on the page: the form of a tool names the place of its server and the digest of the
definition that is shown.
What a server says is written so that nothing of it hides (pinning/revealed.py); a definition that is too long to be
shown whole has no form.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, cast

from mcpgov.admin.access import AdminRefusal, Fault, Role
from mcpgov.admin.pins import Wanted
from mcpgov.console.catalog import OFF, about, approval_path, health_of, many, state_badge
from mcpgov.console.html import Markup, join, tag
from mcpgov.console.layout import CONSOLE, Frame, empty, hidden, note
from mcpgov.console.times import day
from mcpgov.pinning.approval import counted, name_of, short
from mcpgov.pinning.finding import path_text
from mcpgov.pinning.judgement import PinState
from mcpgov.pinning.revealed import CLOSING, OPENING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcpgov.admin.parts import Server
    from mcpgov.pinning.approval import Looked
    from mcpgov.pinning.finding import Finding

MOST: Final = 50  # tools that are shown with what changed
LONGEST: Final = 64 * 1024  # characters of what changed in one tool
LONGEST_FORM: Final = 12 * 1024  # characters that a form names tools with; it may grow threefold on the way
HEADS: Final = ("Tool", "State", "Definition", "By", "On", "")
_MARKED: Final = re.compile(f"({OPENING}[^{CLOSING}]*{CLOSING})")


def approval_page(servers: Sequence[Server], looked: Sequence[Looked], frame: Frame, problem: str = "") -> Markup:
    """The page of a server, of which several versions may be in force."""
    server = servers[0]
    waiting = [one for one in looked if one.waits]
    rejected = [one for one in looked if one.pin.state is PinState.REJECTED]
    others = [one for one in looked if one.pin.state in {PinState.APPROVED, PinState.UNFIT}]
    return join(
        tag("p", tag("a", "Catalog", href=f"{CONSOLE}/catalog"), f" / {server.name}", class_="crumbs"),
        tag("h1", f"Tools of {server.title or server.name}"),
        standing(servers, looked),
        note(problem, "bad") if problem else None,
        [unwell(one) for one in servers],
        about(servers, is_open=not waiting),
        nothing(server) if not looked else None,
        may_not_decide(frame) if waiting or rejected else None,
        waiting_part(server.name, waiting, frame) if looked else None,
        decided_part(server.name, others, frame) if others else None,
        rejected_part(server.name, rejected, frame) if rejected else None,
    )


def standing(servers: Sequence[Server], looked: Sequence[Looked]) -> Markup:
    """How tools come to be trusted here, and how many are in which state."""
    modes = ", ".join(dict.fromkeys(server.pin for server in servers))
    counts = counted(one.pin.state for one in looked)
    badges = [state_badge(state, count) for state, count in counts.items()]
    return tag("p", tag("code", servers[0].name), tag("span", f"pin: {modes}"), badges, class_="lead standing")


def unwell(server: Server) -> Iterator[Markup]:
    """The connections whose server cannot be used, and why."""
    for one in server.connections:
        if one.why:
            yield note(join(tag("strong", one.name), ": ", health_of(one)), "bad")


def nothing(server: Server) -> Markup:
    """What stands where no tool is known."""
    if server.pin == OFF:
        return empty("Nobody looks at the tools of this server.", "Its entry says pin: off.")
    return empty("Nobody has listed the tools of this server yet.", "mcpgov connections test NAME lists them.")


def may_not_decide(frame: Frame) -> Markup | None:
    """Why there are no forms, where there are none."""
    if decides(frame):
        return None
    return tag("p", f"To approve or reject needs the role {Role.OPERATOR}; you have {role_of(frame)}.", class_="quiet")


def decides(frame: Frame) -> bool:
    """Whether this person may decide."""
    return role_of(frame).allows(Role.OPERATOR)


def role_of(frame: Frame) -> Role:
    """What this person may do."""
    return frame.session.person.role


def waiting_part(server: str, waiting: Sequence[Looked], frame: Frame) -> Markup:
    """Every tool that waits, each with its form; the first MOST of them."""
    if not waiting:
        return tag("p", "Nothing waits.", class_="card")
    shown = waiting[:MOST]
    more = f"{len(waiting) - MOST} more wait; they stand here when these are decided." if len(waiting) > MOST else ""
    return join(
        tag("h2", f"{many(len(waiting), 'tool')} waiting"),
        approve_all(server, shown, frame) if decides(frame) else None,
        [tool_card(server, one, frame) for one in shown],
        note(more) if more else None,
    )


def approve_all(server: str, shown: Sequence[Looked], frame: Frame) -> Markup | None:
    """The form that approves several at once, behind a question; nothing with an error is among them."""
    fit = [one for one in shown if not one.has_error and is_whole(one)]
    if len(fit) < 2 or len(named(fit)) > LONGEST_FORM:
        return None
    form = tag(
        "form",
        tag("p", "They show and may be called from then on. Read what each of them says first."),
        hidden(frame),
        tag("input", type="hidden", name="tools", value=named(fit)),
        tag("button", "Approve them"),
        method="post",
        action=f"{approval_path(server)}/approve",
    )
    return tag("details", tag("summary", f"Approve all {len(fit)} in which no error was found"), form, class_="every")


def tool_card(server: str, one: Looked, frame: Frame) -> Markup:
    """A tool with what changed in it, what was found, and what can be done."""
    pin = one.pin
    listed, approved = tag("code", pin.digest), tag("code", short(pin.approved), title=pin.approved)
    digests = join(approved, " was approved, ", listed, " is listed.") if pin.approved else join(listed, " is listed.")
    by = f" Decided by {one.kept.decided_by}." if pin.state is PinState.REJECTED else ""
    return tag(
        "section",
        tag("h3", tag("code", name_of(pin)), " ", state_badge(pin.state)),
        tag("p", tag("code", one.place), class_="quiet at") if one.place else None,
        tag("p", digests, f" Seen on {day(one.kept.seen_at)}.{by}", class_="quiet"),
        [finding(found) for found in one.findings],
        difference(one) if is_whole(one) else too_long(one),
        decision(server, one, frame) if decides(frame) and is_whole(one) else None,
        class_="card tool",
    )


def finding(found: Finding) -> Markup:
    """Something that was found in a tool."""
    mend = f" ({found.mend})" if found.mend else ""
    said = (tag("strong", found.severity.value), " ", tag("code", path_text(found.path)), f": {found.message}{mend}")
    return tag("p", *said, class_=f"finding {found.severity.value}")


def is_whole(one: Looked) -> bool:
    """Whether all that changed can be shown."""
    return sum(map(len, one.lines)) <= LONGEST


def too_long(one: Looked) -> Markup:
    """What stands in place of a definition that is too long to be read here."""
    said = "It is too long to be shown here. To look at it and decide: mcpgov catalog diff"
    return tag("p", said, " ", tag("code", name_of(one.pin)), class_="note")


def difference(one: Looked) -> Markup:
    """What changed, line by line."""
    lines = [line(text) for text in one.lines]
    about = f"What changed in {name_of(one.pin)}" if one.pin.approved else f"The definition of {name_of(one.pin)}"
    return tag("pre", lines, tabindex="0", role="region", aria_label=about, class_="diff")


def line(text: str) -> Markup:
    """One of the lines: a path, or what was or is there."""
    sign = text[2:3] if text.startswith("  ") else ""
    name = {"-": "was", "+": "is"}.get(sign, "path")
    parts = [tag("mark", part) if part.startswith(OPENING) else part for part in _MARKED.split(text)]
    return tag("span", parts, "\n", class_=name)


def decision(server: str, one: Looked, frame: Frame) -> Markup:
    """The form of one tool: it names the definition that is shown, and has a button for each decision."""
    name, at = name_of(one.pin), approval_path(server)
    reject = tag("button", "Reject", formaction=f"{at}/reject", aria_label=f"Reject {name}", class_="danger")
    return tag(
        "form",
        hidden(frame),
        tag("input", type="hidden", name="tools", value=named([one])),
        tag("button", "Approve", aria_label=f"Approve {name}"),
        reject if one.waits else None,
        method="post",
        action=f"{at}/approve",
        class_="decide",
    )


def named(tools: Sequence[Looked]) -> str:
    """The digests of definitions by place and tool, as a form carries them: JSON in ASCII, which nothing on the way
    changes.
    """
    places: dict[str, dict[str, str]] = {}
    for one in tools:
        places.setdefault(one.place, {})[one.pin.tool] = one.pin.digest
    return json.dumps(places)


def named_in(text: str) -> Sequence[Wanted]:
    """What such a form names. Raises AdminRefusal (invalid-request)."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    places = members(found)
    named = [(tool, digest, place) for place, tools in places.items() for tool, digest in members(tools).items()]
    wanted = [Wanted(tool, digest, place) for tool, digest, place in named if isinstance(digest, str)]
    if not wanted or len(wanted) < len(named):
        raise AdminRefusal(Fault.INVALID_REQUEST, "This names no tools.")
    return wanted


def members(value: object) -> Mapping[str, object]:
    """The members of a JSON object; none of anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def decided_part(server: str, others: Sequence[Looked], frame: Frame) -> Markup:
    """The tools that do not wait."""
    heads = [
        tag("th", name, scope="col") if name else tag("td", tag("span", "What can be done", class_="unseen"))
        for name in HEADS
    ]
    rows = [decided_row(server, one, frame) for one in others]
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows))
    return tag("section", tag("h2", "Decided"), table, class_="card calls")


def decided_row(server: str, one: Looked, frame: Frame) -> Markup:
    """One of them."""
    pin, kept = one.pin, one.kept
    is_approved = pin.state is PinState.APPROVED
    by = kept.decided_by or ("nobody, at first sight" if is_approved else "")
    return tag(
        "tr",
        tag(
            "td",
            tag("code", name_of(pin)),
            tag("p", tag("code", one.place), class_="quiet at") if one.place else None,
            data_label="Tool",
        ),
        tag("td", state_badge(pin.state), data_label="State"),
        tag(
            "td", tag("code", short(pin.digest), title=pin.digest) if pin.digest else pin.fault, data_label="Definition"
        ),
        tag("td", by, data_label="By"),
        tag("td", day(kept.decided_at or kept.seen_at), data_label="On"),
        tag("td", take_back(server, one, frame) if is_approved and decides(frame) else None),
    )


def take_back(server: str, one: Looked, frame: Frame) -> Markup:
    """The form that rejects what was approved, behind a question."""
    name = name_of(one.pin)
    form = tag(
        "form",
        hidden(frame),
        tag("input", type="hidden", name="tools", value=named([one])),
        tag("button", "Take the approval back", aria_label=f"Take the approval back: {name}", class_="danger"),
        method="post",
        action=f"{approval_path(server)}/reject",
    )
    return tag("details", tag("summary", "Reject", aria_label=f"Reject {name}"), form, class_="revoke")


def rejected_part(server: str, rejected: Sequence[Looked], frame: Frame) -> Markup:
    """What was rejected, folded away; it can be approved after all."""
    cards = [tool_card(server, one, frame) for one in rejected[:MOST]]
    return tag("details", tag("summary", f"{many(len(rejected), 'tool')} rejected"), cards, class_="every")
