"""The frame of every page: where one is, who one is, how the ledger is; one style sheet, no script, nothing foreign."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from mcpgov.console.html import Child, Markup, join, tag, trusted
from mcpgov.console.times import ago
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from datetime import datetime

    from mcpgov.admin.sessions import Session
    from mcpgov.audit.review import LedgerState

CONSOLE: Final = "/console"
PLACES: Final = (
    ("Review", CONSOLE),
    ("Usage", f"{CONSOLE}/usage"),
    ("Events", f"{CONSOLE}/events"),
    ("Catalog", f"{CONSOLE}/catalog"),
    ("Policies", f"{CONSOLE}/policies"),
    ("Keys", f"{CONSOLE}/keys"),
)
LATE: Final = 60  # seconds after which a ledger that has grown should have had a checkpoint


@frozen
class Frame:
    """What stands around a page: who is signed in, the token of their forms, how the ledger is, and the time."""

    session: Session
    form_token: str
    state: LedgerState
    now: datetime


class Layout:
    """Lays pages out. `policy` is the Content-Security-Policy that they need, and no more."""

    def __init__(self) -> None:
        self._style = (files("mcpgov.console") / "style.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self.policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        )

    def page(self, title: str, body: Child, frame: Frame, here: str = "") -> bytes:
        """A page for somebody who is signed in; `here` is the place in the bar at the top."""
        bar = tag(
            "header",
            tag("a", "Skip to content", href="#content", class_="skip"),
            tag("a", trusted("<b>mcpgov</b>"), href=CONSOLE, class_="mark"),
            tag("nav", [place(name, path, here) for name, path in PLACES], aria_label="Console"),
            tag("div", chain_badge(frame.state, frame.now), who(frame), class_="aside"),
            class_="bar",
        )
        return self._document(title, join(bar, tag("main", body, id="content", tabindex="-1")))

    def bare(self, title: str, body: Child) -> bytes:
        """A page for somebody who is not."""
        return self._document(title, tag("main", body, class_="bare"))

    def _document(self, title: str, body: Markup) -> bytes:
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="robots", content="noindex"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("link", rel="icon", href="data:,"),
            tag("title", f"{title} · mcpgov"),
            tag("style", trusted(self._style)),
        )
        return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}".encode()


def place(name: str, path: str, here: str) -> Markup:
    """One of the places in the bar at the top."""
    return tag("a", name, href=path, aria_current="page" if name == here else None)


def who(frame: Frame) -> Markup:
    """Who is signed in, and the way out."""
    person = frame.session.person
    out = tag("button", "Sign out", class_="plain")
    return tag(
        "form",
        tag("span", person.name, tag("small", person.role.value), class_="who"),
        hidden(frame),
        out,
        method="post",
        action=f"{CONSOLE}/sign-out",
    )


def hidden(frame: Frame) -> Markup:
    """What every form carries."""
    return tag("input", type="hidden", name="form", value=frame.form_token)


def chain_badge(state: LedgerState, now: datetime) -> Markup:
    """How the ledger is proved: what was signed, and what the last verification found, where that is not well."""
    if state.verified is not None and state.verified.result != "ok":
        when = ago(state.verified.at, now)
        return badge(
            "bad", f"Verified {when}: {state.verified.result}", f"{verified(state, now)} See mcpgov audit verify."
        )
    if state.checkpointed_at is None:
        return badge("warn", "No checkpoint yet", "Nothing that was written has been signed yet.")
    since = ago(state.checkpointed_at, now)
    late = state.uncovered and (now - state.checkpointed_at).total_seconds() > LATE
    said = f"The newest checkpoint is from {since}; {state.uncovered:,} records came after it."
    return badge("warn" if late else "good", f"Checkpoint {since}", f"{said} {verified(state, now)}")


def verified(state: LedgerState, now: datetime) -> str:
    """When the ledger was last verified, by whom, and what that found."""
    if state.verified is None:
        return "It was not verified: run mcpgov audit verify."
    return f"It was verified {ago(state.verified.at, now)} by {state.verified.by}: {state.verified.result}."


def badge(mood: str, text: str, title: str) -> Markup:
    """A short word on how something is."""
    return tag("span", tag("i", class_="dot"), text, class_=f"badge {mood}", title=title)


def note(text: Child, mood: str = "") -> Markup:
    """Something that is said above a page's content."""
    return tag("p", text, class_=f"note {mood}".strip(), role="status")


def empty(text: str, then: Child = None) -> Markup:
    """What stands where there is nothing."""
    return tag("div", tag("p", text), then, class_="empty")
