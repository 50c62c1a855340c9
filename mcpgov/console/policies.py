"""The policies' pages: which there are and where they are in force, what one says, what they make of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.admin.policies import QUESTION
from mcpgov.console.html import Markup, join, tag
from mcpgov.console.layout import CONSOLE, Frame, empty, hidden, note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mcpgov.admin.parts import Policy

HEADS = ("Policy", "Elements", "Mode", "In force on")
LINES = ("roles", "scopes", "headers", "annotations")
PLACEHOLDERS = {"arguments": '{"id": 7}', "headers": "X-Team=search", "annotations": "readOnlyHint=true"}


def policies_page(policies: Sequence[Policy]) -> Markup:
    """All of them."""
    lead = tag(
        "p",
        "What is in force, where, and what is not. Policies change by their files; each change stands in the ledger.",
        class_="lead",
    )
    way = tag("p", tag("a", "Explain a request", href=f"{CONSOLE}/policies/explain", class_="button"), class_="ways")
    heads = tag("tr", [tag("th", name, scope="col", class_="number" if name == "Elements" else None) for name in HEADS])
    table = tag("table", tag("thead", heads), tag("tbody", [row(one) for one in policies]))
    shown = (
        table
        if policies
        else empty("There is no policy.", "Write one in the policies folder, or copy one from the library.")
    )
    return join(tag("h1", "Policies"), lead, way, tag("section", shown, class_="card calls"))


def row(one: Policy) -> Markup:
    """One policy as a row."""
    places = [*(one.scopes or ("nowhere",)), *(f"left out on {name}" for name in one.left_out)]
    return tag(
        "tr",
        tag("td", tag("a", one.name, href=f"{CONSOLE}/policies/{one.name}"), data_label="Policy"),
        tag("td", str(one.elements), class_="number", data_label="Elements"),
        tag("td", one.mode, data_label="Mode"),
        tag("td", ", ".join(places), class_=None if one.scopes else "quiet", data_label="In force on"),
    )


def policy_page(one: Policy) -> Markup:
    """What a policy says."""
    where = ", ".join(one.scopes) or "nowhere"
    return join(
        tag("p", tag("a", "Policies", href=f"{CONSOLE}/policies"), f" / {one.name}", class_="crumbs"),
        tag("h1", one.name),
        tag("p", f"In force on: {where}. ", f"{one.elements} elements, mode {one.mode}.", class_="lead"),
        tag(
            "section",
            tag("p", tag("code", one.file), " ", tag("code", one.digest[:16], title=one.digest), class_="quiet"),
            tag("pre", one.text, tabindex="0", role="region", aria_label=f"The text of {one.name}", class_="source"),
            class_="card",
        ),
    )


def explain_page(
    question: Mapping[str, str], connections: Sequence[str], lines: Sequence[str], frame: Frame, problem: str = ""
) -> Markup:
    """The form of a question, and the answer where there is one."""
    fields = [
        question_field(one.name, one.summary, one.choices if one.name != "connection" else tuple(connections), question)
        for one in QUESTION
    ]
    form = tag(
        "form",
        tag("div", fields, tag("div", tag("button", "Explain"), class_="field act"), class_="fields"),
        hidden(frame),
        method="post",
        action=f"{CONSOLE}/policies/explain",
        class_="card filters",
    )
    answer = tag(
        "section",
        tag("h2", "What the policies make of it"),
        tag("pre", "\n".join(lines), tabindex="0", role="region", aria_label="The explanation"),
        class_="card",
    )
    return join(
        tag("p", tag("a", "Policies", href=f"{CONSOLE}/policies"), " / explain", class_="crumbs"),
        tag("h1", "Explain a request"),
        tag(
            "p",
            "Each element in order, and the decision. Nothing is sent, nothing is counted, nothing is recorded.",
            class_="lead",
        ),
        note(problem, "bad") if problem else None,
        form,
        answer if lines else None,
    )


def question_field(name: str, summary: str, choices: Sequence[str], question: Mapping[str, str]) -> Markup:
    """One part of the question."""
    label, value = (
        tag("label", "Address" if name == "ip" else name.capitalize(), for_=f"q-{name}"),
        question.get(name, ""),
    )
    if choices:
        first = () if name == "connection" else ("",)
        options = [tag("option", one or "usual", value=one, selected=one == value) for one in (*first, *choices)]
        return tag("div", label, tag("select", options, id=f"q-{name}", name=name, title=summary), class_="field")
    about = {"id": f"q-{name}", "name": name, "title": summary, "placeholder": PLACEHOLDERS.get(name)}
    wide = " wide" if name in PLACEHOLDERS else ""
    if name in LINES:
        return tag("div", label, tag("textarea", value, **about, rows=2, spellcheck="false"), class_="field wide")
    wanted = tag("input", type="text", value=value, autocomplete="off", spellcheck="false", **about)
    return tag("div", label, wanted, class_=f"field{wide}")
